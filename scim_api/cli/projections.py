"""Commands about projections: where they stand, rebuilding them, checking them."""

from collections.abc import Sequence
from typing import Protocol

import click

from projections.runner import StoredProjection
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    Progress,
    emit,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
)


class Site(Protocol):
    """What the program gives these commands."""

    def projections(self, name: str) -> Sequence[StoredProjection]: ...


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
    found = (projection.status() for projection in site.projections(ledger))
    rows = (
        {
            "name": status.name,
            "revision": status.revision,
            "position": status.position,
            "rows": dict(status.rows),
        }
        for status in found
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
    for projection in _named(site.projections(ledger), name):
        progress = Progress(f"rebuilding {projection.name}")
        position = projection.rebuild(progress)
        progress.end()
        click.echo(f"{projection.name}: rebuilt up to position {position}", err=True)


@projections_group.command("check")
@click.argument("name", required=False)
@ledger_option
@json_option
@pass_site
@examples("scim-ledger projections check", "scim-ledger projections check --json")
def check(site: Site, name: str | None, ledger: str, as_json: bool) -> None:
    """Prove that a rebuild gives the same rows; exit 3 if it does not. Nothing is written.

    The history is checked as far as it was built.
    """
    faults: dict[str, str | None] = {}
    built: dict[str, bool] = {}
    for projection in _named(site.projections(ledger), name):
        progress = Progress(f"checking {projection.name}")
        difference = projection.check(progress)
        progress.end()
        faults[projection.name] = str(difference) if difference else None
        built[projection.name] = projection.status().position > 0
    if as_json:
        emit([{"name": n, "ok": fault is None, "fault": fault} for n, fault in faults.items()])
    else:
        for n, fault in faults.items():
            same = "the same rows as a rebuild gives" if built[n] else "not built yet"
            click.echo(fault or f"{n}: {same}")
    if any(faults.values()):
        click.get_current_context().exit(Exit.NOT_VERIFIED)


def _named(projections: Sequence[StoredProjection], name: str | None) -> Sequence[StoredProjection]:
    chosen = [p for p in projections if name in (None, p.name)]
    if not chosen:
        names = ", ".join(p.name for p in projections)
        raise Failure(f"there is no projection {name!r}; there are: {names}", Exit.NOT_FOUND)
    return chosen


COMMANDS: list[click.Command] = [projections_group]
