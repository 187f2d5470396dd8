"""The OpenAPI 3.1 document of what a ledger serves, built from its declarations."""

from collections.abc import Callable
from typing import Any

from scim_api.auth.scopes import Opening, opening_ledger, opening_scim
from scim_api.openapi import audit, operations
from scim_api.openapi.messages import NUMBER, TEXT, listed, messages, ref
from scim_api.openapi.operations import Operation, failures
from scim_api.openapi.schemas import answered, written
from scim_api.tenants.catalogue import Catalogue

JsonObject = dict[str, Any]

PATH = "/openapi.json"

_OPTIONAL: list[JsonObject] = [{}, {"bearer": []}]  # a token, or none

_QUERY: dict[str, tuple[JsonObject, str]] = {
    "filter": (TEXT, 'Such as userName eq "jane@example.com" (RFC 7644 §3.4.2.2).'),
    "sortBy": (TEXT, "The attribute to sort by."),
    "sortOrder": ({"type": "string", "enum": ["ascending", "descending"]}, "Which way to sort."),
    "startIndex": (NUMBER, "The number of the first resource of the page, counted from 1."),
    "count": (NUMBER, "The most resources on the page."),
    "cursor": (TEXT, "Empty to begin a walk, then nextCursor of the last page (RFC 9865)."),
    "attributes": (TEXT, "The only attributes to show, with commas between them."),
    "excludedAttributes": (TEXT, "The attributes to leave out, with commas between them."),
    "asOf": (
        TEXT,
        "Answer as then: an instant (RFC 3339, with its offset) or a position of the ledger."
        " Needs scope audit.",
    ),
}
_PATH = {
    "id": "The id that this service gave the resource.",
    "name": "The name of a resource type.",
    "urn": "The URN of a schema.",
}
_REQUEST_HEADERS = {
    "If-Match": "Change the resource only if this ETag is its version.",
    "If-None-Match": "Answer 304, or refuse a change, if this ETag is the resource's version.",
}
_ANSWER_HEADERS = {
    "X-Request-Id": "The id under which the request is in the log.",
    "ETag": "The version of the resource.",
    "Location": "The URI of the resource.",
    "Ledger-Position": "With asOf, the position of the ledger that the answer stands for.",
    "Content-Location": "The URI of the resource that is answered.",
    "WWW-Authenticate": "What a token looks like, or the scope that it lacks (RFC 6750 §3).",
    "Retry-After": "After how many seconds to ask again.",
}


def document(
    catalogue: Catalogue,
    *,
    server: str,
    base_path: str,
    version: str,
    config_public: bool = True,
    tlog_public: bool = False,
) -> JsonObject:
    """Return the document; `server` is the URL of this server's root, without a slash.

    `config_public` says that ServiceProviderConfig can be read without a token, `tlog_public` that
    the log of a ledger can.
    """
    scim = _operations(catalogue)
    found = {
        base_path + path: {method: one.document(path) for method, one in methods.items()}
        for path, methods in scim.items()
    }
    if config_public:
        found[f"{base_path}/ServiceProviderConfig"]["get"]["security"] = _OPTIONAL
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "scim-ledger",
            "version": version,
            "description": "SCIM 2.0 (RFC 7643, RFC 7644) over a ledger that proves its history."
            " Bodies are shown in the form of the RFCs; the policy of a ledger forgives more.",
        },
        "servers": [{"url": server or "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": tag} for tag in _tags(scim)],
        "paths": _guarded(found, base_path, opening_scim) | _ledger_paths(tlog_public) | _beside(),
        "components": {
            "schemas": _schemas(catalogue),
            "parameters": _parameters(),
            "headers": _headers(),
            "responses": failures(_statuses(scim)),
            "securitySchemes": {"bearer": _bearer()},
        },
    }


def _ledger_paths(tlog_public: bool) -> JsonObject:
    paths = _guarded(audit.paths(), audit.BASE, opening_ledger)
    for path in paths if tlog_public else ():
        if path.startswith(f"{audit.BASE}/tlog/"):
            paths[path]["get"]["security"] = [{}, *paths[path]["get"]["security"]]
    return paths


def _guarded(paths: JsonObject, base: str, opening: Callable[[str, str], Opening]) -> JsonObject:
    """Say of each operation which scopes open it, and that another token gets 403."""
    for path, methods in paths.items():
        for method, operation in methods.items():
            scopes = opening(method.upper(), path.removeprefix(base))
            answers = operation["responses"] | {"403": operations.failure(403)}
            operation["responses"] = dict(sorted(answers.items()))
            if scopes is not None:
                operation["security"] = [{"bearer": [str(scope)]} for scope in scopes]
    return paths


def _operations(catalogue: Catalogue) -> dict[str, dict[str, Operation]]:
    found: dict[str, dict[str, Operation]] = {}
    for resource_type in catalogue.resource_types:
        found |= operations.of_type(resource_type)
    return (
        found
        | operations.of_all()
        | operations.of_me()
        | operations.of_bulk()
        | operations.of_discovery()
    )


def _tags(scim: dict[str, dict[str, Operation]]) -> list[str]:
    tags = (operation.tag for methods in scim.values() for operation in methods.values())
    return [*dict.fromkeys(tags), "ledger", "proofs", "health", "document"]


def _statuses(scim: dict[str, dict[str, Operation]]) -> list[int]:
    found = {code for methods in scim.values() for one in methods.values() for code in one.errors}
    return sorted({*found, 403, *operations.EVERYWHERE, *operations.WITH_BODY})


def _schemas(catalogue: Catalogue) -> JsonObject:
    schemas: JsonObject = messages() | audit.schemas()
    for resource_type in catalogue.resource_types:
        name = resource_type.name
        schemas[name] = answered(resource_type)
        schemas[f"{name}Written"] = written(resource_type)
        schemas[f"{name}List"] = listed(ref(name))
    names = catalogue.by_name
    schemas["AnyResourceList"] = listed({"anyOf": [ref(name) for name in names]})
    return schemas


def _parameters() -> JsonObject:
    query = {
        name: {"name": name, "in": "query", "schema": schema, "description": description}
        for name, (schema, description) in _QUERY.items()
    }
    path = {
        name: {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "description": description,
        }
        for name, description in _PATH.items()
    }
    headers = {
        name: {"name": name, "in": "header", "schema": TEXT, "description": description}
        for name, description in _REQUEST_HEADERS.items()
    }
    return query | path | headers


def _headers() -> JsonObject:
    return {
        name: {"description": description, "schema": TEXT}
        for name, description in _ANSWER_HEADERS.items()
    }


def _bearer() -> JsonObject:
    return {
        "type": "http",
        "scheme": "bearer",
        "description": "A token made with `scim-ledger token create NAME --scope SCOPE`. Where an"
        " operation names scopes, one of them is enough; where it names none, any token is.",
    }


def _beside() -> JsonObject:
    """Return what is served beside SCIM; none of it needs a token."""
    return {
        "/livez": _plain("livez", "health", "Is the process alive?", {"200": "It is."}),
        "/readyz": _plain(
            "readyz",
            "health",
            "Can every ledger be served?",
            {"200": "It can.", "503": "It cannot: problems says why."},
        ),
        PATH: _own(),
    }


def _plain(id_: str, tag: str, summary: str, answers: dict[str, str]) -> JsonObject:
    content = {"application/json": {"schema": ref("Health")}}
    responses: JsonObject = {
        status: {"description": description, "content": content}
        for status, description in answers.items()
    }
    errors = {str(code): operations.failure(code) for code in (400, 414, 431, 500)}
    return {
        "get": {
            "operationId": id_,
            "summary": summary,
            "tags": [tag],
            "security": [],
            "responses": responses | errors,
        }
    }


def _own() -> JsonObject:
    """Return what serves this document: with a token, that of the token's ledger."""
    content = {"application/json": {"schema": {"type": "object"}}}
    errors = {str(code): operations.failure(code) for code in operations.EVERYWHERE}
    return {
        "get": {
            "operationId": "readOpenAPI",
            "summary": "Read this document; with a token, as its ledger is set up",
            "tags": ["document"],
            "security": _OPTIONAL,
            "responses": {"200": {"description": "OpenAPI 3.1.", "content": content}, **errors},
        }
    }
