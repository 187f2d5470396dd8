"""The routes under the SCIM base."""

from flask import Blueprint, request

from scim_api.auth.scopes import needs_no_token, scopes_for_scim
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES
from scim_api.routes import bulk, discovery, lists, resources
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenants
from scim_api.web import as_of
from scim_api.web.context import current_exchange
from scim_api.web.guard import guard, route

BY_METHOD = {
    "GET": resources.read,
    "PUT": resources.replace_,
    "PATCH": resources.patch,
    "DELETE": resources.delete,
}


def scim_blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return everything that is served under the SCIM base."""
    scim = Blueprint("scim", __name__, url_prefix=settings.base_path)

    def is_public(method: str, path: str) -> bool:
        return settings.config_public and needs_no_token(method, path)

    guard(scim, tenants, settings.base_path, scopes_for_scim, is_public)
    scim.before_request(_enter_the_past)
    for each in RESOURCE_TYPES:
        route(scim, "POST", each.endpoint, resources.create, name=each.name)
        for method, view in BY_METHOD.items():
            route(scim, method, f"{each.endpoint}/<id_>", view, name=each.name)
    for endpoint, name in [("", None), *((each.endpoint, each.name) for each in RESOURCE_TYPES)]:
        route(scim, "GET", endpoint, lists.read, name=name)
        route(scim, "POST", f"{endpoint}/.search", lists.search, name=name)
    me = Blueprint("me", __name__)
    for method, view in BY_METHOD.items():
        route(me, method, "/Me", resources.own, view=view)
    route(me, "POST", "/Me", resources.no_sign_up)
    me.after_request(resources.locate)
    scim.register_blueprint(me)
    route(scim, "POST", "/Bulk", bulk.bulk)
    route(scim, "GET", "/ServiceProviderConfig", discovery.config, tenants=tenants)
    route(scim, "GET", "/ResourceTypes", discovery.resource_types)
    route(scim, "GET", "/ResourceTypes/<name>", discovery.resource_type)
    route(scim, "GET", "/Schemas", discovery.schemas)
    route(scim, "GET", "/Schemas/<urn>", discovery.schema)
    return scim


def _enter_the_past() -> None:
    exchange = current_exchange()
    if exchange.environ.get("QUERY_STRING") and (moment := as_of.asked(request)) is not None:
        as_of.enter(exchange, moment)
