"""How a tree head that is known outside a ledger's file stands to the ledger."""

from collections.abc import Callable
from enum import Enum, auto

from ledger.signing.identity import Identity
from ledger.signing.note import TreeHead


class Standing(Enum):
    """What became of the events that a head was signed over, as the ledger says."""

    KEPT = auto()  # they are there
    LOST = auto()  # a restore admits that they may be lost
    OTHER = auto()  # there are others in their place
    BEYOND = auto()  # there are more than the ledger has, or admits to have lost
    FOREIGN = auto()  # the ledger never had that origin


def standing_of(
    identity: Identity, head: TreeHead, end: int, agrees: Callable[[TreeHead], bool]
) -> Standing:
    """Judge a head, whoever signed it, by the ledger's origins and its first `end` events.

    `agrees` says whether a head of no more events is over those that the ledger has.
    """
    here = head.size <= end and identity.origin_at(head.size) == head.origin
    if here and agrees(head):
        return Standing.KEPT
    restore = identity.restore_of(head.origin)
    if restore is None and head.origin != identity.origin:
        return Standing.FOREIGN
    if restore and restore.admits(head.size):
        return Standing.LOST
    if head.size > (restore.size if restore else end):
        return Standing.BEYOND
    return Standing.OTHER
