"""A witness: remembers a log's newest head and cosigns only what continues it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ledger import codec, merkle
from ledger.contract import LedgerError
from ledger.events import KEY_ROTATED, RESTORED
from ledger.http_client import RemoteTrouble
from ledger.signing.key_rule import Current, Stated, step
from ledger.signing.note import Note, SigningKey, TreeHead, VerifierKey
from ledger.witness.remote_log import Document, RemoteLog
from ledger.witness.state import Pin, WitnessFolder

FIRST_USE = "trusted on first use"
GIVEN = "given"
ROTATED = "rotated by its predecessor"
ACCEPTED = "accepted with a new incarnation"

# What reading a document that others wrote can raise, whatever they put in it.
_UNFIT = (LedgerError, KeyError, TypeError, ValueError, AttributeError, OverflowError)


class Refused(LedgerError):
    """The log shows what the witness cannot cosign."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A head that was accepted: cosigned, where it is kept, and what there is to say of it."""

    note: Note
    file: Path | None  # None where it was accepted before
    says: list[str]


@dataclass(slots=True)
class Witness:
    """A witness of one log.

    `given` is the log's key if the auditor has it; `accept` accepts a new origin.
    """

    log: RemoteLog
    folder: WitnessFolder
    key: SigningKey
    given: VerifierKey | None = None
    accept: bool = False
    _says: list[str] = field(default_factory=list, init=False)

    def look(self) -> Seen:
        """Fetch the newest head and cosign it if it continues the one remembered.

        Raises Refused, RemoteTrouble, and LedgerError for what is wrong with the folder.
        """
        self._says = []
        self.log.forget()
        pins, remembered = self.folder.pins(), self.folder.newest()
        note = self.log.checkpoint()
        if pins and not (self.accept and TreeHead.of(note).origin != pins[-1].key.name):
            origin = pins[-1].key.name
            if evidence := self.folder.refused(origin):
                raise Refused(
                    f"{origin} was refused before: {evidence} holds two heads of it that cannot"
                    " both be true. Nothing of it is cosigned any more"
                )
        pin, events = self._trusted(note, pins, remembered)
        if remembered:
            self._must_continue(remembered, note, pin.key.name)
        if not pins or pin.key != pins[-1].key:
            self.folder.pin(pin.key, pin.how, events)
            self.accept = False
        if remembered and remembered.text == note.text:
            return Seen(remembered, None, self._says)
        own = self.key.cosign(note, int(time.time()))
        return Seen(own, self.folder.keep(own), self._says)

    def _trusted(
        self, note: Note, pins: list[Pin], remembered: Note | None
    ) -> tuple[Pin, list[Document]]:
        """Return the key that signed a head, why it is trusted, and the events that say so."""
        origin = TreeHead.of(note).origin
        if not pins:
            pin = self._first(origin)
            if pin.how == GIVEN and not note.signed_by(pin.key):
                return self._follow(note, pin)  # it was rotated before we came
            return self._signed(note, pin), []
        last = pins[-1]
        if origin != last.key.name:
            return self._new_origin(note, last, remembered)
        known = [each.key for each in pins]
        if self.given and self.given not in known and self.given.name == origin:
            return self._signed(note, Pin(self.given, GIVEN)), []
        return (last, []) if note.signed_by(last.key) else self._follow(note, last)

    def _first(self, origin: str, how: str = FIRST_USE) -> Pin:
        """Return the key to begin with: the one given, or the one that the service names."""
        if self.given and self.given.name == origin:
            return Pin(self.given, GIVEN if how == FIRST_USE else how)
        if self.given:
            raise Refused(f"the log is {origin}, and the key given is of {self.given.name}")
        try:
            key = self.log.verifier_key()
        except RemoteTrouble as error:
            raise RemoteTrouble(
                f"the ledger's key cannot be asked for ({error}); give it with --key", error.status
            ) from error
        self._says.append(
            f"{key} is trusted because this service named it (trust on first use): compare it with"
            " `scim-ledger key show`, or with what the operator told you"
        )
        return Pin(key, how)

    def _signed(self, note: Note, pin: Pin) -> Pin:
        if TreeHead.of(note).origin != pin.key.name or not note.signed_by(pin.key):
            raise Refused(f"the newest head is not signed by {pin.key}")
        return pin

    def _follow(self, note: Note, last: Pin) -> tuple[Pin, list[Document]]:
        """Return the key that replaced the trusted one, and the events that say so."""
        node = self.log.node(TreeHead.of(note).size)
        try:
            found = followed(last.key, note, self.log.events(KEY_ROTATED), node)
        except RemoteTrouble as error:
            if error.status not in (401, 403):
                raise
            raise Refused(
                f"the newest head is not signed by {last.key}, and whether that was replaced cannot"
                f" be asked ({error}); give a token, or the new key with --key"
            ) from error
        if found is None:
            raise Refused(
                f"the newest head is not signed by {last.key}, and no event that this key signed"
                " puts another in its place"
            )
        key, events = found
        self._says.append(f"{last.key} was replaced by {key}; both have signed that")
        return Pin(key, ROTATED), events

    def _new_origin(
        self, note: Note, last: Pin, remembered: Note | None
    ) -> tuple[Pin, list[Document]]:
        """Return the key of a log that continues under another origin, and the event for it."""
        head = TreeHead.of(note)
        if not self.accept:
            raise Refused(
                f"the log was {last.key.name} and is now {head.origin}: it was restored and may"
                " lack events, or it is another one. Ask its operator why; go on with"
                " --accept-incarnation if that is right"
            )
        pin = self._signed(note, self._first(head.origin, ACCEPTED))
        events = [each for each in self._restored(head) if _ends(each, last.key.name)][-1:]
        self._says.append(f"{last.key.name} is over; {head.origin} is witnessed from now on")
        if remembered:
            old = TreeHead.of(remembered)
            kept = events[0]["payload"]["size"] if events else None
            self._says.append(self._what_was_kept(old, head, kept))
        return pin, events

    def _what_was_kept(self, old: TreeHead, new: TreeHead, kept: int | None) -> str:
        if kept is None:
            return "whether it continues what was witnessed cannot be told"
        if old.size > kept:
            return f"of {old.size:,} events that were witnessed it says it kept {kept:,}"
        if self._fault(old, new):
            return f"WARNING: its first {old.size:,} events are not those that were witnessed"
        return f"it kept all {old.size:,} events that were witnessed"

    def _restored(self, head: TreeHead) -> list[Document]:
        """Return the Restored events in the tree; none where the token is not allowed to ask."""
        try:
            events = self.log.events(RESTORED)
        except RemoteTrouble as error:
            if error.status in (401, 403):
                return []
            raise
        return [e for e in events if _is_in(e, RESTORED, head, self.log.node(head.size))]

    def _must_continue(self, remembered: Note, note: Note, origin: str) -> None:
        """Raise Refused, with evidence kept, unless a head continues the one remembered."""
        old, new = TreeHead.of(remembered), TreeHead.of(note)
        if old.origin != origin:
            return  # a new origin, which the auditor has accepted
        if fault := self._fault(old, new):
            folder = self.folder.refuse(remembered, note, fault)
            raise Refused(f"{fault}. Both heads, signed, are kept in {folder}")
        if new.size > old.size:
            self._says.append(f"{new.size:,} events of {origin}, the first {old.size:,} as before")

    def _fault(self, old: TreeHead, new: TreeHead) -> str | None:
        """Return why one head cannot follow another, None if it does."""
        if new.size < old.size:
            return f"{new.origin} had {old.size:,} events and now shows {new.size:,}"
        if new.size == old.size:
            same = new.root == old.root
            return None if same else f"{new.origin} has two histories of {old.size:,} events"
        proof = merkle.consistency_proof(old.size, new.size, self.log.node(new.size))
        if merkle.verify_consistency(old.size, new.size, old.root, new.root, proof):
            return None
        return (
            f"the {new.size:,} events that {new.origin} shows do not begin with the {old.size:,}"
            " that it showed before"
        )


def _ends(event: Document, origin: str) -> bool:
    payload = event["payload"]  # what is in the tree has one
    return payload.get("previous") == origin and isinstance(payload.get("size"), int)


# Following the keys of a log, by events that both keys have signed


def followed(
    trusted: VerifierKey, note: Note, events: Sequence[Document], node: merkle.Node
) -> tuple[VerifierKey, list[Document]] | None:
    """Return the key that signed a head, and the rotations that lead to it; None if none do.

    `events` are the log's KeyRotated events, oldest first. Each counts only if both keys signed it
    and the tree under the head has it.
    """
    head, key, way = TreeHead.of(note), trusted, list[Document]()
    for event in events:
        new = _rotated(event, key)
        if new is not None and new.name == key.name and _is_in(event, KEY_ROTATED, head, node):
            key = new
            way.append(event)
    return (key, way) if way and note.signed_by(key) else None


def _is_in(event: Document, type_: str, head: TreeHead, node: merkle.Node) -> bool:
    """Return whether an event of a type, with its payload, is in the tree under a head."""
    try:
        raw = event["header"].encode()
        header = json.loads(raw)
        bound = codec.commitment(event["payload"], bytes.fromhex(event["salt"])).hex()
        position = header["position"]
        fit = (header["type"], header["commitment"]) == (type_, bound)
        if not (fit and isinstance(position, int) and 1 <= position <= head.size):
            return False
    except _UNFIT:
        return False
    proof = merkle.inclusion_proof(position - 1, head.size, node)
    leaf = merkle.leaf_hash(raw)
    return merkle.verify_inclusion(leaf, position - 1, head.size, proof, head.root)


def _rotated(event: Document, old: VerifierKey) -> VerifierKey | None:
    """Return the key that replaces one by an event, if both have signed that."""
    try:
        position = json.loads(event["header"])["position"]
        stated = Stated(KEY_ROTATED, position, old.name, event["payload"])
        return step(Current(old.name, old), stated).now.key
    except _UNFIT:
        return None
