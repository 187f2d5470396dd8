"""GET /ledger/v1/events and /ledger/v1/events/{position}: pages of events, or one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import orjson
from flask import Response, request

from projections.query.model import Filter
from scim_api.audit.event_filters import event_filter
from scim_api.audit.events import EventPage, Events, Question
from scim_api.audit.feeds import Feeds, poll
from scim_api.audit.parameters import count, position
from scim_api.protocol.errors import InvalidValue, NotFound
from scim_api.protocol.list_query import whole_number
from scim_api.settings import Settings
from scim_api.web.context import Exchange, exchange_of
from scim_api.web.messages import JSON, root_url

Parameters = Mapping[str, str]

LONGEST_WAIT = 60  # seconds; proxies cut what says nothing for longer


@dataclass(frozen=True, slots=True)
class EventViews:
    """Events, page by page or one by one."""

    settings: Settings
    feeds: Feeds

    def page(self) -> Response:
        """GET a page of events, waiting for one if need be."""
        exchange, parameters = exchange_of(request), request.args
        events = Events(exchange.principal.tenant)
        asked = read_question(parameters, events)
        seconds = _seconds(parameters)
        if seconds is None:
            return self._answer(exchange, events.page(asked), asked)
        place = self.feeds.enter()
        try:
            socket = exchange.environ.get("gunicorn.socket")
            found = poll(self.feeds.lookout, events, asked, seconds, socket)
        finally:
            place.leave()
        page = EventPage(found.events, found.end, older=False, newer=True)
        return self._answer(exchange, page, replace(asked, after=found.reached), waited=True)

    def one(self, position: str) -> Response:
        """GET one event."""
        events = Events(exchange_of(request).principal.tenant)
        if not (position.isascii() and position.isdigit() and len(position) <= 16):
            raise NotFound(
                "event.position", "The position of an event is a whole number, such as 42."
            )
        return Response(events.one(int(position)).json, content_type=JSON)

    def _answer(
        self, exchange: Exchange, page: EventPage, asked: Question, *, waited: bool = False
    ) -> Response:
        given = {k: v for k, v in request.args.items() if k not in ("after", "before")}
        address = f"{root_url(exchange, self.settings)}{exchange.environ['PATH_INFO']}"
        bounds = (f"after={asked.after}", None) if waited else _neighbours(page, asked)
        query = urlencode(given)
        links = {
            name: bound and f"{address}?{query}{'&' * bool(query)}{bound}"
            for name, bound in zip(("next", "previous"), bounds, strict=True)
        }
        response = Response(_body(page, exchange, links), content_type=JSON)
        shown = [(links["next"], "next"), (links["previous"], "prev")]
        if link := ", ".join(f'<{url}>; rel="{rel}"' for url, rel in shown if url):
            response.headers["Link"] = link
        return response


def _body(page: EventPage, exchange: Exchange, links: Mapping[str, str | None]) -> bytes:
    """Put events that are JSON already into their envelope."""
    head = {"ledger": exchange.principal.tenant.ledger.origin, "position": page.end}
    events = b",".join(event.json for event in page.events)
    opening, ending = orjson.dumps(head)[:-1], orjson.dumps(links)[1:]
    return b'%s,"events":[%s],%s' % (opening, events, ending)


def _neighbours(page: EventPage, asked: Question) -> tuple[str | None, str | None]:
    """Return the bounds of the next page and of the previous one; None where there is none."""
    low, high = _edges(page, asked)
    older = f"before={low}" if page.older else None
    newer = f"after={high}" if page.newer else None
    return (older, newer) if asked.newest_first else (newer, older)


def _edges(page: EventPage, asked: Question) -> tuple[int, int]:
    """Return the lowest and highest position of a page; of an empty one, where it would stand."""
    positions = [event.position for event in page.events]
    if positions:
        return min(positions), max(positions)
    if asked.after is not None:
        return asked.after + 1, asked.after
    return asked.before or 0, (asked.before or 0) - 1


def read_question(parameters: Parameters, events: Events) -> Question:
    """Read which events are asked for; raises InvalidFilter or InvalidValue."""
    waits = bool(parameters.get("wait"))
    after, before = position(parameters, "after"), position(parameters, "before")
    if before is not None and (waits or after is not None):
        raise InvalidValue(
            "parameter.before",
            "before cannot be combined with after or wait. For a range use a filter, such as"
            " position gt 100 and position lt 200.",
        )
    return Question(
        filter=read_filter(parameters, events),
        newest_first=_newest_first(parameters.get("sortOrder"), waits),
        count=count(parameters),
        after=after,
        before=before,
    )


def read_filter(parameters: Parameters, events: Events) -> Filter | None:
    """Read the filter; raises InvalidFilter."""
    text = parameters.get("filter")
    return None if text is None else event_filter(text, events.credential_names())


def _newest_first(order: str | None, waits: bool) -> bool:
    word = (order or ("ascending" if waits else "descending")).lower()
    if word not in ("ascending", "descending"):
        raise InvalidValue("parameter.sort_order", "sortOrder must be ascending or descending.")
    if waits and word == "descending":
        raise InvalidValue(
            "parameter.wait_order", "With wait, sortOrder must be ascending: new events come last."
        )
    return word == "descending"


def _seconds(parameters: Parameters) -> int | None:
    """Read how long to wait for an event; None says not at all and no feed."""
    if not parameters.get("wait"):
        return None
    seconds = whole_number(parameters, "wait", 30)
    if not 0 <= seconds <= LONGEST_WAIT:
        raise InvalidValue(
            "parameter.wait",
            "wait must be a whole number of seconds from 0 to {most}.",
            most=LONGEST_WAIT,
        )
    return seconds
