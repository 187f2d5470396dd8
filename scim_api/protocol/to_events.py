"""Desired state -> events: what a request changes, in the ledger's words."""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger import events
from ledger.events import Event
from projections.state import MEMBER, Attributes, is_active

MOST_MEMBERS = 1000  # in one event; more are split within the transaction

_FLIPS = {True: events.REACTIVATED, False: events.DEACTIVATED}


def creation(attributes: Attributes) -> list[Event]:
    """Return the events of a new resource."""
    return [Event(events.CREATED, dict(attributes))]


def difference(before: Attributes, after: Attributes) -> list[Event]:
    """Return the events that lead from one state to another; none when nothing changes.

    Becoming active or inactive is an event of its own, after that of the other attributes. A
    resource is active unless `active` is false.
    """
    get = before.get
    keys = [
        key
        for key, value in after.items()
        if (old := get(key)) is not value and not _same(old, value)
    ]
    keys += [key for key, value in before.items() if key not in after and value is not None]
    changed = {key: after.get(key) for key in sorted(keys)}
    flipped = []
    if is_active(before) != is_active(after):
        flipped = [Event(_FLIPS[is_active(after)], {"active": changed.pop("active")})]
    updated = [Event(events.UPDATED, changed)] if changed else []
    return updated + flipped


def membership(joining: Mapping[str, str], leaving: Sequence[str]) -> list[Event]:
    """Return the events for members (id -> type) that join a group and members that leave it."""
    gone = _split(events.MEMBERS_REMOVED, [(f"{MEMBER}{id_}", None) for id_ in leaving])
    come = [(f"{MEMBER}{id_}", {"type": type_}) for id_, type_ in joining.items()]
    return gone + _split(events.MEMBERS_ADDED, come)


def _split(type_: str, entries: Sequence[tuple[str, Any]]) -> list[Event]:
    return [
        Event(type_, dict(entries[start : start + MOST_MEMBERS]))
        for start in range(0, len(entries), MOST_MEMBERS)
    ]


def _same(before: Any, after: Any) -> bool:
    """Return whether a value is unchanged, whatever the order of many values (RFC 7643 §2.4)."""
    if before == after:
        return True
    if not (isinstance(before, list) and isinstance(after, list)):
        return False
    return len(before) == len(after) and _order_free(before) == _order_free(after)


def _order_free(values: list[Any]) -> list[str]:
    return sorted(
        repr(sorted(value.items()) if isinstance(value, Mapping) else value) for value in values
    )
