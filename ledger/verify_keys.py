"""The names and keys that a ledger says it had, and since when; each change checked."""

import base64
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ledger.database import Connection
from ledger.events import KEY_ROTATED, LEDGER_OPENED, RESTORED
from ledger.notes import MalformedNote, Note, TreeHead, VerifierKey
from ledger.verify_events import Finding, short

T = TypeVar("T")

_OWN = (
    "SELECT position, type, header, body FROM event LEFT JOIN payload USING (position)"
    " WHERE stream = (SELECT stream FROM event WHERE position = 1) ORDER BY version"
)


@dataclass(slots=True)
class Identity:
    """Origins and keys, each with the position from which on it is in force."""

    origins: list[tuple[int, str]] = field(default_factory=list)
    keys: list[tuple[int, VerifierKey]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def origin_at(self, size: int) -> str:
        """Return the origin of the head of a size."""
        return in_force(self.origins, size) or ""

    def key_at(self, size: int) -> VerifierKey | None:
        """Return the key that signs a head of a size."""
        return in_force(self.keys, size)

    def end_of(self, origin: str) -> int | None:
        """Return the last position of an origin that was given up, None where it is in force."""
        for (_, name), (since, _) in zip(self.origins, self.origins[1:], strict=False):
            if name == origin:
                return since - 1
        return None


def in_force(since: Sequence[tuple[int, T]], size: int) -> T | None:
    """Return what is in force at a size, of values each with the position of its beginning."""
    at = bisect_right(since, size, key=lambda each: each[0])
    return since[at - 1][1] if at else None


def identity_of(connection: Connection, origin: str) -> Identity:
    """Read the ledger's own stream; `origin` is the newest, as the ledger's row has it."""
    identity = Identity()
    for position, type_, header, body in connection.execute(_OWN).fetchall():
        try:
            told = _Told(position, json.loads(header)["ledger"], json.loads(body or b"null") or {})
            identity.findings += _READERS[type_](identity, told) if type_ in _READERS else ()
        except (ValueError, KeyError, TypeError, AttributeError, MalformedNote) as error:
            found = str(error) if isinstance(error, MalformedNote) else type(error).__name__
            identity.findings.append(Finding(position, type_, "readable", short(found)))
    if identity.origins:
        identity.origins[-1] = (identity.origins[-1][0], origin)
    else:
        identity.origins.append((1, origin))
    return identity


@dataclass(frozen=True, slots=True)
class _Told:
    """An event of the ledger's own stream."""

    position: int
    origin: str
    payload: dict[str, Any]


def _opened(identity: Identity, told: _Told) -> Iterator[Finding]:
    identity.origins.append((told.position, told.origin))
    if "verifier_key" in told.payload:
        yield from _take(identity, told, told.payload["verifier_key"])


def _restored(identity: Identity, told: _Told) -> Iterator[Finding]:
    previous, payload = identity.origin_at(told.position), told.payload
    identity.origins.append((told.position, told.origin))
    if payload["previous"] != previous:
        yield Finding(told.position, "origin before", previous, short(payload["previous"]))
    if payload["size"] != told.position - 1:
        expected = str(told.position - 1)
        yield Finding(told.position, "events that were kept", expected, short(payload["size"]))
    if payload["abandoned"] is not None:
        TreeHead.of(Note.parse(payload["abandoned"]))
    yield from _take(identity, told, payload["verifier_key"])


def _rotated(identity: Identity, told: _Told) -> Iterator[Finding]:
    payload, old = told.payload, identity.key_at(told.position)
    new = VerifierKey.parse(payload["new"])
    if payload["old"] != (old and str(old)):
        yield Finding(told.position, "key before", short(old or "none"), short(payload["old"]))
    size = payload["size"]
    if type(size) is not int or not 0 <= size < told.position:
        yield Finding(told.position, "size at the rotation", "of events before it", short(size))
    lines = ("scim-ledger key rotation", told.origin, size, payload["old"] or "-", payload["new"])
    message = "".join(f"{line}\n" for line in lines).encode()
    for name, key in (("old", old), ("new", new)):
        signature = payload[f"signature_{name}"]
        if key and not key.verify(message, base64.b64decode(signature or "", validate=True)):
            what = f"signature of the {name} key"
            yield Finding(told.position, what, f"one of {key}", "none of it")
    yield from _take(identity, told, payload["new"])


def _take(identity: Identity, told: _Told, text: str) -> Iterator[Finding]:
    key = VerifierKey.parse(text)
    identity.keys.append((told.position, key))
    if key.name != told.origin:
        yield Finding(told.position, "name of the verifier key", told.origin, short(key.name))


_READERS = {LEDGER_OPENED: _opened, RESTORED: _restored, KEY_ROTATED: _rotated}
