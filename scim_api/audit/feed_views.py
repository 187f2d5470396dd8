"""GET /ledger/v1/feed: events as they happen, as Server-Sent Events."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, request

from ledger import clock
from scim_api.audit.event_views import read_filter
from scim_api.audit.events import Events, Question
from scim_api.audit.feeds import CHUNK, Feeds, Stream, starting_point
from scim_api.audit.parameters import position
from scim_api.auth.authenticate import authenticate
from scim_api.protocol.errors import InvalidValue
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import Exchange, exchange_of

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class FeedViews:
    """The feed of a ledger."""

    tenants: Tenants
    feeds: Feeds

    def stream(self) -> Response:
        """GET events without end."""
        exchange = exchange_of(request)
        events = Events(exchange.principal.tenant)
        asked = Question(filter=read_filter(request.args, events), newest_first=False, count=CHUNK)
        position = starting_point(_after(exchange), events.end())
        place = self.feeds.enter()
        events.tenant.ledger.leave()  # nothing is held while waiting
        stream = Stream(
            self.feeds.lookout,
            events,
            asked,
            position,
            self._welcome(exchange),
            exchange.environ.get("gunicorn.socket"),
        )
        response = Response(iter(stream), content_type=EVENT_STREAM)
        response.headers["X-Accel-Buffering"] = "no"  # or nginx keeps events back
        response.call_on_close(place.leave)
        return response

    def _welcome(self, exchange: Exchange) -> Callable[[], object]:
        header, tenants = exchange.environ.get("HTTP_AUTHORIZATION"), self.tenants
        return lambda: authenticate(header, tenants, clock.timestamp())


def _after(exchange: Exchange) -> int | None:
    """Read where the client stands: where it was cut off goes before where it began."""
    given = exchange.environ.get("HTTP_LAST_EVENT_ID", "").strip()
    if not given:
        return position(request.args, "after")
    if not (given.isascii() and given.isdigit() and len(given) <= 16):
        raise InvalidValue(
            "parameter.last_event_id", "Last-Event-ID must be the position of an event, such as 42."
        )
    return int(given)
