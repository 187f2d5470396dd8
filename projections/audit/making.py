"""Which event made a difference: the one with which a resource joined, left or came back."""

from collections.abc import Iterator, Mapping

from ledger.events import CREATED, DEACTIVATED, DELETED, REACTIVATED
from projections.audit import diff as kinds
from projections.audit.archive import Archive
from projections.audit.diff import Difference

_CAME, _WENT = (CREATED, REACTIVATED), (DEACTIVATED, DELETED)

# By kind: which events make it so, and which are the contrary.
_TURNS: Mapping[str | None, tuple[tuple[str, ...], tuple[str, ...]]] = {
    kinds.JOINED: ((CREATED,), (DELETED,)),
    kinds.REACTIVATED: (_CAME, _WENT),
    kinds.LEFT: (_WENT, _CAME),
    kinds.PASSED: (_WENT, _CAME),
}


def made_at(archive: Archive, found: Difference, setters: Mapping[str, int]) -> int | None:
    """Return the position of the event that made a difference what it is, None if not known.

    For one that came or went, the first such event after the last contrary one: a user who was
    deactivated and then deleted left with the deactivation. For a changed one, the last event, by
    `setters`, that set a differing value. For one that was changed back, its last event.
    """
    if found.kind in _TURNS:
        return _turn(archive, found, *_TURNS[found.kind])
    if found.kind == kinds.CHANGED:
        return max(_differing(archive, found, setters), default=None)
    return found.last or None


def _turn(
    archive: Archive, found: Difference, wanted: tuple[str, ...], contrary: tuple[str, ...]
) -> int | None:
    """Return the position of the first event of some types after the last of others."""
    stream, first, last = f"{found.type}-{found.id}", found.versions.start, found.versions.stop - 1
    turn = None
    for recorded in archive.ledger.walk_stream(stream, first, last, types=wanted + contrary):
        if recorded.type in contrary:
            turn = None
        elif turn is None:
            turn = recorded.position
    return turn


def _differing(archive: Archive, found: Difference, setters: Mapping[str, int]) -> Iterator[int]:
    """Yield the positions of the events that set what differs.

    Where not all members that came or went are named, those of all of them.
    """
    relation = f"{archive.kinds[found.type].relation}:"
    turnover = found.turnover
    named = [value["value"] for value in (*turnover.joined_values, *turnover.left_values)]
    differing = {*found.changes, *(f"{relation}{id_}" for id_ in named)}
    unnamed = len(named) < turnover.joined + turnover.left
    for key, position in setters.items():
        if key in differing or (unnamed and key.startswith(relation)):
            yield position
