"""Incarnations: a ledger that is behind what was signed over it serves no more under its old name.

A backup that was put back, or a copy, would record other events at positions that a head was signed
over: two histories under one name. `renew` gives it another name instead, from its next event on.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from ledger.events import RESTORED, Event, Metadata
from ledger.notes import Note, TreeHead
from ledger.own_stream import next_append, stream_of
from ledger.store import LedgerUnavailable
from ledger.tree_head import TreeHeads

REASON = "behind a signed tree head"


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head that was signed over a ledger, and who knows of it."""

    source: str
    note: Note

    @property
    def head(self) -> TreeHead:
        """What it says."""
        return TreeHead.of(self.note)


class Superseded(LedgerUnavailable):
    """The ledger's events are not those, or not all of those, that a known head was signed over."""

    def __init__(self, known: KnownHead, says: str) -> None:
        super().__init__(
            f"{says}. It was put back from a backup, copied or changed, and to go on under its name"
            " would make two histories. Put the whole ledger back, or, if the missing events are"
            " lost, run `scim-ledger recover --new-incarnation`",
            reason=REASON,
        )
        self.known = known


def must_be_newest(heads: TreeHeads, known: Iterable[KnownHead]) -> None:
    """Raise Superseded unless the ledger has all events that the known heads were signed over."""
    for each in known:
        if says := _contradiction(heads, each):
            raise Superseded(each, says)


def contradictions(heads: TreeHeads, known: Iterable[KnownHead]) -> list[KnownHead]:
    """Return the known heads that a ledger does not live up to."""
    return [each for each in known if _contradiction(heads, each)]


def _contradiction(heads: TreeHeads, known: KnownHead) -> str | None:
    """Return how a ledger and a known head contradict each other, None if they do not."""
    ledger, head = heads.ledger, known.head
    end = ledger.last_position()
    if head.origin != ledger.origin:
        if head.origin in origins(heads):
            return None  # of a name that was given up
        return f"{known.source} knows a tree head of {head.origin}, which {ledger.path} never was"
    if head.size > end:
        return (
            f"{ledger.path} has {end:,} events, and {known.source} knows a tree head signed over"
            f" {head.size:,}"
        )
    if heads.tree.root_at(head.size) != head.root:
        return (
            f"the first {head.size:,} events of {ledger.path} are not those over which a tree head"
            f" known to {known.source} was signed"
        )
    return None


def origins(heads: TreeHeads) -> set[str]:
    """Return the names that a ledger has had and given up."""
    events = heads.ledger.read_stream(stream_of(heads.ledger.tenant))
    return {event.effects["previous"] for event in events if event.type == RESTORED}


def renew(heads: TreeHeads, abandoned: Note | None, metadata: Metadata) -> str:
    """Give a ledger a new origin and key, from a Restored event on; return the origin.

    `abandoned` is the head that cannot be kept to, None where the key was lost.
    """
    ledger = heads.ledger
    origin = f"{ledger.origin.partition('/')[0]}/{secrets.token_hex(8)}"
    key = heads.keys.make(origin)
    effects = {
        "previous": ledger.origin,
        "abandoned": str(abandoned) if abandoned else None,
        "size": ledger.last_position(),
        "verifier_key": str(key.verifier),
    }
    ledger.renew(origin, next_append(ledger, Event(RESTORED, effects)), metadata)
    heads.keys.settle()
    heads.sign()
    return origin
