"""The JSON Schemas of what is not a resource: messages, errors, discovery, health."""

from collections.abc import Sequence
from typing import Any

from scim_api.protocol.bulk import MAX_OPERATIONS, METHODS, REQUEST_URN
from scim_api.protocol.discovery import CONFIG_URN, RESOURCE_TYPE_URN, SCHEMA_URN
from scim_api.protocol.documents import LIST_URN
from scim_api.protocol.errors import ERROR_URN, ScimError
from scim_api.protocol.list_query import SEARCH_URN
from scim_api.protocol.patch.message import PATCH_URN
from scim_api.service.bulk import RESPONSE_URN

JsonSchema = dict[str, Any]

TEXT: JsonSchema = {"type": "string"}
NUMBER: JsonSchema = {"type": "integer"}
FLAG: JsonSchema = {"type": "boolean"}


def ref(name: str) -> JsonSchema:
    """Return a reference to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: JsonSchema) -> JsonSchema:
    """Return the schema of a ListResponse (RFC 7644 §3.4.2, RFC 9865 §2)."""
    return _answer(
        LIST_URN,
        {
            "totalResults": {"type": "integer", "minimum": 0},
            "startIndex": {"type": "integer", "minimum": 1},
            "itemsPerPage": {"type": "integer", "minimum": 0},
            "nextCursor": TEXT,
            "Resources": _many(items),
        },
        "totalResults itemsPerPage Resources",
    )


def messages() -> dict[str, JsonSchema]:
    """Return the schemas by name."""
    return {
        "Error": _error(),
        "PatchOp": _patch(),
        "SearchRequest": _search(),
        "BulkRequest": _bulk_request(),
        "BulkResponse": _bulk_response(),
        "ServiceProviderConfig": _config(),
        "ResourceType": _resource_type(),
        "Schema": _schema(),
        "SchemaAttribute": _attribute(),
        "ResourceTypes": listed(ref("ResourceType")),
        "Schemas": listed(ref("Schema")),
        "Health": _closed(
            {"status": TEXT, "problems": _many(TEXT), "warnings": _many(TEXT)},
            "status",
            "Whether all is well; warnings are in the way of no request.",
        ),
    }


def _error() -> JsonSchema:
    types = {one.scim_type for one in ScimError.__subclasses__() if one.scim_type}
    return _answer(
        ERROR_URN,
        {
            "status": {"type": "string", "pattern": "^[45][0-9][0-9]$"},
            "scimType": {"type": "string", "enum": sorted(types)},
            "detail": {"type": "string", "description": "What is wrong and how to mend it."},
        },
        "status detail",
    )


def _patch() -> JsonSchema:
    operation = _open(
        {
            "op": {"type": "string", "enum": ["add", "remove", "replace"]},
            "path": {"type": "string", "description": "An attribute, if need be with a filter."},
            "value": {"description": "Any JSON that fits the attribute."},
        },
        "op",
    )
    return _request(PATCH_URN, {"Operations": _many(operation, minItems=1)}, "Operations")


def _search() -> JsonSchema:
    names = _many(TEXT)
    return _request(
        SEARCH_URN,
        {
            "filter": TEXT,
            "sortBy": TEXT,
            "sortOrder": {"type": "string", "enum": ["ascending", "descending"]},
            "startIndex": NUMBER,
            "count": NUMBER,
            "cursor": TEXT,
            "attributes": names,
            "excludedAttributes": names,
            "asOf": {"type": ["string", "integer"], "description": "As in the address."},
        },
    )


def _bulk_request() -> JsonSchema:
    operation = _open(
        {
            "method": {"type": "string", "enum": list(METHODS)},
            "path": {"type": "string", "description": "/Users, or /Users/ and an id."},
            "bulkId": {"type": "string", "description": "A name for what a POST creates."},
            "version": {"type": "string", "description": "An ETag that has to be current."},
            "data": {"type": "object", "description": "What would be the body of its own."},
        },
        "method path",
    )
    operations = _many(operation, maxItems=MAX_OPERATIONS)
    stop = {"type": "integer", "minimum": 1, "description": "After how many errors to stop."}
    return _request(REQUEST_URN, {"failOnErrors": stop, "Operations": operations}, "Operations")


def _bulk_response() -> JsonSchema:
    result = _closed(
        {
            "method": TEXT,
            "bulkId": TEXT,
            "location": TEXT,
            "version": TEXT,
            "status": {"type": "string", "pattern": "^[245][0-9][0-9]$"},
            "response": ref("Error"),
        },
        "status",
        "The result of one operation; response says why it was refused.",
    )
    return _answer(RESPONSE_URN, {"Operations": _many(result)}, "Operations")


def _config() -> JsonSchema:
    supported = {"supported": FLAG}
    scheme = _open(dict.fromkeys(("type", "name", "description", "specUri"), TEXT), "type name")
    paging = {"cursor": FLAG, "index": FLAG, "defaultPaginationMethod": TEXT}
    sizes = dict.fromkeys(("defaultPageSize", "maxPageSize", "cursorTimeout"), NUMBER)
    bulk = supported | dict.fromkeys(("maxOperations", "maxPayloadSize"), NUMBER)
    plain = ("patch", "changePassword", "sort", "etag")
    return _resource(
        CONFIG_URN,
        {name: _open(supported, "supported") for name in plain}
        | {
            "bulk": _open(bulk, " ".join(bulk)),
            "filter": _open(supported | {"maxResults": NUMBER}, "supported maxResults"),
            "pagination": _open(paging | sizes, "cursor index"),
            "authenticationSchemes": _many(scheme),
        },
        "patch bulk filter changePassword sort etag authenticationSchemes",
    )


def _resource_type() -> JsonSchema:
    extension = _open({"schema": TEXT, "required": FLAG}, "schema required")
    texts = dict.fromkeys(("id", "name", "description", "endpoint", "schema"), TEXT)
    return _resource(
        RESOURCE_TYPE_URN,
        texts | {"schemaExtensions": _many(extension)},
        "name endpoint schema",
    )


def _schema() -> JsonSchema:
    texts = dict.fromkeys(("id", "name", "description"), TEXT)
    attributes = _many(ref("SchemaAttribute"))
    return _resource(SCHEMA_URN, texts | {"attributes": attributes}, "id name attributes")


def _attribute() -> JsonSchema:
    """Return the schema of an attribute's declaration (RFC 7643 §7)."""
    texts = ("name", "type", "description", "mutability", "returned", "uniqueness")
    lists = ("canonicalValues", "referenceTypes")
    return _open(
        dict.fromkeys(texts, TEXT)
        | dict.fromkeys(("multiValued", "required", "caseExact"), FLAG)
        | dict.fromkeys(lists, _many(TEXT))
        | {"subAttributes": _many(ref("SchemaAttribute"))},
        "name type multiValued required mutability returned",
    )


def _many(items: JsonSchema, **bounds: int) -> JsonSchema:
    return {"type": "array", "items": items, **bounds}


def _open(properties: JsonSchema, required: str = "") -> JsonSchema:
    names: Sequence[str] = required.split()
    schema: JsonSchema = {"type": "object", "properties": properties}
    return schema | ({"required": names} if names else {})


def _closed(properties: JsonSchema, required: str, description: str) -> JsonSchema:
    schema = _open(properties, required)
    return schema | {"additionalProperties": False, "description": description}


def _with_schemas(urn: str, properties: JsonSchema) -> JsonSchema:
    return {"schemas": {"type": "array", "items": {"const": urn}, "minItems": 1}} | properties


def _request(urn: str, properties: JsonSchema, required: str = "") -> JsonSchema:
    return _open(_with_schemas(urn, properties), f"schemas {required}")


def _answer(urn: str, properties: JsonSchema, required: str) -> JsonSchema:
    return _request(urn, properties, required) | {"additionalProperties": False}


def _resource(urn: str, properties: JsonSchema, required: str) -> JsonSchema:
    meta = _open(dict.fromkeys(("resourceType", "location"), TEXT), "resourceType location")
    return _request(urn, properties | {"meta": meta}, f"{required} meta")
