"""PUT: (attributes, body) -> the attributes desired (RFC 7644 §3.5.1)."""

from collections.abc import Mapping, Set
from typing import Any

from scim_api.protocol.body import by_key
from scim_api.protocol.errors import Mutability as MutabilityError
from scim_api.protocol.multi_valued import fixed_in, identity, with_fixed, with_parts, with_values
from scim_api.protocol.patch.apply import stands
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, AttributeAt, Mutability, ResourceType
from scim_api.protocol.values import is_unassigned

Attributes = Mapping[str, Any]


def replaced(
    resource_type: ResourceType,
    before: Attributes,
    desired: Attributes,
    tolerances: Tolerances,
    cleared: Set[str] = frozenset(),
) -> dict[str, Any]:
    """Lay a whole new state over what a client cannot take away; raises Mutability.

    Immutable attributes and parts stay, and cannot be given another value. `active` stays where
    the body does not name it: Okta sends back what it read. For the same reason what a GET does
    not show stays but what is `cleared`, and so do entries that were recorded and now count as
    none, where nothing else of their attribute is changed.
    """
    desired = _with_unshown(resource_type, before, desired, cleared)
    after = dict(desired)
    for key, value in before.items():
        declared = resource_type.declared.get(key)
        if stands(resource_type, key):
            after.setdefault(key, value)
        elif _is_kept(declared):
            after[key] = _whole(key, value, desired.get(key))
        elif declared and isinstance(value, list):
            left = _listed(declared.attribute, value, desired.get(key), tolerances)
            if left is not None:
                after[key] = left
        elif isinstance(value, Mapping) and (parts := _fixed_parts(declared, value)):
            after[key] = with_parts(key, parts, desired.get(key) or {})
    return after


def _is_kept(declared: AttributeAt | None) -> bool:
    fixed = (Mutability.IMMUTABLE, Mutability.READ_ONLY)
    return declared is None or declared.attribute.mutability in fixed


def _fixed_parts(declared: AttributeAt | None, value: Mapping[str, Any]) -> dict[str, Any]:
    return fixed_in(declared.attribute, value) if declared else {}


def _whole(key: str, kept: Any, given: Any) -> Any:
    if given is not None and given != kept:
        raise MutabilityError.immutable(key)
    return kept


def _listed(
    attribute: Attribute, kept: list[Any], given: list[Any] | None, tolerances: Tolerances
) -> Any:
    """Return the list given, with the immutable parts that its values had.

    Or the one that was recorded, where it has no more than that but what counts as none.
    """
    given = with_fixed(attribute, kept, given or []) or None
    return kept if with_values(attribute, kept, tolerances.unrecorded) == given else given


# What a GET does not show stays: nobody could have read it to send it back. These are the
# attributes and parts that are returned never, or on request (RFC 7643 §7).


def emptied(
    resource_type: ResourceType, body: Attributes, tolerances: Tolerances
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


def _with_unshown(
    resource_type: ResourceType,
    before: Attributes,
    desired: Attributes,
    cleared: Set[str],
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


def _parts(entry: Attributes, names: Set[str]) -> dict[str, Any]:
    return {name: part for name, part in entry.items() if name in names}


def _without(entry: Attributes, names: Set[str]) -> dict[str, Any]:
    return {name: part for name, part in entry.items() if name not in names}
