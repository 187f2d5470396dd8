"""GET /ledger/v1/requests and /ledger/v1/requests/{id}: the request log, or one request of it."""

from collections.abc import Iterable

from flask import Response, request

from scim_api.audit.parameters import count, number, page_links
from scim_api.protocol.errors import InvalidValue, NotFound
from scim_api.protocol.filter import parse_filter
from scim_api.request_log.queries import REQUEST, explained, shown
from scim_api.request_log.queries import page as page_of
from scim_api.request_log.records import Record
from scim_api.web.context import Exchange, current_exchange
from scim_api.web.messages import plain_json


def page() -> Response:
    """GET a page of requests, newest first."""
    exchange, parameters = current_exchange(), request.args
    text = parameters.get("filter")
    found = page_of(
        exchange.principal.tenant.requests,
        parse_filter(text, REQUEST) if text is not None else None,
        after=number(parameters, "after"),
        before=number(parameters, "before"),
        count=count(parameters),
    )
    records = found.records
    numbers = [record.row or 0 for record in records] or [0]
    given = {name: parameters[name] for name in ("filter", "count") if name in parameters}
    more = found.older and bool(records), found.newer and bool(records)
    links = page_links(exchange, given, numbers[-1], numbers[0], *more)
    names = _names(exchange, records)
    return plain_json({"requests": [shown(record, names) for record in records], **links})


def one(id_: str) -> Response:
    """GET a request by its id, or how that begins, with what each record of it means."""
    exchange = current_exchange()
    records = exchange.principal.tenant.requests.of_request(id_)
    ids = {record.request_id.lower() for record in records}
    if not records:
        raise NotFound(
            "request.unknown",
            "No request with this id was refused or changed nothing, or it is no longer kept.",
        )
    if len(ids) > 1:
        template = "The ids of {number} requests begin like this. Give more of the id."
        raise InvalidValue("parameter.request_id", template, number=len(ids))
    names = _names(exchange, records)
    documents = [explained(record, names, exchange.base_url) for record in records]
    return plain_json({"requestId": records[0].request_id, "requests": documents})


def _names(exchange: Exchange, records: Iterable[Record]) -> dict[str, str]:
    """Return the names of the credentials in some records, by their ids."""
    tenant = exchange.principal.tenant
    with tenant.ledger.reading() as connection:
        return tenant.credentials.names(connection, {r.actor for r in records if r.actor})
