"""The body of a POST or PUT -> the attributes of a resource."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from marshmallow import ValidationError

from scim_api.protocol.errors import InvalidSyntax, InvalidValue
from scim_api.protocol.faults import faults_of_missing, refusal
from scim_api.protocol.fields import field_of
from scim_api.protocol.multi_valued import assigned, settled, with_values
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import AttributeAt, ResourceType, Schema
from scim_api.protocol.values import given_twice, ignore, is_unassigned, one_object, printable

_SCIM_1 = "urn:scim:schemas:"
_DEFAULT = Tolerances()


def load_resource(
    resource_type: ResourceType, body: Any, tolerances: Tolerances = _DEFAULT
) -> dict[str, Any]:
    """Return the attributes of a POST or PUT body by payload key; raises ScimError.

    Unassigned attributes are left out, readOnly ones ignored (RFC 7644 §3.3, §3.5.1), secrets
    dropped.
    """
    if not isinstance(body, dict):
        raise InvalidSyntax(
            "body.not_a_resource", "The body must be a JSON object that holds the resource."
        )
    given = by_key(resource_type, body, tolerances)
    urns = _schemas(resource_type, given.pop("schemas", None), tolerances)
    attributes, faults = _read(resource_type, given, tolerances)
    _check_extensions(resource_type, (*attributes, *faults), urns, tolerances)
    for key, declared in resource_type.required.items():
        if key not in attributes and key not in faults:
            faults[key] = faults_of_missing(declared.attribute)
    if faults:
        raise refusal("", {key: faults[key] for key in resource_type.writable if key in faults})
    for key, value in attributes.items():
        if key in resource_type.structured:
            attribute = resource_type.declared[key].attribute
            attributes[key] = with_values(attribute, settled(attribute, value, key), tolerances)
    return assigned(attributes)


def _read(
    resource_type: ResourceType, given: Mapping[str, Any], tolerances: Tolerances
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes in normal form, and what is wrong with the others."""
    attributes: dict[str, Any] = {}
    faults: dict[str, Any] = {}
    for key, value in given.items():
        declared = resource_type.declared[key]
        if declared.attribute.write_only:
            check_secret(declared, value)
        elif not declared.attribute.read_only:
            try:
                normal = field_of(declared).read(value, tolerances)
            except ValidationError as error:
                faults[key] = error.messages
            else:
                if normal is not None:
                    attributes[key] = normal
    return attributes, faults


def check_secret(declared: AttributeAt, value: Any) -> None:
    """Refuse a secret that is no text; it is never kept, so nothing is returned."""
    if value is not None and not isinstance(value, str):
        raise InvalidValue("value.secret", "{path} must be text in quotes", path=declared.key)


# Names


def by_key(
    resource_type: ResourceType, body: Mapping[str, Any], tolerances: Tolerances
) -> dict[str, Any]:
    """Return a body's attributes by payload key, their values as the client wrote them."""
    found: dict[str, Any] = {}
    for declared, value in _declared(resource_type, body, tolerances):
        if declared.key in found:
            raise given_twice(declared.key)
        found[declared.key] = value
    return found


def _declared(
    resource_type: ResourceType, body: Mapping[str, Any], tolerances: Tolerances
) -> Iterator[tuple[AttributeAt, Any]]:
    find, exact = resource_type.find, resource_type.declared.get
    for name, value in body.items():
        if declared := exact(name) or find(name):
            yield declared, value
        elif extension := resource_type.find_extension(name):
            for inner, item in _object_of(extension, value, tolerances).items():
                key = f"{extension.id}:{inner}"
                if declared := exact(key) or find(key):
                    yield declared, item
                else:
                    ignore(key, tolerances)
        else:
            ignore(name, tolerances)


def _object_of(extension: Schema, value: Any, tolerances: Tolerances) -> dict[str, Any]:
    """Return the attributes of an extension's object; none where it is unassigned."""
    value = one_object(value, tolerances, extension.id)
    if is_unassigned(value, tolerances):
        return {}
    if not isinstance(value, dict):
        raise InvalidValue(
            "value.extension",
            "{urn} must be an object that holds the extension's attributes",
            urn=extension.id,
        )
    return value


# schemas (RFC 7643 §3)


def check_urns(resource_type: ResourceType, urns: list[Any], tolerances: Tolerances) -> None:
    """Refuse values that are not URNs, and by policy URNs of schemas that are not served."""
    for urn in urns:
        if not isinstance(urn, str):
            raise InvalidValue("schemas.no_urn", "schemas must be a list of URNs in quotes")
        known = resource_type.find_schema(urn)
        if not known and not tolerances.allow("unknown_schemas_ignored"):
            raise InvalidValue(
                "schemas.unknown", "schemas: {urn} is not a schema served here", urn=printable(urn)
            )


def _schemas(resource_type: ResourceType, value: Any, tolerances: Tolerances) -> set[str]:
    """Return the folded URNs of `schemas`, which must name the core schema."""
    core = resource_type.schema.id
    if _is_missing(value, tolerances):
        return set()
    if not isinstance(value, list):
        raise InvalidValue(
            "schemas.required", 'schemas is required: a list of URNs, at least "{urn}"', urn=core
        )
    check_urns(resource_type, value, tolerances)
    urns = {urn.lower() for urn in value}
    if core.lower() not in urns and not _are_older(urns, tolerances):
        raise InvalidValue("schemas.core", 'schemas must contain "{urn}"', urn=core)
    return urns


def names_message(value: Any, urn: str, tolerances: Tolerances) -> bool:
    """Return whether `schemas` of a PATCH, Bulk or search message names it, or may leave it out."""
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


def _check_extensions(
    resource_type: ResourceType, keys: Collection[str], urns: set[str], tolerances: Tolerances
) -> None:
    """Refuse attributes of an extension that `schemas` does not name."""
    for urn in {resource_type.declared[key].steps[0] for key in keys if ":" in key}:
        if urn.lower() not in urns and not tolerances.allow("extension_without_schema"):
            raise InvalidValue(
                "schemas.extension",
                'schemas must contain "{urn}", whose attributes are given',
                urn=urn,
            )
