"""migrate: bring ledgers up to this version of the program."""

from scim_api.cli.console import Console, command
from scim_api.cli.terminal import note


@command("migrate", ledger=False, json=False)
def migrate(console: Console) -> None:
    """Bring every ledger up to this version of the program.

    A ledger that is up to date is not touched.
    """
    for name in console.names:
        note(f"{name}: {', '.join(console.migrate(name)) or 'up to date'}")
    if not console.names:
        note("no ledger yet; scim-ledger init makes one")
