"""PUT: (attributes, body) -> the attributes desired (RFC 7644 §3.5.1)."""

from collections.abc import Mapping, Set
from typing import Any

from scim_api.protocol.body import by_key
from scim_api.protocol.errors import Mutability as MutabilityError
from scim_api.protocol.multi_valued import fixed_in, identity, with_fixed, with_parts, with_values
from scim_api.protocol.patch.apply import stands
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, Mutability, ResourceType
from scim_api.protocol.values import is_unassigned

_FIXED = (Mutability.IMMUTABLE, Mutability.READ_ONLY)

Attributes = Mapping[str, Any]


def replaced(
    resource_type: ResourceType,
    before: Attributes,
    desired: Attributes,
    tolerances: Tolerances,
    cleared: Set[str] = frozenset(),
) -> dict[str, Any]:
    """Replace a state except for what a client cannot remove; raises Mutability.

    Immutable attributes and parts stay, and cannot be given another value. `active` stays where
    the body does not name it: Okta sends back what it read. For the same reason what a GET does
    not show stays but what is `cleared`, and so do entries that were recorded and now count as
    none, where nothing else of their attribute is changed.
    """
    desired = _with_unshown(resource_type, before, desired, cleared)
    after = dict(desired)
    for key, value in before.items():
        given = desired.get(key)
        if given == value:
            continue
        declared = resource_type.declared.get(key)
        if stands(resource_type, key):
            after.setdefault(key, value)
        elif declared is None or declared.attribute.mutability in _FIXED:
            if given is not None and given != value:
                raise MutabilityError.immutable(key)
            after[key] = value
        elif isinstance(value, list):
            attribute = declared.attribute
            left = with_fixed(attribute, value, given or []) or None
            if with_values(attribute, value, tolerances.unrecorded) == left:
                left = value
            if left is not None:
                after[key] = left
        elif isinstance(value, Mapping) and (parts := fixed_in(declared.attribute, value)):
            after[key] = with_parts(key, parts, given or {})
    return after


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
        entries = value if isinstance(value, list) else [value]
        shown = any(not isinstance(each, Mapping) or each.keys() - names for each in entries)
        return value if attribute.unshown or not shown else None
    if not names:
        return given
    if isinstance(value, Mapping):
        return _parted(value, names)[1] | given
    had = {identity(shown): unshown for shown, unshown in (_parted(e, names) for e in value)}
    return [had.get(identity(_parted(entry, names)[0]), {}) | entry for entry in given]


def _parted(entry: Attributes, names: Set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parts of an entry without some, and these."""
    unshown = {name: part for name, part in entry.items() if name in names}
    return {name: part for name, part in entry.items() if name not in names}, unshown
