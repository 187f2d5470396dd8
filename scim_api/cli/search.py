"""search: resources by a SCIM filter, now or then."""

from typing import Any

import click

from projections.query.model import Query
from scim_api.cli.console import Console, command
from scim_api.cli.lookup import TYPES, PastQuery
from scim_api.cli.moments import at_option
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.schema.attributes import AllTypes
from scim_api.protocol.schema.resource_types import KINDS

ALL = "all"


@command(
    "search",
    "'active eq true and title sw \"Chief\"'",
    "'groups.display eq \"Admins\"' --at 2026-10-01 --sort-by userName",
)
@click.argument("filter_", metavar="FILTER")
@at_option
@click.option(
    "--type",
    "type_",
    type=click.Choice([*TYPES, ALL]),
    default="User",
    show_default=True,
    help="Resources of this type.",
)
@click.option("--sort-by", metavar="ATTRIBUTE", help="Sort by this attribute.")
@click.option("--limit", type=click.IntRange(1), help="At most this many.")
def search(
    console: Console,
    filter_: str,
    at: str | None,
    type_: str,
    sort_by: str | None,
    limit: int | None,
) -> None:
    """Find resources by a SCIM filter, now or then.

    The filter is that of RFC 7644 §3.4.2.2. With --at, names and groups are of that moment too.
    """
    past = PastQuery(console.tenant())
    position = None if at is None else past.position(at)
    view = past.now() if position is None else past.at(position)
    tenant = past.tenant
    catalogue = tenant.catalogue() if position is None else tenant.catalogue_at(position)
    types = catalogue.resource_types
    bound = AllTypes.of(types) if type_ == ALL else catalogue.by_name[type_]
    sort = parse_sort(sort_by, bound) if sort_by else None
    query = Query(filter=parse_filter(filter_, bound), sort_by=sort)
    found = list(view.search(None if type_ == ALL else type_, query, limit))
    console.rows(found if console.as_json else map(_row, found), "nothing found")


def _row(document: dict[str, Any]) -> dict[str, Any]:
    type_ = document["meta"]["resourceType"]
    groups = ", ".join(group["display"] for group in document.get("groups", ()))
    members = document.get("members", ())
    return {
        "type": type_,
        "name": document.get(KINDS[type_].name_attribute),
        "active": document.get("active"),
        **({"members": str(len(members))} if type_ == "Group" else {"groups": groups}),
        "id": document["id"],
    }
