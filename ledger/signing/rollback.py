"""Rollback: a ledger that lacks events that a tree head covers, and its restore under a new origin.

A restored backup, or a copy, would record other events at positions that a head covers: two
histories under one origin. So it is not served until it continues under a new one.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress

from ledger.contract import LedgerError, LedgerUnavailable
from ledger.events import RESTORED, Event, Metadata
from ledger.ledger_stream import next_append
from ledger.signing.identity import Identity
from ledger.signing.key_rule import RECOVERY, signature, statement
from ledger.signing.keys import KeyUnusable
from ledger.signing.note import KnownHead, Note
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


class NotRecovered(LedgerError):
    """A ledger need not, or must not yet, continue under a new origin."""


def must_be_newest(heads: TreeHeads, known: Iterable[KnownHead]) -> None:
    """Raise Superseded unless the ledger has all events that the known heads were signed over."""
    for contradiction in contradictions(heads, known):
        raise contradiction


def contradictions(heads: TreeHeads, known: Iterable[KnownHead]) -> Iterator[Superseded]:
    """Yield an error for each known head that contradicts a ledger."""
    identity = heads.identity()
    for each in known:
        if says := _contradiction(heads, identity, each):
            yield Superseded(each, says)


def _contradiction(heads: TreeHeads, identity: Identity, known: KnownHead) -> str | None:
    """Return how a known head contradicts a ledger, None if it does not."""
    ledger, head = heads.ledger, known.head
    end = ledger.last_position()
    if head.origin != identity.origin:
        return _of_former_origin(heads, identity, known)
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


def _of_former_origin(heads: TreeHeads, identity: Identity, known: KnownHead) -> str | None:
    """Return how a head of another origin contradicts a ledger, beyond what its restore admits.

    Whoever can write to the file can write a Restored event, too, but not one that keeps silent
    about a head that others know.
    """
    head, path = known.head, heads.ledger.path
    restore = identity.restore_of(head.origin)
    if restore is None:
        return f"{known.source} knows a tree head of {head.origin}, which {path} never was"
    if restore.admits(head.size):
        return None
    here = min(restore.size, heads.ledger.last_position())
    if head.size <= here and heads.tree.root_at(head.size) == head.root:
        return None
    return (
        f"{known.source} knows a tree head of {head.origin} signed over {head.size:,} events, and"
        f" the Restored event at position {restore.position} of {path} neither keeps them nor says"
        " that they are lost"
    )


def recover(
    heads: TreeHeads, known: Iterable[KnownHead], metadata: Metadata, *, accept_changed: bool
) -> str:
    """Continue a restored ledger, or one whose key is lost, under a new origin; return that.

    Raises NotRecovered where nothing was lost, and, unless `accept_changed`, where events are not
    lost but changed.
    """
    found = [each.known for each in contradictions(heads, known)]
    if not found and heads.trouble() is None:
        raise NotRecovered("nothing was lost: the ledger has all that was signed over, and its key")
    end = heads.ledger.last_position()
    changed = [each for each in found if each.head.size <= end]
    if changed and not accept_changed:
        raise NotRecovered(
            f"events are not lost but changed: {changed[0].source} knows a tree head over the"
            f" first {changed[0].head.size:,}, and they are others now. Put a true copy back,"
            " or see --accept-changed-events"
        )
    newest = heads.ledger.newest_head()
    last = Note.parse(newest.note) if newest else None
    abandoned = max(found, key=lambda each: each.head.size).note if found else last
    return renew(heads, abandoned, metadata)


def renew(heads: TreeHeads, abandoned: Note | None, metadata: Metadata) -> str:
    """Give a ledger a new origin and key, from a Restored event on; return the origin.

    `abandoned` is the head that the ledger contradicts, None where the key was lost.
    """
    ledger, former, verifier = heads.ledger, None, heads.identity().key
    with suppress(KeyUnusable):
        former = heads.key()
    origin = f"{ledger.origin.partition('/')[0]}/{secrets.token_hex(8)}"
    key, size = heads.keys.make(origin), ledger.last_position()
    message = statement(RECOVERY, ledger.origin, size, verifier, key.verifier)
    effects = {
        "previous": ledger.origin,
        "abandoned": str(abandoned) if abandoned else None,
        "size": size,
        "verifier_key": str(key.verifier),
        "key": str(verifier) if verifier else None,
        "signature": signature(former, message) if former else None,
    }
    ledger.rename(origin, next_append(ledger, Event(RESTORED, effects)), metadata)
    heads.keys.settle()
    heads.sign()
    return origin
