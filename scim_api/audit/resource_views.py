"""What became of resources: timelines, blame, differences, under /ledger/v1."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Blueprint, Response, request

from projections.audit.archive import Archive
from projections.audit.blame import Blame
from projections.audit.diff import Differences
from projections.audit.membership_diff import Span
from projections.audit.timeline import Timeline
from projections.state import Resource, document_of
from scim_api.audit import parameters
from scim_api.audit.answers import answered
from scim_api.audit.documents import archive_of, difference_documents
from scim_api.protocol.documents import answer, selection
from scim_api.protocol.errors import InvalidValue, NotFound
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES, kind_of
from scim_api.settings import Settings
from scim_api.web import as_of
from scim_api.web.context import Exchange, exchange_of
from scim_api.web.messages import base_url, root_url


def add_resources(audit: Blueprint, settings: Settings) -> None:
    """Serve what became of each resource, and of all."""

    def add(rule: str, name: str, view: Callable[..., Response], **fixed: str) -> None:
        audit.add_url_rule(
            rule, name, view, methods=["GET"], defaults=fixed, provide_automatic_options=False
        )

    views = ResourceViews(settings)
    for resource_type in RESOURCE_TYPES:
        base = f"{resource_type.endpoint}/<id_>"
        for word, view in (
            ("timeline", views.timeline),
            ("blame", views.blame),
            ("diff", views.difference),
        ):
            add(f"{base}/{word}", f"{word}_{resource_type.name}", view, type_=resource_type.name)
    add("/diff", "differences", views.differences)


@dataclass(frozen=True, slots=True)
class ResourceViews:
    """The views: of the ledger of the one who asks."""

    settings: Settings

    def timeline(self, type_: str, id_: str) -> Response:
        """GET a page of a resource's events, each with what it changed."""
        exchange = exchange_of(request)
        window = parameters.window(request.args)
        timeline = Timeline(archive_of(exchange.principal.tenant), type_, id_)
        if not timeline.exists():
            raise NotFound("history.never", "There never was a {type} with this id.", type=type_)
        page = timeline.page(window)
        bound = None
        if page.more:
            name = "before" if window.newest_first else "after"
            bound = {name: str(page.entries[-1].cause.position)}
        entries = [entry.document() for entry in page.entries]
        head = {"resourceType": type_, "id": id_, "entries": entries}
        return answered(head | {"next": self._next(exchange, bound)})

    def blame(self, type_: str, id_: str) -> Response:
        """GET what set each value that a resource has, or had."""
        exchange = exchange_of(request)
        archive = archive_of(exchange.principal.tenant)
        as_of.enter(exchange, as_of.asked(request) or str(archive.end()))
        position = exchange.past.position if exchange.past else 0
        blame = Blame(archive, type_, id_, position)
        if not blame.exists():
            raise NotFound(
                "history.not_then",
                "There was no {type} with this id at position {position}.",
                type=type_,
                position=position,
            )
        begin, count = parameters.place(request.args, type_), parameters.count(request.args)
        page = blame.page(begin, count)
        bound = None
        if page.next:
            bound = {as_of.PARAMETER: str(position), "after": parameters.place_text(page.next)}
        return answered(
            {
                "resourceType": type_,
                "id": id_,
                "asOf": _moment(archive, position),
                "values": [row.document() for row in page.rows],
                "next": self._next(exchange, bound),
            }
        )

    def difference(self, type_: str, id_: str) -> Response:
        """GET what differs of a resource between two moments."""
        exchange = exchange_of(request)
        archive, span = _asked_span(exchange)
        found = Differences(archive, span).of(type_, id_)
        if found.shown is None:
            raise NotFound(
                "history.not_between",
                "There was no {type} with this id at either moment, nor in between.",
                type=type_,
            )
        [document] = difference_documents(archive, [found])
        sides = {
            "before": self._document(exchange, found.before, span.start),
            "after": self._document(exchange, found.after, span.end),
        }
        return answered(_bounds(archive, span) | document | sides)

    def differences(self) -> Response:
        """GET a page of the resources that differ between two moments."""
        exchange = exchange_of(request)
        archive, span = _asked_span(exchange)
        page = Differences(archive, span).page(
            parameters.position(request.args, "after") or 0,
            parameters.count(request.args),
            types=parameters.types(request.args),
            kind=parameters.kind(request.args),
        )
        bound = None
        if page.next:
            bound = {"from": str(span.start), "to": str(span.end), "after": str(page.next)}
        rows = difference_documents(archive, list(page.rows))
        return answered(
            _bounds(archive, span) | {"rows": rows, "next": self._next(exchange, bound)}
        )

    def _document(
        self, exchange: Exchange, resource: Resource | None, position: int
    ) -> orjson.Fragment | None:
        """Return a resource as it was shown at a position, without members and groups."""
        if resource is None:
            return None
        catalogue = exchange.principal.tenant.catalogue_at(position)
        resource_type = catalogue.by_name[resource.type]
        kind = kind_of(resource_type)
        stored = document_of(resource, kind.schema, kind.endpoint)
        base = base_url(exchange, self.settings).encode()
        shown = selection(None, None, resource_type)
        return orjson.Fragment(answer(stored, base, resource_type, shown))

    def _next(self, exchange: Exchange, bound: dict[str, str] | None) -> str | None:
        """Return the address of the next page: this one's, but for what bounds it."""
        if not bound:
            return None
        given = {name: value for name, value in request.args.items() if name.lower() != "asof"}
        address = f"{root_url(exchange, self.settings)}{request.path}"
        return f"{address}?{urlencode(given | bound)}"


def _asked_span(exchange: Exchange) -> tuple[Archive, Span]:
    """Return the span between `from` and `to`, and what is asked about it; raises InvalidValue."""
    tenant = exchange.principal.tenant
    archive = archive_of(tenant)
    start, end = (request.args.get(name, "").strip() for name in ("from", "to"))
    if not start:
        raise InvalidValue(
            "parameter.from_moment",
            "from is required: the earlier moment, a position or an instant.",
        )
    last = archive.end()
    first = as_of.position_of(tenant.ledger, start, "from")
    span = Span(first, as_of.position_of(tenant.ledger, end, "to") if end else last)
    if span.start > span.end:
        raise InvalidValue("parameter.moments", "from is later than to.")
    archive.end()  # the history reaches what was recorded while it was asked
    return archive, span


def _bounds(archive: Archive, span: Span) -> dict[str, Any]:
    return {"from": _moment(archive, span.start), "to": _moment(archive, span.end)}


def _moment(archive: Archive, position: int) -> dict[str, Any]:
    return {"position": position, "at": archive.time_of(position)}
