"""The routes under /ledger/v1; errors are SCIM's, as everywhere in this service."""

from typing import Any

from flask import Blueprint, Response, request

from scim_api.audit import event_views, proof_views, request_views, resource_views
from scim_api.audit.feeds import Feeds
from scim_api.audit.parameters import BASE
from scim_api.auth.scopes import scopes_for_ledger
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenants
from scim_api.web import as_of
from scim_api.web.context import current_exchange
from scim_api.web.guard import guard, route
from scim_api.web.messages import plain_json


def audit_blueprint(tenants: Tenants, feeds: Feeds) -> Blueprint:
    """Return the ledger's own API, without the log."""
    audit = Blueprint("audit", __name__, url_prefix=BASE)
    guard(audit, tenants, BASE, scopes_for_ledger)
    audit.before_request(_refuse_as_of)
    route(audit, "GET", "", _status)
    route(audit, "GET", "/events", event_views.page, feeds=feeds)
    route(audit, "GET", "/events/<position>", event_views.one)
    route(audit, "GET", "/feed", event_views.feed, tenants=tenants, feeds=feeds)
    route(audit, "GET", "/requests", request_views.page)
    route(audit, "GET", "/requests/<id_>", request_views.one)
    for each in RESOURCE_TYPES:
        one = f"{each.endpoint}/<id_>"
        route(audit, "GET", f"{one}/timeline", resource_views.timeline, type_=each.name)
        route(audit, "GET", f"{one}/blame", resource_views.blame, type_=each.name)
        route(audit, "GET", f"{one}/diff", resource_views.difference, type_=each.name)
    route(audit, "GET", "/diff", resource_views.differences)
    route(audit, "GET", "/tree-head", proof_views.tree_head)
    route(audit, "GET", "/proof/inclusion", proof_views.inclusion)
    route(audit, "GET", "/proof/inclusion.tlog-proof", proof_views.tlog_proof)
    route(audit, "GET", "/proof/consistency", proof_views.consistency)
    return audit


def tlog_blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return the log as any C2SP tlog-tiles client reads it: the token's, and those named.

    The operator may open it without a token: hashes and headers hold no personal data.
    """
    tlog = Blueprint("tlog", __name__, url_prefix=f"{BASE}/tlog")
    guard(tlog, tenants, BASE, scopes_for_ledger, lambda *_: settings.tlog_public)
    tlog.before_request(_refuse_as_of)
    unnamed: dict[str, Any] = {"tenants": tenants, "ledger": None}
    for base, fixed in (("", unnamed), ("/<ledger>", {"tenants": tenants})):
        route(tlog, "GET", f"{base}/checkpoint", proof_views.checkpoint, **fixed)
        route(tlog, "GET", f"{base}/tile/<level>/<path:number>", proof_views.tile, **fixed)
    return tlog


def _refuse_as_of() -> None:
    """Refuse asOf where it would be ignored: the answer would be about another time."""
    if not str(request.url_rule).endswith("/blame") and as_of.asked(request) is not None:
        raise InvalidValue(
            "parameter.no_as_of",
            "asOf is for SCIM reads and for blame. For a timeline use before, for a difference use"
            " from and to, for events filter by at or position.",
        )


def _status() -> Response:
    """GET the ledger's name and how far it goes."""
    ledger = current_exchange().principal.tenant.ledger
    position, at = ledger.end()
    return plain_json({"ledger": ledger.origin, "position": position, "at": at})
