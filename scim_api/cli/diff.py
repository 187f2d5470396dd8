"""diff and search: who came and went between two moments, and who there was at one."""

from collections.abc import Iterator
from typing import Any

import click
import orjson

from projections.audit.diff import KINDS as DIFFERENCES
from projections.audit.diff import Differences
from projections.query.model import START, Mark, Query
from scim_api.audit.documents import archive_of, difference_documents
from scim_api.cli.changes import hands, span_of
from scim_api.cli.lookup import Inquiry, Site, View, at_option, related, span_options, text
from scim_api.cli.terminal import HELP, emit_rows, examples, json_option, ledger_option, pass_site
from scim_api.protocol.errors import ScimError
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.schema.attributes import AllTypes, ResourceType
from scim_api.protocol.schema.resource_types import KINDS, RESOURCE_TYPES
from scim_api.tenants.catalogue import Catalogue

PAGE = 500  # resources read at once

NAMES = [resource_type.name for resource_type in RESOURCE_TYPES]
ALL = "all"


@click.command("diff", context_settings=HELP)
@span_options
@click.option("--kind", type=click.Choice(DIFFERENCES), help="Only what became of these.")
@click.option("--type", "type_", type=click.Choice(NAMES), help="Only resources of this type.")
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger diff --from 2026-10-01 --to 2026-11-01",
    "scim-ledger diff --from 7d --kind left --type User --json",
)
def diff(
    site: Site,
    start: str,
    end: str | None,
    kind: str | None,
    type_: str | None,
    ledger: str,
    as_json: bool,
) -> None:
    """Show which users, groups, roles and entitlements differ between two moments.

    joined: not there before, there after. left: active before, deleted or inactive after.
    reactivated: inactive before, active after. passed: came and went in between. undone:
    changed and changed back, nothing differs. changed: the rest.

    position, at, event and by are those of the event that made the difference. joined: the
    creation. left: the deactivation or deletion, whichever came first. reactivated: the
    reactivation. changed: the last event that set a differing value. last is the time of the last
    change of any kind. who and client name all who took part, in order.
    """
    inquiry = Inquiry(site.tenant(ledger))
    span = span_of(inquiry, start, end)
    differences = Differences(inquiry.archive, span)
    documents = _differences(inquiry, differences, kind, [type_] if type_ else NAMES)
    rows = documents if as_json else map(_columns, documents)
    emit_rows(rows, as_json, "nothing differs")


def _differences(
    inquiry: Inquiry, differences: Differences, kind: str | None, types: list[str]
) -> Iterator[dict[str, Any]]:
    after: int | None = 0
    while after is not None:
        page = differences.page(after, PAGE, types=types, kind=kind)
        yield from difference_documents(archive_of(inquiry.tenant), list(page.rows))
        after = page.next


def _columns(document: dict[str, Any]) -> dict[str, Any]:
    event, last = document["event"] or {}, document["last"] or {}
    return {
        "kind": document["kind"],
        "how": document["how"],
        "type": document["resourceType"],
        "name": text(document["name"]),
        "position": event.get("position", ""),
        "at": event.get("at", ""),
        "event": event.get("type", ""),
        "by": event.get("credential") or event.get("operator") or event.get("actor", ""),
        "changed": _changed(document),
        "last": last.get("at", ""),
        **hands(document),
        "id": document["id"],
    }


def _changed(document: dict[str, Any]) -> str:
    """Name what changed: attributes without their long URN, members by number."""
    members = document.get("members", {})
    counts = [f"members {sign}{members[side]['count']}" for side, sign in _SIGNS if members]
    if document["kind"] in ("joined", "passed") or document["how"].startswith("deleted"):
        return ", ".join(counts)
    return ", ".join([key.rpartition(":")[2] for key in document["changes"]] + counts)


_SIGNS = (("joined", "+"), ("left", "-"))


@click.command("search", context_settings=HELP)
@click.argument("filter_", metavar="FILTER")
@at_option
@click.option(
    "--type",
    "type_",
    type=click.Choice([*NAMES, ALL]),
    default="User",
    show_default=True,
    help="Resources of this type.",
)
@click.option("--sort-by", metavar="ATTRIBUTE", help="In the order of this attribute.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger search 'active eq true and title sw \"Chief\"'",
    "scim-ledger search 'groups.display eq \"Admins\"' --at 2026-10-01 --sort-by userName",
)
def search(
    site: Site,
    filter_: str,
    at: str | None,
    type_: str,
    sort_by: str | None,
    limit: int | None,
    ledger: str,
    as_json: bool,
) -> None:
    """Find resources by a SCIM filter (RFC 7644 §3.4.2.2), as they are now or were then.

    Names and groups are those of then too.
    """
    inquiry = Inquiry(site.tenant(ledger))
    position = inquiry.asked(at) if at is not None else None
    view = inquiry.now() if position is None else inquiry.at(position)
    tenant = inquiry.tenant
    catalogue = tenant.catalogue() if position is None else tenant.catalogue_at(position)
    query = _query(_bound(catalogue, type_), filter_, sort_by)
    documents = _found(view, None if type_ == ALL else type_, query, limit)
    rows = list(documents) if as_json else [_row(document) for document in documents]
    emit_rows(rows, as_json, "nothing found")


def _bound(catalogue: Catalogue, type_: str) -> ResourceType:
    return AllTypes.of(catalogue.resource_types) if type_ == ALL else catalogue.by_name[type_]


def _query(bound: ResourceType, filter_: str, sort_by: str | None) -> Query:
    """Read what is looked for; raises UsageError."""
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
            page = view.readings.search(connection, type_, asked)
            places = [(at, groups) for at, of, groups, _ in page.rows if of == "User"]
            groups = view.readings.relations(connection, "User", places)
        for position, of, _, document in page.rows:
            relation = KINDS[of].relation
            found = groups.get(position, ())
            if relation == "members":  # one group's at a time: it may have very many
                with view.reading() as connection:
                    places = [(position, None)]
                    found = view.readings.relations(connection, of, places).get(position, ())
            shown = {relation: [related(one) for one in found]} if relation else {}
            yield orjson.loads(document) | shown
        mark, left = page.next, left - len(page.rows)


def _relation(type_: str, document: dict[str, Any]) -> dict[str, str]:
    """Name the groups of a user, count the members of a group."""
    if type_ == "Group":
        return {"members": str(len(document["members"]))}
    return {"groups": ", ".join(group["display"] for group in document.get("groups", ()))}


def _row(document: dict[str, Any]) -> dict[str, str]:
    type_ = document["meta"]["resourceType"]
    return {
        "type": type_,
        "name": text(document.get(KINDS[type_].name_attribute)),
        "active": text(document.get("active")),
        **_relation(type_, document),
        "id": document["id"],
    }


COMMANDS: list[click.Command] = [diff, search]
