"""recover: go on with a ledger that is in place and lost events, or its key."""

import click

from scim_api.cli.console import Console, command
from scim_api.cli.terminal import note
from scim_api.recovery.recover import confirm
from scim_api.recovery.recover import recover as go_on


@command("recover", "--new-incarnation", "--new-incarnation --events-lost", "--nothing-lost")
@click.option("--new-incarnation", is_flag=True, help="Go on under a new origin and key.")
@click.option(
    "--events-lost", is_flag=True, help="With it: events were lost, though no tree head shows it."
)
@click.option(
    "--accept-changed-events",
    is_flag=True,
    help="With it: even if events are not lost but changed; verify goes on reporting it.",
)
@click.option(
    "--nothing-lost",
    is_flag=True,
    help="Go on as it is: signing.head is lost, but the ledger surely has all its events.",
)
def recover(
    console: Console,
    new_incarnation: bool,
    events_lost: bool,
    accept_changed_events: bool,
    nothing_lost: bool,
) -> None:
    """Go on with a ledger in place that lost events or its key.

    To put a backup in place, use scim-ledger restore. The first event under the new origin records
    what is known of the loss and names the abandoned tree head, for all to see. Stop the service
    first. Everything is decided before anything is recorded.
    """
    if new_incarnation == nothing_lost or (nothing_lost and (events_lost or accept_changed_events)):
        raise click.UsageError("give either --new-incarnation or --nothing-lost")
    path, settings = console.path(), console.settings
    if nothing_lost:
        head, compared = confirm(path, settings)
        console.record({"size": head.size, "signed_at": head.signed_at})
        note(f"signed over all {head.size:,} events. Compared with {compared}")
        warnings = compared.failures
    else:
        done = go_on(
            path,
            settings,
            console.metadata(),
            events_lost=events_lost,
            accept_changed=accept_changed_events,
        )
        unknown = None if console.as_json else "not known"
        console.record(
            {
                "previous": done.previous,
                "origin": done.origin,
                "verifier_key": done.verifier_key,
                "kept": done.kept,
                "of_the_history_that_ended": unknown if done.agreed is None else done.agreed,
                "lost_at_least": unknown if done.lost is None else done.lost,
            }
        )
        if done.lost is None:
            note(f"how many events were lost is not known. Compared with {done.compared}")
        note("tell those who keep tree heads of it: origin and verifier key are new")
        warnings = done.compared.failures
    console.deliver()
    for warning in warnings:
        note(f"warning: {warning}")
