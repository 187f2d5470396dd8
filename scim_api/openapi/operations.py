"""The operations of the OpenAPI document: parameters, bodies, answers and errors of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from scim_api.openapi.messages import ref
from scim_api.protocol.schema.attributes import ResourceType

JsonObject = dict[str, Any]

MEDIA_TYPES = ("application/scim+json", "application/json")
EVERYWHERE = (400, 401, 414, 429, 431, 500, 503)  # the answers that any request can get
WITH_BODY = (413, 415)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    id: str
    summary: str
    tag: str
    answers: JsonObject  # by status
    errors: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    body: str | None = None  # the name of a schema

    def document(self, path: str) -> JsonObject:
        """Return the operation as OpenAPI has it."""
        names = ("id",) * ("{id}" in path) + self.parameters
        errors = {*EVERYWHERE, *self.errors, *(WITH_BODY if self.body else ())}
        document: JsonObject = {
            "operationId": self.id,
            "summary": self.summary,
            "tags": [self.tag],
            "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in names],
            "responses": self.answers | {str(code): failure(code) for code in sorted(errors)},
        }
        if self.body:
            document["requestBody"] = _body(self.body)
        return document


def _body(schema: str) -> JsonObject:
    """Return a request's body, of one media type: some generators of clients take no second."""
    written, other = MEDIA_TYPES
    return {
        "required": True,
        "description": f"{other} is taken as well.",
        "content": {written: {"schema": ref(schema)}},
    }


def success(description: str, schema: str, *headers: str) -> JsonObject:
    """Return an answer with a body."""
    return {
        "description": description,
        "headers": _headers("X-Request-Id", *headers),
        "content": {media_type: {"schema": ref(schema)} for media_type in MEDIA_TYPES},
    }


def empty(description: str, *headers: str) -> JsonObject:
    """Return an answer without a body."""
    return {"description": description, "headers": _headers("X-Request-Id", *headers)}


def failure(status: int) -> JsonObject:
    """Return a reference to the SCIM error answered with a status."""
    return {"$ref": f"#/components/responses/{status}"}


def failures(statuses: Iterable[int]) -> JsonObject:
    """Return the SCIM errors, by status."""
    challenged = ("WWW-Authenticate",)
    extra = {
        401: challenged,
        403: challenged,
        405: ("Allow",),
        429: ("Retry-After",),
        503: ("Retry-After",),
    }
    return {
        str(status): success(HTTPStatus(status).phrase, "Error", *extra.get(status, ()))
        for status in statuses
    }


def _headers(*names: str) -> JsonObject:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


_SHOWN = ("attributes", "excludedAttributes")
_IF = ("If-Match", "If-None-Match")
_PAST = ("asOf",)  # and what says for which position an answer stands
_WHICH = ("ETag", "Content-Location")
_STANDS_FOR = "Ledger-Position"
LISTED = ("filter", "sortBy", "sortOrder", "startIndex", "count", "cursor", *_SHOWN, *_PAST)


def of_type(resource_type: ResourceType) -> dict[str, dict[str, Operation]]:
    """Return the operations on one resource type, by path and method."""
    name, endpoint = resource_type.name, resource_type.endpoint
    made = success("Created.", name, *_WHICH, "Location")
    return {
        endpoint: {
            "get": _list(endpoint, name),
            "post": Operation(
                f"create{name}",
                f"Create a {name}",
                endpoint,
                {"201": made},
                (409,),
                _SHOWN,
                f"{name}Written",
            ),
        },
        f"{endpoint}/.search": {"post": _search(endpoint, name)},
        f"{endpoint}/{{id}}": _on_one(name, endpoint, name),
    }


def of_all() -> dict[str, dict[str, Operation]]:
    """Return the operations on all resource types, by path and method."""
    return {
        "": {"get": _list("/", "AnyResource")},
        "/.search": {"post": _search("/", "AnyResource")},
    }


def of_me() -> dict[str, dict[str, Operation]]:
    """Return the operations on the user whose own the token is (RFC 7644 §3.11)."""
    none = Operation("createMe", "Refused: nobody signs up here", "/Me", {}, (501,))
    return {"/Me": {**_on_one("User", "/Me", "Me", 501), "post": none}}


def _list(tag: str, name: str) -> Operation:
    found = success("A page.", f"{name}List", _STANDS_FOR)
    return Operation(f"list{name}", "List, by filter if need be", tag, {"200": found}, (), LISTED)


def _search(tag: str, name: str) -> Operation:
    found = success("A page.", f"{name}List", _STANDS_FOR)
    return Operation(
        f"search{name}",
        "List, asked for in a body",
        tag,
        {"200": found},
        parameters=_PAST,
        body="SearchRequest",
    )


def _on_one(name: str, tag: str, id_: str, *errors: int) -> dict[str, Operation]:
    """Return the operations on one resource of a type."""
    location = ("Location",) * (tag == "/Me")
    now = success("As it is now.", name, *_WHICH, *location)
    known = success("As it is, or was.", name, *_WHICH, _STANDS_FOR, *location)
    same = empty("The client has it already.", *_WHICH, _STANDS_FOR, *location)
    short = empty("Changed; a large group is not answered whole.", "ETag", *location)
    gone = empty("Deleted.", *location)
    clash = (404, 409, 412, *errors)
    return {
        "get": Operation(
            f"read{id_}",
            "Read",
            tag,
            {"200": known, "304": same},
            (404, 412, *errors),
            (*_SHOWN, *_IF, *_PAST),
        ),
        "put": Operation(
            f"replace{id_}",
            "Replace",
            tag,
            {"200": now},
            clash,
            (*_SHOWN, *_IF),
            f"{name}Written",
        ),
        "patch": Operation(
            f"patch{id_}",
            "Change, whole or not at all",
            tag,
            {"200": now, "204": short},
            clash,
            (*_SHOWN, *_IF),
            "PatchOp",
        ),
        "delete": Operation(f"delete{id_}", "Delete", tag, {"204": gone}, (404, 412, *errors), _IF),
    }


def of_bulk() -> dict[str, dict[str, Operation]]:
    """Return the bulk operation (RFC 7644 §3.7)."""
    done = success("The result of each operation carried out.", "BulkResponse")
    return {
        "/Bulk": {
            "post": Operation(
                "bulk", "Carry out many operations", "/Bulk", {"200": done}, body="BulkRequest"
            )
        }
    }


def of_discovery() -> dict[str, dict[str, Operation]]:
    """Return what tells a client about the service (RFC 7644 §4)."""
    return {
        "/ServiceProviderConfig": _told("ServiceProviderConfig"),
        "/ResourceTypes": _told("ResourceTypes"),
        "/ResourceTypes/{name}": _told("ResourceType", 404, parameters=("name",)),
        "/Schemas": _told("Schemas"),
        "/Schemas/{urn}": _told("Schema", 404, parameters=("urn",)),
    }


def _told(name: str, *errors: int, parameters: tuple[str, ...] = ()) -> dict[str, Operation]:
    answer = success("What is served.", name, _STANDS_FOR)
    return {
        "get": Operation(
            f"read{name}",
            f"Read {name}",
            "discovery",
            {"200": answer},
            (403, *errors),
            (*parameters, *_PAST),
        )
    }
