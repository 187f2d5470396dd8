"""projections: where they stand, rebuilding them, checking them."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from projections.runner import StoredProjection
from projections.tree import StoredTree
from scim_api.cli.console import Console, command, group
from scim_api.cli.terminal import Exit, Failure, Progress, end, note
from scim_api.wiring import rebuildable

projections = group("projections", "Show, rebuild and check what is derived from the events.")


@command("list", "--json", group=projections)
def list_projections(console: Console) -> None:
    """List the projections: position and number of rows."""
    console.rows((asdict(each.status()) for each in _projections(console)), "no projections")


@command("rebuild", "", "resources", "tree", group=projections, json=False)
@click.argument("name", required=False)
def rebuild(console: Console, name: str | None) -> None:
    """Rebuild one projection, or all, while the service runs.

    New tables are built next to the live ones and then take their place. The projection `tree` is
    the tiles that proofs are made of; it is rebuilt only if the events are as they were signed.
    """
    for projection in _projections(console, name):
        with Progress(f"rebuilding {projection.name}") as progress:
            position = projection.rebuild(progress)
        note(f"{projection.name}: rebuilt up to position {position}")


@command("check", "", "--json", group=projections)
@click.argument("name", required=False)
def check(console: Console, name: str | None) -> None:
    """Compare the tables with a rebuild; exit 3 if they differ.

    Nothing is written. The history is checked as far as it was built.
    """
    found, lines = [], []
    for projection in _projections(console, name):
        with Progress(f"checking {projection.name}") as progress:
            difference = projection.check(progress)
        fault = str(difference) if difference else None
        built = projection.status().position > 0
        found.append({"name": projection.name, "ok": fault is None, "fault": fault})
        same = "the same rows as a rebuild gives" if built else "not built yet"
        lines.append(fault or f"{projection.name}: {same}")
    console.document(found, *lines)
    if not all(each["ok"] for each in found):
        end(Exit.NOT_VERIFIED)


def _projections(
    console: Console, name: str | None = None
) -> Sequence[StoredProjection | StoredTree]:
    """Return a ledger's projections whatever their state, or the one of a name."""
    every = rebuildable(console.path(), console.settings)
    chosen = [each for each in every if name in (None, each.name)]
    if not chosen:
        names = ", ".join(each.name for each in every)
        raise Failure(f"there is no projection {name!r}; there are: {names}", Exit.NOT_FOUND)
    return chosen
