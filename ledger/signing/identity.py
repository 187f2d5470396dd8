"""Who a ledger is: the origins and keys that its own stream says it had, and each change of them.

A pure fold over the events of that stream. Start-up, verify and the witness judge by it.
"""

import base64
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from ledger.contract import RawEvent
from ledger.events import KEY_ROTATED, LEDGER_OPENED, RESTORED
from ledger.findings import Finding, Kind, short
from ledger.signing.note import MalformedNote, Note, SigningKey, TreeHead, VerifierKey

T = TypeVar("T")

ROTATION = "key rotation"  # both keys sign: after so many events the new key signs tree heads
RECOVERY = "recovery"  # the old key signs: the origin kept so many events and ended

IDENTITY_TYPES = (LEDGER_OPENED, KEY_ROTATED, RESTORED)


def statement(
    about: str, origin: str, size: object, old: VerifierKey | None, new: VerifierKey
) -> bytes:
    """Return what keys sign when a ledger passes from one to the next."""
    lines = (f"scim-ledger {about}", origin, size, old or "-", new)
    return "".join(f"{line}\n" for line in lines).encode()


def signature(key: SigningKey, message: bytes) -> str:
    """Return a signature as payloads have it, in base64."""
    return base64.b64encode(key.sign(message)).decode()


def is_signature(key: VerifierKey | None, message: bytes, text: object) -> bool:
    """Return whether a text in a payload is a key's signature of a message."""
    if key is None or not isinstance(text, str):
        return False
    try:
        return key.verify(message, base64.b64decode(text, validate=True))
    except ValueError:
        return False


class OriginSpan(NamedTuple):
    """An origin, and the position of the first event that bears it."""

    since: int
    origin: str


class KeySpan(NamedTuple):
    """A key, and the smallest size of the tree heads that it signs: up to the next key's."""

    since: int
    key: VerifierKey


@dataclass(frozen=True, slots=True)
class Handover:
    """The change from one key to the next, at the position of its event; who signed it."""

    position: int
    old: VerifierKey | None
    new: VerifierKey
    signed_by_old: bool
    signed_by_new: bool


@dataclass(frozen=True, slots=True)
class Restore:
    """A Restored event: the end of a former origin, and the head that could not be kept to.

    `signed` is whether the former origin's key signed the event.
    """

    position: int
    previous: str
    origin: str
    abandoned: Note | None
    signed: bool

    @property
    def kept(self) -> int:
        """How many events stayed."""
        return self.position - 1

    @property
    def head(self) -> TreeHead | None:
        """The abandoned head, where the event has one."""
        return TreeHead.of(self.abandoned) if self.abandoned else None

    @property
    def admitted(self) -> int:
        """The size of the abandoned head, 0 without one: the ledger admits no greater loss."""
        return self.head.size if self.head else 0

    @property
    def lost(self) -> int | None:
        """How many events were lost at least, None if that is not known."""
        return max(self.admitted - self.kept, 0) if self.head else None


@dataclass(slots=True)
class Identity:
    """Origins and keys, oldest first, the changes between them, and what is wrong with those.

    A key that is trusted passes that trust on by `handovers` only.
    """

    origins: list[OriginSpan] = field(default_factory=list)
    keys: list[KeySpan] = field(default_factory=list)
    handovers: list[Handover] = field(default_factory=list)
    restores: list[Restore] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.origins[-1].origin

    @property
    def key(self) -> VerifierKey | None:
        """The key in force, None before the first."""
        return self.keys[-1].key if self.keys else None

    def origin_at(self, size: int) -> str:
        """Return the origin of the head of a size."""
        return in_force(self.origins, size) or ""

    def key_at(self, size: int) -> VerifierKey | None:
        """Return the key that signs a head of a size."""
        return in_force(self.keys, size)

    def keys_of(self, origin: str) -> list[VerifierKey]:
        """Return the keys that the ledger had under an origin."""
        return [key for _, key in self.keys if key.name == origin]

    def end_of(self, origin: str) -> int | None:
        """Return the last position of a former origin, None for the one in force."""
        for (_, name), (since, _) in zip(self.origins, self.origins[1:], strict=False):
            if name == origin:
                return since - 1
        return None

    def restore_of(self, origin: str) -> Restore | None:
        """Return the event that ended an origin."""
        return next((each for each in reversed(self.restores) if each.previous == origin), None)

    def followed(self, trusted: Iterable[VerifierKey]) -> list[VerifierKey]:
        """Return trusted keys, and those to which they handed the ledger over."""
        found = [*trusted]
        for each in self.handovers:
            if each.old in found and each.signed_by_old:
                found.append(each.new)
        return found


def in_force(spans: Sequence[tuple[int, T]], size: int) -> T | None:
    """Return what is in force at a size, of values each with the position of its beginning."""
    at = bisect_right(spans, size, key=lambda each: each[0])
    return spans[at - 1][1] if at else None


def identity_of(events: Iterable[RawEvent], origin: str) -> Identity:
    """Fold the ledger's own stream; `origin` is the one in force, as the store has it."""
    identity = Identity()
    for raw in events:
        type_: object = "unreadable event"
        try:
            header = json.loads(raw.header)
            type_ = header["type"]
            if type_ in IDENTITY_TYPES:
                payload = json.loads(raw.body or b"null") or {}
                _Change(identity, raw.position, header["ledger"], payload).apply(type_)
        except (ValueError, KeyError, TypeError, AttributeError, MalformedNote) as error:
            what, expected = f"payload of {short(type_)}", "what this program writes there"
            found = Finding(Kind.IDENTITY, raw.position, what, expected, short(_in_words(error)))
            identity.findings.append(found)
    if identity.origins:
        identity.origins[-1] = identity.origins[-1]._replace(origin=origin)
    else:
        identity.origins.append(OriginSpan(1, origin))
    return identity


def _in_words(error: Exception) -> str:
    if isinstance(error, MalformedNote):
        return str(error)
    if isinstance(error, KeyError):
        return f"no entry {error.args[0]!r}"
    return "something of another kind"


def rotation(
    position: int, origin: str, old: VerifierKey | None, payload: Mapping[str, Any]
) -> Handover:
    """Read a KeyRotated event that follows an old key; raises MalformedNote and KeyError."""
    new = VerifierKey.parse(payload["new"])
    message = statement(ROTATION, origin, payload["size"], old, new)
    by_old = is_signature(old, message, payload["signature_old"])
    by_new = is_signature(new, message, payload["signature_new"])
    return Handover(position, old, new, by_old, by_new)


@dataclass(frozen=True, slots=True)
class _Change:
    """An event that changes an identity: its origin is the one in its header."""

    identity: Identity
    position: int
    origin: str
    payload: Mapping[str, Any]

    def apply(self, type_: str) -> None:
        if type_ == KEY_ROTATED:
            self._rotate()
        elif type_ == RESTORED:
            self._restore()
        else:
            self.identity.origins.append(OriginSpan(self.position, self.origin))
            if "verifier_key" in self.payload:
                self._take(VerifierKey.parse(self.payload["verifier_key"]))

    def _rotate(self) -> None:
        payload, old = self.payload, self.identity.key
        handover = rotation(self.position, self.origin, old, payload)
        self._expect("key before", old and str(old), payload["old"])
        size = payload["size"]
        if type(size) is not int or not 0 <= size < self.position:
            self._find("size at the rotation", "of events before it", size)
        if old and not handover.signed_by_old:
            self._find("signature of the old key", f"one of {old}", "none of it")
        if not handover.signed_by_new:
            self._find("signature of the new key", f"one of {handover.new}", "none of it")
        self.identity.handovers.append(handover)
        self._take(handover.new)

    def _restore(self) -> None:
        identity, payload, former = self.identity, self.payload, self.identity.key
        previous = identity.origin if identity.origins else ""
        identity.origins.append(OriginSpan(self.position, self.origin))
        self._expect("origin before", previous, payload["previous"])
        self._expect("events that were kept", self.position - 1, payload["size"])
        new = VerifierKey.parse(payload["verifier_key"])
        signed = self._is_recovery_signed(former, new)
        identity.handovers.append(Handover(self.position, former, new, signed, False))
        self._take(new)
        restore = Restore(self.position, previous, self.origin, None, signed)
        identity.restores.append(restore)
        if payload["abandoned"]:
            restore = replace(restore, abandoned=Note.parse(payload["abandoned"]))
            if restore.head:  # raises MalformedNote
                identity.restores[-1] = restore

    def _is_recovery_signed(self, former: VerifierKey | None, new: VerifierKey) -> bool:
        """Return whether the former key signed the end of its origin."""
        payload, text = self.payload, former and str(former)
        self._expect("key before", text, payload.get("key", text))
        if payload.get("signature") is None:
            return False
        message = statement(RECOVERY, payload["previous"], payload["size"], former, new)
        signed = is_signature(former, message, payload["signature"])
        if not signed:
            expected = f"one of {former or 'none, there was none'}"
            self._find("signature of the former key", expected, "none of it")
        return signed

    def _take(self, key: VerifierKey) -> None:
        self.identity.keys.append(KeySpan(self.position, key))
        self._expect("name of the verifier key", self.origin, key.name)

    def _expect(self, what: str, expected: object, found: object) -> None:
        if found != expected:
            self._find(what, str(expected or "none"), "none" if found is None else found)

    def _find(self, what: str, expected: str, found: object) -> None:
        finding = Finding(Kind.IDENTITY, self.position, what, expected, short(found))
        self.identity.findings.append(finding)
