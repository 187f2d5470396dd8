"""Commands about what proves the ledger: tree heads, proofs, keys, incarnations."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import click

from ledger.atomic_files import write_whole
from ledger.background import exclusive_lock
from ledger.events import Metadata
from ledger.signing.key_rotation import rotate
from ledger.signing.keys import KeyUnusable
from ledger.signing.note import KnownHead
from ledger.signing.proofs import proof_of
from ledger.signing.rollback import recover
from ledger.signing.tree_heads import SignedHead, TreeHeads
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    emit,
    emit_record,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
    say,
)


class Site(Protocol):
    """What the program gives these commands."""

    def heads(self, name: str) -> TreeHeads:
        """Return the tree heads of a ledger."""
        ...

    def heads_and_known(self, name: str) -> tuple[TreeHeads, list[KnownHead]]:
        """Return them, also of a ledger that is behind, and the heads known to others."""
        ...

    def metadata(self, via: str) -> Metadata: ...


@click.group("tree-head", cls=Group, context_settings=HELP)
@examples("scim-ledger tree-head show", "scim-ledger tree-head list")
def tree_head() -> None:
    """Signed tree heads: a signature over all events so far, for others to keep.

    Whoever keeps one can tell later whether any event before it was changed.
    """


@tree_head.command("show")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger tree-head show", "scim-ledger tree-head show --json")
def show_head(site: Site, ledger: str, as_json: bool) -> None:
    """Print the newest head as a signed note, fit to be kept in a file."""
    heads = site.heads(ledger)
    newest = heads.newest()
    if newest is None:
        raise Failure("no tree head was signed yet; scim-ledger tree-head create", Exit.NOT_FOUND)
    _show(heads, newest, as_json)


@tree_head.command("create")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger tree-head create")
def create_head(site: Site, ledger: str, as_json: bool) -> None:
    """Sign a head over all events now; where nothing changed, the newest one is it."""
    heads = site.heads(ledger)
    _show(heads, heads.sign(), as_json)


def _show(heads: TreeHeads, signed: SignedHead, as_json: bool) -> None:
    key = heads.key_of(signed)
    if as_json:
        emit({**_record(signed), "note": signed.note, "verifier_key": str(key)})
    else:
        click.echo(signed.note, nl=False)
        click.echo(f"signed at {signed.signed_at}; verifier key: {key}", err=True)


def _record(signed: SignedHead) -> dict[str, Any]:
    head = signed.head
    return {
        "number": signed.number,
        "origin": head.origin,
        "size": signed.size,
        "root": head.root.hex(),
        "signed_at": signed.signed_at,
    }


@tree_head.command("list")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger tree-head list", "scim-ledger tree-head list --json")
def list_heads(site: Site, ledger: str, as_json: bool) -> None:
    """List all heads, oldest first."""
    emit_rows(map(_record, site.heads(ledger).every()), as_json, "no tree head was signed yet")


@click.command("prove", context_settings=HELP)
@click.argument("position", type=click.IntRange(1))
@click.option("--output", type=click.Path(path_type=Path), help="A file to write, *.tlog-proof.")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger prove 42", "scim-ledger prove 42 --output 42.tlog-proof")
def prove(site: Site, position: int, output: Path | None, ledger: str, as_json: bool) -> None:
    """Prove that the event at POSITION is in the ledger: a C2SP tlog-proof under the newest head.

    It can be checked without this program and without asking it. The header that was hashed stands
    in its second line, in base64.
    """
    heads = site.heads(ledger)
    end = heads.ledger.last_position()
    if position > end:
        raise Failure(f"there is no event {position:,}; the last one is {end:,}", Exit.NOT_FOUND)
    if output and output.exists():
        raise Failure(f"there is a file at {output} already; nothing was written")
    proof = proof_of(heads, position)
    if output:
        write_whole(output, proof.text.encode())
        click.echo(f"{output}: event {position} under a tree head", err=True)
    elif as_json:
        emit(proof.document())
    else:
        click.echo(proof.text, nl=False)


@click.group("key", cls=Group, context_settings=HELP)
@examples("scim-ledger key show", "scim-ledger key rotate")
def key_group() -> None:
    """Show or change the key that signs tree heads."""


@key_group.command("show")
@click.option("--all", "every", is_flag=True, help="Also the keys before, and since when each.")
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger key show",
    "scim-ledger key show --all",
    "scim-ledger key show --json",
    'scim-ledger verify --key "$(scim-ledger key show)"',
)
def show_key(site: Site, every: bool, ledger: str, as_json: bool) -> None:
    """Show the verifier key in force: what an auditor checks heads with, as --key takes it.

    With --all, and in JSON, all keys that the ledger had, the newest last.
    """
    heads = site.heads(ledger)
    rows = [
        {"since_position": each.since, "verifier_key": str(each.key)}
        for each in heads.identity().keys
    ]
    if every or as_json or not rows:
        emit_rows(rows, as_json, "the ledger has no key yet; run scim-ledger migrate")
    else:
        click.echo(rows[-1]["verifier_key"])
        if earlier := len(rows) - 1:
            say(f"{earlier} before it: scim-ledger key show --all", err=True)
    with suppress(KeyUnusable):
        heads.key()
        return
    click.echo("warning: the newest one's private key is not at hand; see doctor", err=True)


@key_group.command("rotate")
@click.option(
    "--new-key",
    type=click.File(encoding="utf-8-sig"),
    help="A file, or - for stdin, with the new key: 32 bytes in base64. By default one is made.",
)
@ledger_option
@json_option
@pass_site
@examples("scim-ledger key rotate", "openssl rand -base64 32 | scim-ledger key rotate --new-key -")
def rotate_key(site: Site, new_key: Any, ledger: str, as_json: bool) -> None:
    """Put a new key in the place of the one in force; an event that both sign says so.

    Who holds the old verifier key can so come to trust the new one. The old private key is removed.
    A key that SCIM_SIGNING_KEY gives is rotated with --new-key; set the variable to it then.
    """
    heads = site.heads(ledger)
    given = new_key.read().strip() if new_key else None
    if heads.keys.given and not given:
        raise click.UsageError("the key comes from SCIM_SIGNING_KEY: give the new one by --new-key")
    verifier = rotate(heads, site.metadata("cli"), given)
    emit_record({"verifier_key": str(verifier)}, as_json)
    if heads.keys.given:
        click.echo("next: set SCIM_SIGNING_KEY to the new key and restart the service", err=True)


@click.command("recover", context_settings=HELP)
@click.option("--new-incarnation", is_flag=True, required=True, help="Go on under a new origin.")
@click.option(
    "--accept-changed-events",
    is_flag=True,
    help="Even where events are not lost but changed; verify goes on saying so.",
)
@ledger_option
@json_option
@pass_site
@examples("scim-ledger recover --new-incarnation")
def recover_command(
    site: Site, new_incarnation: bool, accept_changed_events: bool, ledger: str, as_json: bool
) -> None:
    """Let a ledger that was put back from a backup go on, under a new origin and key.

    Needed where events are lost that a tree head was signed over, or the key is lost. The first
    event under the new origin says so and names the head that was abandoned, for all to see.
    Stop the service first. Nothing is done where nothing was lost.
    """
    heads, known = site.heads_and_known(ledger)
    with exclusive_lock(heads.ledger.path) as alone:
        if not alone:
            raise Failure("the ledger is being served; stop the service first", Exit.BUSY)
        previous = heads.ledger.origin
        origin = recover(heads, known, site.metadata("cli"), accept_changed=accept_changed_events)
    emit_record({"previous": previous, "origin": origin, "verifier_key": _key_text(heads)}, as_json)
    click.echo("tell those who keep tree heads of it: origin and verifier key are new", err=True)


def _key_text(heads: TreeHeads) -> str:
    return str(heads.key().verifier)


COMMANDS: list[click.Command] = [tree_head, prove, key_group, recover_command]
