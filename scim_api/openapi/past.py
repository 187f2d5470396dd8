"""What became of resources in the OpenAPI document: timelines, blame, differences."""

from typing import Any

from projections.audit.diff import KINDS
from projections.audit.reasons import MOST_READ
from scim_api.openapi.messages import NUMBER, TEXT, JsonSchema, ref
from scim_api.openapi.operations import EVERYWHERE, failure
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES

JsonObject = dict[str, Any]

_OBJECT: JsonSchema = {"type": "object"}
_MAYBE_TEXT: JsonSchema = {"type": ["string", "null"]}
_MAYBE_FLAG: JsonSchema = {"type": ["boolean", "null"]}
_WHOLE: JsonSchema = {"type": "integer", "minimum": 0}
_MOMENT = "A position, or an instant such as 2026-10-01T00:00:00Z."
_COMPLETE = f"false where only the newest {MOST_READ} events in between were read for causes."
_EVENT = (
    "The event that made the difference: with which it joined, left or came back; for changed"
    " values, the last that set a differing one. null if it was not read."
)
_NEXT = _MAYBE_TEXT | {"description": "The address of the next page, null on the last."}


def paths(base: str) -> JsonObject:
    """Return the operations by path and method."""
    found: JsonObject = {f"{base}/diff": {"get": _differences()}}
    for resource_type in RESOURCE_TYPES:
        one, name = f"{base}{resource_type.endpoint}/{{id}}", resource_type.name
        found |= {
            f"{one}/timeline": {"get": _timeline(name)},
            f"{one}/blame": {"get": _blame(name)},
            f"{one}/diff": {"get": _difference(name)},
        }
    return found


def schemas() -> dict[str, JsonSchema]:
    """Return the schemas by name."""
    return {
        "Cause": _cause(),
        "Change": _closed({"before": {}, "after": {}}),
        "CausedChange": _caused_change(),
        "Moment": _closed({"position": NUMBER, "at": TEXT}),
        "Turnover": _closed({"joined": _some_values(), "left": _some_values()}),
        "TimelineEntry": _entry(),
        "Timeline": _about_one({"entries": _many(ref("TimelineEntry")), "next": _NEXT}),
        "Blame": _about_one({"asOf": ref("Moment"), "values": _many(_blamed()), "next": _NEXT}),
        "ResourceDifference": _difference_of({**_span(), **_sides()}),
        "DifferenceRow": _difference_of({}),
        "Differences": _closed(_span() | {"rows": _many(ref("DifferenceRow")), "next": _NEXT}),
    }


# Operations


def _timeline(name: str) -> JsonObject:
    order = {"type": "string", "enum": ["ascending", "descending"]}
    return _read(
        f"timelineOf{name}",
        f"What happened to a {name}, event by event",
        "Timeline",
        _id(),
        _count(),
        _query("after", _WHOLE, "Events behind this position only."),
        _query("before", _WHOLE, "Events before this position only."),
        _query("sortOrder", order, "Oldest first by default."),
    )


def _blame(name: str) -> JsonObject:
    operation = _read(
        f"blameOf{name}",
        f"What set each value that a {name} has, or had",
        "Blame",
        _id(),
        _query("asOf", TEXT, _MOMENT),
        _count(),
        _query("after", TEXT, "Where the page begins: what next of the page before says."),
    )
    stands_for = {"description": "The position that the answer stands for.", "schema": NUMBER}
    operation["responses"]["200"]["headers"] = {"Ledger-Position": stands_for}
    return operation


def _difference(name: str) -> JsonObject:
    return _read(
        f"differenceOf{name}",
        f"What differs of a {name} between two moments",
        "ResourceDifference",
        _id(),
        *_between(),
    )


def _differences() -> JsonObject:
    names = [resource_type.name for resource_type in RESOURCE_TYPES]
    operation = _read(
        "differences",
        "Which resources differ between two moments",
        "Differences",
        *_between(),
        _query("kind", {"type": "string", "enum": list(KINDS)}, "Only what became of these."),
        _query("resourceType", {"type": "string", "enum": names}, "Only resources of this type."),
        _count(),
        _query("after", _WHOLE, "Where the page begins: what next of the page before says."),
    )
    del operation["responses"]["404"]
    return operation


def _read(id_: str, summary: str, schema: str, *parameters: JsonObject) -> JsonObject:
    content = {"application/json": {"schema": ref(schema)}}
    errors = {str(code): failure(code) for code in sorted({*EVERYWHERE, 404})}
    return {
        "operationId": id_,
        "summary": summary,
        "tags": ["ledger"],
        "parameters": list(parameters),
        "responses": {"200": {"description": "As asked.", "content": content}, **errors},
    }


def _id() -> JsonObject:
    return {"$ref": "#/components/parameters/id"}


def _count() -> JsonObject:
    return _query("count", {"type": "integer", "minimum": 1}, "The most rows, 100 by default.")


def _between() -> tuple[JsonObject, JsonObject]:
    start = _query("from", TEXT, f"The moment before. {_MOMENT}") | {"required": True}
    return start, _query("to", TEXT, "The moment after, by default the ledger's end.")


def _query(name: str, schema: JsonSchema, description: str) -> JsonObject:
    return {"name": name, "in": "query", "schema": schema, "description": description}


# Schemas


def _cause_properties() -> JsonObject:
    known = ("at", "type", "actor", "via", "txn")
    erasable = (
        *("credential", "operator", "client", "user_agent"),
        *("address", "request_id", "method", "path"),
    )
    texts = dict.fromkeys(known, TEXT) | dict.fromkeys(erasable, _MAYBE_TEXT)
    return {"position": NUMBER, **texts}


def _cause() -> JsonSchema:
    described = "What caused an event: null stands for what is not known, or was erased."
    return _closed(_cause_properties()) | {"description": described}


def _entry() -> JsonSchema:
    return _closed(_cause_properties() | {"stream": TEXT, "version": NUMBER, "changes": _changes()})


def _blamed() -> JsonSchema:
    return _closed({"attribute": TEXT, "value": {}, "cause": ref("Cause")})


def _difference_of(more: JsonObject) -> JsonSchema:
    properties = {
        "kind": {"enum": [*KINDS, None]},
        "how": TEXT,
        "resourceType": TEXT,
        "id": TEXT,
        "name": _MAYBE_TEXT,
        "active": _closed({"before": _MAYBE_FLAG, "after": _MAYBE_FLAG}),
        "changes": _changes("CausedChange"),
        "members": ref("Turnover"),
        "groups": ref("Turnover"),
        "events": NUMBER,
        "by": _many(_hand()) | {"description": "Who had a hand in it, in the order of events."},
        "complete": {"type": "boolean", "description": _COMPLETE},
        "event": {"anyOf": [ref("Cause"), {"type": "null"}], "description": _EVENT},
        "last": {"anyOf": [ref("Cause"), {"type": "null"}], "description": "The last change."},
        **more,
    }
    required = [name for name in properties if name not in ("members", "groups")]
    return _closed(properties) | {"required": required}


def _span() -> JsonObject:
    return {"from": ref("Moment"), "to": ref("Moment")}


def _sides() -> JsonObject:
    document = {"type": ["object", "null"], "description": "null where it was not there."}
    return {"before": document, "after": document}


def _hand() -> JsonSchema:
    return _closed({"who": TEXT, "client": _MAYBE_TEXT})


def _caused_change() -> JsonSchema:
    cause = {"anyOf": [ref("Cause"), {"type": "null"}]}
    described = "cause is that of the last event in between that set it, null if that was not read."
    return _closed({"before": {}, "after": {}, "cause": cause}) | {"description": described}


def _changes(change: str = "Change") -> JsonSchema:
    return {
        "type": "object",
        "description": "By attribute; a member or group as members:<id>, groups:<id>, with the"
        " display name that it had then.",
        "additionalProperties": ref(change),
    }


def _some_values() -> JsonSchema:
    return _closed({"count": _WHOLE, "values": _many(_OBJECT)})


def _about_one(properties: JsonObject) -> JsonSchema:
    return _closed({"resourceType": TEXT, "id": TEXT, **properties})


def _many(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def _closed(properties: JsonObject) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
