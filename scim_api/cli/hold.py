"""hold: keep a user from being erased."""

import click

from ledger import erasure
from ledger.erasure import Justification
from scim_api.cli.console import Console, command
from scim_api.cli.erase import find_person, hold_document, short_form
from scim_api.erasure.erase import stream_of


@command(
    "hold",
    "jane@example.com --reason litigation --ticket CASE-7",
    "019ab6d3-... --release --reason settled --ticket CASE-7",
    "--json",
)
@click.argument("user", metavar="[ID|USERNAME]", required=False)
@click.option("--reason", type=short_form, metavar="CODE", help="Why: a code.")
@click.option("--ticket", type=short_form, metavar="ID", help="The ticket of the hold.")
@click.option("--release", is_flag=True, help="Release the hold of this ticket.")
def hold(
    console: Console, user: str | None, reason: str | None, ticket: str | None, release: bool
) -> None:
    """Keep a user from being erased (a legal hold).

    Without a user, list the holds in force. A user can be under holds of several tickets, and can
    be erased once all are released. Reason and ticket stay in the ledger for ever: put no names
    there.
    """
    tenant = console.tenant()
    if user is None:
        if reason or ticket or release:
            raise click.UsageError("whom to hold, or whose hold to release: ID or USERNAME")
        console.rows(map(hold_document, erasure.all_holds(tenant.ledger)), "no legal holds")
        return
    if reason is None or ticket is None:
        raise click.UsageError("--reason says why, and --ticket names the hold: give both")
    id_, order = find_person(tenant, user), Justification(reason, ticket)
    if release:
        erasure.release_hold(tenant.ledger, id_, order, console.metadata())
        said = f"the hold {ticket} on {id_} is released"
    else:
        new = erasure.place_hold(tenant.ledger, stream_of(id_), order, console.metadata())
        said = f"{id_} is {'' if new else 'already '}under the hold {ticket}"
    holds = erasure.holds_on(tenant.ledger, id_)
    console.document({"id": id_, "holds": [hold_document(each) for each in holds]}, said)
