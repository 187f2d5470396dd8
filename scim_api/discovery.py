"""/ServiceProviderConfig, /ResourceTypes, /Schemas: derived from what is declared and runs."""

from collections.abc import Sequence
from typing import Any

from projections.query import Type
from scim_api.attributes import Attribute, ResourceType, Schema

CONFIG_URN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
RESOURCE_TYPE_URN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SCHEMA_URN = "urn:ietf:params:scim:schemas:core:2.0:Schema"

_STRINGS = (Type.STRING, Type.REFERENCE, Type.BINARY)


def service_provider_config(max_results: int, base_url: str) -> dict[str, Any]:
    """Return what this service can do (RFC 7643 §5): nothing that does not run."""
    return {
        "schemas": [CONFIG_URN],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": max_results},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token made with `scim-ledger token create`, in the"
                " Authorization header, with or without the word Bearer before it.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": _meta("ServiceProviderConfig", f"{base_url}/ServiceProviderConfig"),
    }


def resource_type_document(resource_type: ResourceType, base_url: str) -> dict[str, Any]:
    """Return a resource type (RFC 7643 §6)."""
    return {
        "schemas": [RESOURCE_TYPE_URN],
        "id": resource_type.name,
        "name": resource_type.name,
        "description": resource_type.description,
        "endpoint": resource_type.endpoint,
        "schema": resource_type.schema.id,
        "schemaExtensions": [
            {"schema": extension.id, "required": False} for extension in resource_type.extensions
        ],
        "meta": _meta("ResourceType", f"{base_url}/ResourceTypes/{resource_type.name}"),
    }


def schema_document(schema: Schema, base_url: str) -> dict[str, Any]:
    """Return a schema (RFC 7643 §7)."""
    return {
        "schemas": [SCHEMA_URN],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": [attribute_document(attribute) for attribute in schema.attributes],
        "meta": _meta("Schema", f"{base_url}/Schemas/{schema.id}"),
    }


def schemas_of(resource_types: Sequence[ResourceType]) -> list[Schema]:
    """Return every schema in use, each once."""
    found = {
        schema.id: schema
        for resource_type in resource_types
        for schema in (resource_type.schema, *resource_type.extensions)
    }
    return list(found.values())


def attribute_document(attribute: Attribute) -> dict[str, Any]:
    """Return an attribute with the characteristics that its type has (RFC 7643 §2.2, §7)."""
    document: dict[str, Any] = {
        "name": attribute.name,
        "type": attribute.type.value,
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
        "mutability": attribute.mutability.value,
        "returned": attribute.returned.value,
    }
    if attribute.type in _STRINGS:
        document |= {"caseExact": attribute.case_exact, "uniqueness": attribute.uniqueness}
    if attribute.canonical_values:
        document["canonicalValues"] = list(attribute.canonical_values)
    if attribute.reference_types:
        document["referenceTypes"] = list(attribute.reference_types)
    if attribute.sub_attributes:
        document["subAttributes"] = [attribute_document(sub) for sub in attribute.sub_attributes]
    return document


def _meta(resource_type: str, location: str) -> dict[str, str]:
    return {"resourceType": resource_type, "location": location}
