"""GET /ledger/v1/events, /ledger/v1/events/{position} and /ledger/v1/feed: pages, one, a stream."""

from collections.abc import Mapping

import orjson
from flask import Response, request

from ledger import clock
from projections.history.event_index import EventQuery
from projections.query.model import Filter
from scim_api.audit.event_filters import event_filter
from scim_api.audit.events import Batch, EventPage, Events
from scim_api.audit.feeds import CHUNK, Feeds, poll, starting_point, stream
from scim_api.audit.parameters import count, page_address, page_links, position
from scim_api.auth.credentials import names_of
from scim_api.protocol.errors import InvalidValue, NotFound
from scim_api.protocol.list_query import Parameters, descending, whole_number
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import Exchange, current_exchange
from scim_api.web.messages import JSON

LONGEST_WAIT = 60  # seconds; proxies cut what says nothing for longer
SOCKET = "gunicorn.socket"


def page(feeds: Feeds) -> Response:
    """GET a page of events, waiting for one if need be."""
    exchange, parameters = current_exchange(), request.args
    events = Events(exchange.principal.tenant)
    query = _query(parameters, events)
    given = {k: v for k, v in parameters.items() if k not in ("after", "before")}
    seconds = _seconds(parameters)
    if seconds is None:
        page = events.page(query)
        around = *_edges(page, query), page.older, page.newer
        links = page_links(exchange, given, *around, newest_first=query.newest_first)
        return _answered(exchange, page, links)
    with feeds.enter():
        found = poll(feeds, events, query, seconds, exchange.environ.get(SOCKET))
    address = page_address(exchange, given, {"after": found.reached})
    return _answered(exchange, found, {"next": address, "previous": None})


def one(position: str) -> Response:
    events = Events(current_exchange().principal.tenant)
    if not _is_position(position):
        raise NotFound("event.position", "The position of an event is a whole number, such as 42.")
    return Response(events.one(int(position)).json, content_type=JSON)


def feed(tenants: Tenants, feeds: Feeds) -> Response:
    """GET events without end, as Server-Sent Events."""
    exchange = current_exchange()
    events = Events(exchange.principal.tenant)
    query = EventQuery(filter=_filter(request.args, events), newest_first=False, count=CHUNK)
    start = starting_point(_cut_off(exchange), events.end())
    slot = feeds.enter()
    events.tenant.ledger.leave()  # nothing is held while waiting
    found = stream(
        feeds,
        events,
        query,
        start,
        lambda: exchange.caller(tenants, clock.timestamp()),
        exchange.environ.get(SOCKET),
    )
    response = Response(found, content_type="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"  # or nginx keeps events back
    response.call_on_close(slot.close)
    return response


def _answered(
    exchange: Exchange, page: EventPage | Batch, links: Mapping[str, str | None]
) -> Response:
    """Return events, which are JSON already, in their envelope."""
    head = {"ledger": exchange.principal.tenant.ledger.origin, "position": page.end}
    events = b",".join(event.json for event in page.events)
    opening, ending = orjson.dumps(head)[:-1], orjson.dumps(links)[1:]
    response = Response(b'%s,"events":[%s],%s' % (opening, events, ending), content_type=JSON)
    shown = [(links["next"], "next"), (links["previous"], "prev")]
    if link := ", ".join(f'<{url}>; rel="{rel}"' for url, rel in shown if url):
        response.headers["Link"] = link
    return response


def _edges(page: EventPage, query: EventQuery) -> tuple[int, int]:
    """Return the lowest and highest position of a page; an empty one lies between the two."""
    positions = [event.position for event in page.events]
    if positions:
        return min(positions), max(positions)
    if query.after is not None:
        return query.after + 1, query.after
    return query.before or 0, (query.before or 0) - 1


def _query(parameters: Parameters, events: Events) -> EventQuery:
    """Read which events are asked for; raises InvalidFilter or InvalidValue."""
    waits = bool(parameters.get("wait"))
    after, before = position(parameters, "after"), position(parameters, "before")
    if before is not None and (waits or after is not None):
        raise InvalidValue(
            "parameter.before",
            "before cannot be combined with after or wait. For a range use a filter, such as"
            " position gt 100 and position lt 200.",
        )
    filter, order = _filter(parameters, events), parameters.get("sortOrder")
    newest_first = descending(order) if order else not waits
    if waits and newest_first:
        raise InvalidValue(
            "parameter.wait_order", "With wait, sortOrder must be ascending: new events come last."
        )
    return EventQuery(
        filter=filter,
        newest_first=newest_first,
        count=count(parameters),
        after=after,
        before=before,
    )


def _filter(parameters: Parameters, events: Events) -> Filter | None:
    text = parameters.get("filter")
    return None if text is None else event_filter(text, names_of(events.tenant))


def _seconds(parameters: Parameters) -> int | None:
    """Read how long to wait for an event; None if the client does not wait."""
    if not parameters.get("wait"):
        return None
    seconds = whole_number(parameters, "wait", 30)
    if not 0 <= seconds <= LONGEST_WAIT:
        template = "wait must be a whole number of seconds from 0 to {most}."
        raise InvalidValue("parameter.wait", template, most=LONGEST_WAIT)
    return seconds


def _cut_off(exchange: Exchange) -> int | None:
    """Read the position after which a feed goes on; Last-Event-ID takes precedence over after."""
    given = exchange.environ.get("HTTP_LAST_EVENT_ID", "").strip()
    if not given:
        return position(request.args, "after")
    if not _is_position(given):
        raise InvalidValue(
            "parameter.last_event_id", "Last-Event-ID must be the position of an event, such as 42."
        )
    return int(given)


def _is_position(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16
