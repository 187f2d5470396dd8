"""Commands about what the events add up to: users, groups, their history, projections."""

from collections.abc import Sequence
from typing import Any, Protocol

import click
import orjson

from ledger.events import Recorded
from ledger.sqlite import SQLiteLedger
from ledger.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    Progress,
    emit,
    emit_record,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
)
from projections import runner
from projections.resources import Resources
from projections.state import Resource

NAMES = {"User": "userName", "Group": "displayName"}
RELATIONS = {"User": "groups", "Group": "members"}


class Tenant(Protocol):
    """A ledger with its current state."""

    @property
    def ledger(self) -> SQLiteLedger: ...
    @property
    def resources(self) -> Resources: ...


class Site(Protocol):
    """What the program gives these commands."""

    def tenant(self, name: str) -> Tenant: ...
    def projections(self, name: str) -> tuple[SQLiteLedger, Sequence[runner.Projection]]: ...


@click.group("user", cls=Group, context_settings=HELP)
@examples("scim-ledger user show jane@example.com", "scim-ledger user history jane@example.com")
def user_group() -> None:
    """Look at a user, by id or by userName."""


@user_group.command("show")
@click.argument("user", metavar="ID|USERNAME")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger user show jane@example.com", "scim-ledger user show jane@example.com --json")
def show_user(site: Site, user: str, ledger: str, as_json: bool) -> None:
    """Show a user as it is now, with its groups."""
    _show(site.tenant(ledger), "User", user, as_json)


@user_group.command("history")
@click.argument("user", metavar="ID|USERNAME")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger user history jane@example.com", "scim-ledger user history ID --json")
def user_history(site: Site, user: str, ledger: str, as_json: bool) -> None:
    """Show every event of a user with each value before and after it.

    A deleted user is found by its id.
    """
    _history(site.tenant(ledger), "User", user, as_json)


@click.group("group", cls=Group, context_settings=HELP)
@examples("scim-ledger group show Engineering", "scim-ledger group history Engineering")
def group_group() -> None:
    """Look at a group, by id or by displayName."""


@group_group.command("show")
@click.argument("group", metavar="ID|NAME")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger group show Engineering", "scim-ledger group show Engineering --json")
def show_group(site: Site, group: str, ledger: str, as_json: bool) -> None:
    """Show a group as it is now, with its members."""
    _show(site.tenant(ledger), "Group", group, as_json)


@group_group.command("history")
@click.argument("group", metavar="ID|NAME")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger group history Engineering", "scim-ledger group history ID --json")
def group_history(site: Site, group: str, ledger: str, as_json: bool) -> None:
    """Show every event of a group: who joined, who left, what else changed.

    A deleted group is found by its id.
    """
    _history(site.tenant(ledger), "Group", group, as_json)


def _show(tenant: Tenant, type_: str, name: str, as_json: bool) -> None:
    found = _find(tenant, type_, name)
    with tenant.ledger.reading() as connection:
        row = tenant.resources.row(connection, type_, found.id)
        related = tenant.resources.relations(connection, type_, [row.place]) if row else {}
    document = orjson.loads(row.document) if row else {}
    relations = related.get(row.position, ()) if row else ()
    document |= {RELATIONS[type_]: [one._asdict() for one in relations]}
    if as_json:
        emit(document)
    else:
        emit_record({key: _text(value) for key, value in document.items()}, False)


def _history(tenant: Tenant, type_: str, name: str, as_json: bool) -> None:
    events = tenant.ledger.read_stream(f"{type_}-{name}")
    if not events:
        events = tenant.ledger.read_stream(f"{type_}-{_find(tenant, type_, name).id}")
    changes = list(_changes(events))
    if as_json:
        emit(changes)
    else:
        emit_rows((row for change in changes for row in _lines(change)), False, "no events")


def _changes(events: Sequence[Recorded]) -> Any:
    """Yield each event with the values before and after it, at the cost of what it changed."""
    state: dict[str, Any] = {}
    for recorded in events:
        before = {key: state.get(key) for key in recorded.effects}
        state.update(recorded.effects)
        yield {
            "position": recorded.position,
            "version": recorded.version,
            "at": recorded.at,
            "type": recorded.type,
            "actor": recorded.actor,
            "via": recorded.via,
            "request": recorded.request,
            "changes": {
                key: {"before": before.get(key), "after": value}
                for key, value in recorded.effects.items()
            },
        }


def _lines(change: dict[str, Any]) -> Any:
    """Return a line for each value changed; the event's own columns stand on the first."""
    head = {name: change[name] for name in ("position", "at", "type", "via")}
    for attribute, values in (change["changes"] or {"": {"before": None, "after": None}}).items():
        yield {
            **head,
            "attribute": attribute,
            "before": _text(values["before"]),
            "after": _text(values["after"]),
        }
        head = dict.fromkeys(head, "")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _find(tenant: Tenant, type_: str, name: str) -> Resource:
    with tenant.ledger.reading() as connection:
        found = tenant.resources.get(connection, type_, name)
        found = found or tenant.resources.find_by_name(connection, type_, name)
    if found is None:
        raise Failure(
            f"there is no {type_.lower()} with the id or {NAMES[type_]} {name!r}", Exit.NOT_FOUND
        )
    return found


@click.group("projections", cls=Group, context_settings=HELP)
@examples("scim-ledger projections list", "scim-ledger projections rebuild resources")
def projections_group() -> None:
    """Look at, rebuild and check the projections: all of them follow from the events."""


@projections_group.command("list")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger projections list --json")
def list_projections(site: Site, ledger: str, as_json: bool) -> None:
    """List the projections, where each stands and how many rows it has."""
    opened, projections = site.projections(ledger)
    rows = (
        {
            "name": status.name,
            "revision": status.revision,
            "position": status.position,
            "rows": dict(status.rows),
        }
        for status in runner.status(opened, projections)
    )
    emit_rows(rows, as_json, "no projections")


@projections_group.command("rebuild")
@click.argument("name", required=False)
@ledger_option
@pass_site
@examples("scim-ledger projections rebuild", "scim-ledger projections rebuild resources")
def rebuild(site: Site, name: str | None, ledger: str) -> None:
    """Rebuild one projection, or all, beside the live tables, then swap.

    The service goes on answering and writing meanwhile.
    """
    opened, projections = site.projections(ledger)
    for projection in _named(projections, name):
        progress = Progress(f"rebuilding {projection.name}")
        position = runner.rebuild(opened, projection, progress)
        progress.end()
        click.echo(f"{projection.name}: rebuilt up to position {position}", err=True)


@projections_group.command("check")
@click.argument("name", required=False)
@ledger_option
@json_option
@pass_site
@examples("scim-ledger projections check", "scim-ledger projections check --json")
def check(site: Site, name: str | None, ledger: str, as_json: bool) -> None:
    """Prove that a rebuild gives the same rows; exit 3 if it does not. Nothing is written."""
    opened, projections = site.projections(ledger)
    faults: dict[str, str | None] = {}
    for projection in _named(projections, name):
        progress = Progress(f"checking {projection.name}")
        difference = runner.check(opened, projection, progress)
        progress.end()
        faults[projection.name] = str(difference) if difference else None
    if as_json:
        emit([{"name": n, "ok": fault is None, "fault": fault} for n, fault in faults.items()])
    else:
        for n, fault in faults.items():
            click.echo(fault or f"{n}: the same rows as a rebuild gives")
    if any(faults.values()):
        click.get_current_context().exit(Exit.NOT_VERIFIED)


def _named(
    projections: Sequence[runner.Projection], name: str | None
) -> Sequence[runner.Projection]:
    chosen = [p for p in projections if name in (None, p.name)]
    if not chosen:
        names = ", ".join(p.name for p in projections)
        raise Failure(f"there is no projection {name!r}; there are: {names}", Exit.NOT_FOUND)
    return chosen


COMMANDS: list[click.Command] = [user_group, group_group, projections_group]
