"""The request log on HTTP: a page of it, and one request with what it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from projections.query import Filter
from scim_api.audit.answers import answered
from scim_api.errors import InvalidValue, NotFound
from scim_api.exchange import exchange_of
from scim_api.grammar import parse_filter
from scim_api.queries import DEFAULT_COUNT, whole_number
from scim_api.request_log import RequestLog
from scim_api.request_queries import MOST, REQUEST, Page, explained, page, shown


def add_requests(audit: Blueprint) -> None:
    """Serve the request log of the one who asks."""
    for rule, name, view in (("/requests", "requests", _list), ("/requests/<id_>", "request", _one)):
        audit.add_url_rule(rule, name, view, methods=["GET"], provide_automatic_options=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a list."""

    filter: Filter | None
    after: int | None
    before: int | None
    count: int


def _list() -> Response:
    """GET a page of requests, newest first."""
    asked = _asked(request.args)
    found = page(
        _log(), asked.filter, after=asked.after, before=asked.before, count=asked.count
    )
    document = {"requests": [shown(record) for record in found.records]}
    return answered(document | _links(found, request.args))


def _asked(parameters: Mapping[str, str]) -> Asked:
    text = parameters.get("filter")
    return Asked(
        parse_filter(text, REQUEST) if text is not None else None,
        _number(parameters, "after"),
        _number(parameters, "before"),
        min(max(1, whole_number(parameters, "count", DEFAULT_COUNT)), MOST),
    )


def _number(parameters: Mapping[str, str], name: str) -> int | None:
    return whole_number(parameters, name, 1) if parameters.get(name, "").strip() else None


def _links(found: Page, parameters: Mapping[str, str]) -> dict[str, str]:
    """Return where the pages before and after this one are, relative to this server."""
    links: dict[str, str] = {}
    if found.records and found.newer:
        links["previous"] = _address(parameters, "after", found.records[0].number)
    if found.records and found.older:
        links["next"] = _address(parameters, "before", found.records[-1].number)
    return links


def _address(parameters: Mapping[str, str], bound: str, number: int) -> str:
    kept = {name: parameters[name] for name in ("filter", "count") if name in parameters}
    return f"{request.path}?{urlencode({**kept, bound: number})}"


def _one(id_: str) -> Response:
    """GET a request by its id, or by how the id begins, with what each record of it means."""
    records = _log().of_request(id_)
    ids = {record.row.request_id for record in records}
    if not records:
        raise NotFound(
            "No request of this id was refused or changed nothing, or it is no longer kept."
        )
    if len(ids) > 1:
        raise InvalidValue(f"The ids of {len(ids)} requests begin like this: give more of it.")
    return answered({"requestId": ids.pop(), "requests": [explained(each) for each in records]})


def _log() -> RequestLog:
    return exchange_of(request).principal.tenant.requests
