"""The rule of keys and origins: what an event must state to change them, and what it changes then.

docs/ledger-format.md has it in words, docs/key-chains.json in examples. An event that breaks the
rule changes nothing. Only the key in force hands over: a retired one, however well it signs, does
not.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from ledger.events import KEY_ROTATED, LEDGER_OPENED, RESTORED
from ledger.findings import short
from ledger.signing.note import (
    ED25519,
    MalformedNote,
    Note,
    SigningKey,
    TreeHead,
    VerifierKey,
)

ROTATION = "key rotation"  # both keys sign: after so many events the new key signs tree heads
RECOVERY = "recovery"  # the old key signs: the origin kept so many events and ended


class Broken(ValueError):
    """An event breaks the rule: what in it, what is expected there, and what stands there."""

    def __init__(self, what: str, expected: object, found: object) -> None:
        self.what = what
        self.expected = "none" if expected is None else str(expected)
        self.found = "none" if found is None else short(found)
        super().__init__(f"{what}: expected {self.expected}, found {self.found}")


def statement(
    about: str, origin: str, size: object, old: VerifierKey | None, new: VerifierKey
) -> bytes:
    """Return what keys sign when a ledger passes from one to the next."""
    lines = (f"scim-ledger {about}", origin, size, old or "-", new)
    return "".join(f"{line}\n" for line in lines).encode()


def signature(key: SigningKey, message: bytes) -> str:
    """Return a signature as payloads have it, in base64."""
    return base64.b64encode(key.sign(message)).decode()


@dataclass(frozen=True, slots=True)
class Current:
    """The origin and the key in force, and all origins borne so far; no origin before the first.

    `since` is the position of the event that put the key in force, 0 where there is no key.
    """

    origin: str = ""
    key: VerifierKey | None = None
    since: int = 0
    borne: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stated:
    """What an event states: its type, its position, the origin in its header, its payload."""

    type: object
    position: int
    origin: object
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handover:
    """The change from one key to the next, at the position of its event; who signed it.

    A lost one stands at the position of the Restored event that lists it.
    """

    position: int
    old: VerifierKey | None
    new: VerifierKey
    signed_by_old: bool
    signed_by_new: bool


@dataclass(frozen=True, slots=True)
class Restore:
    """The end of a former origin: how many events stayed, which head was abandoned.

    `signed` is whether the former origin's key signed it. Of the `size` events that the ledger has
    the first `agreed` are of the history that ended; the others were recorded in another one, under
    the same origin. One that is `lost` was an event of a history that ended, and the Restored event
    at its position lists it: events up to a size of `reach` were lost with it.
    """

    position: int
    previous: str
    origin: str
    size: int
    agreed: int
    abandoned: Note | None
    signed: bool
    lost: bool = False
    reach: int = 0

    @property
    def head(self) -> TreeHead | None:
        """The abandoned head, where the event has one."""
        return TreeHead.of(self.abandoned) if self.abandoned else None

    @property
    def admitted(self) -> int:
        """The size up to which heads of the former origin may be of events that are lost."""
        return max(self.head.size if self.head else 0, self.reach)

    @property
    def missing(self) -> int | None:
        """How many events were lost at least, None if that is not known."""
        return max(self.head.size - self.agreed, 0) if self.head else None

    def admits(self, size: int) -> bool:
        """Return whether a head of the former origin may be of events that are lost."""
        return self.agreed < size <= self.admitted


@dataclass(frozen=True, slots=True)
class Step:
    """What is in force after an event, and the changes that led there, oldest first."""

    now: Current
    handovers: tuple[Handover, ...] = ()
    restores: tuple[Restore, ...] = ()


def step(now: Current, stated: Stated) -> Step:
    """Apply an event to what is in force; raises Broken if it breaks the rule."""
    try:
        return _RULES[str(stated.type)](now, stated)
    except KeyError as error:
        raise Broken(f"payload of {stated.type}", f"an entry {error.args[0]!r}", None) from error
    except (MalformedNote, TypeError, AttributeError) as error:
        found = error if isinstance(error, MalformedNote) else "something of another kind"
        raise Broken(f"payload of {stated.type}", "what this program writes", found) from error


def _opened(_: Current, stated: Stated) -> Step:
    origin, payload = stated.origin, stated.payload
    _expect("position of LedgerOpened", 1, stated.position)
    if not isinstance(origin, str) or not origin:
        raise Broken("origin", "a name", origin)
    key = _key(payload["verifier_key"], origin) if "verifier_key" in payload else None
    return Step(Current(origin, key, 1 if key else 0, frozenset((origin,))))


def _rotated(now: Current, stated: Stated) -> Step:
    payload, size = stated.payload, stated.payload["size"]
    _must_be_open(now)
    _expect("origin", now.origin, stated.origin)
    _expect("key before", _text(now.key), payload["old"])
    new = _key(payload["new"], now.origin)
    if new == now.key:
        raise Broken("new key", "another than the key in force", new)
    if type(size) is not int or not now.since <= size < stated.position:
        words = f"from {now.since}, since when the key is in force, to {stated.position - 1}"
        raise Broken("size at the rotation", words, size)  # a statement of before is a copy
    message = statement(ROTATION, now.origin, size, now.key, new)
    by_old = _signed("signature of the old key", now.key, message, payload["signature_old"])
    if now.key and not by_old:
        raise Broken("signature of the old key", f"one of {now.key}", None)
    if not _signed("signature of the new key", new, message, payload["signature_new"]):
        raise Broken("signature of the new key", f"one of {new}", None)
    handover = Handover(stated.position, now.key, new, by_old, True)
    return Step(replace(now, key=new, since=stated.position), (handover,))


def _restored(now: Current, stated: Stated) -> Step:
    payload, size, position = stated.payload, stated.payload["size"], stated.position
    _must_be_open(now)
    _expect("events that were kept", position - 1, size)
    agreed = _agreed(payload.get("agreed"), size)
    lost = reduce(_lost, _changes(payload), Step(now))
    before, new_origin = lost.now, stated.origin
    _expect("origin before", before.origin, payload["previous"])
    if not isinstance(new_origin, str) or new_origin in before.borne:
        raise Broken("origin", "one that the ledger never had", new_origin)
    new = _key(payload["verifier_key"], new_origin)
    _expect("key before", _text(before.key), payload.get("key", _text(before.key)))
    message = statement(RECOVERY, before.origin, size, before.key, new)
    signed = _signed("signature of the former key", before.key, message, payload.get("signature"))
    abandoned = _head(payload["abandoned"])
    handovers = (*lost.handovers, Handover(0, before.key, new, signed, False))
    return Step(
        Current(new_origin, new, position, before.borne | {new_origin}),
        tuple(replace(each, position=position) for each in handovers),
        (
            *(
                replace(each, position=position, agreed=min(each.agreed, agreed))
                for each in lost.restores
            ),
            Restore(position, before.origin, new_origin, size, agreed, abandoned, signed),
        ),
    )


_RULES = {LEDGER_OPENED: _opened, KEY_ROTATED: _rotated, RESTORED: _restored}


def _changes(payload: Mapping[str, Any]) -> list[Any]:
    changes = payload.get("changes", [])
    if not isinstance(changes, list):
        raise Broken("changes that were lost", "a list", changes)
    return changes


def _lost(so_far: Step, change: Mapping[str, Any]) -> Step:
    """Apply a change that stood in the events that were lost: it has a position of its own."""
    type_, position = change["type"], change["position"]
    if type_ not in (KEY_ROTATED, RESTORED) or type(position) is not int:
        raise Broken(
            "change that was lost", f"{KEY_ROTATED} or {RESTORED}, and its position", type_
        )
    before = so_far.now.origin  # the events before it bear that
    found = step(so_far.now, Stated(type_, position, change["ledger"], change))
    sizes = (change["size"] if each.previous == before else 0 for each in found.restores)
    restores = (
        replace(each, lost=True, reach=max(each.reach, size))
        for each, size in zip(found.restores, sizes, strict=True)
    )
    return Step(
        found.now,
        (*so_far.handovers, *found.handovers),
        (*so_far.restores, *restores),
    )


def _must_be_open(now: Current) -> None:
    if not now.origin:
        raise Broken("event before it", LEDGER_OPENED, None)


def _agreed(agreed: object, size: int) -> int:
    if agreed is None:
        return size
    if type(agreed) is not int or not 0 <= agreed <= size:
        raise Broken("events that agree", f"0 to {size}", agreed)
    return agreed


def _head(text: object) -> Note | None:
    """Return the abandoned head, if there is one; raises MalformedNote."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise Broken("tree head that was abandoned", "a signed note", text)
    note = Note.parse(text)
    TreeHead.of(note)
    return note


def _key(text: object, name: str) -> VerifierKey:
    """Return the Ed25519 key of a name; in its one form."""
    if not isinstance(text, str):
        raise Broken("verifier key", "name+id+key", text)
    key = VerifierKey.parse(text)
    if key.kind != ED25519 or str(key) != text:
        raise Broken("verifier key", "an Ed25519 key in its one form", text)
    _expect("name of the verifier key", name, key.name)
    return key


def _signed(what: str, key: VerifierKey | None, message: bytes, text: object) -> bool:
    """Return whether a key signed, False where no signature is given; raises Broken for a bad one.

    Where there is no key there can be no signature.
    """
    if text is None:
        return False
    if key is None or not _is_signature(key, message, text):
        raise Broken(what, f"one of {key}" if key else None, "none of it")
    return True


def _is_signature(key: VerifierKey, message: bytes, text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return base64.b64encode(raw).decode() == text and key.verify(message, raw)


def _text(key: VerifierKey | None) -> str | None:
    return str(key) if key else None


def _expect(what: str, expected: object, found: object) -> None:
    """Raise Broken unless two values are the same, of the same type: true is not 1."""
    if type(found) is not type(expected) or found != expected:
        raise Broken(what, expected, found)
