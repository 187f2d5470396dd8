"""The names and keys that a ledger says it had, and since when; each change checked."""

import base64
import json
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ledger.events import KEY_ROTATED, LEDGER_OPENED, RESTORED
from ledger.signing.note import MalformedNote, Note, TreeHead, VerifierKey
from ledger.sqlite.connection import Connection
from ledger.verify.event import Finding, short

T = TypeVar("T")

_OWN = (
    "SELECT position, type, header, body FROM event LEFT JOIN payload USING (position)"
    " WHERE stream = (SELECT stream FROM event WHERE position = 1) ORDER BY version"
)


@dataclass(frozen=True, slots=True)
class Handover:
    """From one key to the next, at the position of the event that tells of it; who signed it."""

    position: int
    old: VerifierKey | None
    new: VerifierKey
    signed_by_old: bool
    signed_by_new: bool


@dataclass(frozen=True, slots=True)
class Renewal:
    """A Restored event: a name that was given up, and the head that could not be kept to.

    `signed` tells whether the key of the name that was given up signed it.
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
        """The head that was abandoned, where one is named."""
        return TreeHead.of(self.abandoned) if self.abandoned else None

    @property
    def lost(self) -> int | None:
        """How many events were lost at least, None where nothing says so."""
        return max(self.head.size - self.kept, 0) if self.head else None


@dataclass(slots=True)
class Identity:
    """Origins and keys, each with the position from which on it is in force, and how they changed.

    Keys that others vouch for hand that on by `handovers` only.
    """

    origins: list[tuple[int, str]] = field(default_factory=list)
    keys: list[tuple[int, VerifierKey]] = field(default_factory=list)
    handovers: list[Handover] = field(default_factory=list)
    renewals: list[Renewal] = field(default_factory=list)
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
            what = f"payload of {type_}"
            expected = "what this program writes there"
            identity.findings.append(Finding(position, what, expected, short(_in_words(error))))
    if identity.origins:
        identity.origins[-1] = (identity.origins[-1][0], origin)
    else:
        identity.origins.append((1, origin))
    return identity


def _in_words(error: Exception) -> str:
    if isinstance(error, MalformedNote):
        return str(error)
    if isinstance(error, KeyError):
        return f"no entry {error.args[0]!r}"
    return "something of another kind"


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
    former = identity.key_at(told.position)
    identity.origins.append((told.position, told.origin))
    if payload["previous"] != previous:
        yield Finding(told.position, "origin before", previous, short(payload["previous"]))
    if payload["size"] != told.position - 1:
        expected = str(told.position - 1)
        yield Finding(told.position, "events that were kept", expected, short(payload["size"]))
    signed = yield from _recovery(told, former)
    yield from _take(identity, told, payload["verifier_key"], former, signed=(signed, False))
    abandoned = payload["abandoned"] and Note.parse(payload["abandoned"])
    renewal = Renewal(told.position, previous, told.origin, abandoned, signed)
    identity.renewals.append(replace(renewal, abandoned=None))
    if renewal.head:  # raises MalformedNote
        identity.renewals[-1] = renewal


def _recovery(told: _Told, former: VerifierKey | None) -> Generator[Finding, None, bool]:
    """Return whether the former key signed the `Restored` event that ended its name."""
    payload, signature = told.payload, told.payload.get("signature")
    if payload.get("key", former and str(former)) != (former and str(former)):
        yield Finding(
            told.position, "key before", short(former or "none"), short(payload["key"] or "none")
        )
    if signature is None:
        return False
    lines = (payload["previous"], payload["size"], former, payload["verifier_key"])
    signed = _signs(former, _statement("recovery", *lines), signature)
    if not signed:
        what = "signature of the former key"
        yield Finding(told.position, what, f"one of {former or 'none, there was none'}", _FALSE)
    return signed


def _rotated(identity: Identity, told: _Told) -> Iterator[Finding]:
    payload, old = told.payload, identity.key_at(told.position)
    new = VerifierKey.parse(payload["new"])
    if payload["old"] != (old and str(old)):
        yield Finding(
            told.position, "key before", short(old or "none"), short(payload["old"] or "none")
        )
    size = payload["size"]
    if type(size) is not int or not 0 <= size < told.position:
        yield Finding(told.position, "size at the rotation", "of events before it", short(size))
    lines = (told.origin, size, payload["old"] or "-", payload["new"])
    message = _statement("key rotation", *lines)
    signed = [_signs(old, message, payload["signature_old"])]
    signed += [_signs(new, message, payload["signature_new"])]
    for name, key, good in zip(("old", "new"), (old, new), signed, strict=True):
        if key and not good:
            what = f"signature of the {name} key"
            yield Finding(told.position, what, f"one of {key}", _FALSE)
    yield from _take(identity, told, payload["new"], old, signed=(signed[0], signed[1]))


def _statement(about: str, *lines: object) -> bytes:
    """Return what keys sign, but for heads."""
    return "".join(f"{line}\n" for line in (f"scim-ledger {about}", *lines)).encode()


def _signs(key: VerifierKey | None, message: bytes, signature: object) -> bool:
    """Return whether a signature, in base64, is a key's."""
    if key is None or not isinstance(signature, str):
        return False
    try:
        return key.verify(message, base64.b64decode(signature, validate=True))
    except ValueError:
        return False


def _take(
    identity: Identity,
    told: _Told,
    text: str,
    old: VerifierKey | None = None,
    *,
    signed: tuple[bool, bool] = (False, False),
) -> Iterator[Finding]:
    key = VerifierKey.parse(text)
    identity.keys.append((told.position, key))
    identity.handovers.append(Handover(told.position, old, key, *signed))
    if key.name != told.origin:
        yield Finding(told.position, "name of the verifier key", told.origin, short(key.name))


_FALSE = "none of it"
_READERS = {LEDGER_OPENED: _opened, RESTORED: _restored, KEY_ROTATED: _rotated}
