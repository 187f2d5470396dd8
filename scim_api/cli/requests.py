"""requests: what clients sent that was refused or changed nothing."""

from textwrap import shorten
from typing import Any

import click

from projections.query.model import And, Operator
from scim_api.auth.credentials import names_of
from scim_api.cli.console import Console, command, group
from scim_api.cli.moments import since_option
from scim_api.cli.terminal import Exit, Failure, print_json, print_record, say
from scim_api.protocol.filter import parse_filter
from scim_api.request_log.queries import MOST, REQUEST, compared, explained, page, shown

_WIDTH = 60  # of a detail in a table; show has all of it
_COLUMNS = ("at", "requestId", "who", "client", "method", "path", "status", "scimType", "detail")

requests = group(
    "requests",
    """Show requests that were refused or changed nothing.

    The newest may be missing for up to a second.
    """,
)


@command(
    "list",
    "--since 7d --refused",
    "--status 409 --method POST --json",
    "--filter 'client eq \"Okta\" and status ge 500'",
    group=requests,
)
@since_option
@click.option("--status", type=int, help="Only those with this status, such as 409.")
@click.option("--method", help="Only those of this method, such as PUT.")
@click.option("--resource", metavar="ID", help="Only those about the resource with this id.")
@click.option("--refused/--no-ops", default=None, help="Only those refused, or only the others.")
@click.option("--filter", "filter_", help="Only those that match a filter, such as client eq Okta.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST),
    default=100,
    show_default=True,
    help="At most this many, the newest.",
)
def list_requests(
    console: Console, since: str | None, filter_: str | None, limit: int, **equal: Any
) -> None:
    """List them, newest first."""
    filters = [] if since is None else [compared("at", Operator.GE, since)]
    if (refused := equal.pop("refused")) is not None:
        filters.append(compared("status", Operator.GE if refused else Operator.LT, 400))
    equal["resourceId"] = equal.pop("resource")
    filters += [
        compared(name, Operator.EQ, value) for name, value in equal.items() if value is not None
    ]
    if filter_ is not None:
        filters.append(parse_filter(filter_, REQUEST))
    tenant = console.tenant()
    found = page(tenant.requests, And(tuple(filters)) if filters else None, count=limit)
    names = names_of(tenant)
    rows = [shown(record, names) for record in found.records]
    console.rows(rows if console.as_json else map(_row, rows), "no such requests")


def _row(document: dict[str, Any]) -> dict[str, Any]:
    document["who"] = document.get("credential")
    detail = shorten(document.get("detail", ""), _WIDTH, placeholder=" …")
    return {name: document.get(name) for name in _COLUMNS} | {"detail": detail}


@command("show", "019ab6d3-0000-7000-8000-000000000000 --json", group=requests)
@click.argument("id_", metavar="ID")
def show_request(console: Console, id_: str) -> None:
    """Show a request: the rule it broke, and where to look in Okta.

    ID is the X-Request-Id of its answer, or how that begins. A bulk request has a record for each
    operation.
    """
    tenant, settings = console.tenant(), console.settings
    base_url = settings.base_url or f"https://HOST{settings.base_path}"
    records = tenant.requests.of_request(id_)
    ids = {record.request_id.lower() for record in records}
    if not ids:
        raise Failure(
            f"no request {id_} was refused or changed nothing, or it is no longer kept",
            Exit.NOT_FOUND,
        )
    if len(ids) > 1:
        raise Failure(f"{len(ids)} requests have ids that begin with {id_}; give more", Exit.USAGE)
    names = names_of(tenant)
    documents = [explained(record, names, base_url) for record in records]
    if console.as_json:
        print_json(documents)
        return
    for document in documents:
        meaning = document.pop("explanation")
        document["attributes"] = ", ".join(document.get("attributes", ()))
        print_record(document | meaning)
        say("")
