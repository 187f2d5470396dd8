"""The ledger's own API in the OpenAPI document: its paths and the schemas of its answers."""

from typing import Any

from scim_api.audit.event_documents import FIELDS
from scim_api.openapi import past, proofs, requests
from scim_api.openapi.messages import NUMBER, TEXT, JsonSchema, ref
from scim_api.openapi.operations import EVERYWHERE, failure

JsonObject = dict[str, Any]

BASE = "/ledger/v1"
_TAG = "ledger"


_NUMBERS = ("position", "revision", "version", "attributes", "v")  # of a header's fields
_ONE_EVENT = f"{BASE}/events/{{position}}"
_FILTER = (
    "Over position, at, type, stream, resourceType, userName, actor, via, txn, client, requestId,"
    ' operator; such as type eq "Deactivated" and at ge "2026-10-01" (RFC 7644 §3.4.2.2).'
)
_AFTER = "Events behind this position, which is not one of them."


def paths() -> JsonObject:
    """Return the operations by path and method."""
    return {
        BASE: {"get": _read("readLedger", "How far the ledger goes", "Ledger")},
        f"{BASE}/events": {"get": _events()},
        _ONE_EVENT: {"get": _event()},
        f"{BASE}/feed": {"get": _feed()},
        **requests.paths(BASE, _TAG),
        **past.paths(BASE),
        **proofs.paths(BASE),
    }


def schemas() -> dict[str, JsonSchema]:
    """Return the schemas by name."""
    return {
        "Ledger": {
            "type": "object",
            "properties": {"ledger": TEXT, "position": NUMBER, "at": TEXT},
            "required": ["ledger", "position", "at"],
        },
        "Event": _event_schema(),
        "EventPage": _closed(
            {
                "ledger": TEXT,
                "position": NUMBER,
                "events": {"type": "array", "items": ref("Event")},
                "next": {"type": ["string", "null"], "format": "uri"},
                "previous": {"type": ["string", "null"], "format": "uri"},
            },
            "ledger position events next previous",
        ),
        **requests.schemas(),
        **past.schemas(),
        **proofs.schemas(),
    }


def _event_schema() -> JsonSchema:
    hash_: JsonSchema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    return _closed(
        {
            **{name: NUMBER if name in _NUMBERS else TEXT for name in FIELDS},
            "commitment": hash_,
            "header": TEXT | {"description": "The exact text that was hashed: JSON."},
            "leaf_hash": hash_,
            "salt": hash_ | {"description": "With the payload it proves the commitment."},
            "payload": {"type": ["object", "null"], "description": "null once it is erased."},
            "request": {"type": ["object", "null"], "description": "What caused it."},
            "credential": {"type": ["string", "null"]},
            "withheld": {"type": "array", "items": TEXT},
        },
        f"{' '.join(FIELDS)} header leaf_hash payload request credential",
    )


def _events() -> JsonObject:
    operation = _read("listEvents", "Events, by filter if need be, or those that come", "EventPage")
    link = {"description": "The next page and the previous one (RFC 8288).", "schema": TEXT}
    operation["responses"]["200"]["headers"] = {"Link": link}
    whole = {"type": "integer", "minimum": 0}
    return operation | {
        "parameters": [
            _query("filter", TEXT, _FILTER),
            _query(
                "sortOrder",
                {"type": "string", "enum": ["ascending", "descending"]},
                "Oldest or newest first; newest unless wait is given.",
            ),
            _query("count", {"type": "integer", "minimum": 1}, "The most events, 100 by default."),
            _query("after", whole, _AFTER),
            _query("before", whole, "Events before this position, which is not one of them."),
            _query(
                "wait",
                whole | {"maximum": 60},
                "How many seconds to wait for an event behind after; by default now.",
            ),
        ]
    }


def _event() -> JsonObject:
    operation = _read("readEvent", "One event", "Event")
    operation["responses"]["404"] = failure(404)
    return operation | {
        "parameters": [
            {
                "name": "position",
                "in": "path",
                "required": True,
                "schema": {"type": "integer", "minimum": 1},
                "description": "Its place in the ledger, counted from 1.",
            }
        ]
    }


def _feed() -> JsonObject:
    operation = _read("followEvents", "Events as they happen, as Server-Sent Events", "Event")
    operation["responses"]["200"] = {
        "description": "A stream: id is the position, event the type, data an Event on one line.",
        "content": {"text/event-stream": {"schema": TEXT}},
    }
    whole = {"type": "integer", "minimum": 0}
    cut_off = _query("Last-Event-ID", whole, "Where the client was cut off; goes before after.")
    return operation | {
        "parameters": [
            _query("filter", TEXT, _FILTER),
            _query("after", whole, f"{_AFTER} By default now."),
            cut_off | {"in": "header"},
        ]
    }


def _query(name: str, schema: JsonSchema, description: str) -> JsonObject:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _closed(properties: JsonSchema, required: str) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _read(id_: str, summary: str, schema: str) -> JsonObject:
    content = {"application/json": {"schema": ref(schema)}}
    errors = {str(code): failure(code) for code in (*EVERYWHERE, 403)}
    return {
        "operationId": id_,
        "summary": summary,
        "tags": [_TAG],
        "responses": {"200": {"description": "As asked.", "content": content}, **errors},
    }
