"""recover: go on after a backup was restored, or the key was lost."""

import click

from ledger.background import exclusive_lock
from ledger.signing import rollback
from scim_api.cli.console import Console, command
from scim_api.cli.terminal import Exit, Failure, note
from scim_api.wiring import known_heads, wire


@command("recover", "--new-incarnation")
@click.option("--new-incarnation", is_flag=True, required=True, help="Go on under a new origin.")
@click.option(
    "--accept-changed-events",
    is_flag=True,
    help="Even if events are not lost but changed; verify goes on reporting it.",
)
def recover(console: Console, new_incarnation: bool, accept_changed_events: bool) -> None:
    """Continue a restored ledger under a new origin and key.

    Needed if events are lost that a tree head covers, or if the key is lost. The first event under
    the new origin records this and names the abandoned head, for all to see. Stop the service
    first. If nothing was lost, nothing is done.
    """
    tenant = wire(console.path(), console.settings)
    heads, known = tenant.heads, known_heads(tenant, console.settings)
    with exclusive_lock(heads.ledger.path) as alone:
        if not alone:
            raise Failure("the ledger is being served; stop the service first", Exit.BUSY)
        previous = heads.ledger.origin
        origin = rollback.recover(
            heads, known, console.metadata(), accept_changed=accept_changed_events
        )
    key = str(heads.key().verifier)
    console.record({"previous": previous, "origin": origin, "verifier_key": key})
    note("tell those who keep tree heads of it: origin and verifier key are new")
