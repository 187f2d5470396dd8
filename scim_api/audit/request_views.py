"""GET /ledger/v1/requests and /ledger/v1/requests/{id}: the request log, or one request of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Response, request

from projections.query.model import Filter
from scim_api.audit.answers import answered
from scim_api.audit.parameters import count
from scim_api.protocol.errors import InvalidValue, NotFound
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.list_query import whole_number
from scim_api.request_log.queries import REQUEST, Page, explained, page, shown
from scim_api.request_log.store import Record, RequestLog
from scim_api.settings import Settings
from scim_api.web.context import exchange_of
from scim_api.web.messages import base_url, root_url

Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RequestViews:
    """The request log of the one who asks."""

    settings: Settings

    def page(self) -> Response:
        """GET a page of requests, newest first."""
        asked = _asked(request.args)
        found = page(
            _log(), asked.filter, after=asked.after, before=asked.before, count=asked.count
        )
        names = _names(found.records)
        document = {"requests": [shown(record, names) for record in found.records]}
        return answered(document | self._links(found, request.args))

    def _links(self, found: Page, parameters: Parameters) -> dict[str, str | None]:
        """Return where the pages after and before this one are; None where there is none."""
        first, last = (found.records[0], found.records[-1]) if found.records else (None, None)
        return {
            "next": self._address(parameters, "before", last.number)
            if last and found.older
            else None,
            "previous": self._address(parameters, "after", first.number)
            if first and found.newer
            else None,
        }

    def _address(self, parameters: Parameters, bound: str, number: int) -> str:
        exchange = exchange_of(request)
        kept = {name: parameters[name] for name in ("filter", "count") if name in parameters}
        address = f"{root_url(exchange, self.settings)}{exchange.environ['PATH_INFO']}"
        return f"{address}?{urlencode({**kept, bound: number})}"

    def one(self, id_: str) -> Response:
        """GET a request by its id, or how that begins, with what each record of it means."""
        records = _log().of_request(id_)
        ids = {record.row.request_id.lower() for record in records}
        if not records:
            raise NotFound(
                "request.unknown",
                "No request with this id was refused or changed nothing, or it is no longer kept.",
            )
        if len(ids) > 1:
            raise InvalidValue(
                "parameter.request_id",
                "The ids of {number} requests begin like this. Give more of the id.",
                number=len(ids),
            )
        names = _names(records)
        exchange = exchange_of(request)
        base = base_url(exchange, self.settings)
        documents = [explained(record, names, base) for record in records]
        return answered({"requestId": records[0].row.request_id, "requests": documents})


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a list."""

    filter: Filter | None
    after: int | None
    before: int | None
    count: int


def _asked(parameters: Parameters) -> Asked:
    """Read which requests are asked for; raises InvalidFilter or InvalidValue."""
    text = parameters.get("filter")
    return Asked(
        parse_filter(text, REQUEST) if text is not None else None,
        _number(parameters, "after"),
        _number(parameters, "before"),
        count(parameters),
    )


def _number(parameters: Parameters, name: str) -> int | None:
    return whole_number(parameters, name, 42) if parameters.get(name, "").strip() else None


def _names(records: Iterable[Record]) -> dict[str, str]:
    """Return the names of the credentials in some records, by their ids."""
    tenant = exchange_of(request).principal.tenant
    with tenant.ledger.reading() as connection:
        return tenant.credentials.names(connection, {r.row.actor for r in records if r.row.actor})


def _log() -> RequestLog:
    return exchange_of(request).principal.tenant.requests
