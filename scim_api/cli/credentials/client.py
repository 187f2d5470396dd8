"""client: OAuth clients, the consents they were given, and what to paste where."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import click
from click.core import ParameterSource

from ledger import clock
from ledger.events import GRANT
from scim_api.auth import credentials
from scim_api.auth.oauth import clients
from scim_api.auth.oauth.clients import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, Client
from scim_api.auth.scopes import Scope
from scim_api.cli.console import Console, command, group
from scim_api.cli.credentials.client_rows import Listing
from scim_api.cli.credentials.clients import (
    consents_from_elsewhere,
    every_ledger,
    ledgers_with_consents,
    one_of,
    warn_of,
)
from scim_api.cli.credentials.credential import (
    Change,
    allow,
    anywhere_option,
    networks_option,
    pause,
    reads_option,
    resume,
    say_change,
    scopes_option,
    table_of,
)
from scim_api.cli.credentials.paste import show, show_again
from scim_api.cli.credentials.registration import (
    redirect_options,
    redirect_uris_of,
    trust_of,
    trust_options,
    usage_errors,
)
from scim_api.cli.moments import expires_option, overlap_option
from scim_api.cli.terminal import (
    Exit,
    Failure,
    note,
    print_json_list,
    print_table,
    say,
)
from scim_api.protocol.policy import PRESETS
from scim_api.tenants.tenants import Tenant

client = group(
    "client",
    """Register, list and change OAuth clients.

    A client gets tokens for a ledger by the consent of whoever has a one-time code of it
    (scim-ledger connect), or, with the grant client_credentials, for the ledger it is registered
    in.
    """,
)

CLIENT = click.argument("client", metavar="CLIENT")  # a name, an id or a client id
GRANTS = (AUTHORIZATION_CODE, CLIENT_CREDENTIALS)


@command(
    "add",
    "okta --okta https://acme-admin.okta.com/admin/app/acme_scim_1/instance/0oa1/",
    "okta",
    "entra --grant client_credentials --policy entra",
    "entra --policy entra --issuer https://login.microsoftonline.com/TENANT/v2.0 --subject ID"
    " --audience APP-ID --audience api://APP-ID --tenant TENANT"
    " --jwks-url https://login.microsoftonline.com/TENANT/discovery/v2.0/keys",
    group=client,
)
@click.argument("name")
@redirect_options
@click.option(
    "--grant",
    "grants",
    type=click.Choice(GRANTS),
    multiple=True,
    help="How it gets tokens; can be repeated. By default authorization_code (with refresh), and"
    " client_credentials where it signs assertions.",
)
@scopes_option("What it may do at most")
@click.option(
    "--policy", type=click.Choice(list(PRESETS)), help="Policy instead of the ledger's own."
)
@expires_option
@networks_option
@trust_options
def add_client(
    console: Console,
    name: str,
    okta: str | None,
    redirects: Sequence[str],
    grants: Sequence[str],
    scopes: Sequence[str],
    policy: str | None,
    expires: str | None,
    networks: Sequence[str],
    **trust: Any,
) -> None:
    """Register a client and say what to paste where; its secret is shown once.

    A client may wait for its redirect URI until the Okta app exists: see client set. One that is
    known by signed assertions (--jwks-url or --jwks-file) has no secret. With --issuer, --subject
    and --audience another service signs them (workload identity federation), else it does itself.
    """
    if not name.strip() or not name.isprintable():
        raise click.UsageError("a client's name consists of characters that can be printed")
    recorded = trust_of(console, **trust)
    chosen = grants or ((CLIENT_CREDENTIALS,) if recorded else (AUTHORIZATION_CODE,))
    uris = redirect_uris_of(okta, redirects)
    if uris and AUTHORIZATION_CODE not in chosen:
        raise click.UsageError("only --grant authorization_code has a redirect URI")
    if recorded and _is_given("expires"):
        raise click.UsageError("--expires is for a secret, and a client with keys has none")
    tenant = console.tenant()
    _must_be_free(tenant, name)
    with usage_errors():
        made = clients.register(
            tenant,
            console.metadata(),
            name,
            grants=clients.BY_CONSENT + tuple(chosen) if AUTHORIZATION_CODE in chosen else chosen,
            scopes=map(Scope, scopes),
            redirect_uris=uris,
            trust=recorded,
            with_secret=recorded is None,
            expires_at=expires,
            networks=list(dict.fromkeys(networks)),
            policy=policy,
        )
    show(console, made.client, made.secret, made.expires_at)


def _must_be_free(tenant: Tenant, name: str) -> None:
    """Raise Failure where a client has this name: commands could not tell the two apart."""
    for each in clients.clients_of(tenant):
        if each.name == name and not each.credential.revoked_at:
            raise Failure(
                f"there is a client {name} already, {each.client_id}: scim-ledger client show"
                " prints its fields again, client rotate gives it a new secret, client set changes"
                " it, client remove ends it"
            )


def _is_given(parameter: str) -> bool:
    source = click.get_current_context().get_parameter_source(parameter)
    return source is not ParameterSource.DEFAULT


# Looking


@command("list", "", "--json", group=client)
def list_clients(console: Console) -> None:
    """List clients, whose assertions they are known by, and their consents with last use.

    Consents to this ledger are listed, too, whose clients are registered in another one.
    """
    tenant = console.tenant()
    found, elsewhere = clients.clients_of(tenant), consents_from_elsewhere(tenant)
    ledgers, left = every_ledger(console) if elsewhere else ledgers_with_consents(console, *found)
    warn_of(console, left)
    listing = Listing(ledgers)
    rows = [listing.row(each) for each in found]
    guests = listing.rows_from_elsewhere(tenant, elsewhere)
    if console.as_json:
        print_json_list([*rows, *guests])
    else:
        _print_clients(rows, guests)


def _print_clients(rows: list[dict[str, Any]], guests: list[dict[str, Any]]) -> None:
    """Print a table of clients, one of those known by assertions, and one of consents."""
    trusts = [{"client": row["name"], **trust} for row in rows if (trust := row.pop("trust"))]
    whose = [({"client": row["name"]}, row) for row in rows]
    whose += [
        ({"client": row["name"], "client_id": row["client_id"], "home": row["home"]}, row)
        for row in guests
    ]
    consents = [{**of, **consent} for of, row in whose for consent in row.pop("consents")]
    for each in consents:
        del each["arrived"]
    for row in rows:
        del row["home"]
        row["redirect_uris"] = len(row["redirect_uris"])
    if not (rows or guests):
        note("no clients yet; scim-ledger client add registers one")
    if guests:
        note("a consent with a client_id is of a client that is registered in another ledger")
    for number, table in enumerate(filter(None, (rows, trusts, consents))):
        if number:
            say("")
        print_table(table_of(table))


@command("show", "okta", group=client)
@CLIENT
def show_client(console: Console, client: str) -> None:
    """Say again what to paste where, all but the secret, and list the redirect URIs."""
    show_again(console, one_of(console.tenant(), client))


# Changing


@command(
    "set",
    "okta --okta https://acme-admin.okta.com/admin/app/acme_scim_1/instance/0oa1/",
    "okta --redirect https://idp.example.com/callback",
    "entra --audience APP-ID --audience api://APP-ID/scim.example.com",
    "app --jwks-file keys.json",
    group=client,
)
@CLIENT
@redirect_options
@trust_options
def set_client(
    console: Console, client: str, okta: str | None, redirects: Sequence[str], **trust: Any
) -> None:
    """Change the redirect URIs of a client, or the assertions it is known by.

    The redirect URIs, the audiences and the algorithms that are given replace all those it had.
    What is not given stays.
    """
    found = one_of(console.tenant(), client)
    if any(trust.values()) and found.trust is None:
        raise Failure(f"client {found.name} is known by its secret: add another for assertions")
    uris, recorded = redirect_uris_of(okta, redirects), trust_of(console, found.trust, **trust)
    if not uris and not recorded:
        raise click.UsageError("say what to change: --okta, --redirect, --audience or the like")
    if uris and AUTHORIZATION_CODE not in found.grants:
        raise Failure(f"client {found.name} gets its tokens without a redirect")
    with usage_errors():
        changed = clients.change(
            found, console.metadata(), redirect_uris=uris or None, trust=recorded
        )
    console.change(changed, f"changed {found.name}", f"{found.name} had all of this before")


@command("rotate", "okta", "okta --overlap 1d --expires 90d", group=client)
@CLIENT
@expires_option
@overlap_option
def rotate_client(console: Console, client: str, expires: str | None, former_until: str) -> None:
    """Give a client a new secret and print it, once; the former works for a while.

    Its consents stay. Where there are two secrets already, the older one ends at once.
    """
    tenant = console.tenant()
    found = one_of(tenant, client)
    if found.trust is not None:
        raise Failure(f"client {found.name} has no secret: it is known by signed assertions")
    secret = credentials.rotate(
        tenant,
        console.metadata(),
        found.credential,
        expires_at=expires,
        former_until=former_until,
    )
    until = credentials.former_until(tenant, found.credential, clock.timestamp())
    show(console, found, secret, expires, former_until=until)


@command("pause", "okta", "okta --reads", group=client)
@CLIENT
@reads_option
def pause_client(console: Console, client: str, reads: bool) -> None:
    """Refuse what a client asks for, under every consent, until it is resumed."""
    found = one_of(console.tenant(), client)
    pause(console, found.name, _change_of(console, found), reads=reads)


@command("resume", "okta", group=client)
@CLIENT
def resume_client(console: Console, client: str) -> None:
    """End the pause of a client."""
    found = one_of(console.tenant(), client)
    resume(console, found.name, _change_of(console, found))


@command("allow", "okta --network 203.0.113.0/24", "okta --anywhere", group=client)
@CLIENT
@networks_option
@anywhere_option
def allow_client(console: Console, client: str, networks: Sequence[str], anywhere: bool) -> None:
    """Set the networks a client may be used from, instead of those it had."""
    found = one_of(console.tenant(), client)
    allow(console, found.name, _change_of(console, found), networks, anywhere=anywhere)


def _change_of(console: Console, client: Client) -> Change:
    return partial(credentials.change, client.tenant, console.metadata(), client.id)


# Ending


@command("withdraw", "019ab6d3-...", group=client)
@click.argument("consent", metavar="ID")
def withdraw_consent(console: Console, consent: str) -> None:
    """Withdraw a consent: its tokens are refused from now on.

    The id is in client list. --ledger is the ledger that the consent is for.
    """
    tenant = console.tenant()
    with tenant.ledger.reading() as connection:
        found = tenant.credentials.get(connection, consent)
    if found is None or found.kind != GRANT:
        raise Failure(f"there is no consent {consent!r} in ledger {tenant.name}", Exit.NOT_FOUND)
    if found.revoked_at:
        raise Failure(f"consent {consent} ended already, at {found.revoked_at}")
    changed = credentials.revoke(tenant, console.metadata(), consent)
    console.change(
        changed, f"withdrew the consent for {found.name} ({consent})", "it has just ended"
    )


@command("remove", "okta", group=client)
@CLIENT
def remove_client(console: Console, client: str) -> None:
    """Remove a client and withdraw its consents, in every ledger.

    Where a ledger cannot be opened it ends with 1; run again, it does the rest.
    """
    found = one_of(console.tenant(), client, or_removed=True)
    ledgers, unopened = ledgers_with_consents(console, found)
    changed, left = clients.remove(found, ledgers, console.metadata())
    home = "" if console.name == "default" else f" --ledger {console.name}"
    say_change(
        console,
        (changed, unopened | left),
        f"removed {found.name} ({found.client_id})",
        f"{found.name} was removed, at {found.credential.revoked_at}",
        "They open nothing any more. To record that there, once these can be opened, run"
        f" scim-ledger client remove {found.client_id}{home}",
    )
