"""Reads everything and trusts nothing that is stored: every byte against every other.

It reads with connections that cannot write, and judges up to the end that the ledger had at the
start; a ledger in service may grow meanwhile. The rules of the tree, of notes and of events are
those of `merkle`, `signing` and `codec`; `export/verify.py` is the program that shares nothing.
What a verification cannot show is in `report.NOT_SHOWN`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ledger.contract import (
    OUT_OF_REACH,
    Bounds,
    LedgerError,
    LedgerMissing,
    LedgerNewer,
    LedgerUnavailable,
    Progress,
    StoredRows,
    no_progress,
)
from ledger.findings import Finding, Kind, short
from ledger.signing.identity import Identity, identity_of
from ledger.signing.known_heads import newest_trusted
from ledger.signing.standing import Standing, standing_of
from ledger.signing.tree import kept_edge
from ledger.verify.heads import Heads, Signatures, missing, parse
from ledger.verify.identity import (
    admissions,
    check_abandoned,
    check_keys,
    check_name,
    doubts,
    not_admitted,
    sizes_of,
    trusted_keys,
)
from ledger.verify.ranges import (
    LOWEST,
    MAX_FINDINGS,
    SPAN,
    Integrity,
    Leaves,
    Range,
    Versions,
    check_strays,
)
from ledger.verify.report import Options, Report
from ledger.verify.single import readable
from ledger.verify.tree import TreeCheck, check_levels
from ledger.verify.workers import FEW, Piece, check_all, cores, open_rows, unreadable

_HEADS = 2000  # whose signatures are checked in one piece
_SMALLEST = 64  # bytes: no event takes less of a file
_HIGHEST = 2**63 - 1  # the highest position that a table can hold


def verify(path: Path, progress: Progress = no_progress, options: Options | None = None) -> Report:
    """Verify a ledger file; raises LedgerUnavailable when it cannot be opened. Writes nothing."""
    report = Report(path)
    try:
        rows = open_rows(path)
    except LedgerUnavailable as error:
        if isinstance(error, LedgerMissing) or error.reason in OUT_OF_REACH:
            raise  # it says nothing about what is in it
        found = Finding(Kind.STORE, None, "file", "a readable database", str(error))
        report.findings.append(found)
        return report
    with closing(rows):
        verification = _Verification(rows, report, options or Options(), progress)
        try:
            rows.check_identity()
        except LedgerNewer:
            raise  # it says nothing about what is in it
        except LedgerUnavailable as error:
            unreadable(None, error)
            found = Finding(Kind.STORE, None, "identity", "a ledger this program knows", str(error))
            report.findings.append(found)
            return report
        report.migrated = rows.is_migrated()
        try:
            verification.run()
        except LedgerError as error:
            report.findings.append(unreadable(report.events + 1, error))
    report.findings.sort(key=lambda f: (f.position is None, f.position or 0))
    del report.findings[MAX_FINDINGS:]
    return report


@dataclass(frozen=True, slots=True)
class _Verification:
    """One verification: what must be known first, the pieces, what follows from all of them."""

    rows: StoredRows
    report: Report
    options: Options
    progress: Progress

    def run(self) -> None:
        rows, report = self.rows, self.report
        warnings = self._ask()
        with rows.snapshot():
            self._find(rows.check_tables())
            report.origin = rows.origin()
            identity = identity_of(rows.own_stream(), report.origin)
            self._find(check_name(identity, report.origin))
            report.restores = identity.restores
            report.notes += [*doubts(identity), *admissions(identity, self.options.sources.keys)]
            report.notes += warnings
            bounds = rows.bounds()
            pieces = [*self._others(bounds, identity), *self._ranges(bounds, identity)]
            if bounds.end == 0:
                self._find([Finding(Kind.EVENT, 1, "event", "LedgerOpened", "no event at all")])
            tree = TreeCheck(rows)
        self._check(pieces, tree, bounds)
        with rows.snapshot():
            self._conclude(tree, identity, bounds)

    def _ask(self) -> list[str]:
        """Ask others first: what they hold was signed before the end that is looked at."""
        with self.rows.snapshot():
            identity = identity_of(self.rows.own_stream(), self.rows.origin())
        self.report.held, _, warnings = newest_trusted(self.options.sources, identity)
        return warnings

    def _find(self, findings: Iterable[Finding]) -> None:
        """Keep findings up to as many as are reported."""
        for finding in readable(iter(findings)):
            if len(self.report.findings) >= MAX_FINDINGS:
                return
            self.report.findings.append(finding)

    def _others(self, bounds: Bounds, identity: Identity) -> Iterator[Piece]:
        """Return the pieces that are of no range, the longest first."""
        since = self.options.since
        if since is None:
            yield Integrity()
        yield Versions(bounds.end)
        before = since.head if since else 0
        end = min(bounds.heads, before + bounds.size // _SMALLEST)  # a number can be far too high
        for first in range(before + 1, end + 1, _HEADS):
            last = min(first + _HEADS - 1, end)
            yield Signatures(first, last, bounds.end, tuple(identity.keys))

    def _ranges(self, bounds: Bounds, identity: Identity) -> Iterator[Piece]:
        """Cut the positions into ranges; the first and the last hold what is out of place too."""
        since = self.options.since.size if self.options.since else 0
        sizes = self._sizes(bounds, identity)
        most = bounds.size // _SMALLEST // SPAN + 1  # a position can be far beyond all others
        count = max(1, min(-(-bounds.end // SPAN), most))
        for n in range(count):
            first = n * SPAN + 1 if n else LOWEST
            last = bounds.end if n == count - 1 else (n + 1) * SPAN
            here = tuple(sizes[bisect_left(sizes, first) : bisect_right(sizes, last)])
            if (n + 1) * SPAN <= since and n < count - 1:
                yield Leaves(max(first, 1), last, here)
            else:
                yield Range(first, last, tuple(identity.origins), here)

    def _sizes(self, bounds: Bounds, identity: Identity) -> list[int]:
        """Return the sizes at which there is a head to compare the root with."""
        options, since = self.options, self.options.since
        kept = self.rows.heads(since.head if since else 0, bounds.heads)
        wanted = {head.size for head in kept if isinstance(head.size, int)}
        outside = (*options.from_outside, *self.report.held)
        wanted |= {each.head.size for each in outside} | sizes_of(identity)
        wanted |= {bounds.end, *([since.size] if since else [])}
        return sorted(size for size in wanted if 1 <= size <= bounds.end)

    def _check(self, pieces: list[Piece], tree: TreeCheck, bounds: Bounds) -> None:
        report, processes = self.report, self.options.processes
        processes = processes or (cores() if bounds.end > FEW else 1)
        ranges = [piece for piece in pieces if isinstance(piece, Range | Leaves)]
        numbers = {piece: n for n, piece in enumerate(ranges)}
        with closing(check_all(report.path, pieces, processes)) as outcomes:
            for piece, outcome in outcomes:
                self._find(outcome.findings)
                if isinstance(piece, Range | Leaves):
                    tree.add(numbers[piece], outcome)
                if isinstance(piece, Leaves):
                    report.skipped += outcome.events
                else:
                    report.events += outcome.events
                report.payloads += outcome.payloads
                report.erased += outcome.erased
                report.erasures += outcome.erasures
                self.progress(report.events + report.skipped, bounds.end)
                if len(report.findings) >= MAX_FINDINGS:
                    return

    def _conclude(self, tree: TreeCheck, identity: Identity, bounds: Bounds) -> None:
        rows, report = self.rows, self.report
        end = rows.bounds().end
        self._find(check_strays(rows, min(bounds.end + 1, _HIGHEST), _HIGHEST))
        report.size, report.root = tree.size, tree.roots.get(bounds.end)
        since = self.options.since
        good = since.size if since and tree.roots.get(since.size) == since.root else 0
        heads = Heads(identity, tree.roots, bounds.end, good=good)
        self._find(self._check_heads(heads, tree, identity, bounds))
        self._find(self._check_since(heads, tree, identity))
        self._find(self._check_tiles(heads, tree, bounds))
        self._find(check_levels(rows, end))
        self._find(rows.check_markers(end))
        report.notes += [
            f"the erasure at position {position} is not finished: traces may be left in the files"
            for position in rows.unfinished_erasures()
        ]

    def _check_since(self, heads: Heads, tree: TreeCheck, identity: Identity) -> Iterator[Finding]:
        """Prove that the events that were verified before are still those."""
        since = self.options.since
        if since is None:
            return
        if since.origin not in identity.names:
            expected = f"{short(since.origin)}, as verified at {since.at}"
            yield Finding(Kind.IDENTITY, None, "origin", expected, short(identity.origin))
        if since.size > tree.size and tree.whole:
            first = heads.unproved_from(since.size)
            expected = f"{since.size:,}, which were verified at {since.at}"
            found = f"{tree.size:,}; nothing proves those from {first:,} on"
            yield Finding(Kind.MISSING, first, "events", expected, found, since.size)
        elif tree.roots.get(since.size, since.root) != since.root:
            what = f"root of the first {since.size:,} events"
            expected = f"{since.root.hex()}, as verified at {since.at}"
            found = tree.roots[since.size].hex()
            yield Finding(Kind.ROOT, 1, what, expected, found, since.size)

    def _check_heads(
        self, heads: Heads, tree: TreeCheck, identity: Identity, bounds: Bounds
    ) -> Iterator[Finding]:
        options, report = self.options, self.report
        since = options.since
        if since and since.head:
            report.newest = next(self.rows.heads(since.head - 1, since.head), None)
        after = report.newest.number if report.newest else 0
        for row in self.rows.heads(after, bounds.heads):
            last, report.newest = report.newest, row
            yield from heads.check_kept(row, last)
            report.heads += 1
        trusted = trusted_keys(identity, options.keys)
        for each in options.brought:
            yield from heads.check_brought(each, trusted)
        for each in (*([options.own] if options.own else []), *report.held):
            standing = standing_of(identity, each.head, bounds.end, heads.agrees)
            restore = identity.restore_of(each.head.origin)
            if standing is Standing.LOST:
                continue
            if standing is Standing.BEYOND and restore:
                yield not_admitted(restore, each)
            elif each is options.own:
                yield from heads.check_brought(each, identity.known)
            else:  # a key of the ledger signed it
                yield from heads.compare(each)
        yield from self._check_missing(identity, bounds)
        yield from check_abandoned(identity, tree.roots)
        yield from check_keys(identity, options.keys, options.brought)

    def _check_tiles(self, heads: Heads, tree: TreeCheck, bounds: Bounds) -> Iterator[Finding]:
        """Find which are wrong where tiles and events differ.

        Tiles that give the root that was signed are right: the events under them are others.
        """
        signed, newest = 0, self.report.newest
        parsed = parse(newest) if newest else None
        if isinstance(parsed, tuple) and parsed[1].size <= bounds.end:
            head = parsed[1]
            kept = kept_edge(self.rows, head.size)
            signed = head.size if kept and kept.root == head.root else 0
        for each in tree.differing:
            if each.last <= signed:  # heads may prove the first of them
                yield each.others(max(each.first, heads.unproved_from(each.last)))
            else:
                yield each.wrong

    def _check_missing(self, identity: Identity, bounds: Bounds) -> Iterator[Finding]:
        """Find that tree heads were taken out of the file."""
        if identity.keys and not bounds.heads:
            expected = "one at least, for the ledger has a key"
            yield Finding(Kind.HEAD, None, "tree heads", expected, "none")
            return
        newest, since = self.report.newest, self.options.since
        size = newest.size if newest else 0
        if since and since.head > bounds.heads:
            what, expected = f"tree head {since.head}", f"as it was at {since.at}"
            yield Finding(Kind.HEAD, None, what, expected, "none")
        outside = (*self.options.from_outside, *self.report.held)
        for each in missing(self.rows, identity, outside, bounds.end):
            if self.options.copy and each.head.size > size:
                self.report.notes.append(
                    f"the tree head of {each.head.size} events in {each.source} is not kept in this"
                    " file: it is of a time before that was signed, or the head was taken out of it"
                )
                continue
            what, expected = f"tree head of size {each.head.size}", f"that in {each.source}"
            found = f"none; the newest is of size {size}"
            yield Finding(Kind.HEAD, None, what, f"{expected} among those kept", found)
