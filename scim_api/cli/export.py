"""export: events with their proofs, for auditors without access."""

import sys
from pathlib import Path

import click

from ledger.contract import Ledger
from ledger.export.package import FORMAT, Disclosure, Export, must_be_free
from scim_api.cli.console import Console, command
from scim_api.cli.moments import MOMENT, NOW, last_position_of, position_before
from scim_api.cli.terminal import Progress, note


@command(
    "export",
    "--output acme.jsonl",
    "--from 2026-10-01 --to 2026-11-01 --show userName,active --output q.jsonl",
    "--withhold --output headers.jsonl",
    json=False,
)
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

    The ledger records beforehand that there was an export, and of what.
    """
    disclosure = _disclosure(show, withhold)
    heads = console.tenant().heads
    first, last = _positions(heads.ledger, start, end)
    if output is not None:
        must_be_free(output)
    done = Export(heads, first, last, disclosure, console.metadata())
    with Progress("exporting") as progress:
        if output is None:
            sys.stdout.buffer.writelines(done.lines(progress))
        else:
            done.write(output, progress)
    note(f"positions {done.first} to {done.last}, under a tree head of {done.size} events")
    for name in sorted(done.unseen):
        note(f"warning: {name} is in none of these events, or is never shown")
    if output is None:
        note("the head: scim-ledger tree-head show; with --output it is written too")
    else:
        note(f"to check: python3 verify.py {output.name} --head {output.name}.tree-head --key KEY")
        note("KEY: scim-ledger key show")


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
