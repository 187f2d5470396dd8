"""PUT: (attributes, body) -> the attributes desired (RFC 7644 §3.5.1)."""

from collections.abc import Mapping, Set
from typing import Any

from projections.state import STANDING
from scim_api.protocol.body import with_values
from scim_api.protocol.patch.apply import fixed_in, immutable, with_fixed, with_parts
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, Declared, Mutability, ResourceType
from scim_api.protocol.unshown import with_unshown

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
    desired = with_unshown(resource_type, before, desired, cleared)
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


def stands(resource_type: ResourceType, key: str) -> bool:
    """Return whether an attribute is never without a value: unassigning it changes nothing.

    `active` is: what leaves it out or empties it neither deactivates nor reactivates anybody.
    """
    return key in STANDING.get(resource_type.name, {})


def _is_kept(declared: Declared | None) -> bool:
    fixed = (Mutability.IMMUTABLE, Mutability.READ_ONLY)
    return declared is None or declared.attribute.mutability in fixed


def _fixed_parts(declared: Declared | None, value: Mapping[str, Any]) -> dict[str, Any]:
    return fixed_in(declared.attribute, value) if declared else {}


def _whole(key: str, kept: Any, given: Any) -> Any:
    if given is not None and given != kept:
        raise immutable(key)
    return kept


def _listed(
    attribute: Attribute, kept: list[Any], given: list[Any] | None, tolerances: Tolerances
) -> Any:
    """Return the list given, with the immutable parts that its values had.

    Or the one that was recorded, where it has no more than that but what counts as none.
    """
    given = with_fixed(attribute, kept, given or []) or None
    return kept if with_values(attribute, kept, tolerances.unrecorded) == given else given
