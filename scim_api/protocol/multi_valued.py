"""Rules of multi-valued attributes: entries without a value, duplicates, immutable parts."""

from collections.abc import Collection, Mapping
from typing import Any

from projections.query.model import Type
from scim_api.protocol.errors import InvalidValue, Mutability
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute

MAX_VALUES = 10_000  # of one attribute; members are not counted among them


def check_number(values: list[Any], path: str) -> None:
    """Refuse more values than an attribute can have; raises InvalidValue."""
    if len(values) > MAX_VALUES:
        raise InvalidValue(
            "value.too_many",
            "{path} must have {most} values at most; it has {number}",
            path=path,
            most=MAX_VALUES,
            number=len(values),
            attributes=(path,),
        )


def settled(attribute: Attribute, value: Any, path: str) -> Any:
    """Return a value as it is kept: no empty parts, each entry once; None if nothing is left."""
    if not attribute.multi_valued:
        return _without_empty_parts(attribute, value)
    left = [_without_empty_parts(attribute, item) for item in value or ()]
    values = distinct([item for item in left if item is not None])
    if len(values) > 1 and sum(is_primary(item) for item in values) > 1:
        raise InvalidValue(
            "value.primary", "{path} must have at most one value with primary true", path=path
        )
    return values or None


def _without_empty_parts(attribute: Attribute, value: Any) -> Any:
    if attribute.type is not Type.COMPLEX or value is None:
        return value
    return assigned(value) or None


def unassigned(attribute: Attribute) -> dict[str, Any]:
    """Return None for each sub-attribute."""
    return {sub.name: None for sub in attribute.sub_attributes}


def assigned(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sub-attributes that have a value."""
    if None not in parts.values():
        return dict(parts)
    return {name: part for name, part in parts.items() if part is not None}


def distinct(values: list[Any]) -> list[Any]:
    """Return the values, each once; of those that are the same, the later adds to the former."""
    if len(values) < 2:
        return values
    found: dict[Any, Any] = {}
    for value in values:
        key = identity(value)
        found[key] = {**found[key], **value} if key in found and isinstance(value, dict) else value
    return list(found.values())


def identity(value: Any) -> Any:
    """Return the key by which two values are the same: `value` and `type` (RFC 7643 §2.4).

    Without a `value`, as an address is, all of it.
    """
    if not isinstance(value, dict):
        return value
    if "value" in value:
        return value["value"], value.get("type")
    return frozenset(
        (name, tuple(part) if isinstance(part, list) else part) for name, part in value.items()
    )


def is_primary(value: Any) -> bool:
    """Return whether a value is marked as the preferred one."""
    return isinstance(value, dict) and value.get("primary") is True


def with_one_primary(
    attribute: Attribute, values: list[Any], touched: Collection[int]
) -> list[Any]:
    """Unmark the other values once a touched one is primary (RFC 7644 §3.5.2)."""
    if "primary" not in attribute.subs:
        return values
    marked = [place for place in touched if values[place].get("primary") is True]
    if len(marked) > 1:
        raise InvalidValue(
            "value.primary_in_patch",
            "one operation marks several values of {name} as primary",
            name=attribute.name,
        )
    if not marked:
        return values
    return [
        value if place in marked or value.get("primary") is not True else value | {"primary": False}
        for place, value in enumerate(values)
    ]


# Entries without a value: only parts that would describe one


def with_values(attribute: Attribute, values: Any, tolerances: Tolerances) -> Any:
    """Return the entries that, by policy, have a value; None if none has."""
    if not (attribute.multi_valued and "value" in attribute.subs) or not values:
        return values
    left = [value for value in values if _has_substance(attribute, value)]
    if len(left) == len(values) or not tolerances.allow("valueless_entries_removed"):
        return values
    return left or None


def has_values(attribute: Attribute, values: Any) -> bool:
    """Return whether some entry of a multi-valued attribute is more than a description."""
    if not (attribute.multi_valued and attribute.sub_attributes):
        return True
    return any(_has_substance(attribute, entry) for entry in values)


def _has_substance(attribute: Attribute, entry: Mapping[str, Any]) -> bool:
    return not attribute.substance.isdisjoint(entry)


# Immutable parts


def with_fixed(attribute: Attribute, before: list[Any], after: list[Any]) -> list[Any]:
    """Return values with the immutable parts that they had before; raises Mutability."""
    if not attribute.fixed_parts:
        return after
    had = {identity(value): fixed_in(attribute, value) for value in before}
    return [with_parts(attribute.name, had.get(identity(value), {}), value) for value in after]


def fixed_in(attribute: Attribute, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of one value that cannot be changed."""
    return {name: value[name] for name in attribute.fixed_parts if name in value}


def with_parts(path: str, kept: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a value over parts that it must not contradict; raises Mutability."""
    for name, part in kept.items():
        if value.get(name, part) != part:
            raise Mutability.immutable(f"{path}.{name}")
    return {**kept, **value}
