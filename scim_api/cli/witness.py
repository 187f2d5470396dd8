"""witness: watch a ledger from another machine, which needs no ledger of its own."""

import os
import sys
import time
from pathlib import Path

import click

from ledger.http_client import RemoteTrouble
from ledger.signing.note import TreeHead
from ledger.witness.remote_log import RemoteLog
from ledger.witness.state import WitnessFolder
from ledger.witness.witness import Witness
from scim_api.cli.console import Console, command
from scim_api.cli.key import key_given
from scim_api.cli.terminal import note, to_json

TOKEN_VARIABLE = "WITNESS_TOKEN"
TOKEN_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
LONGEST_PAUSE = 600.0  # seconds between two attempts where the log cannot be reached


@command(
    "witness",
    "https://scim.example.com --token-file token",
    "https://scim.example.com --token-file token --every 300",
    ledger=False,
)
@click.argument("url")
@click.option("--token-file", type=TOKEN_FILE, help="A file, or - for stdin, with the token.")
@click.option("--key", help="Verifier key of the ledger. Default: the key seen first.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("witness"),
    show_default=True,
    help="Folder of the witness.",
)
@click.option("--name", help="Name in its cosignatures, chosen at the first run.")
@click.option("--every", type=click.IntRange(1), metavar="SECONDS", help="Look again at intervals.")
@click.option("--accept-incarnation", is_flag=True, help="Accept a new origin of the log.")
def witness(
    console: Console,
    url: str,
    token_file: Path | None,
    key: str | None,
    state: Path,
    name: str | None,
    every: int | None,
    accept_incarnation: bool,
) -> None:
    """Watch a ledger from another machine.

    Keeps and cosigns only heads that continue those before. URL is the service's, or that of a
    public log, which ends in tlog/ID. The token needs scope audit; it comes from a file or from
    WITNESS_TOKEN. A fork or a shrink is refused for ever, with both heads kept, and ends with exit
    code 3. Nothing of the ledger but its heads is kept.
    """
    given = key_given(key) if key else None
    log, folder = RemoteLog(url, _token(token_file)), WitnessFolder(state)
    own = folder.key(_name(name) if name else None)
    watcher = Witness(log, folder, own, given=given, accept=accept_incarnation)
    note(f"cosigner key: {own.cosigner}")
    if every is None:
        _look(watcher, console.as_json, always=True)
    else:
        _watch(watcher, every, console.as_json)


def _watch(watcher: Witness, every: int, as_json: bool) -> None:
    retry = 1.0  # seconds, doubled by each attempt that failed
    while True:
        try:
            _look(watcher, as_json, always=retry > 1)
            retry, pause = 1.0, float(every)
        except RemoteTrouble as error:
            note(f"{error}; trying again")
            retry = pause = min(2 * retry, LONGEST_PAUSE)
        time.sleep(pause)


def _look(watcher: Witness, as_json: bool, *, always: bool) -> None:
    """Look once; print a head that is new, or whatever was seen."""
    seen = watcher.look()
    for line in seen.says:
        note(line)
    if seen.file:
        note(f"kept in {seen.file}")
    elif not always:
        return
    if as_json:
        head = TreeHead.of(seen.note)
        document = {"origin": head.origin, "size": head.size, "root": head.root.hex()}
        click.echo(to_json(document | {"new": bool(seen.file), "note": str(seen.note)}))
    else:
        click.echo(str(seen.note), nl=False)


def _token(file: Path | None) -> str | None:
    if file is None:
        text = os.environ.get(TOKEN_VARIABLE, "")
    else:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    token = text.removeprefix("\ufeff").strip()
    if not token.isascii() or not token.isprintable():
        raise click.UsageError("the token is one line of letters, digits and underscores")
    return token or None


def _name(text: str) -> str:
    if "+" in text or any(each.isspace() for each in text) or not text.isprintable():
        raise click.UsageError("--name has no spaces and no plus, such as witness.example.com")
    return text
