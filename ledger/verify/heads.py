"""Tree heads against the tree: those that the ledger keeps, and those that others bring."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from ledger.signing.note import COSIGNATURE, KnownHead, MalformedNote, Note, TreeHead, VerifierKey
from ledger.sqlite.connection import Connection
from ledger.verify.bytes import is_time
from ledger.verify.event import Finding, short
from ledger.verify.identity import Identity, in_force

_STAMP = 8  # bytes of the time in a cosignature


@dataclass(frozen=True, slots=True)
class Signatures:
    """The piece that checks the signatures of heads, from one number to another.

    Those beyond the `end` are left out: their key may be among what is missing.
    """

    first: int
    last: int
    end: int
    keys: tuple[tuple[int, VerifierKey], ...]


class Kept(NamedTuple):
    """A row of table tree_head."""

    number: int
    size: int
    signed_at: str
    note: str


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
        self.count = 0

    def kept(self, rows: Iterable[Kept], before: Kept | None = None) -> Iterator[Finding]:
        """Check rows, by number, behind the one `before`."""
        last = before or Kept(0, 0, "", "")
        for row in rows:
            yield from self._row(row, last)
            last, self.count = row, self.count + 1

    def _row(self, row: Kept, last: Kept) -> Iterator[Finding]:
        what = f"tree head {row.number}"
        if row.number != last.number + 1:
            yield Finding(None, what, f"number {last.number + 1}", f"number {row.number}")
        if row.size < last.size:
            yield Finding(None, f"size of {what}", f"{last.size} at least", str(row.size))
        before = str(last.signed_at) if is_time(str(last.signed_at)) else ""
        if not is_time(str(row.signed_at)) or str(row.signed_at) < before:
            expected = f"a time, not before {before or 'any'}"
            yield Finding(None, f"time of {what}", expected, short(row.signed_at))
        try:
            head = TreeHead.of(Note.parse(row.note))
        except (MalformedNote, TypeError, AttributeError) as error:
            yield Finding(None, what, "a signed note", short(error))
            return
        if head.size != row.size:
            yield Finding(None, f"size of {what}", str(row.size), str(head.size))
        yield from self._head(what, head)

    def _head(self, what: str, head: TreeHead) -> Iterator[Finding]:
        origin = self._identity.origin_at(head.size)
        if head.origin != origin:
            yield Finding(None, f"origin of {what}", origin, short(head.origin))
        yield from self._root(what, head)

    def _root(self, what: str, head: TreeHead) -> Iterator[Finding]:
        if head.size > self._end:
            expected = f"{head.size:,} events, for {what} was signed over them"
            yield Finding(self._end + 1, "event", expected, f"{self._end:,}: the ledger is shorter")
            return
        root = self._roots.get(head.size)
        if root == head.root:
            insort(self._good, head.size)
        elif root is not None:
            last = head.size
            first = self._good[bisect_left(self._good, last) - 1] + 1
            differs = f"what differs is from position {first} to {last}"
            found = "it was changed" if first == last else differs
            what = f"root of {what} of size {last}"
            to = last if last > first else None
            yield Finding(first, what, head.root.hex(), f"another: {found}", to)

    def brought(self, each: KnownHead, trusted: Sequence[VerifierKey]) -> Iterator[Finding]:
        """Check a head from outside: `trusted` are the keys that are believed, whoever says so."""
        what, head = f"the tree head in {each.source}", each.head
        origins = [name for _, name in self._identity.origins]
        if head.origin not in origins:
            yield Finding(None, f"origin of {what}", short(origins[-1]), short(head.origin))
            return
        given_up = self._identity.end_of(head.origin)
        if given_up is not None and head.size > given_up:
            expected = f"{head.size:,} events of {head.origin}, for {what} was signed over them"
            found = f"{given_up:,}: that name was given up, and what came after was lost"
            yield Finding(given_up + 1, "event", expected, found)
        else:
            yield from self.compared(each)
        if head.size > self._end:
            return  # its key may be among what is missing
        if not any(signed(each.note, key) for key in trusted):
            names = ", ".join(map(str, trusted)) or "a key that is known"
            yield Finding(None, f"signature of {what}", f"one of {names}", "none of it")

    def compared(self, each: KnownHead) -> Iterator[Finding]:
        """Compare the root in a head from outside, whoever signed it."""
        for finding in self._root(f"the tree head in {each.source}", each.head):
            fork = "root" in finding.what
            found = (
                f"{finding.found}, as far as the ledger's own heads can tell; two histories under"
                " one name (a fork)"
                if fork
                else ""
            )
            yield replace(finding, found=found or finding.found)


def check_signatures(connection: Connection, task: Signatures) -> Iterator[Finding]:
    """Find heads that were not signed by the key that was in force at their size."""
    for row in kept_heads(connection, task.first - 1, task.last):
        with suppress(MalformedNote, TypeError, AttributeError):  # found where roots are compared
            note = Note.parse(row.note)
            size = TreeHead.of(note).size
            key = in_force(task.keys, size)
            if size > task.end:
                continue
            if key is None or not signed(note, key):
                what = f"signature of tree head {row.number}"
                expected = f"one of {key}" if key else "one of the ledger's key"
                found = "none of it" if key else "no key that the ledger names for so many events"
                yield Finding(None, what, expected, found)


def signed(note: Note, key: VerifierKey) -> bool:
    """Return whether a key, a ledger's or a witness's, signed a note."""
    text = note.text.encode()
    for signature in note.signatures:
        if signature.name != key.name or signature.raw[:4] != key.id:
            continue
        if key.kind != COSIGNATURE:
            return key.verify(text, signature.raw[4:])
        stamp = signature.raw[4 : 4 + _STAMP]  # C2SP tlog-cosignature
        message = f"cosignature/v1\ntime {int.from_bytes(stamp)}\n".encode() + text
        return key.verify(message, signature.raw[4 + _STAMP :])
    return False


def missing(
    connection: Connection, identity: Identity, brought: Iterable[KnownHead], end: int
) -> Iterator[KnownHead]:
    """Yield heads of the present origin, signed by its key, that are not among those kept.

    Every head is kept before it is given out, so that each of events up to the `end` must be.
    """
    origin, key = identity.origins[-1][1], identity.key_at
    for each in brought:
        head = each.head
        by = key(head.size)
        if head.origin != origin or head.size > end or not (by and signed(each.note, by)):
            continue
        rows = connection.execute("SELECT note FROM tree_head WHERE size = ?", (head.size,))
        if not any(str(note).startswith(f"{head.text}\n") for (note,) in rows):
            yield each


def not_in_copy(each: KnownHead) -> str:
    """Say that a file may be older than a head: nothing else is known of why it has it not."""
    return (
        f"the tree head of {each.head.size} events in {each.source} is not kept in this file: it is"
        " of a time before that was signed, or the head was taken out of it"
    )


def kept_heads(connection: Connection, after: int, last: int) -> Iterator[Kept]:
    """Yield the heads of numbers behind one up to another, as they are asked for."""
    rows = connection.execute(
        "SELECT number, size, signed_at, note FROM tree_head WHERE number > ? AND number <= ?"
        " ORDER BY number",
        (after, last),
    )
    return (Kept(*row) for row in rows)
