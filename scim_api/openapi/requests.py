"""The request log in the OpenAPI document: its paths and the schemas of its answers."""

from dataclasses import fields
from typing import Any

from projections.query.model import Type
from scim_api.openapi.messages import NUMBER, TEXT, JsonSchema, ref
from scim_api.openapi.operations import EVERYWHERE, failure
from scim_api.request_log.explanation_cases import Explanation
from scim_api.request_log.queries import MOST, REQUEST

JsonObject = dict[str, Any]


def paths(base: str, tag: str) -> JsonObject:
    """Return the operations by path and method."""
    requests = _read(tag, "listRequests", "Requests refused or without effect", "RequestPage")
    one = _read(tag, "readRequest", "One request, and what it means", "RequestExplained")
    one["responses"]["404"] = failure(404)
    id_ = {"name": "id", "in": "path", "required": True, "schema": TEXT}
    id_["description"] = "The request's id, or how it begins."
    return {
        f"{base}/requests": {"get": requests | {"parameters": _paging()}},
        f"{base}/requests/{{id}}": {"get": one | {"parameters": [id_]}},
    }


def schemas() -> dict[str, JsonSchema]:
    """Return the schemas by name."""
    record, link = _record(), {"type": ["string", "null"], "format": "uri"}
    needed = f"{' '.join(record['required'])} explanation"
    explained = _object({**record["properties"], "explanation": _explanation()}, needed)
    return {
        "Request": record,
        "RequestPage": _object(
            {"requests": _many(ref("Request")), "next": link, "previous": link},
            "requests next previous",
        ),
        "RequestExplained": _object(
            {"requestId": TEXT, "requests": _many(explained)}, "requestId requests"
        ),
    }


def _record() -> JsonSchema:
    """Describe a record; a bulk request has one for each operation."""
    declared = {
        name: {
            "type": "integer" if item.attribute.type is Type.INTEGER else "string",
            "description": item.attribute.description,
        }
        for name, item in REQUEST.declared.items()
    }
    others = {
        "number": NUMBER,
        "detail": {"type": "string", "description": "With … for what clients wrote."},
        "credential": {"type": "string", "description": "The name of the credential that asked."},
        "bulk": {
            "type": "boolean",
            "description": "True for an operation of a bulk request; else it is left out.",
        },
        "milliseconds": {"type": "number", "description": "Those of the whole request."},
        "attributes": _many(TEXT),
    }
    needed = "number at requestId client userAgent method path status milliseconds"
    return _object(declared | others, needed)


def _explanation() -> JsonSchema:
    names = [each.name for each in fields(Explanation)]
    return _object(dict.fromkeys(names, TEXT), " ".join(names))


def _object(properties: JsonObject, required: str) -> JsonSchema:
    return {"type": "object", "properties": properties, "required": required.split()}


def _many(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def _paging() -> list[JsonObject]:
    whole = {"type": "integer", "minimum": 1}
    return [
        _query("filter", TEXT, f"Over {', '.join(REQUEST.declared)} (RFC 7644 §3.4.2.2)."),
        _query("count", whole, f"At most so many, 100 by default, {MOST} at the most."),
        _query("after", NUMBER, "Only records newer than that of this number."),
        _query("before", NUMBER, "Only records older than that of this number."),
    ]


def _query(name: str, schema: JsonSchema, description: str) -> JsonObject:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _read(tag: str, id_: str, summary: str, schema: str) -> JsonObject:
    content = {"application/json": {"schema": ref(schema)}}
    errors = {str(code): failure(code) for code in EVERYWHERE}
    return {
        "operationId": id_,
        "summary": summary,
        "tags": [tag],
        "responses": {"200": {"description": "As asked.", "content": content}, **errors},
    }
