"""The history of resources: timelines, blame, differences, under /ledger/v1."""

from typing import Any

import orjson
from flask import Response, request

from projections.audit.archive import Archive
from projections.audit.blame import Blame
from projections.audit.diff import KINDS, Differences, reasons_of
from projections.audit.membership_diff import Span
from projections.audit.timeline import Timeline
from projections.state import Resource, document_of
from scim_api.audit import parameters
from scim_api.audit.documents import archive_of, difference_document, difference_documents
from scim_api.protocol.documents import answer, selection
from scim_api.protocol.errors import InvalidValue, NotFound
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES, kind_of
from scim_api.web import as_of
from scim_api.web.context import Exchange, current_exchange
from scim_api.web.messages import plain_json


def timeline(type_: str, id_: str) -> Response:
    """GET a page of a resource's events, each with what it changed."""
    exchange = current_exchange()
    window = parameters.window(request.args)
    found = Timeline(archive_of(exchange.principal.tenant), type_, id_)
    if not found.exists():
        raise NotFound("history.never", "There never was a {type} with this id.", type=type_)
    page = found.page(window)
    bound = None
    if page.more:
        bound = {"before" if window.newest_first else "after": page.entries[-1].cause.position}
    entries = [entry.document() for entry in page.entries]
    head = {"resourceType": type_, "id": id_, "entries": entries}
    return plain_json(head | {"next": _next(exchange, bound)})


def blame(type_: str, id_: str) -> Response:
    """GET the event that set each value that a resource has, or had."""
    exchange = current_exchange()
    archive = archive_of(exchange.principal.tenant)
    as_of.enter(exchange, as_of.asked(request) or str(archive.end()))
    position = exchange.past.position if exchange.past else 0
    found = Blame(archive, type_, id_, position)
    if not found.exists():
        template = "There was no {type} with this id at position {position}."
        raise NotFound("history.not_then", template, type=type_, position=position)
    begin, count = parameters.place(request.args, type_), parameters.count(request.args)
    page = found.page(begin, count)
    bound = None
    if page.next:
        bound = {as_of.PARAMETER: position, "after": parameters.place_text(page.next)}
    return plain_json(
        {
            "resourceType": type_,
            "id": id_,
            "asOf": _moment(archive, position),
            "values": [row.document() for row in page.rows],
            "next": _next(exchange, bound),
        }
    )


def difference(type_: str, id_: str) -> Response:
    """GET the differences of a resource between two moments."""
    exchange = current_exchange()
    archive, span = _asked_span(exchange)
    found = Differences(archive, span).of(type_, id_)
    if found.shown is None:
        template = "There was no {type} with this id at either moment, nor in between."
        raise NotFound("history.not_between", template, type=type_)
    document = difference_document(found, reasons_of(archive, found))
    sides = {
        "before": _document(exchange, found.before, span.start),
        "after": _document(exchange, found.after, span.end),
    }
    return plain_json(_bounds(archive, span) | document | sides)


def differences() -> Response:
    """GET a page of the resources that differ between two moments."""
    exchange = current_exchange()
    archive, span = _asked_span(exchange)
    after, count = parameters.position(request.args, "after") or 0, parameters.count(request.args)
    names = [resource_type.name for resource_type in RESOURCE_TYPES]
    type_ = parameters.one_of(request.args, "resourceType", names)
    kind = parameters.one_of(request.args, "kind", KINDS)
    page = Differences(archive, span).page(
        after, count, types=[type_] if type_ else names, kind=kind
    )
    bound = {"from": span.start, "to": span.end, "after": page.next} if page.next else None
    rows = difference_documents(archive, list(page.rows))
    return plain_json(_bounds(archive, span) | {"rows": rows, "next": _next(exchange, bound)})


def _document(
    exchange: Exchange, resource: Resource | None, position: int
) -> orjson.Fragment | None:
    """Return a resource as it was shown at a position, without members and groups."""
    if resource is None:
        return None
    resource_type = exchange.principal.tenant.catalogue_at(position).by_name[resource.type]
    kind = kind_of(resource_type)
    stored = document_of(resource, kind.schema, kind.endpoint)
    shown = selection(None, None, resource_type)
    return orjson.Fragment(answer(stored, exchange.base_url.encode(), resource_type, shown))


def _next(exchange: Exchange, bound: parameters.Bound | None) -> str | None:
    given = {name: value for name, value in request.args.items() if name.lower() != "asof"}
    return parameters.page_address(exchange, given, bound)


def _asked_span(exchange: Exchange) -> tuple[Archive, Span]:
    """Return the span between `from` and `to`, and the archive; raises InvalidValue."""
    tenant = exchange.principal.tenant
    archive = archive_of(tenant)
    start, end = (request.args.get(name, "").strip() for name in ("from", "to"))
    if not start:
        template = "from is required: the earlier moment, a position or an instant."
        raise InvalidValue("parameter.from_moment", template)
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
    return {"position": position, "at": archive.ledger.time_of(position)}
