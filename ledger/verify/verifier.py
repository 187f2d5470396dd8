"""Reads everything, trusts nothing of the writer: every byte of the ledger against every other.

It shares only the reading of notes and keys with the writer, and reads with connections that cannot
write. Everything is judged up to the end that the ledger had at the start; a ledger in service may
grow meanwhile. What it cannot show is in `verify_report.NOT_SHOWN`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from ledger.contract import LedgerMissing, LedgerUnavailable
from ledger.sqlite.connection import Connection, connect_read_only, driver, snapshot
from ledger.sqlite.schema import check_identity
from ledger.verify.event import Finding, as_far_as_readable
from ledger.verify.heads import Heads, Kept, Signatures, kept_heads, missing, not_in_copy
from ledger.verify.held import Asked, ask, believed
from ledger.verify.identity import Identity, identity_of
from ledger.verify.memory import check_memory
from ledger.verify.ranges import LOWEST, MAX_FINDINGS, SPAN, Leaves, Range, lenient, strays_behind
from ledger.verify.renewals import (
    admitted,
    check_abandoned,
    doubts,
    is_lost,
    keys_must_be,
    sizes_of,
    trusted_keys,
)
from ledger.verify.report import Demands, Report
from ledger.verify.tables import (
    Bounds,
    bounds_of,
    check_checkpoints,
    check_ledger_row,
    check_purges,
    check_schema,
    unfinished_erasures,
)
from ledger.verify.tree import Growing, Tiles
from ledger.verify.workers import (
    FEW,
    OUT_OF_REACH,
    Integrity,
    Piece,
    Versions,
    cores,
    done,
    trouble_of,
)

__all__ = ["MAX_FINDINGS", "Demands", "Finding", "Report", "verify"]

Progress = Callable[[int, int], None]

_HEADS = 2000  # whose signatures are checked in one piece
_SMALLEST = 64  # bytes: no event takes less of a file


def _ignore(done: int, total: int) -> None:
    pass


def verify(path: Path, progress: Progress = _ignore, demands: Demands | None = None) -> Report:
    """Verify a ledger file; raises LedgerUnavailable when it cannot be opened. Writes nothing."""
    report = Report(path)
    try:
        connection = connect_read_only(path)
    except LedgerMissing:
        raise
    except LedgerUnavailable as trouble:
        if trouble.reason in OUT_OF_REACH:  # says nothing about what is in it
            raise
        report.findings.append(Finding(None, "file", "a readable database", str(trouble)))
        return report
    connection.text_factory = lenient
    try:
        _Verification(connection, report, demands or Demands(), progress).run()
    except (driver.DatabaseError, LedgerUnavailable, UnicodeDecodeError) as error:
        report.findings.append(_unreadable(report, error))
    finally:
        connection.close()
    report.findings.sort(key=lambda f: (f.position is None, f.position or 0))
    del report.findings[MAX_FINDINGS:]
    return report


def _unreadable(report: Report, error: Exception) -> Finding:
    """Return what is found where reading stopped.

    Raises LedgerBusy and LedgerUnavailable for what says nothing about what is in the file.
    """
    trouble = trouble_of(report.path, error)
    if trouble:
        raise trouble.raised() from error
    if isinstance(error, LedgerUnavailable):
        return Finding(None, "identity", "a ledger this program knows", str(error))
    return Finding(report.events + 1, "database page", "readable", str(error))


class _Verification:
    """One verification: what must be known first, the pieces, what follows from all of them."""

    def __init__(
        self, connection: Connection, report: Report, demands: Demands, progress: Progress
    ) -> None:
        self._connection = connection
        self._report = report
        self._demands = demands
        self._progress = progress

    def run(self) -> None:
        asked = self._ask()
        with snapshot(self._connection):
            self._find(check_schema(self._connection))
            self._find(check_ledger_row(self._connection, self._report))
            identity = identity_of(self._connection, self._report.origin)
            self._find(identity.findings)
            self._report.renewals = identity.renewals
            self._report.notes += doubts(identity)
            self._report.held, notes = believed(asked, identity, self._demands.places)
            self._report.notes += notes
            bounds = bounds_of(self._connection)
            pieces = [*self._others(bounds, identity), *self._ranges(bounds, identity)]
        if bounds.end == 0:
            self._find([Finding(1, "event", "LedgerOpened", "no event at all")])
        growing = Growing(Tiles(self._connection))
        self._work(pieces, growing, bounds)
        with snapshot(self._connection):
            self._conclude(growing, identity, bounds)

    def _ask(self) -> Asked:
        """Ask others first: what they hold was signed before the end that is looked at."""
        with snapshot(self._connection):
            check_identity(self._connection, self._report.path)
            [row] = self._connection.execute("SELECT max(origin) FROM ledger").fetchall()
            identity = identity_of(self._connection, str(row[0]))
        return ask(self._demands.places, identity)

    def _find(self, findings: Iterable[Finding]) -> None:
        """Keep findings up to as many as are told."""
        for finding in as_far_as_readable(findings):
            if len(self._report.findings) >= MAX_FINDINGS:
                return
            self._report.findings.append(finding)

    def _others(self, bounds: Bounds, identity: Identity) -> Iterator[Piece]:
        """Return the pieces that are of no range, the longest first."""
        since = self._demands.since
        if since is None:
            yield Integrity()
        yield Versions(bounds.end)
        behind = since.head if since else 0
        end = min(bounds.heads, behind + bounds.pages // _SMALLEST)  # a number can be far too high
        for first in range(behind + 1, end + 1, _HEADS):
            last = min(first + _HEADS - 1, end)
            yield Signatures(first, last, bounds.end, tuple(identity.keys))

    def _ranges(self, bounds: Bounds, identity: Identity) -> Iterator[Piece]:
        """Cut the positions into ranges; the first and the last hold what is out of place too."""
        since = self._demands.since.size if self._demands.since else 0
        sizes = self._sizes(bounds, identity)
        most = bounds.pages // _SMALLEST // SPAN + 1  # a position can be far beyond all others
        count = max(1, min(-(-bounds.end // SPAN), most))
        at = 0
        for n in range(count):
            first = n * SPAN + 1 if n else LOWEST
            last = bounds.end if n == count - 1 else (n + 1) * SPAN
            begin = at
            while at < len(sizes) and sizes[at] <= last:
                at += 1
            here = tuple(sizes[begin:at])
            if (n + 1) * SPAN <= since and n < count - 1:
                yield Leaves(max(first, 1), last, here)
            else:
                yield Range(first, last, tuple(identity.origins), here)

    def _sizes(self, bounds: Bounds, identity: Identity) -> list[int]:
        """Return the sizes at which there is a head to compare the root with."""
        since = self._demands.since
        rows = self._connection.execute(
            "SELECT DISTINCT size FROM tree_head WHERE number > ? AND number <= ?",
            (since.head if since else 0, bounds.heads),
        )
        wanted = {size for (size,) in rows if isinstance(size, int)}
        outside = (*self._demands.from_outside, *self._report.held)
        wanted |= {each.head.size for each in outside} | sizes_of(identity)
        wanted |= {bounds.end, *([since.size] if since else [])}
        return sorted(size for size in wanted if 1 <= size <= bounds.end)

    def _work(self, pieces: list[Piece], growing: Growing, bounds: Bounds) -> None:
        report = self._report
        numbers = {piece: n for n, piece in enumerate(p for p in pieces if _is_of_range(p))}
        with closing(done(report.path, pieces, self._processes(bounds.end))) as outcomes:
            for piece, outcome in outcomes:
                self._find(outcome.findings)
                if piece in numbers:
                    self._find(growing.add(numbers[piece], outcome))
                if isinstance(piece, Leaves):
                    report.skipped += outcome.events
                else:
                    report.events += outcome.events
                report.payloads += outcome.payloads
                report.erased += outcome.erased
                report.erasures += outcome.erasures
                self._progress(report.events + report.skipped, bounds.end)
                if len(report.findings) >= MAX_FINDINGS:
                    return

    def _processes(self, events: int) -> int:
        if self._demands.processes:
            return self._demands.processes
        return cores() if events > FEW else 1

    def _conclude(self, growing: Growing, identity: Identity, bounds: Bounds) -> None:
        connection, report = self._connection, self._report
        connection.text_factory = lenient
        end = connection.execute("SELECT max(position) FROM event").fetchone()[0] or 0
        self._find(growing.finish(end))
        self._find(strays_behind(connection, bounds.end))
        report.size, report.root = growing.size, growing.roots.get(bounds.end)
        self._find(check_memory(self._demands.since, growing, identity))
        self._find(self._heads(growing, identity, bounds))
        self._find(check_checkpoints(connection, end))
        self._find(check_purges(connection))
        report.notes += unfinished_erasures(connection)

    def _heads(self, growing: Growing, identity: Identity, bounds: Bounds) -> Iterator[Finding]:
        demands = self._demands
        good = demands.since.size if demands.since else 0
        heads = Heads(identity, growing.roots, bounds.end, good=good)
        before = None
        if demands.since and demands.since.head:
            before = next(self._kept(demands.since.head - 1, demands.since.head), None)
        after = before.number if before else 0
        yield from heads.kept(self._noting(self._kept(after, bounds.heads)), before)
        self._report.heads = heads.count
        self._report.newest = self._report.newest or before
        trusted = trusted_keys(identity, demands.keys)
        for each in demands.brought:
            yield from heads.brought(each, trusted)
        for each in (*([demands.own] if demands.own else []), *self._report.held):
            if is_lost(identity, each):
                yield from admitted(identity, each)
            elif each is demands.own:
                yield from heads.brought(each, [key for _, key in identity.keys])
            else:  # a key of the ledger signed it
                yield from heads.compared(each)
        yield from self._gone(identity, bounds)
        yield from check_abandoned(identity, growing.roots)
        yield from keys_must_be(identity, demands.keys, demands.brought)

    def _gone(self, identity: Identity, bounds: Bounds) -> Iterator[Finding]:
        """Find that tree heads were taken out of the file."""
        if identity.keys and not bounds.heads:
            expected = "one at least, for the ledger has a key"
            yield Finding(None, "tree heads", expected, "none")
            return
        newest = self._report.newest.size if self._report.newest else 0
        since = self._demands.since
        if since and since.head > bounds.heads:
            expected = f"as it was at {since.at}"
            yield Finding(None, f"tree head {since.head}", expected, "none")
        outside = (*self._demands.from_outside, *self._report.held)
        for each in missing(self._connection, identity, outside, bounds.end):
            if self._demands.copy and each.head.size > newest:
                self._report.notes.append(not_in_copy(each))
                continue
            what = f"tree head of size {each.head.size}"
            expected = f"that in {each.source} among those kept"
            yield Finding(None, what, expected, f"none; the newest is of size {newest}")

    def _kept(self, after: int, last: int) -> Iterator[Kept]:
        return kept_heads(self._connection, after, last)

    def _noting(self, rows: Iterator[Kept]) -> Iterator[Kept]:
        for row in rows:
            self._report.newest = row
            yield row


def _is_of_range(piece: Piece) -> bool:
    return isinstance(piece, Range | Leaves)
