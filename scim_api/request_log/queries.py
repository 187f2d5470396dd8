"""What can be asked of the request log: its attributes in filters, its pages, and what rows mean.

A row says that a request was refused or changed nothing; explanations.json why: the rule, the RFC,
where to look in Okta. It is keyed by the topic of the rule code, else by scimType, else by status;
a key can be narrowed by the request's method or its resource type, as in "resource User".
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from typing import Any

import orjson

from ledger.user_agents import OKTA
from projections.query.model import Compare, Filter, Operator, Type
from projections.query.sql import Column, Columns, compiled
from scim_api.protocol.schema.attributes import Attribute, Records
from scim_api.request_log.records import Record
from scim_api.request_log.store import RequestLog

MOST = 1000  # records on one page

REQUEST = Records.of(
    "Request",
    "A request that was refused, or that changed nothing.",
    Attribute("at", "When it came.", Type.DATE_TIME, case_exact=True),
    Attribute("requestId", "Its id, the X-Request-Id of its answer."),
    Attribute("actor", "The id of the credential that asked."),
    Attribute("client", "The family of the client, such as Okta."),
    Attribute("userAgent", "The User-Agent header."),
    Attribute("method", "GET, POST, PUT, PATCH or DELETE."),
    Attribute("path", "The address, with … for what clients wrote.", case_exact=True),
    Attribute("status", "The status of the answer.", Type.INTEGER),
    Attribute("scimType", "The scimType of the answer."),
    Attribute("resourceType", "The type of the resource."),
    Attribute("resourceId", "The id of the resource."),
    Attribute("position", "The event behind the version that was left as it was.", Type.INTEGER),
)

# Folded columns hold ASCII, which lower() folds as fold() does.
_COLUMNS: Mapping[str, Column] = {
    "at": Column("at", nullable=False),
    "requestId": Column("lower(request_id)", nullable=False, folded=True),
    "actor": Column("lower(actor)", folded=True),
    "client": Column("lower(family)", nullable=False, folded=True),
    "userAgent": Column("lower(client)", nullable=False, folded=True),
    "method": Column("lower(method)", nullable=False, folded=True),
    "path": Column("path", nullable=False),
    "status": Column("status", nullable=False),
    "scimType": Column("lower(scim_type)", folded=True),
    "resourceType": Column("lower(resource_type)", folded=True),
    "resourceId": Column("lower(resource_id)", folded=True),
    "position": Column("position"),
}


def compared(name: str, operator: Operator, value: str | int) -> Filter:
    """Return a comparison of one attribute."""
    return Compare(REQUEST.declared[name].path(), operator, value)


@dataclass(frozen=True, slots=True)
class Page:
    """Records, newest first; whether there are newer and older ones that satisfy the filter."""

    records: list[Record]
    newer: bool
    older: bool


def page(
    log: RequestLog,
    filter: Filter | None,
    *,
    after: int | None = None,
    before: int | None = None,
    count: int = 100,
) -> Page:
    """Return a page of the log; `after` and `before` are numbers of records.

    With `after` alone it is the page that ends right above that record, or else the newest one.
    """
    wanted = compiled(filter, Columns(_COLUMNS)) if filter else ("TRUE", [])
    bounds = [("row < ?", [before])] if before is not None else []
    bounds += [("row > ?", [after])] if after is not None else []
    upwards = after is not None and before is None
    found = log.records(count + 1, wanted, *bounds, oldest_first=upwards)
    if upwards:
        rest = log.records(1, wanted, ("row <= ?", [after]))
        return Page(found[:count][::-1], len(found) > count, bool(rest))
    rest = log.records(1, wanted, ("row >= ?", [before])) if before is not None else []
    return Page(found[:count], bool(rest), len(found) > count)


def shown(record: Record, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a record as it is shown; `names` are those of credentials, by their ids.

    What is not known is left out.
    """
    document = {
        "number": record.row,
        "at": record.at,
        "requestId": record.request_id,
        "actor": record.actor,
        "credential": names.get(record.actor or ""),
        "client": record.family,
        "userAgent": record.client,
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "scimType": record.scim_type,
        "detail": record.detail,
        "bulk": bool(record.bulk) or None,
        "milliseconds": record.milliseconds,
        "resourceType": record.resource_type,
        "resourceId": record.resource_id,
        "position": record.position,
        "attributes": orjson.loads(record.attributes) if record.attributes else None,
    }
    return {name: value for name, value in document.items() if value is not None}


def explained(record: Record, names: Mapping[str, str], base_url: str) -> dict[str, Any]:
    """Return a record with what it means."""
    return {**shown(record, names), "explanation": asdict(explain(record, base_url))}


# What rows mean

ANOTHER = "None: the client is not Okta."


@dataclass(frozen=True, slots=True)
class Explanation:
    """The meaning of a row, where to look in Okta if the client is Okta, and what to do next."""

    rule: str
    rfc: str
    okta: str
    next: str


_TEXT = files("scim_api.request_log").joinpath("explanations.json").read_text("utf-8")
TABLE = {key: Explanation(**texts) for key, texts in json.loads(_TEXT).items()}


def explain(record: Record, base_url: str) -> Explanation:
    """Return the meaning of a record; `base_url` is the SCIM base URL that clients should have."""
    found = next(TABLE[key] for key in _keys(record) if key in TABLE)
    okta = found.okta if record.family == OKTA else ANOTHER
    return replace(found, okta=okta, next=found.next.replace("{base}", base_url))


def _keys(record: Record) -> Iterator[str]:
    topic = (record.code or "").partition(".")[0]
    for word in (topic, record.scim_type, str(record.status if record.status >= 400 else 200)):
        yield from (f"{word} {record.method}", f"{word} {record.resource_type}", word or "")
    yield "other"
