"""/openapi.json (OpenAPI 3.1): static.json, completed with what a ledger and the settings add.

static.json has the operations in three parts: below the SCIM base, below the base of the ledger's
own API, and elsewhere. It leaves out of the first two what every operation there has: the errors
that any request can get, and the scopes that open it. An entry with <Type> or <Endpoint> stands for
one entry per resource type. oauth.json is what the authorization server adds where it is on.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.resources import files
from itertools import groupby
from typing import Any

import orjson
from flask import Blueprint, Response

from scim_api.auth.scopes import RequiredScopes, scopes_for_ledger, scopes_for_scim
from scim_api.openapi.schemas import answered, written
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.settings import BASIC, HEADER, OAUTH, Settings
from scim_api.tenants.catalogue import BUILT_IN, Catalogue
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import current_exchange
from scim_api.web.guard import route
from scim_api.web.messages import plain_json

JsonObject = dict[str, Any]

LEDGER = "/ledger/v1"
VERSION = version("scim-ledger")

_FILES = files("scim_api.openapi")
_STATIC = _FILES.joinpath("static.json").read_bytes()
_OAUTH = _FILES.joinpath("oauth.json").read_bytes()
_SCHEMES = {HEADER: "bearer", BASIC: "basic", OAUTH: "oauth2"}  # by what the setting calls them
_ANY_REQUEST = (400, 401, 403, 414, 429, 431, 500, 503)
_WITH_BODY = (413, 415)


def openapi_blueprint(tenants: Tenants) -> Blueprint:
    """Return the one address; a token is not needed, but one that is wrong is refused."""
    openapi = Blueprint("openapi", __name__)
    route(openapi, "GET", "/openapi.json", _openapi_json, tenants=tenants)
    return openapi


def _openapi_json(tenants: Tenants) -> Response:
    """GET the document of the token's ledger, or what every ledger has."""
    exchange = current_exchange()
    authorized = exchange.environ.get("HTTP_AUTHORIZATION")
    catalogue = exchange.admit(tenants).catalogue if authorized else BUILT_IN
    return plain_json(document(catalogue, exchange.settings, exchange.root_url))


def document(catalogue: Catalogue, settings: Settings, server: str) -> JsonObject:
    """Return the document; `server` is the URL of this server's root, without a slash."""
    types = catalogue.resource_types
    found: JsonObject = orjson.loads(_STATIC)
    found["info"]["version"] = VERSION
    found["servers"] = [{"url": server or "/"}]
    scim, ledger, elsewhere = (_for_each_type(part, types) for part in found["paths"].values())
    schemes = [_SCHEMES[each] for each in settings.authentication]
    _complete(scim, scopes_for_scim, schemes)
    _complete(ledger, scopes_for_ledger, schemes)
    any_token: list[JsonObject] = [{name: []} for name in schemes]
    found["security"] = any_token
    elsewhere["/openapi.json"]["get"]["security"] = [{}, *any_token]
    if settings.config_public:
        scim["/ServiceProviderConfig"]["get"]["security"] = [{}, *any_token]
    for path in ledger if settings.tlog_public else ():
        if path.startswith("/tlog/"):
            ledger[path]["get"]["security"].insert(0, {})
    found["paths"] = _below(settings.base_path, scim) | _below(LEDGER, ledger) | elsewhere
    known = found["components"]["securitySchemes"]
    found["components"]["securitySchemes"] = {
        name: known[name] for name in schemes if name in known
    }
    if OAUTH in settings.authentication:
        _add(found, orjson.loads(_OAUTH.replace(b"<server>", server.encode())))
    schemas = found["components"]["schemas"] = _for_each_type(found["components"]["schemas"], types)
    for resource_type in types:
        schemas[resource_type.name] = answered(resource_type)
        schemas[f"{resource_type.name}Written"] = written(resource_type)
    return found


def _add(document: JsonObject, oauth: JsonObject) -> None:
    """Add the authorization server, whose refusals are not SCIM's."""
    document["tags"].append({"name": "oauth"})
    document["paths"] |= oauth.pop("paths")
    for kind, entries in oauth.items():
        document["components"][kind] |= entries


def _for_each_type(entries: JsonObject, types: Sequence[ResourceType]) -> JsonObject:
    """Replace each run of entries with placeholders by one such run for each resource type."""
    found: JsonObject = {}
    for is_template, group in groupby(entries, lambda name: "<" in name):
        chosen = {name: entries[name] for name in group}
        if not is_template:
            found |= chosen
            continue
        template = orjson.dumps(chosen).decode()
        for resource_type in types:
            text = template.replace("<Endpoint>", resource_type.endpoint)
            found |= orjson.loads(text.replace("<Type>", resource_type.name))
    return found


def _complete(
    paths: JsonObject, scopes_for: Callable[[str, str], RequiredScopes], schemes: Sequence[str]
) -> None:
    """Add to each operation the errors of any request, and the scopes of which one opens it."""
    for path, methods in paths.items():
        for method, operation in methods.items():
            errors = (*_ANY_REQUEST, *(_WITH_BODY if "requestBody" in operation else ()))
            failures = {str(code): {"$ref": f"#/components/responses/{code}"} for code in errors}
            operation["responses"] = dict(sorted((operation["responses"] | failures).items()))
            scopes = scopes_for(method.upper(), path)
            if scopes is not None:
                operation["security"] = [
                    {name: [str(scope)]} for name in schemes for scope in scopes
                ]


def _below(base: str, paths: JsonObject) -> JsonObject:
    return {base + path: methods for path, methods in paths.items()}
