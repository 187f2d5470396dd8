"""Declarations -> JSON Schema: what a client writes of a resource, and what it is answered."""

from collections.abc import Iterable
from typing import Any

from projections.query.model import Type
from scim_api.protocol.discovery import attribute_document
from scim_api.protocol.schema.attributes import Attribute, Mutability, ResourceType, Returned

JsonSchema = dict[str, Any]

_TYPES: dict[Type, JsonSchema] = {
    Type.STRING: {"type": "string"},
    Type.BOOLEAN: {"type": "boolean"},
    Type.DECIMAL: {"type": "number"},
    Type.INTEGER: {"type": "integer"},
    Type.DATE_TIME: {"type": "string", "format": "date-time"},
    Type.REFERENCE: {"type": "string"},
    Type.BINARY: {"type": "string", "contentEncoding": "base64"},
}
_CHARACTERISTICS = ("required", "mutability", "returned", "uniqueness", "caseExact")


def answered(resource_type: ResourceType) -> JsonSchema:
    """Return the schema of a resource in an answer: `attributes` can leave out almost all."""
    return {
        "type": "object",
        "description": resource_type.description,
        "properties": _all_properties(resource_type, writing=False),
        "required": [a.name for a in resource_type.common if a.returned is Returned.ALWAYS],
    }


def written(resource_type: ResourceType) -> JsonSchema:
    """Return the schema of the body of a POST or PUT."""
    urns = [resource_type.schema.id, *(extension.id for extension in resource_type.extensions)]
    schemas = {
        "type": "array",
        "description": "The URNs of the schemas the body uses.",
        "items": {"type": "string", "enum": urns},
        "minItems": 1,
    }
    return {
        "type": "object",
        "description": f"{resource_type.description} What a client may write.",
        "properties": _all_properties(resource_type, writing=True) | {"schemas": schemas},
        "required": _required((*resource_type.common, *resource_type.schema.attributes)),
    }


def _all_properties(resource_type: ResourceType, *, writing: bool) -> JsonSchema:
    """Return the schemas of all attributes, those of an extension under its URN."""
    own = (*resource_type.common, *resource_type.schema.attributes)
    properties = _properties(own, writing=writing)
    for extension in resource_type.extensions:
        properties[extension.id] = {
            "type": "object",
            "description": extension.description,
            "properties": _properties(extension.attributes, writing=writing),
            **({"required": _required(extension.attributes)} if writing else {}),
        }
    return properties


def _properties(attributes: Iterable[Attribute], *, writing: bool) -> JsonSchema:
    return {
        attribute.name: _schema(attribute, writing=writing)
        for attribute in attributes
        if not (attribute.read_only if writing else attribute.returned is Returned.NEVER)
    }


def _required(attributes: Iterable[Attribute]) -> list[str]:
    return [a.name for a in attributes if a.required and not a.read_only]


def _schema(attribute: Attribute, *, writing: bool) -> JsonSchema:
    value = _value(attribute, writing=writing)
    schema: JsonSchema = {"type": "array", "items": value} if attribute.multi_valued else value
    document = attribute_document(attribute)
    schema |= {
        "description": attribute.description,
        "x-scim": {name: document[name] for name in _CHARACTERISTICS if name in document},
    }
    if attribute.read_only:
        schema["readOnly"] = True
    if attribute.mutability is Mutability.WRITE_ONLY:
        schema["writeOnly"] = True
    return schema


def _value(attribute: Attribute, *, writing: bool) -> JsonSchema:
    """Return the schema of one value."""
    if attribute.type is not Type.COMPLEX:
        examples = {"examples": list(attribute.canonical_values)}
        return _TYPES[attribute.type] | (examples if attribute.canonical_values else {})
    subs = attribute.sub_attributes
    value = {"type": "object", "properties": _properties(subs, writing=writing)}
    required = _required(subs) if writing else []
    return value | ({"required": required} if required else {})
