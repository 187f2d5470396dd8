"""Desired state -> events: what a request changes, in the ledger's words."""

from collections.abc import Mapping
from typing import Any

from ledger import events
from ledger.events import Event
from projections.state import Attributes, is_active

_FLIPS = {True: events.REACTIVATED, False: events.DEACTIVATED}


def creation(attributes: Attributes) -> list[Event]:
    """Return the events of a new resource; one that does not say so is active."""
    return [Event(events.CREATED, {"active": True, **attributes})]


def difference(before: Attributes, after: Attributes) -> list[Event]:
    """Return the events that lead from one state to another; none when nothing changes.

    Becoming active or inactive is an event of its own, after that of the other attributes. A
    resource is active unless `active` is false.
    """
    changed = {
        key: after.get(key)
        for key in sorted(before.keys() | after.keys())
        if not _same(before.get(key), after.get(key))
    }
    flipped = []
    if is_active(before) != is_active(after):
        flipped = [Event(_FLIPS[is_active(after)], {"active": changed.pop("active")})]
    updated = [Event(events.UPDATED, changed)] if changed else []
    return updated + flipped


def _same(before: Any, after: Any) -> bool:
    """Tell whether a value is unchanged, whatever the order of many values (RFC 7643 §2.4)."""
    if before == after:
        return True
    if not (isinstance(before, list) and isinstance(after, list)):
        return False
    return len(before) == len(after) and _order_free(before) == _order_free(after)


def _order_free(values: list[Any]) -> list[str]:
    return sorted(
        repr(sorted(value.items()) if isinstance(value, Mapping) else value) for value in values
    )
