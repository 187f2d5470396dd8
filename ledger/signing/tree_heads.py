"""Signed tree heads: what the ledger states, and can be held to, about all its events so far."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from ledger import clock
from ledger.contract import Ledger, LedgerUnavailable, StoredHead
from ledger.ledger_stream import stream_of
from ledger.signing.identity import IDENTITY_TYPES, Identity, KeySpan, identity_of
from ledger.signing.keys import Keys, KeyUnusable
from ledger.signing.note import Note, SigningKey, TreeHead, VerifierKey
from ledger.signing.tiles import Tree

INTERVAL = 60.0  # seconds between two heads, at the least, while something changes


class SignedHead(StoredHead):
    """A stored head whose note can be read."""

    __slots__ = ()

    @property
    def head(self) -> TreeHead:
        return TreeHead.of(Note.parse(self.note))


class TreeHeads:
    """The heads of a ledger."""

    def __init__(self, ledger: Ledger, keys: Keys) -> None:
        self.ledger = ledger
        self.keys = keys
        self.tree = Tree(ledger)
        self._identity: tuple[tuple[int, str], Identity] | None = None  # and when it was read
        self._seen = (0, 0.0)  # the number of a head, and when it was first looked at (monotonic)

    def newest(self) -> SignedHead | None:
        """Return the newest head, if one was ever signed."""
        stored = self.ledger.newest_head()
        return SignedHead(*stored) if stored else None

    def after(self, number: int = 0, count: int = 1000) -> list[SignedHead]:
        """Return heads after one of a number, oldest first."""
        return [SignedHead(*stored) for stored in self.ledger.heads(number, count)]

    def every(self) -> Iterator[SignedHead]:
        """Yield all heads, oldest first."""
        heads = self.after()
        while heads:
            yield from heads
            heads = self.after(heads[-1].number)

    def identity(self) -> Identity:
        """Return the ledger's origins and keys as its own stream says."""
        ledger, stream = self.ledger, stream_of(self.ledger.tenant)
        read_at = ledger.version(stream), ledger.origin
        if self._identity is None or self._identity[0] != read_at:
            own = ledger.walk_stream(stream, types=IDENTITY_TYPES)
            events = ledger.raw_events_at([event.position for event in own])
            self._identity = read_at, identity_of(events, ledger.origin)
        return self._identity[1]

    def key(self) -> SigningKey:
        """Return the key that signs now; raises KeyUnusable."""
        return self.keys.find(self._span().key)

    def trouble(self) -> str | None:
        """Return why no head can be signed, None if one can."""
        try:
            self.key()
        except KeyUnusable as error:
            return str(error)
        return None

    def _span(self) -> KeySpan:
        keys = self.identity().keys
        if not keys:
            raise KeyUnusable(
                f"{self.ledger.origin} has no signing key yet; run `scim-ledger migrate`"
            )
        return keys[-1]

    def _size_and_key(self) -> tuple[int, SigningKey]:
        """Return how many events there are, and the key that signs over so many."""
        while True:
            size, span = self.ledger.last_position(), self._span()
            if span.since <= size:  # else the key was changed in between
                return size, self.keys.find(span.key)

    def key_of(self, signed: SignedHead) -> VerifierKey:
        """Return the key that a head was signed with; there must be one."""
        key = self.identity().key_at(signed.size)
        if key is None:
            raise KeyUnusable(f"no key of {self.ledger.origin} signs heads of {signed.size} events")
        return key

    def sign(self, *, again: bool = False) -> SignedHead:
        """Sign a head over all events that are durable; return it.

        Where nothing changed since the last one, that one is returned, unless `again`. Raises
        KeyUnusable, LedgerBusy, and LedgerUnavailable if the events no longer are those that the
        last head was signed over.
        """
        last = self._with_remembered(self.newest())
        size, key = self._size_and_key()
        if last and last.size == size and not again:
            return last
        if last and self.tree.root_at(last.size) != last.head.root:
            raise LedgerUnavailable(
                f"the first {last.size:,} events are not those that a tree head was signed over;"
                " none is signed over others. `scim-ledger verify` says what is wrong",
                reason="events were changed",
            )
        note = key.note(TreeHead(key.name, size, self.tree.root_at(size)).text)
        signed = self._keep(size, str(note), again=again)
        self.keys.remember(Note.parse(signed.note))
        return signed

    def _with_remembered(self, last: SignedHead | None) -> SignedHead | None:
        """Return the newest head, having put back one that a backup of all its events lacks."""
        note = self.keys.remembered()
        if note is None or not note.is_head_of(self.ledger.origin):
            return last
        head = TreeHead.of(note)
        if head.size > self.ledger.last_position() or (last and head.size <= last.size):
            return last
        kept = self.tree.root_at(head.size) == head.root
        return self._keep(head.size, str(note)) if kept else last

    def sign_if_due(self) -> SignedHead | None:
        """Sign a head if something changed and a minute went by, or a day ended."""
        last = self.newest()
        if last and clock.timestamp()[:10] <= last.signed_at[:10]:  # on the same day
            changed = last.size < self.ledger.last_position()
            if not (changed and self._minute_went_by(last)):
                return None
        return self.sign(again=True)

    def _minute_went_by(self, last: SignedHead) -> bool:
        """Return whether the last head is a minute old, even if the clock was put back since."""
        now = time.monotonic()
        if self._seen[0] != last.number:
            self._seen = (last.number, now)
        age = (clock.now() - datetime.fromisoformat(last.signed_at)).total_seconds()
        return age >= INTERVAL or now - self._seen[1] >= INTERVAL

    def _keep(self, size: int, note: str, *, again: bool = False) -> SignedHead:
        return SignedHead(*self.ledger.add_head(size, note, again=again))


class Signer:
    """Signs heads in the background: a job."""

    def __init__(self, heads: TreeHeads) -> None:
        self._heads = heads

    @property
    def path(self) -> Path:
        return self._heads.ledger.path

    def step(self) -> bool:
        """Sign a head if one is due."""
        self._heads.sign_if_due()
        return False

    def finish(self) -> None:
        """Sign what was recorded since the last one."""
        self._heads.sign()
