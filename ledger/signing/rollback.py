"""Rollback: a ledger that lacks events that a tree head covers.

A restored backup, or a copy, would record other events at positions that a head covers: two
histories under one origin. So it is not served until it continues under a new one (`renewal`).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ledger.contract import LedgerUnavailable
from ledger.signing.identity import Identity
from ledger.signing.key_rule import Restore
from ledger.signing.keys import HEAD_FILE
from ledger.signing.note import KnownHead
from ledger.signing.standing import Standing, standing_of
from ledger.signing.tree_heads import TreeHeads

REASON = "behind a signed tree head"
NO_HEAD = "signing.head missing"


class Superseded(LedgerUnavailable):
    """The ledger's events are not those, or not all of those, that a known head was signed over."""

    def __init__(self, known: KnownHead, says: str) -> None:
        super().__init__(
            f"{says}. It was put back from a backup, copied or changed, and to go on under its name"
            " would make two histories. Put the whole ledger back; if the missing events are lost,"
            " run `scim-ledger restore BACKUP`, or, with the ledger that is in place, `scim-ledger"
            " recover --new-incarnation`",
            reason=REASON,
        )
        self.known = known


class HeadMissing(LedgerUnavailable):
    """Nothing next to the key says which head was signed last: events may be missing."""

    def __init__(self, heads: TreeHeads) -> None:
        ledger = heads.ledger
        super().__init__(
            f"{heads.keys.folder / HEAD_FILE} is missing, so nothing shows whether {ledger.path}"
            f" has all its events: it has {ledger.last_position():,}. Put the file back, if it is"
            " somewhere. If the ledger was put back from a backup, events are lost: run"
            " `scim-ledger recover --new-incarnation --events-lost`, or `scim-ledger restore"
            " BACKUP`. If it surely has all its events, run `scim-ledger recover --nothing-lost`",
            reason=NO_HEAD,
        )


def must_be_newest(heads: TreeHeads, known: Iterable[KnownHead]) -> None:
    """Raise Superseded or HeadMissing unless the ledger has all events of the known heads."""
    for contradiction in contradictions(heads, known):
        raise contradiction
    if lacks_head(heads):
        raise HeadMissing(heads)


def lacks_head(heads: TreeHeads) -> bool:
    """Return whether a ledger can sign, and has signed, but the head it signed last is not kept.

    A key from the environment may go with a key folder that is new each time. Where a ledger has
    but its first event, making it was cut off.
    """
    ledger, keys = heads.ledger, heads.keys
    if keys.remembered() is not None or ledger.last_position() == 1:
        return False
    if keys.given and keys.folder != ledger.path.parent:
        return False
    return ledger.newest_head() is not None and heads.trouble() is None


def contradictions(heads: TreeHeads, known: Iterable[KnownHead]) -> Iterator[Superseded]:
    """Yield an error for each known head that contradicts a ledger."""
    identity = heads.identity()
    for each in known:
        if says := _contradiction(heads, identity, each):
            yield Superseded(each, says)


def _contradiction(heads: TreeHeads, identity: Identity, known: KnownHead) -> str | None:
    """Return how a known head contradicts a ledger, None if it does not."""
    head, path, end = known.head, heads.ledger.path, heads.ledger.last_position()
    standing = standing_of(identity, head, end, heads.tree.agrees)
    if standing in (Standing.KEPT, Standing.LOST):
        return None
    if standing is Standing.FOREIGN:
        return f"{known.source} knows a tree head of {head.origin}, which {path} never was"
    if restore := identity.restore_of(head.origin):
        return _beyond(restore, known, path, standing)
    if standing is Standing.BEYOND:
        return (
            f"{path} has {end:,} events, and {known.source} knows a tree head signed over"
            f" {head.size:,}"
        )
    return (
        f"the first {head.size:,} events of {path} are not those over which a tree head"
        f" known to {known.source} was signed"
    )


def _beyond(restore: Restore, known: KnownHead, path: Path, standing: Standing) -> str | None:
    """Return how a head of a former origin contradicts a ledger, beyond what its restore admits.

    Whoever can write to the file can write a Restored event, too, but not one that keeps silent
    about a head that others know. One that names a head over events that were changed is what an
    operator did who accepted that; `verify` goes on reporting it.
    """
    head = known.head
    if standing is Standing.OTHER and head.size <= restore.admitted:
        return None
    return (
        f"{known.source} knows a tree head of {head.origin} signed over {head.size:,} events, and"
        f" the Restored event at position {restore.position} of {path} neither keeps them nor says"
        " that they are lost"
    )
