"""init: make a ledger."""

from scim_api.cli.console import Console, command
from scim_api.cli.terminal import note


@command("init", "", "--ledger acme")
def init(console: Console) -> None:
    """Make a ledger, for one tenant.

    A tenant sees nothing of the ledgers of others.
    """
    tenant = console.create()
    console.deliver()
    ledger = tenant.ledger
    console.record({"ledger": console.name, "origin": ledger.origin, "file": str(ledger.path)})
    tenant.close()
    note(f"next: scim-ledger token create okta --ledger {console.name}")
