"""JSON bodies -> attributes: what a client sent becomes the flat, checked state of a resource."""

from collections.abc import Iterator, Mapping
from typing import Any

from projections.query.model import Type
from scim_api.protocol.errors import InvalidSyntax, InvalidValue
from scim_api.protocol.fields import check_parts, check_resource, check_value, is_secret
from scim_api.protocol.json_text import decoded
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, Declared, ResourceType
from scim_api.protocol.values import by_key, is_unassigned, printable, single_of, value_of

_SCIM_1 = "urn:scim:schemas:"
_DEFAULT = Tolerances()


def load_resource(
    resource_type: ResourceType,
    body: Any,
    tolerances: Tolerances = _DEFAULT,
) -> dict[str, Any]:
    """Return the attributes of a POST or PUT body by payload key; raises ScimError.

    Unassigned attributes are left out, readOnly ones ignored (RFC 7644 §3.3, §3.5.1), secrets
    dropped. Values stay as they were sent.
    """
    if not isinstance(body, dict):
        raise InvalidSyntax("The body must be a JSON object that holds the resource.")
    given = by_key(resource_type, body, tolerances)
    urns = _schemas(resource_type, given.pop("schemas", None), tolerances)
    attributes = dict(_normal(resource_type, given, tolerances))
    _check_extensions(resource_type, attributes, urns, tolerances)
    check_resource(resource_type, attributes)
    return dict(_assigned(resource_type, attributes, tolerances))


def load_value(
    declared: Declared,
    sub: Attribute | None,
    value: Any,
    tolerances: Tolerances,
    *,
    partial: bool = False,
    some: bool = False,
) -> Any:
    """Return the value a PATCH gives an attribute, or a sub-attribute, of one of its values.

    None when that is unassigned. Of a multi-valued attribute always a list; `partial` where it
    only names values by some of their parts, `some` where others stay.
    """
    attribute = sub or declared.attribute
    path = f"{declared.key}.{sub.name}" if sub else declared.key
    normal = value_of(attribute, _listed(attribute, value, tolerances, path), tolerances, path)
    if normal is None:
        return None
    check_value(attribute, normal, path, partial=partial, some=some)
    return _settled(attribute, normal, path)


def _listed(attribute: Attribute, value: Any, tolerances: Tolerances, path: str) -> Any:
    """Return a value for a list in one: in a PATCH one may come alone (RFC 7644 §3.5.2.1)."""
    if not attribute.multi_valued:
        return value
    value = decoded(value, tolerances, path)
    plain = attribute.type is not Type.COMPLEX and not isinstance(value, list)
    alone = isinstance(value, dict) or (plain and not is_unassigned(value, tolerances))
    return [value] if alone else value


def load_parts(declared: Declared, value: Any, tolerances: Tolerances) -> dict[str, Any]:
    """Return the sub-attributes a PATCH lays over one value; None for those it unassigns."""
    attribute, path = declared.attribute, declared.key
    parts = single_of(attribute, value, tolerances, path)
    if parts is None:
        return unassigned(attribute)
    check_parts(attribute, parts, path)
    return dict(parts)


def load_one(declared: Declared, value: Any, tolerances: Tolerances) -> list[Any]:
    """Return the plain value a PATCH gives one place in a list; none where it unassigns it."""
    attribute, path = declared.attribute, declared.key
    normal = single_of(attribute, value, tolerances, path)
    if normal is None:
        return []
    check_value(attribute, [normal], path)
    return [normal]


def unassigned(attribute: Attribute) -> dict[str, Any]:
    """Return what unassigns every sub-attribute."""
    return {sub.name: None for sub in attribute.sub_attributes}


def assigned(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sub-attributes that have a value."""
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
    """Return what makes a value the same as another: `value` and `type` (RFC 7643 §2.4).

    Without a `value`, as an address is, all of it.
    """
    if not isinstance(value, dict):
        return value
    if "value" in value:
        return value["value"], value.get("type")
    return frozenset(
        (name, tuple(part) if isinstance(part, list) else part) for name, part in value.items()
    )


def with_values(attribute: Attribute, values: Any, tolerances: Tolerances) -> Any:
    """Return values without those that, by policy, are none; None if nothing is left.

    Such a value lacks its `value`: only what would describe one is there.
    """
    if not (attribute.multi_valued and "value" in attribute.subs) or not values:
        return values
    left = [value for value in values if _is_one(attribute, value)]
    if len(left) == len(values) or not tolerances.allow("valueless_entries_removed"):
        return values
    return left or None


def has_values(attribute: Attribute, value: Any) -> bool:
    """Return whether an attribute's value is more than entries that would only describe one."""
    if not (attribute.multi_valued and attribute.sub_attributes):
        return True
    return any(_is_one(attribute, entry) for entry in value)


def _is_one(attribute: Attribute, entry: Mapping[str, Any]) -> bool:
    return not attribute.substance.isdisjoint(entry)


def check_secret(declared: Declared, value: Any) -> None:
    """Refuse a secret that is no text; it is never kept, so nothing is returned."""
    if value is not None and not isinstance(value, str):
        raise InvalidValue(f"{declared.key} must be text in quotes")


def check_urns(resource_type: ResourceType, urns: list[Any], tolerances: Tolerances) -> None:
    """Refuse what is no URN, and by policy the URN of a schema that is not served."""
    for urn in urns:
        if not isinstance(urn, str):
            raise InvalidValue("schemas must be a list of URNs in quotes")
        known = urn.lower() == resource_type.schema.id.lower() or resource_type.find_extension(urn)
        if not known and not tolerances.allow("unknown_schemas_ignored"):
            raise InvalidValue(f"schemas: {printable(urn)} is not a schema served here")


def _schemas(resource_type: ResourceType, value: Any, tolerances: Tolerances) -> set[str]:
    """Return the folded URNs of `schemas`, which must name the core schema (RFC 7643 §3)."""
    core = resource_type.schema.id
    if _is_missing(value, tolerances):
        return set()
    if not isinstance(value, list):
        raise InvalidValue(f'schemas is required: a list of URNs, at least "{core}"')
    check_urns(resource_type, value, tolerances)
    urns = {urn.lower() for urn in value}
    if core.lower() in urns or _are_older(urns, tolerances):
        return urns
    raise InvalidValue(f'schemas must contain "{core}"')


def names_message(value: Any, urn: str, tolerances: Tolerances) -> bool:
    """Return whether `schemas` of a PATCH, Bulk or search message names it, or may be without."""
    if _is_missing(value, tolerances):
        return True
    if not isinstance(value, list):
        return False
    urns = {item.lower() for item in value if isinstance(item, str)}
    return urn.lower() in urns or _are_older(urns, tolerances)


def _is_missing(urns: Any, tolerances: Tolerances) -> bool:
    return urns in (None, []) and tolerances.allow("core_schema_missing")


def _are_older(urns: set[str], tolerances: Tolerances) -> bool:
    older = any(urn.startswith(_SCIM_1) for urn in urns)
    return older and tolerances.allow("core_schema_missing")


def _normal(
    resource_type: ResourceType, given: Mapping[str, Any], tolerances: Tolerances
) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        declared = resource_type.declared[key]
        if declared.attribute.read_only:
            continue
        if is_secret(declared.attribute):
            check_secret(declared, value)
            continue
        normal = value_of(declared.attribute, value, tolerances, key)
        if normal is not None:
            yield key, normal


def _check_extensions(
    resource_type: ResourceType,
    attributes: Mapping[str, Any],
    urns: set[str],
    tolerances: Tolerances,
) -> None:
    """Refuse attributes of an extension that `schemas` does not name (RFC 7643 §3)."""
    used = {resource_type.declared[key].steps[0] for key in attributes if ":" in key}
    for urn in used:
        if urn.lower() not in urns and not tolerances.allow("extension_without_schema"):
            raise InvalidValue(f'schemas must contain "{urn}", whose attributes are given')


def _assigned(
    resource_type: ResourceType, attributes: Mapping[str, Any], tolerances: Tolerances
) -> Iterator[tuple[str, Any]]:
    for key, value in attributes.items():
        attribute = resource_type.declared[key].attribute
        left = with_values(attribute, _settled(attribute, value, key), tolerances)
        if left is not None:
            yield key, left


def _settled(attribute: Attribute, value: Any, path: str) -> Any:
    """Return a checked value without its empty and doubled parts; None if nothing is left."""
    if not attribute.multi_valued:
        return _settled_one(attribute, value)
    left = (_settled_one(attribute, item) for item in value)
    values = distinct([item for item in left if item is not None])
    if len(values) > 1 and sum(is_primary(item) for item in values) > 1:
        raise InvalidValue(f"{path} must have at most one value with primary true")
    return values or None


def _settled_one(attribute: Attribute, value: Any) -> Any:
    if attribute.type is not Type.COMPLEX or value is None:
        return value
    return assigned(value) or None


def is_primary(value: Any) -> bool:
    """Return whether a value is marked as the preferred one."""
    return isinstance(value, dict) and value.get("primary") is True
