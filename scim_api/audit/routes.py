"""Everything under /ledger/v1; errors are SCIM's, as everywhere in this service."""

from flask import Blueprint, Response, request

from scim_api.audit.event_views import EventViews
from scim_api.audit.feeds import Feeds
from scim_api.audit.paths import BASE
from scim_api.audit.proof_views import add_proofs
from scim_api.audit.request_views import add_requests
from scim_api.audit.resource_views import add_resources
from scim_api.auth.scopes import scopes_for_ledger
from scim_api.protocol.errors import InvalidValue
from scim_api.tenants.tenants import Tenants
from scim_api.web import as_of
from scim_api.web.context import exchange_of
from scim_api.web.guard import guard, route
from scim_api.web.messages import plain_json


def blueprint(tenants: Tenants, feeds: Feeds) -> Blueprint:
    """Return the ledger's own API."""
    audit = Blueprint("audit", __name__, url_prefix=BASE)
    guard(audit, tenants, BASE, scopes_for_ledger)
    audit.before_request(refuse_as_of)
    events = EventViews(tenants, feeds)
    route(audit, "GET", "", _status)
    route(audit, "GET", "/events", events.page)
    route(audit, "GET", "/events/<position>", events.one)
    route(audit, "GET", "/feed", events.feed)
    add_requests(audit)
    add_resources(audit)
    add_proofs(audit)
    return audit


def refuse_as_of() -> None:
    """Refuse asOf where it would be ignored: the answer would be about another time."""
    if not str(request.url_rule).endswith("/blame") and as_of.asked(request) is not None:
        raise InvalidValue(
            "parameter.no_as_of",
            "asOf is for SCIM reads and for blame. For a timeline use before, for a difference use"
            " from and to, for events filter by at or position.",
        )


def _status() -> Response:
    """GET the ledger's name and how far it goes."""
    ledger = exchange_of(request).principal.tenant.ledger
    position, at = ledger.end()
    return plain_json({"ledger": ledger.origin, "position": position, "at": at})
