"""The blueprint of everything under the SCIM base."""

from flask import Blueprint, request

from scim_api.auth.scopes import needs_no_token, scopes_for_scim
from scim_api.routes.bulk import add_bulk
from scim_api.routes.discovery import add_discovery
from scim_api.routes.lists import add_lists
from scim_api.routes.me import add_me
from scim_api.routes.resources import VIEWS, add_resources
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenants
from scim_api.web import as_of
from scim_api.web.context import exchange_of
from scim_api.web.guard import guard


def scim_blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return everything that is served under the SCIM base."""
    scim = Blueprint("scim", __name__, url_prefix=settings.base_path)

    def is_public(method: str, path: str) -> bool:
        return settings.config_public and needs_no_token(method, path)

    guard(scim, tenants, settings.base_path, scopes_for_scim, is_public)
    scim.before_request(_enter_the_past)
    add_resources(scim)
    add_lists(scim)
    add_me(scim, VIEWS)
    add_bulk(scim)
    add_discovery(scim, tenants)
    return scim


def _enter_the_past() -> None:
    moment = as_of.asked(request)
    if moment is not None:
        as_of.enter(exchange_of(request), moment)
