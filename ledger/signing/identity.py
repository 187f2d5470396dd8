"""Who a ledger is: the origins and keys that its own stream says it had, and each change of them.

A pure fold over the events of that stream. Start-up, verify and the witness judge by it.
"""

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
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

    `signed` tells whether the former origin's key signed the event.
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
        """The head that was abandoned, where the event has one."""
        return TreeHead.of(self.abandoned) if self.abandoned else None

    @property
    def admitted(self) -> int:
        """The size of the abandoned head, 0 where there is none: no more is said to be lost."""
        return self.head.size if self.head else 0

    @property
    def lost(self) -> int | None:
        """How many events were lost at least, None where nothing says so."""
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
        """The origin in force."""
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
        type_ = "unreadable event"
        try:
            header = json.loads(raw.header)
            type_ = header["type"]
            if fold := _FOLDS.get(type_):
                payload = json.loads(raw.body or b"null") or {}
                event = _LedgerEvent(raw.position, header["ledger"], payload)
                identity.findings += fold(identity, event)
        except (ValueError, KeyError, TypeError, AttributeError, MalformedNote) as error:
            what, expected = f"payload of {short(type_)}", "what this program writes there"
            identity.findings.append(_finding(raw.position, what, expected, _in_words(error)))
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


def _finding(position: int, what: str, expected: str, found: object) -> Finding:
    return Finding(Kind.IDENTITY, position, what, expected, short(found))


@dataclass(frozen=True, slots=True)
class _LedgerEvent:
    position: int
    origin: str
    payload: Mapping[str, Any]


def _opened(identity: Identity, event: _LedgerEvent) -> Iterator[Finding]:
    identity.origins.append(OriginSpan(event.position, event.origin))
    if "verifier_key" in event.payload:
        yield from _take(identity, event, VerifierKey.parse(event.payload["verifier_key"]))


def _rotated(identity: Identity, event: _LedgerEvent) -> Iterator[Finding]:
    payload, old = event.payload, identity.key_at(event.position)
    handover = rotation(event.position, event.origin, old, payload)
    if payload["old"] != (old and str(old)):
        yield _key_before(event, old, payload["old"])
    size = payload["size"]
    if type(size) is not int or not 0 <= size < event.position:
        yield _finding(event.position, "size at the rotation", "of events before it", size)
    for name, key, signed in (
        ("old", old, handover.signed_by_old),
        ("new", handover.new, handover.signed_by_new),
    ):
        if key and not signed:
            yield _finding(event.position, f"signature of the {name} key", f"one of {key}", _FALSE)
    identity.handovers.append(handover)
    yield from _take(identity, event, handover.new)


def rotation(
    position: int, origin: str, old: VerifierKey | None, payload: Mapping[str, Any]
) -> Handover:
    """Read a KeyRotated event that follows an old key; raises MalformedNote and KeyError."""
    new = VerifierKey.parse(payload["new"])
    message = statement(ROTATION, origin, payload["size"], old, new)
    signed = [
        is_signature(key, message, payload[name])
        for key, name in ((old, "signature_old"), (new, "signature_new"))
    ]
    return Handover(position, old, new, *signed)


def _restored(identity: Identity, event: _LedgerEvent) -> Iterator[Finding]:
    previous, payload = identity.origin_at(event.position), event.payload
    former = identity.key_at(event.position)
    identity.origins.append(OriginSpan(event.position, event.origin))
    if payload["previous"] != previous:
        yield _finding(event.position, "origin before", previous, payload["previous"])
    if payload["size"] != event.position - 1:
        kept = str(event.position - 1)
        yield _finding(event.position, "events that were kept", kept, payload["size"])
    new = VerifierKey.parse(payload["verifier_key"])
    signed = yield from _recovered(event, former, new)
    identity.handovers.append(Handover(event.position, former, new, signed, False))
    yield from _take(identity, event, new)
    restore = Restore(event.position, previous, event.origin, None, signed)
    identity.restores.append(restore)
    if payload["abandoned"]:
        restore = replace(restore, abandoned=Note.parse(payload["abandoned"]))
        if restore.head:  # raises MalformedNote
            identity.restores[-1] = restore


def _recovered(
    event: _LedgerEvent, former: VerifierKey | None, new: VerifierKey
) -> Generator[Finding, None, bool]:
    """Return whether the former key signed the event that ended its origin."""
    payload = event.payload
    if payload.get("key", former and str(former)) != (former and str(former)):
        yield _key_before(event, former, payload["key"])
    if payload.get("signature") is None:
        return False
    message = statement(RECOVERY, payload["previous"], payload["size"], former, new)
    signed = is_signature(former, message, payload["signature"])
    if not signed:
        expected = f"one of {former or 'none, there was none'}"
        yield _finding(event.position, "signature of the former key", expected, _FALSE)
    return signed


def _key_before(event: _LedgerEvent, key: VerifierKey | None, found: object) -> Finding:
    return _finding(event.position, "key before", str(key or "none"), found or "none")


def _take(identity: Identity, event: _LedgerEvent, key: VerifierKey) -> Iterator[Finding]:
    identity.keys.append(KeySpan(event.position, key))
    if key.name != event.origin:
        yield _finding(event.position, "name of the verifier key", event.origin, key.name)


_FALSE = "none of it"
_FOLDS: Mapping[str, Callable[[Identity, _LedgerEvent], Iterator[Finding]]] = {
    LEDGER_OPENED: _opened,
    RESTORED: _restored,
    KEY_ROTATED: _rotated,
}
