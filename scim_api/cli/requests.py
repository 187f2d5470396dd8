"""Commands about the request log: what clients were refused, what they repeated, and why."""

from textwrap import shorten
from typing import Any, Protocol

import click

from projections.query.model import Filter, Operator
from scim_api.auth.credentials import credentials_of
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    emit,
    emit_record,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    moment,
    pass_site,
)
from scim_api.protocol.errors import InvalidFilter
from scim_api.protocol.filter import parse_filter
from scim_api.request_log.queries import MOST, REQUEST, all_of, compared, explained, page, shown
from scim_api.request_log.store import Record
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant

_WIDTH = 60  # of a detail in a table; show has all of it
_COLUMNS = ("at", "requestId", "who", "client", "method", "path", "status", "scimType", "detail")


class Site(Protocol):
    """What the program gives these commands."""

    @property
    def settings(self) -> Settings: ...
    def tenant(self, name: str) -> Tenant: ...


@click.group("requests", cls=Group, context_settings=HELP)
@examples("scim-ledger requests list --since 7d", "scim-ledger requests show 019ab6d3")
def requests_group() -> None:
    """Look at requests that were refused or changed nothing; they are up to a second behind."""


@requests_group.command("list")
@ledger_option
@json_option
@click.option("--since", help="A time (2026-11-01T10:00:00Z, 2026-11-01) or an age (7d, 12h).")
@click.option("--status", type=int, help="Only those with this status, such as 409.")
@click.option("--method", help="Only those of this method, such as PUT.")
@click.option("--resource", metavar="ID", help="Only those about the resource with this id.")
@click.option("--refused/--no-ops", default=None, help="Only those refused, or only the others.")
@click.option("--filter", "text", help="Only those that satisfy a filter, such as client eq Okta.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST),
    default=100,
    show_default=True,
    help="At most so many, the newest.",
)
@pass_site
@examples(
    "scim-ledger requests list --since 7d --refused",
    "scim-ledger requests list --status 409 --method POST --json",
    "scim-ledger requests list --filter 'client eq \"Okta\" and status ge 500'",
)
def list_requests(
    site: Site, ledger: str, as_json: bool, text: str | None, limit: int, **chosen: Any
) -> None:
    """List requests that were refused or changed nothing, newest first."""
    filters = _filters(**chosen) + ([_filter(text)] if text is not None else [])
    tenant = site.tenant(ledger)
    found = page(tenant.requests, all_of(filters), count=limit)
    names = _names(tenant)
    rows = [shown(record, names) for record in found.records]
    if not as_json:
        rows = [_cells(row | {"who": row.get("credential", "")}) for row in rows]
    emit_rows(rows, as_json, "no such requests")


def _names(tenant: Tenant) -> dict[str, str]:
    return {one.id: one.name for one in credentials_of(tenant)}


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    cells = {name: row.get(name, "") for name in _COLUMNS}
    return cells | {"detail": shorten(cells["detail"], _WIDTH, placeholder=" …")}


def _filters(
    *,
    since: str | None,
    status: int | None,
    method: str | None,
    resource: str | None,
    refused: bool | None,
) -> list[Filter]:
    filters = []
    if since is not None:
        filters.append(compared("at", Operator.GE, moment(since)))
    if refused is not None:
        filters.append(compared("status", Operator.GE if refused else Operator.LT, 400))
    equal = {"status": status, "method": method, "resourceId": resource}
    for name, value in equal.items():
        if value is not None:
            filters.append(compared(name, Operator.EQ, value))
    return filters


def _filter(text: str) -> Filter:
    try:
        return parse_filter(text, REQUEST)
    except InvalidFilter as error:
        raise click.UsageError(error.detail) from None


@requests_group.command("show")
@click.argument("id_", metavar="ID")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger requests show 019ab6d3-0000-7000-8000-000000000000 --json")
def show_request(site: Site, id_: str, ledger: str, as_json: bool) -> None:
    """Show a request by its id, or how that begins: what it was, the rule, where to look in Okta.

    The id is the X-Request-Id of its answer. A bulk request has a record for each operation.
    """
    tenant, settings = site.tenant(ledger), site.settings
    base_url = settings.base_url or f"https://HOST{settings.base_path}"
    records = tenant.requests.of_request(id_)
    _must_be_one(id_, records)
    names = _names(tenant)
    documents = [explained(record, names, base_url) for record in records]
    if as_json:
        emit(documents)
        return
    for document in documents:
        meaning = document.pop("explanation")
        document["attributes"] = ", ".join(document.get("attributes", ()))
        emit_record(document | meaning, False)
        click.echo("")


def _must_be_one(id_: str, records: list[Record]) -> None:
    ids = {record.row.request_id.lower() for record in records}
    if not ids:
        raise Failure(
            f"no request {id_} was refused or changed nothing, or it is no longer kept",
            Exit.NOT_FOUND,
        )
    if len(ids) > 1:
        raise Failure(f"{len(ids)} requests have ids that begin with {id_}; give more", Exit.USAGE)


COMMANDS: list[click.Command] = [requests_group]
