"""A witness: remembers a log's newest head and cosigns only what continues it."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from ledger import merkle
from ledger.contract import LedgerError
from ledger.http_client import RemoteTrouble
from ledger.signing.note import Note, SigningKey, TreeHead, VerifierKey
from ledger.witness.history import History, history_under
from ledger.witness.remote_log import Document, RemoteLog
from ledger.witness.state import Pin, WitnessFolder

FIRST_USE = "trusted on first use"
GIVEN = "given"
ROTATED = "rotated by its predecessor"
SUCCEEDED = "signed by its predecessor, when the ledger was restored"
ACCEPTED = "accepted with a new incarnation"


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
            if self.given and not (self.given.name == origin and note.signed_by(self.given)):
                return self._followed(note, Pin(self.given, GIVEN), None)
            return self._signed(note, self._first(origin)), []
        last, known = pins[-1], [each.key for each in pins]
        if self.given and self.given not in known and self.given.name == origin == last.key.name:
            return self._signed(note, Pin(self.given, GIVEN)), []
        if origin == last.key.name and note.signed_by(last.key):
            return last, []
        return self._followed(note, last, remembered)

    def _first(self, origin: str, how: str = FIRST_USE) -> Pin:
        """Return the key to begin with: the one given, or the one that the service names."""
        if self.given and self.given.name == origin:
            return Pin(self.given, GIVEN if how == FIRST_USE else how)
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

    def _followed(
        self, note: Note, last: Pin, remembered: Note | None
    ) -> tuple[Pin, list[Document]]:
        """Return the key to which the trusted one has handed the log over, and how."""
        head, asked = TreeHead.of(note), None
        try:
            asked = history_under(note, self.log)
        except RemoteTrouble as error:
            if error.status not in (401, 403):
                raise
            if head.origin == last.key.name:
                raise Refused(
                    f"the newest head is not signed by {last.key}, and whether that was replaced"
                    f" cannot be asked ({error}); give a token, or the new key with --key"
                ) from error
        key, way = (asked.identity.key, asked.way(last.key)) if asked else (None, None)
        if asked and key and way:
            if head.origin != last.key.name:
                self._must_have_kept(asked, head, remembered)
                return Pin(key, SUCCEEDED), way
            self._says.append(f"{last.key} was replaced by {key}; both have signed that")
            return Pin(key, ROTATED), way
        if head.origin == last.key.name:
            raise Refused(
                f"the newest head is not signed by {last.key}, and no event that this key signed"
                " puts another in its place"
            )
        return self._new_origin(note, last, asked, remembered)

    def _must_have_kept(self, asked: History, new: TreeHead, remembered: Note | None) -> None:
        """Refuse a restored log that lacks witnessed events, unless the auditor accepts that.

        Its former key has signed that it continues under another origin.
        """
        if remembered is None:
            return
        old = TreeHead.of(remembered)
        kept = min(asked.kept(old.origin), old.size)
        signed = f"{old.origin} was restored and is now {new.origin}; its key signed that"
        if kept == old.size and not self._fault(old, new):
            self._says.append(f"{signed}, and it kept all {old.size:,} events that were witnessed")
            return
        says = (
            f"of the {old.size:,} events that were witnessed, {kept + 1:,} to {old.size:,} are lost"
        )
        if kept == old.size:
            says = f"its first {old.size:,} events are not those that were witnessed"
        if not self.accept:
            raise Refused(
                f"{signed}, but {says}. Ask its operator why; go on with --accept-incarnation if"
                " that is right"
            )
        self._says.append(f"{signed}. WARNING: {says}")

    def _new_origin(
        self, note: Note, last: Pin, asked: History | None, remembered: Note | None
    ) -> tuple[Pin, list[Document]]:
        """Return the key of a log under another origin that no trusted key vouches for."""
        head = TreeHead.of(note)
        if self.given and self.given.name != head.origin and (self.accept or not remembered):
            raise Refused(
                f"the log is {head.origin}, and the key given is of {self.given.name}; no event"
                " that it signed leads from one to the other"
            )
        if not self.accept:
            raise Refused(
                f"the log was {last.key.name} and is now {head.origin}: it was restored and may"
                " lack events, or it is another one; its former key is not seen to have signed"
                " that. Ask its operator why; go on with --accept-incarnation if that is right"
            )
        pin = self._signed(note, self._first(head.origin, ACCEPTED))
        self._says.append(f"{last.key.name} is over; {head.origin} is witnessed from now on")
        if remembered:
            self._says.append(self._what_was_kept(TreeHead.of(remembered), head, asked))
        return pin, asked.ends(last.key.name) if asked else []

    def _what_was_kept(self, old: TreeHead, new: TreeHead, asked: History | None) -> str:
        if asked is None or not asked.ends(old.origin):
            return "whether it continues what was witnessed cannot be told"
        kept = asked.kept(old.origin)
        if old.size > kept:
            return (
                f"of {old.size:,} events that were witnessed it says it kept {kept:,}:"
                f" {kept + 1:,} to {old.size:,} are lost"
            )
        if self._fault(old, new):
            return f"WARNING: its first {old.size:,} events are not those that were witnessed"
        return f"it kept all {old.size:,} events that were witnessed"

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
