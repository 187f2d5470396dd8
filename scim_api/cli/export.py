"""export: events for those who check them elsewhere, proved whatever of them is shown."""

import sys
from pathlib import Path
from typing import Protocol

import click

from ledger.contract import Ledger
from ledger.events import Metadata
from ledger.export.line import FORMAT, Disclosure
from ledger.export.package import Export, Order, must_be_free
from ledger.signing.tree_heads import TreeHeads
from scim_api.cli.lookup import MOMENT, NOW, last_position_of, start_of
from scim_api.cli.terminal import HELP, Progress, examples, ledger_option, pass_site, say


class Site(Protocol):
    """What the program gives this command."""

    def heads(self, name: str) -> TreeHeads: ...
    def metadata(self, via: str) -> Metadata: ...


@click.command("export", context_settings=HELP)
@click.option(
    "--format", "format_", type=click.Choice([FORMAT]), default=FORMAT, help="The form of a line."
)
@click.option("--from", "start", metavar="MOMENT", help=f"The first event: {MOMENT}.")
@click.option("--to", "end", metavar="MOMENT", help=f"The last event, by default the newest. {NOW}")
@click.option("--show", metavar="PATHS", help="Show only these of the payloads, by commas apart.")
@click.option("--withhold", is_flag=True, help="Show nothing of the payloads.")
@click.option("--output", type=click.Path(path_type=Path), help="A new file, instead of stdout.")
@ledger_option
@pass_site
@examples(
    "scim-ledger export --output acme.jsonl",
    "scim-ledger export --from 2026-10-01 --to 2026-11-01 --show userName,active --output q.jsonl",
    "scim-ledger export --withhold --output headers.jsonl",
)
def export(
    site: Site,
    format_: str,
    start: str | None,
    end: str | None,
    show: str | None,
    withhold: bool,
    output: Path | None,
    ledger: str,
) -> None:
    """Write the ledger's events, a line each, with what proves them to somebody who has no access.

    Beside FILE stand FILE.tree-head, the signed head over them, verify.py, which checks them with
    nothing but Python, and for a part of the ledger FILE.proof.json. What is not shown of a payload
    is proved all the same; the hash of a token is never shown. PATHS are names of attributes as in
    the events (userName, members, urn:...:User:department) or of other entries (request.id).

    That there was an export, and of what, is recorded in the ledger before.
    """
    heads = site.heads(ledger)
    order = Order(*_positions(heads.ledger, start, end), _disclosure(show, withhold))
    if output is not None:
        must_be_free(output)
    done = Export(heads, order, site.metadata("cli"))
    progress = Progress("exporting")
    if output is None:
        sys.stdout.buffer.writelines(done.lines(progress))
    else:
        done.write(output, progress)
    progress.end()
    _say(done, output)


def _positions(ledger: Ledger, start: str | None, end: str | None) -> tuple[int, int | None]:
    """Return the first position and the last, if one is asked for; raises UsageError."""
    first = 1 if start is None else start_of(ledger, start, "--from") + 1
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
        raise click.UsageError("--show names nothing; to show nothing say --withhold")
    return Disclosure(paths)


def _say(done: Export, output: Path | None) -> None:
    """Say on stderr what was exported and how it is checked."""
    span = done.span
    say(f"positions {span.first} to {span.last}, under a tree head of {span.size} events", err=True)
    for name in sorted(done.unseen):
        say(f"warning: {name} is in none of these events, or is never shown", err=True)
    if output is None:
        say("the head: scim-ledger tree-head show; with --output it is written too", err=True)
    else:
        say(
            f"to check: python3 verify.py {output.name} --head {output.name}.tree-head --key KEY,"
            " the KEY from scim-ledger key show",
            err=True,
        )


COMMANDS: list[click.Command] = [export]
