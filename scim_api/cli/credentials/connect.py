"""connect: the one-time code by which a client is connected to a ledger."""

import click

from scim_api.auth.oauth import connect_codes
from scim_api.auth.oauth.clients import AUTHORIZATION_CODE
from scim_api.cli.console import Console, command
from scim_api.cli.credentials.clients import KEY, known_by, one_of_service
from scim_api.cli.credentials.paste import say_if_off, set_redirect_uri
from scim_api.cli.moments import lasting_option
from scim_api.cli.terminal import Failure, note, print_json, say


@command("connect", "okta", "okta --for 1h", "--ledger acme", "--cancel")
@click.argument("client", metavar="[CLIENT]", required=False)
@lasting_option
@click.option("--cancel", is_flag=True, help="Cancel the ledger's codes that were not used yet.")
def connect(console: Console, client: str | None, expires_at: str, cancel: bool) -> None:
    """Make a one-time code that connects a client to this ledger.

    Whoever pastes it into the page that Okta opens (Authenticate) consents for the ledger. The
    client may be registered in another ledger: name it by its client id. Without CLIENT it is the
    only one of the ledger.
    """
    tenant = console.tenant()
    if cancel:
        count = connect_codes.cancel_all(tenant, console.metadata())
        console.change(bool(count), f"cancelled {count} one-time codes", "there was none to cancel")
        return
    found = one_of_service(console, tenant, client)
    if AUTHORIZATION_CODE not in found.grants:
        raise Failure(f"client {found.name} needs no consent: it gets its tokens by itself")
    if not found.redirect_uris:
        raise Failure(
            f"client {found.name} has no redirect URI, without which nothing can be connected:"
            f" {set_redirect_uri(found)}"
        )
    if known_by(found) == KEY and found.tenant.name != tenant.name:
        # that an assertion was used is recorded there, in one append with the tokens
        raise Failure(
            f"client {found.name} signs its assertions itself: it can be connected to its own"
            f" ledger only, {found.tenant.name}"
        )
    code = connect_codes.issue(tenant, found, console.metadata(), expires_at=expires_at)
    if console.as_json:
        made = {"code": code, "client": found.name, "client_id": found.client_id}
        print_json({**made, "ledger": tenant.name, "expires_at": expires_at})
        return
    say(code)
    note(f"connects {found.name} to ledger {tenant.name}, once, until {expires_at}")
    say_if_off(console)
    note("press Authenticate in Okta and paste it into the page that opens")
