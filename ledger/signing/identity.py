"""Who a ledger is: the origins and keys that its own stream says it had, and each change of them.

A pure fold over the events of that stream by `key_rule`. Start-up, verify and the witness judge by
it.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from ledger.contract import RawEvent
from ledger.events import KEY_ROTATED, LEDGER_OPENED, RESTORED
from ledger.findings import Finding, Kind
from ledger.signing.key_rule import Broken, Current, Handover, Restore, Stated, step
from ledger.signing.note import VerifierKey

T = TypeVar("T")

IDENTITY_TYPES = (LEDGER_OPENED, KEY_ROTATED, RESTORED)


class OriginSpan(NamedTuple):
    """An origin, and the position of the first event that bears it."""

    since: int
    origin: str


class KeySpan(NamedTuple):
    """A key, and the smallest size of the tree heads that it signs: up to the next key's."""

    since: int
    key: VerifierKey


@dataclass(slots=True)
class Identity:
    """Origins and keys, oldest first, the changes between them, and the events that broke the rule.

    The spans are of the events that the ledger has; the changes also of events that were lost, as
    far as a Restored event lists them.
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
    def names(self) -> list[str]:
        """All origins that the ledger had, those of lost events too."""
        ended = (each.previous for each in self.restores)
        return list(dict.fromkeys((*ended, *(name for _, name in self.origins))))

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

    @property
    def known(self) -> list[VerifierKey]:
        """All keys that the ledger had, those of lost events too, the first one first."""
        first = (key for _, key in self.keys[:1])
        return list(dict.fromkeys((*first, *(each.new for each in self.handovers))))

    def keys_of(self, origin: str) -> list[VerifierKey]:
        """Return the keys that the ledger had under an origin."""
        return [key for key in self.known if key.name == origin]

    def signers(self, origin: str, size: int) -> list[VerifierKey]:
        """Return the keys of which one signs a head of an origin and a size.

        It is the key in force there; over events that a restore lost, any that the origin had.
        """
        key = self.key_at(size) if self.origin_at(size) == origin else None
        end = self.end_of(origin)
        lost = self.keys_of(origin) if end is not None and size > end else []
        return [*([key] if key else []), *lost]

    def end_of(self, origin: str) -> int | None:
        """Return up to which size the ledger has the events of a former origin's heads.

        None for the origin in force, and for one that the ledger never had.
        """
        restore = self.restore_of(origin)
        return restore.agreed if restore else None

    def restore_of(self, origin: str) -> Restore | None:
        """Return what ended an origin: one of the ledger's, or one that it admits in a head.

        With the largest head of it that was abandoned: a later restore can admit one that was not
        known before.
        """
        heads = [(each, each.head) for each in self.restores]
        admitted = [(head.size, each) for each, head in heads if head and head.origin == origin]
        size, most = max(admitted, key=lambda found: found[0], default=(0, None))
        for each in reversed(self.restores):
            if each.previous == origin:
                more = most and size > each.admitted
                return replace(each, abandoned=most.abandoned) if most and more else each
        return None if origin in self.names else most

    def trusted(self, given: Iterable[VerifierKey]) -> list[VerifierKey]:
        """Return keys, and those for which they vouch.

        A key vouches for the next where it signed the change, and for the one before where both
        did.
        """
        found = dict.fromkeys(given)
        for each in self.handovers:
            if each.old in found and each.signed_by_old:
                found[each.new] = None
        for each in reversed(self.handovers):
            if each.old and each.new in found and each.signed_by_old and each.signed_by_new:
                found[each.old] = None
        return list(found)


def in_force(spans: Sequence[tuple[int, T]], size: int) -> T | None:
    """Return what is in force at a size, of values each with the position of its beginning."""
    at = bisect_right(spans, size, key=lambda each: each[0])
    return spans[at - 1][1] if at else None


def identity_of(events: Iterable[RawEvent], origin: str) -> Identity:
    """Fold the events of the ledger's own stream by position; other types are passed over.

    `origin` is the one that the store has: it stands in where no event names one.
    """
    identity, now, own = Identity(), Current(), None
    for raw in sorted(events, key=lambda each: each.position):
        try:
            header = _object(raw.header)
            own = header["stream"] if raw.position == 1 else own
            if header["type"] in IDENTITY_TYPES:
                now = _take(identity, now, own, raw, header)
        except (Broken, KeyError, RecursionError) as error:
            broken = error if isinstance(error, Broken) else Broken("event", "as it is made", error)
            found = (raw.position, broken.what, broken.expected, broken.found)
            identity.findings.append(Finding(Kind.IDENTITY, *found))
    if not identity.origins:
        identity.origins.append(OriginSpan(1, origin))
    return identity


def _take(
    identity: Identity, now: Current, own: object, raw: RawEvent, header: dict[str, object]
) -> Current:
    """Add the changes of an event, and return what is in force after it; raises Broken."""
    if header["stream"] != own:
        raise Broken(f"stream of {header['type']}", own, header["stream"])
    payload = _object(raw.body or b"null")
    found = step(now, Stated(header["type"], raw.position, header["ledger"], payload))
    identity.handovers += found.handovers
    identity.restores += found.restores
    if found.now.origin != now.origin:
        identity.origins.append(OriginSpan(raw.position, found.now.origin))
    if found.now.key and found.now.key != now.key:
        identity.keys.append(KeySpan(raw.position, found.now.key))
    return found.now


def _object(raw: bytes) -> dict[str, object]:
    """Read a JSON object; raises Broken."""
    try:
        read = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Broken("event", "a JSON object", raw) from error
    if not isinstance(read, dict):
        raise Broken("event", "a JSON object", raw)
    return read
