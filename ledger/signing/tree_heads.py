"""Signed tree heads: what the ledger states, and can be held to, about all its events so far."""

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ledger import clock, merkle
from ledger.background import file_lock
from ledger.contract import Ledger, LedgerError, LedgerUnavailable, RawEvent, StoredHead
from ledger.events import KEY_ROTATED, Event, Metadata
from ledger.ledger_stream import record, stream_of
from ledger.signing.identity import IDENTITY_TYPES, Identity, KeySpan, identity_of
from ledger.signing.key_rule import ROTATION, signature, statement
from ledger.signing.keys import HEAD_FILE, Keys, KeyUnusable
from ledger.signing.note import MalformedNote, Note, SigningKey, TreeHead, VerifierKey
from ledger.signing.tree import EventsChanged, Tree

INTERVAL = 60.0  # seconds between two heads, at the least, while something changes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """An event, a head over it, and the hashes that lead from the one to the other."""

    line: RawEvent
    signed: StoredHead
    hashes: list[bytes]

    @property
    def text(self) -> str:
        """The proof as a file (C2SP tlog-proof): the header, index, hashes, the signed note."""
        lines = [
            "c2sp.org/tlog-proof@v1",
            f"extra {base64.b64encode(self.line.header).decode()}",
            f"index {self.line.position - 1}",
            *(base64.b64encode(each).decode() for each in self.hashes),
        ]
        return "".join(f"{each}\n" for each in lines) + f"\n{self.signed.note}"


class TreeHeads:
    """The heads of a ledger."""

    def __init__(self, ledger: Ledger, keys: Keys) -> None:
        self.ledger = ledger
        self.keys = keys
        self.tree = Tree(ledger, self._proving)
        self._identity: tuple[tuple[int, str], Identity] | None = None  # and when it was read
        self._seen = (0, 0.0)  # the number of a head, and when it was first looked at (monotonic)
        self._checked: StoredHead | None = None  # the newest head that was checked

    def every(self) -> Iterator[StoredHead]:
        """Yield all heads, oldest first."""
        heads = self.ledger.heads()
        while heads:
            yield from heads
            heads = self.ledger.heads(heads[-1].number)

    def newest(self) -> StoredHead | None:
        """Return the newest head, None before the first.

        Raises LedgerUnavailable where it is none that the ledger's key signed: nothing is signed
        or proved after a head that somebody made up.
        """
        newest = self.ledger.newest_head()
        if newest and newest != self._checked:
            if not self._is_signed(newest):
                raise LedgerUnavailable(
                    f"the newest tree head of {self.ledger.path}, number {newest.number}, is none"
                    " that its key signed; nothing is signed or proved after it. `scim-ledger"
                    " verify` says more",
                    reason="tree head was changed",
                )
            self._checked = newest
        return newest

    def _is_signed(self, newest: StoredHead) -> bool:
        """Return whether a head that is kept is as it was signed."""
        identity = self.identity()
        try:
            datetime.fromisoformat(newest.signed_at)
            note = Note.parse(newest.note)
            head = TreeHead.of(note)
        except (MalformedNote, ValueError, TypeError, AttributeError):
            return False
        key = identity.key_at(head.size)
        fits = (head.size, head.origin) == (newest.size, identity.origin_at(head.size))
        return fits and key is not None and note.signed_by(key)

    def _proving(self) -> TreeHead | None:
        """Return the newest head if it can prove what is kept of the tree.

        Not one of a former origin: a recovery may have accepted other events than its own.
        """
        try:
            newest = self.newest()
        except LedgerError:
            return None
        head = TreeHead.parse(newest.note) if newest else None
        return head if head and head.origin == self.ledger.origin else None

    def proved(self) -> Tree:
        """Return the tree, that of the newest head; raises LedgerUnavailable if it is not."""
        newest = self.newest()
        if newest:
            self._must_agree(newest)
        return self.tree

    def _must_agree(self, signed: StoredHead) -> None:
        """Raise EventsChanged unless the events are those a head of this origin is over."""
        head = TreeHead.parse(signed.note)
        if head.origin == self.ledger.origin and not self.tree.agrees(head):
            raise EventsChanged(
                f"the first {head.size:,} events of {self.ledger.path} are not those that a tree"
                " head was signed over"
            )

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
        identity, origin = self.identity(), self.ledger.origin
        if identity.origin != origin:
            raise KeyUnusable(
                f"{self.ledger.path} bears the name {origin}, and by its own events it is"
                f" {identity.origin}; `scim-ledger verify` says which event breaks the rule"
            )
        if identity.keys:
            return identity.keys[-1]
        raise KeyUnusable(f"{origin} has no signing key yet; run `scim-ledger migrate`")

    def key_of(self, signed: StoredHead) -> VerifierKey:
        """Return the key that a head was signed with; there must be one."""
        key = self.identity().key_at(signed.size)
        if key is None:
            raise KeyUnusable(f"no key of {self.ledger.origin} signs heads of {signed.size} events")
        return key

    def sign(self, *, again: bool = False) -> StoredHead:
        """Sign a head over all events that are durable; return it.

        Where nothing changed since the last one, that one is returned, unless `again`. Raises
        KeyUnusable, LedgerBusy, and LedgerUnavailable if the events no longer are those that the
        last head was signed over, or if it is none.
        """
        last = self._with_remembered(self.newest())
        while (size := self.ledger.last_position()) < (span := self._span()).since:
            pass  # the key was changed in between
        key = self.keys.find(span.key)
        if last and last.size == size and not again:
            return last
        if last:
            self._must_agree(last)
        note = key.note(TreeHead(key.name, size, self.tree.root_at(size)).text)
        if last is None:  # a ledger with a head and no signing.head is refused: cut off here, it
            self.keys.remember(note)  # has neither, or one that is put back
        signed = self.ledger.add_head(size, str(note), again=again)
        self.keys.remember(Note.parse(signed.note))
        return signed

    def agrees(self, head: TreeHead) -> bool:
        """Return whether a head was signed over the first events that the ledger has."""
        return self.tree.agrees(head)

    def _with_remembered(self, last: StoredHead | None) -> StoredHead | None:
        """Return the newest head, having put back one that a backup of all its events lacks."""
        note = self.keys.remembered()
        if note is None or not note.is_head_of(self.ledger.origin):
            return last
        head = TreeHead.of(note)
        if last and head.size <= last.size:
            return last
        key = self.identity().key_at(head.size)
        if key is None or not note.signed_by(key):
            return last
        if not self.tree.agrees(head):
            raise EventsChanged(
                f"the first {head.size:,} events of {self.ledger.path} are not those that the tree"
                f" head in {self.keys.folder / HEAD_FILE} was signed over"
            )
        return self.ledger.add_head(head.size, str(note))

    def sign_if_due(self) -> StoredHead | None:
        """Sign a head if something changed and a minute went by, or a day ended."""
        last = self.newest()
        if last and clock.timestamp()[:10] <= last.signed_at[:10]:  # on the same day
            changed = last.size < self.ledger.last_position()
            if not (changed and self._minute_went_by(last)):
                return None
        return self.sign(again=True)

    def is_current(self) -> bool:
        """Return whether the newest head covers every event, and was signed on this day."""
        last = self.ledger.newest_head()
        return (
            last is not None
            and last.size == self.ledger.last_position()
            and last.signed_at[:10] >= clock.timestamp()[:10]
        )

    def _minute_went_by(self, last: StoredHead) -> bool:
        """Return whether the last head is a minute old, even if the clock was put back since."""
        now = time.monotonic()
        if self._seen[0] != last.number:
            self._seen = (last.number, now)
        age = (clock.now() - datetime.fromisoformat(last.signed_at)).total_seconds()
        return age >= INTERVAL or now - self._seen[1] >= INTERVAL

    def prove(self, position: int, signed: StoredHead) -> InclusionProof:
        """Return the proof of an event under a head that is over it, and that it leads there."""
        self._must_agree(signed)
        [line] = self.ledger.raw_events(position, position)
        leaf, hashes = self.tree.inclusion(position, signed.size)
        if merkle.leaf_hash(line.header) != leaf:
            says = f"the event at position {position:,} was changed"
            raise EventsChanged(says, position, position)
        return InclusionProof(line, signed, hashes)

    def rotate(self, metadata: Metadata, given: str | None = None) -> VerifierKey:
        """Replace the key in force, which signs a last head, and return the new one.

        `given` is a key to take instead of a random one. Raises KeyUnusable.
        """
        with file_lock(self.ledger.path.parent):  # only the key in force can hand over
            old = self.key()
            last = self.sign()
            new = self.keys.make(old.name, given)
            if new.verifier == old.verifier:
                raise KeyUnusable("the new key is the one in force")
            self._hand_over(metadata, last.size, old, new)
        if not self.keys.given:
            self.sign()
        return new.verifier

    def introduce(self, metadata: Metadata) -> VerifierKey | None:
        """Give a ledger that was opened without a key its first one; None where it has one."""
        with file_lock(self.ledger.path.parent):
            identity = self.identity()
            if identity.keys:
                return None
            if identity.findings:
                raise KeyUnusable(f"{self.ledger.path} gets no key: {identity.findings[0]}")
            new = self.keys.make(self.ledger.origin)
            self._hand_over(metadata, self.ledger.last_position(), None, new)
        return new.verifier

    def _hand_over(
        self, metadata: Metadata, size: int, old: SigningKey | None, new: SigningKey
    ) -> None:
        """Record that a key follows another, signed by both."""
        message = statement(ROTATION, new.name, size, old.verifier if old else None, new.verifier)
        effects = {
            "old": str(old.verifier) if old else None,
            "new": str(new.verifier),
            "size": size,
            "signature_old": signature(old, message) if old else None,
            "signature_new": signature(new, message),
        }
        record(self.ledger, Event(KEY_ROTATED, effects), metadata)
        self.keys.settle()


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

    def settled(self) -> bool:
        return self._heads.is_current()

    def finish(self) -> None:
        """Sign what was recorded since the last one."""
        if not self._heads.is_current():
            self._heads.sign()
