"""Tree heads against the tree: those that the ledger keeps, and those that others bring."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ledger.contract import StoredHead, StoredRows
from ledger.findings import Finding, Kind, short
from ledger.signing.identity import Identity, KeySpan, in_force
from ledger.signing.key_rule import Restore
from ledger.signing.note import KnownHead, MalformedNote, Note, TreeHead, VerifierKey
from ledger.verify.event import is_time
from ledger.verify.ranges import Outcome


@dataclass(frozen=True, slots=True)
class Signatures:
    """The signatures of the heads from one number to another.

    Those beyond the `end` are left out: their key may be among what is missing.
    """

    first: int
    last: int
    end: int
    keys: tuple[KeySpan, ...]

    def check(self, rows: StoredRows, outcome: Outcome) -> None:
        """Find heads that were not signed by the key that was in force at their size."""
        for row in rows.heads(self.first - 1, self.last):
            parsed = parse(row)
            if isinstance(parsed, Finding) or parsed[1].size > self.end:
                continue  # the first is found where roots are compared
            note, head = parsed
            key = in_force(self.keys, head.size)
            if key is None or not note.signed_by(key):
                what = f"signature of tree head {row.number}"
                expected = f"one of {key}" if key else "one of the ledger's key"
                found = "none of it" if key else "no key that the ledger names for so many events"
                outcome.findings.append(Finding(Kind.HEAD, None, what, expected, found))


def parse(row: StoredHead) -> tuple[Note, TreeHead] | Finding:
    """Read a head that is kept; return what is found where it is none."""
    try:
        note = Note.parse(row.note)
        return note, TreeHead.of(note)
    except (MalformedNote, TypeError, AttributeError) as error:
        return Finding(Kind.HEAD, None, f"tree head {row.number}", "a signed note", short(error))


class Heads:
    """Compares heads with the roots that were found at their sizes, and with one another."""

    def __init__(
        self, identity: Identity, roots: Mapping[int, bytes], end: int, *, good: int = 0
    ) -> None:
        """`end` is the ledger's last position; a root that is unknown is not compared.

        `good` is the size up to which the ledger is known to be as it was.
        """
        self._identity = identity
        self._roots = roots
        self._end = end
        self._good = sorted({0, good})  # sizes at which a head's root was that of the tree

    def check_kept(self, row: StoredHead, last: StoredHead | None) -> Iterator[Finding]:
        """Check a head that is kept after the `last`."""
        what, last = f"tree head {row.number}", last or StoredHead(0, 0, "", "")
        if row.number != last.number + 1:
            yield _finding(what, f"number {last.number + 1}", f"number {row.number}")
        if row.size < last.size:
            yield _finding(f"size of {what}", f"{last.size} at least", str(row.size))
        before = str(last.signed_at) if is_time(str(last.signed_at)) else ""
        if not is_time(str(row.signed_at)) or str(row.signed_at) < before:
            expected = f"a time, not before {before or 'any'}"
            yield _finding(f"time of {what}", expected, short(row.signed_at))
        parsed = parse(row)
        if isinstance(parsed, Finding):
            yield parsed
            return
        _, head = parsed
        if head.size != row.size:
            yield _finding(f"size of {what}", str(head.size), str(row.size))
        origin = self._identity.origin_at(head.size)
        if head.origin != origin:
            yield _finding(f"origin of {what}", origin, short(head.origin))
        yield from self._compare(what, head)

    def unproved_from(self, size: int) -> int:
        """Return the first position that no head smaller than a size proved, as far as checked."""
        return self._good[bisect_left(self._good, size) - 1] + 1

    def _compare(self, what: str, head: TreeHead) -> Iterator[Finding]:
        first, last = self.unproved_from(head.size), head.size
        if last > self._end:
            expected = f"{last:,}, for {what} was signed over them"
            found = f"{self._end:,}: the ledger is shorter; nothing proves those from {first:,} on"
            yield Finding(Kind.MISSING, first, "events", expected, found, last)
            return
        root = self._roots.get(head.size)
        if root == head.root:
            insort(self._good, head.size)
        elif root is not None:
            differs = f"what differs is from position {first} to {last}"
            found = f"another: {'it was changed' if first == last else differs}"
            what = f"root of {what} of size {last}"
            yield Finding(Kind.ROOT, first, what, head.root.hex(), found, last)

    def check_brought(self, each: KnownHead, trusted: Sequence[VerifierKey]) -> Iterator[Finding]:
        """Check a head from outside: `trusted` are the keys that are trusted, whoever says so."""
        what, head = f"the tree head in {each.source}", each.head
        if head.origin not in self._identity.names:
            expected, found = short(self._identity.origin), short(head.origin)
            yield _finding(f"origin of {what}", expected, found)
            return
        restore = self._identity.restore_of(head.origin)
        if restore and head.size > restore.agreed and not self._is_here(head):
            yield _of_lost_events(what, head, restore)
        else:
            yield from self.compare(each)
        if head.size > self._end:
            return  # its key may be among what is missing
        retired = {*self._identity.known} - {*self._identity.signers(head.origin, head.size)}
        signers = [key for key in trusted if key not in retired]
        if not any(each.note.signed_by(key) for key in signers):
            names = ", ".join(map(str, signers)) or "a key that is known, and in force there"
            yield _finding(f"signature of {what}", f"one of {names}", "none of it")

    def agrees(self, head: TreeHead) -> bool:
        """Return whether nothing is found at a head's size but its root."""
        return self._roots.get(head.size, head.root) == head.root

    def _is_here(self, head: TreeHead) -> bool:
        """Return whether a head of a former origin is over events that stayed, of a fork too."""
        here = self._identity.origin_at(head.size) == head.origin
        return here and self._roots.get(head.size) == head.root

    def compare(self, each: KnownHead) -> Iterator[Finding]:
        """Compare the root in a head from outside, whoever signed it."""
        for finding in self._compare(f"the tree head in {each.source}", each.head):
            fork = (
                ", as far as the ledger's own heads can tell; two histories under one name (a fork)"
            )
            found = finding.found + (fork if finding.kind is Kind.ROOT else "")
            yield replace(finding, found=found)


def missing(
    rows: StoredRows, identity: Identity, outside: Iterable[KnownHead], end: int
) -> Iterator[KnownHead]:
    """Yield heads of the present origin, signed by its key, that are not among those kept.

    Every head is kept before it is given out, so that each of events up to the `end` must be.
    """
    for each in outside:
        head = each.head
        key = identity.key_at(head.size)
        if head.origin != identity.origin or head.size > end:
            continue
        if key is None or not each.note.signed_by(key):
            continue
        kept = (str(row.note) for row in rows.heads_of(head.size))
        if not any(note.startswith(f"{head.text}\n") for note in kept):
            yield each


def _of_lost_events(what: str, head: TreeHead, restore: Restore) -> Finding:
    """Return the finding of a head over more events of a former origin than the ledger has."""
    kept, recorded = restore.agreed, restore.admits(head.size)
    expected = f"{head.size:,} events of {head.origin}, for {what} was signed over them"
    found = f"{kept:,}: a restore replaced that origin, and the events after it were lost"
    if recorded:
        by = "its former key signed that" if restore.signed else "its former key did not sign that"
        found = (
            f"{kept:,}: those from {kept + 1:,} to {head.size:,} were lost, as the event at"
            f" position {restore.position:,} says; {by}"
        )
    return Finding(Kind.LOST if recorded else Kind.MISSING, kept + 1, "event", expected, found)


def _finding(what: str, expected: str, found: str) -> Finding:
    return Finding(Kind.HEAD, None, what, expected, found)
