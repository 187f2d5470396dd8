"""Everything under /ledger/v1; errors are SCIM's, as everywhere in this service."""

from flask import Blueprint, Response, request

from scim_api.audit.answers import answered
from scim_api.audit.event_views import EventViews
from scim_api.audit.feed_views import FeedViews
from scim_api.audit.feeds import Feeds
from scim_api.audit.paths import BASE as BASE
from scim_api.audit.proof_views import add_proofs
from scim_api.audit.request_views import RequestViews
from scim_api.audit.resource_views import add_resources
from scim_api.auth.scopes import opening_ledger
from scim_api.protocol.errors import InvalidValue
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenants
from scim_api.web import as_of
from scim_api.web.context import exchange_of
from scim_api.web.guard import guard


def blueprint(settings: Settings, tenants: Tenants, feeds: Feeds) -> Blueprint:
    """Return the ledger's own API."""
    audit = Blueprint("audit", __name__, url_prefix=BASE)
    guard(audit, tenants, BASE, opening_ledger)
    audit.before_request(refuse_as_of)
    events, feed = EventViews(settings, feeds), FeedViews(tenants, feeds)
    requests = RequestViews(settings)
    for rule, name, view in (
        ("", "status", _status),
        ("/events", "events", events.page),
        ("/events/<position>", "event", events.one),
        ("/feed", "feed", feed.stream),
        ("/requests", "requests", requests.page),
        ("/requests/<id_>", "request", requests.one),
    ):
        audit.add_url_rule(rule, name, view, provide_automatic_options=False)
    add_resources(audit, settings)
    add_proofs(audit)
    return audit


def refuse_as_of() -> None:
    """Refuse an asOf where it would be passed over: the answer would be about another time."""
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
    return answered({"ledger": ledger.origin, "position": position, "at": at})
