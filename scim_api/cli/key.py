"""key: the key that signs tree heads."""

from contextlib import suppress
from typing import TextIO

import click

from ledger.signing.keys import KeyUnusable
from ledger.signing.note import MalformedNote, VerifierKey
from scim_api.cli.console import Console, command, group
from scim_api.cli.terminal import note, say


def key_given(text: str) -> VerifierKey:
    """Read a verifier key given by --key; raises UsageError."""
    try:
        return VerifierKey.parse(text.removeprefix("\ufeff"))  # of a file, as some save it
    except MalformedNote as error:
        raise click.UsageError(f"--key: {error}; scim-ledger key show prints it") from error


key = group("key", "Show or replace the key that signs tree heads.")


@command(
    "show", "", "--all", "--json", 'scim-ledger verify --key "$(scim-ledger key show)"', group=key
)
@click.option("--all", "every", is_flag=True, help="Also earlier keys, and since when each.")
def show_key(console: Console, every: bool) -> None:
    """Show the current verifier key, for auditors.

    It is what verify --key takes. --all and --json show all keys the ledger had, the newest last.
    """
    heads = console.tenant().heads
    periods = heads.identity().keys
    if every or console.as_json or not periods:
        rows = ({"since_position": each.since, "verifier_key": str(each.key)} for each in periods)
        console.rows(rows, "the ledger has no key yet; run scim-ledger migrate")
    else:
        say(str(periods[-1].key))
        if earlier := len(periods) - 1:
            note(f"{earlier} before it: scim-ledger key show --all")
    with suppress(KeyUnusable):
        heads.key()
        return
    note("warning: the private key of the newest one is not here; see scim-ledger doctor")


@command("rotate", "", "openssl rand -base64 32 | scim-ledger key rotate --new-key -", group=key)
@click.option(
    "--new-key",
    type=click.File(encoding="utf-8-sig"),
    help="A file, or - for stdin, with the new key: 32 bytes in base64. By default one is made.",
)
def rotate_key(console: Console, new_key: TextIO | None) -> None:
    """Replace the key; an event signed by both records it.

    Whoever holds the old verifier key can thus trust the new one. The old private key is removed.
    A key from SCIM_SIGNING_KEY is rotated with --new-key; then set the variable to the new key.
    """
    heads = console.tenant().heads
    given = new_key.read().strip() if new_key else None
    if heads.keys.given and not given:
        raise click.UsageError("the key comes from SCIM_SIGNING_KEY: give the new one by --new-key")
    verifier = heads.rotate(console.metadata(), given)
    console.deliver()
    console.record({"verifier_key": str(verifier)})
    if heads.keys.given:
        note("next: set SCIM_SIGNING_KEY to the new key and restart the service")
