"""What a GET does not show stays in a PUT: nobody could have read it to send it back.

These are the attributes and parts that are returned never, or on request (RFC 7643 §7).
"""

from collections.abc import Mapping, Set
from typing import Any

from scim_api.protocol.body import identity
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, ResourceType
from scim_api.protocol.values import by_key, is_unassigned


def emptied(
    resource_type: ResourceType, body: Mapping[str, Any], tolerances: Tolerances
) -> frozenset[str]:
    """Return the keys of what no GET shows and a PUT names to clear it (RFC 7644 §3.5.1)."""
    if not resource_type.withheld:
        return frozenset()
    again = tolerances.unrecorded
    given = by_key(resource_type, body, again)
    return frozenset(
        key
        for key in given.keys() & resource_type.withheld
        if given[key] == [] or is_unassigned(given[key], again)
    )


def with_unshown(
    resource_type: ResourceType,
    before: Mapping[str, Any],
    desired: Mapping[str, Any],
    cleared: Set[str] = frozenset(),
) -> dict[str, Any]:
    """Lay a PUT's attributes over those that no GET showed to its client, unless it cleared them.

    Of an object, and of an entry that the list still has, the parts stay that are not shown.
    """
    after = dict(desired)
    for key in (before.keys() & resource_type.withheld) - cleared:
        kept = _kept(resource_type.declared[key].attribute, before[key], desired.get(key))
        after |= {} if kept is None else {key: kept}
    return after


def _kept(attribute: Attribute, value: Any, given: Any) -> Any:
    names = attribute.unshown_parts
    if given is None:
        return value if attribute.unshown or not _shown(value, names) else None
    if not names:
        return given
    if isinstance(value, Mapping):
        return _parts(value, names) | given
    entries = {identity(_without(entry, names)): _parts(entry, names) for entry in value}
    return [entries.get(identity(_without(entry, names)), {}) | entry for entry in given]


def _shown(value: Any, names: Set[str]) -> bool:
    entries = value if isinstance(value, list) else [value]
    return any(not isinstance(entry, Mapping) or entry.keys() - names for entry in entries)


def _parts(entry: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    return {name: part for name, part in entry.items() if name in names}


def _without(entry: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    return {name: part for name, part in entry.items() if name not in names}
