"""search: resources by a SCIM filter, now or then."""

from collections.abc import Iterator
from typing import Any

import click
import orjson

from projections.query.model import START, Mark, Query
from scim_api.cli.command import command
from scim_api.cli.console import Console
from scim_api.cli.lookup import PastQuery, View, related
from scim_api.cli.moments import at_option
from scim_api.protocol.errors import ScimError
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.schema.attributes import AllTypes, ResourceType
from scim_api.protocol.schema.resource_types import KINDS, RESOURCE_TYPES

PAGE = 500  # resources read at once
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
    type=click.Choice([*(each.name for each in RESOURCE_TYPES), ALL]),
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
    query = _query(bound, filter_, sort_by)
    found = list(_found(view, None if type_ == ALL else type_, query, limit))
    console.rows(found if console.as_json else map(_row, found), "nothing found")


def _query(bound: ResourceType, filter_: str, sort_by: str | None) -> Query:
    try:
        return Query(
            filter=parse_filter(filter_, bound),
            sort_by=parse_sort(sort_by, bound) if sort_by else None,
        )
    except ScimError as error:
        raise click.UsageError(error.detail) from None


def _found(
    view: View, type_: str | None, query: Query, limit: int | None
) -> Iterator[dict[str, Any]]:
    """Yield the documents found, with their groups or members; raises TooCostly."""
    mark: Mark | None = START
    left = limit or float("inf")
    while mark is not None and left > 0:
        asked = Query(
            filter=query.filter, sort_by=query.sort_by, count=int(min(left, PAGE)), after=mark
        )
        with view.reading() as connection:
            page = view.resources.search(connection, type_, asked)
            places = [(at, groups) for at, of, groups, _ in page.rows if of == "User"]
            groups = view.resources.relations(connection, "User", places)
        for position, of, _, document in page.rows:
            relation = KINDS[of].relation
            found = groups.get(position, ())
            if relation == "members":  # one group's at a time: it may have very many
                with view.reading() as connection:
                    places = [(position, None)]
                    found = view.resources.relations(connection, of, places).get(position, ())
            shown = {relation: [related(one) for one in found]} if relation else {}
            yield orjson.loads(document) | shown
        mark, left = page.next, left - len(page.rows)


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
