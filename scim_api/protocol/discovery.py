"""/ServiceProviderConfig, /ResourceTypes, /Schemas: derived from what is declared and runs."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import orjson

from projections.query.model import Type
from scim_api.protocol.bulk import MAX_OPERATIONS
from scim_api.protocol.cursors import TIMEOUT
from scim_api.protocol.list_query import DEFAULT_COUNT
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, ResourceType, Schema
from scim_api.protocol.schema.resource_types import BUILT_IN_URNS
from scim_api.settings import BASIC, HEADER, OAUTH

RESOURCE_TYPE_URN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SCHEMA_URN = "urn:ietf:params:scim:schemas:core:2.0:Schema"

_CONFIG = resources.files(__package__).joinpath("service_provider.json").read_bytes()
# by what the setting calls them
_SCHEMES = {HEADER: "oauthbearertoken", BASIC: "httpbasic", OAUTH: "oauth2"}
_STRINGS = (Type.STRING, Type.REFERENCE, Type.BINARY)


def service_provider_config(
    tolerances: Tolerances,
    base_url: str,
    *,
    max_results: int,
    max_payload: int,
    schemes: Sequence[str],
) -> dict[str, Any]:
    """Return the ServiceProviderConfig (RFC 7643 §5): only what this service can do.

    `schemes` are the ways to authenticate that are on, the preferred one first.

    Where nothing is forgiven, it conforms to draft-ietf-scim-interop-profile, and says so.
    """
    document: dict[str, Any] = orjson.loads(_CONFIG)
    document["bulk"] |= {"maxOperations": MAX_OPERATIONS, "maxPayloadSize": max_payload}
    document["filter"]["maxResults"] = max_results
    size = min(DEFAULT_COUNT, max_results)
    document["pagination"] |= {"defaultPageSize": size, "maxPageSize": max_results}
    document["pagination"]["cursorTimeout"] = TIMEOUT
    document["authenticationSchemes"] = _schemes(document["authenticationSchemes"], schemes)
    if tolerances.allow("pagination_left_out"):
        del document["pagination"]
    document["meta"] = _meta("ServiceProviderConfig", f"{base_url}/ServiceProviderConfig")
    if not tolerances.policy:
        document["etag"] = {"supported": False}
        document["interopProfileConformant"] = True
    return document


def _schemes(known: list[dict[str, Any]], on: Sequence[str]) -> list[dict[str, Any]]:
    """Return those of the known schemes that are on, the first as the primary one."""
    types = [_SCHEMES[each] for each in on]
    return [each | {"primary": each["type"] == types[0]} for each in known if each["type"] in types]


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
            {"schema": each.id, "required": any(own.required for own in each.attributes)}
            for each in resource_type.extensions
        ],
        "meta": _meta("ResourceType", f"{base_url}/ResourceTypes/{resource_type.name}"),
    }


def schema_document(schema: Schema, base_url: str) -> dict[str, Any]:
    """Return a schema as it is served (RFC 7643 §7)."""
    return declaration(schema) | {"meta": _meta("Schema", f"{base_url}/Schemas/{schema.id}")}


def declaration(schema: Schema) -> dict[str, Any]:
    """Return a schema's document without its address."""
    return {
        "schemas": [SCHEMA_URN],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": [attribute_document(attribute) for attribute in schema.attributes],
    }


def schemas_of(resource_types: Sequence[ResourceType]) -> list[Schema]:
    """Return every schema in use, each once; those that an operator added come last."""
    found = {
        schema.id: schema
        for resource_type in resource_types
        for schema in (resource_type.schema, *resource_type.extensions)
    }
    return sorted(found.values(), key=lambda schema: schema.id not in BUILT_IN_URNS)


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
    elif attribute.uniqueness != "none":
        document["uniqueness"] = attribute.uniqueness
    if attribute.canonical_values:
        document["canonicalValues"] = list(attribute.canonical_values)
    if attribute.reference_types:
        document["referenceTypes"] = list(attribute.reference_types)
    if attribute.sub_attributes:
        document["subAttributes"] = [attribute_document(sub) for sub in attribute.sub_attributes]
    return document


def _meta(resource_type: str, location: str) -> dict[str, str]:
    return {"resourceType": resource_type, "location": location}
