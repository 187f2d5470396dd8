"""Incarnations: a ledger that is behind what was signed over it serves no more under its old name.

A backup that was put back, or a copy, would record other events at positions that a head was signed
over: two histories under one name. `renew` gives it another name instead, from its next event on.
"""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from ledger.contract import LedgerUnavailable
from ledger.events import RESTORED, Event, Metadata
from ledger.ledger_stream import next_append, stream_of
from ledger.signing.key_rotation import recovery_statement, signed_text
from ledger.signing.keys import KeyUnusable
from ledger.signing.note import KnownHead, Note, SigningKey, TreeHead
from ledger.signing.tree_heads import TreeHeads

REASON = "behind a signed tree head"


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
        return _of_a_former_name(heads, known)
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


def _of_a_former_name(heads: TreeHeads, known: KnownHead) -> str | None:
    """Return how a head of another name contradicts a ledger: what a Restored event admits is so.

    Whoever can write to the file can write such an event, too, but not one that keeps silent about
    a head that others know of.
    """
    head, path = known.head, heads.ledger.path
    given_up = {each.previous: each for each in former_names(heads)}.get(head.origin)
    if given_up is None:
        return f"{known.source} knows a tree head of {head.origin}, which {path} never was"
    kept = head.size <= given_up.size and heads.tree.root_at(head.size) == head.root
    if kept or head.size <= given_up.admitted:
        return None
    return (
        f"{known.source} knows a tree head of {head.origin} signed over {head.size:,} events, and"
        f" the Restored event at position {given_up.position} of {path} neither keeps them nor says"
        " that they are lost"
    )


@dataclass(frozen=True, slots=True)
class FormerName:
    """An origin that was given up, how many events were kept, and up to where loss is admitted."""

    previous: str
    position: int
    size: int
    admitted: int


def former_names(heads: TreeHeads) -> list[FormerName]:
    """Return the origins that a ledger has had and given up, oldest first."""
    events = heads.ledger.read_stream(stream_of(heads.ledger.tenant))
    return [
        FormerName(
            event.effects["previous"],
            event.position,
            event.effects["size"],
            TreeHead.of(Note.parse(note)).size if (note := event.effects["abandoned"]) else 0,
        )
        for event in events
        if event.type == RESTORED
    ]


def changed_under(heads: TreeHeads, known: Iterable[KnownHead]) -> list[KnownHead]:
    """Return the known heads that are over events which are there, and are others now."""
    end = heads.ledger.last_position()
    return [each for each in contradictions(heads, known) if each.head.size <= end]


def renew(heads: TreeHeads, abandoned: Note | None, metadata: Metadata) -> str:
    """Give a ledger a new origin and key, from a Restored event on; return the origin.

    `abandoned` is the head that cannot be kept to, None where the key was lost.
    """
    ledger, former = heads.ledger, _former_key(heads)
    periods = heads.periods()
    origin = f"{ledger.origin.partition('/')[0]}/{secrets.token_hex(8)}"
    key, size = heads.keys.make(origin), ledger.last_position()
    verifier = periods[-1].key if periods else None
    message = recovery_statement(ledger.origin, size, verifier, key.verifier)
    effects = {
        "previous": ledger.origin,
        "abandoned": str(abandoned) if abandoned else None,
        "size": size,
        "verifier_key": str(key.verifier),
        "key": str(verifier) if verifier else None,
        "signature": signed_text(former, message) if former else None,
    }
    ledger.renew(origin, next_append(ledger, Event(RESTORED, effects)), metadata)
    heads.keys.settle()
    heads.sign()
    return origin


def _former_key(heads: TreeHeads) -> SigningKey | None:
    """Return the key of the name that is given up, if it is at hand: it signs that."""
    with suppress(KeyUnusable):
        return heads.key()
    return None
