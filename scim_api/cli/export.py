"""export: events with their proofs, for auditors without access."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ledger.contract import Ledger
from ledger.export.package import FORMAT, Disclosure, Export, must_be_free
from scim_api.cli.console import Console, command
from scim_api.cli.ledgers import ALL, Done, for_all, for_one
from scim_api.cli.moments import MOMENT, NOW, last_position_of, position_before
from scim_api.cli.terminal import Progress


@command(
    "export",
    "--output acme.jsonl",
    "--from 2026-10-01 --to 2026-11-01 --show userName,active --output q.jsonl",
    "--withhold --output headers.jsonl",
    "--all --output exports",
)
@ALL
@click.option(
    "--format", "format_", type=click.Choice([FORMAT]), default=FORMAT, help="Format of a line."
)
@click.option("--from", "start", metavar="MOMENT", help=f"The first event: {MOMENT}.")
@click.option("--to", "end", metavar="MOMENT", help=f"The last event, by default the newest. {NOW}")
@click.option("--show", metavar="PATHS", help="Show only these attributes, separated by commas.")
@click.option("--withhold", is_flag=True, help="Show nothing of the payloads.")
@click.option("--output", type=click.Path(path_type=Path), help="A new file, instead of stdout.")
def export(
    console: Console,
    every: bool,
    format_: str,
    start: str | None,
    end: str | None,
    show: str | None,
    withhold: bool,
    output: Path | None,
) -> None:
    """Export events with proofs, for auditors without access.

    One event a line. Next to FILE are FILE.tree-head, the signed head over them, verify.py, which
    checks them with nothing but Python, and for a part of the ledger FILE.proof.json. What is not
    shown of a payload is proved all the same; the hash of a token is never shown. PATHS are names
    of attributes as in the events (userName, members, urn:...:User:department) or of other entries
    (request.id).

    With --all the output is a folder, and every ledger's file in it has its name.

    The ledger records beforehand that there was an export, and of what.
    """
    disclosure = _disclosure(show, withhold)
    if output is None and (every or console.as_json):
        raise click.UsageError("--all and --json need --output")

    def work(name: str) -> Done:
        target = output / f"{name}.jsonl" if output and every else output
        heads = console.tenant(name).heads
        first, last = _positions(heads.ledger, start, end)
        if target is not None:
            must_be_free(target)
        export = Export(heads, first, last, disclosure, console.metadata())
        with Progress(f"exporting {name}") as progress:
            if target is None:
                sys.stdout.buffer.writelines(export.lines(progress))
            else:
                export.write(target, progress)
        record = {
            "name": name,
            "ok": True,
            "file": str(target),
            "from": export.first,
            "to": export.last,
            "size": export.size,
        }
        return Done(record, notes=list(_notes(export, name, target)))

    (for_all if every else for_one)(console, work, "exported")


def _notes(export: Export, name: str, target: Path | None) -> Iterator[str]:
    """Yield what was exported, and how it is checked."""
    yield f"positions {export.first} to {export.last}, under a tree head of {export.size} events"
    for path in sorted(export.unseen):
        yield f"warning: {path} is in none of these events, or is never shown"
    if target is None:
        yield "the head: scim-ledger tree-head show; with --output it is written too"
    else:
        yield f"to check: python3 verify.py {target.name} --head {target.name}.tree-head --key KEY"
        yield f"KEY: scim-ledger key show --ledger {name}"


def _positions(ledger: Ledger, start: str | None, end: str | None) -> tuple[int, int | None]:
    """Return the first position and the last, if one is given; raises UsageError."""
    first = 1 if start is None else position_before(ledger, start, "--from") + 1
    last = None if end is None else last_position_of(ledger, end, "--to")
    if first > (last or ledger.last_position()):
        raise click.UsageError("there is no event from --from to --to")
    return first, last


def _disclosure(show: str | None, withhold: bool) -> Disclosure:
    if show is None:
        return Disclosure(withhold=withhold)
    if withhold:
        raise click.UsageError("--show and --withhold exclude each other")
    paths = frozenset(name for name in map(str.strip, show.split(",")) if name)
    if not paths:
        raise click.UsageError("--show names nothing; to show nothing use --withhold")
    return Disclosure(paths)
