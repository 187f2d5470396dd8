"""client: OAuth clients, the consents they were given, and what to paste where."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import Any

import click
import orjson

from ledger import clock
from ledger.events import GRANT
from projections.current.credentials import Credential, Use
from scim_api.auth import credentials
from scim_api.auth.oauth import clients
from scim_api.auth.oauth.clients import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, Client
from scim_api.auth.oauth.key_sets import KeySetUnfit
from scim_api.auth.oauth.okta import NoAdminConsoleAddress, redirect_uris, unlisted_domain
from scim_api.auth.oauth.trust import ALGORITHMS, TrustUnfit, to_record
from scim_api.auth.scopes import DEFAULT, Scope
from scim_api.cli.clients import known_by, ledgers_of_service, one_of
from scim_api.cli.console import Console, command, group
from scim_api.cli.credential import (
    PAUSED,
    Change,
    allow,
    anywhere_option,
    last_use,
    networks_option,
    pause,
    reads_option,
    resume,
    state_of,
    table_of,
)
from scim_api.cli.moments import expires_option, overlap_option
from scim_api.cli.paste import show
from scim_api.cli.terminal import (
    Exit,
    Failure,
    note,
    print_json_list,
    print_table,
    read_side_file,
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


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda body: reduce(lambda made, option: option(made), reversed(options), body)


_redirects = _options(
    click.option(
        "--okta",
        metavar="URL",
        help="Address of the app's page in Okta's Admin Console: its redirect URIs are those of"
        " Okta for this app.",
    ),
    click.option(
        "--redirect",
        "redirects",
        metavar="URI",
        multiple=True,
        help="Where a browser may be sent with a code, exactly; can be repeated.",
    ),
)
_trust = _options(
    click.option("--issuer", metavar="URL", help="Federation: who signs the assertions."),
    click.option("--subject", metavar="TEXT", help="Federation: their subject."),
    click.option(
        "--audience",
        "audiences",
        metavar="TEXT",
        multiple=True,
        help="Federation: an audience they may have, exactly; can be repeated.",
    ),
    click.option("--tenant", metavar="ID", help="Federation: their Microsoft tenant (tid)."),
    click.option("--jwks-url", "jwks_uri", metavar="URL", help="Where their keys are published."),
    click.option(
        "--jwks-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file of the keys, instead.",
    ),
    click.option(
        "--algorithm",
        "algorithms",
        type=click.Choice(ALGORITHMS),
        multiple=True,
        help="How they may be signed, instead of any of these; can be repeated.",
    ),
)


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
@_redirects
@click.option(
    "--grant",
    "grants",
    type=click.Choice(GRANTS),
    multiple=True,
    help="How it gets tokens; can be repeated. By default authorization_code (with refresh), and"
    " client_credentials where it signs assertions.",
)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([str(scope) for scope in Scope]),
    multiple=True,
    default=[str(scope) for scope in DEFAULT],
    show_default=True,
    help="What it may do at most; can be repeated.",
)
@click.option(
    "--policy", type=click.Choice(list(PRESETS)), help="Policy instead of the ledger's own."
)
@expires_option
@networks_option
@_trust
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
    recorded = _trust_of(console, **trust)
    chosen = grants or ((CLIENT_CREDENTIALS,) if recorded else (AUTHORIZATION_CODE,))
    uris = _redirect_uris(okta, redirects)
    if uris and AUTHORIZATION_CODE not in chosen:
        raise click.UsageError("only --grant authorization_code has a redirect URI")
    tenant = console.tenant()
    with _usage_errors():
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


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Turn what is wrong with a registration into a usage error."""
    try:
        yield
    except (clients.NotARedirectUri, NoAdminConsoleAddress, TrustUnfit, KeySetUnfit) as error:
        raise click.UsageError(str(error)) from None


def _trust_of(console: Console, *, jwks_file: Path | None, **given: Any) -> dict[str, Any] | None:
    """Return the trust that the options name, if they name any; raises UsageError."""
    if jwks_file is None and not any(given.values()):
        return None
    try:
        jwks = orjson.loads(jwks_file.read_bytes()) if jwks_file else None
    except orjson.JSONDecodeError:
        raise click.UsageError(f"{jwks_file} is not JSON: a key set is (RFC 7517 §5)") from None
    with _usage_errors():
        return to_record(hosts=console.settings.jwks_hosts, jwks=jwks, **given)


def _redirect_uris(okta: str | None, redirects: Sequence[str]) -> list[str]:
    """Return the redirect URIs that the options name; raises UsageError."""
    if okta is None:
        return [*redirects]
    with _usage_errors():
        if host := unlisted_domain(okta):
            note(
                f"warning: {host} is in a cell whose redirect URI Okta does not publish; the page"
                " that refuses it shows the one to add with --redirect"
            )
        return [*redirect_uris(okta), *redirects]


# Looking


@command("list", "", "--json", group=client)
def list_clients(console: Console) -> None:
    """List clients and their consents, with last use and last refresh."""
    tenant, ledgers = console.tenant(), ledgers_of_service(console)
    rows = [_row(each, ledgers) for each in clients.clients_of(tenant)]
    if console.as_json:
        print_json_list(rows)
        return
    consents = [
        {"client": row["name"], **consent} for row in rows for consent in row.pop("consents")
    ]
    for each in consents:
        del each["arrived"]
    if not print_table(table_of(rows)):
        note("no clients yet; scim-ledger client add registers one")
    if consents:
        say("")
        print_table(table_of(consents))


def _row(client: Client, ledgers: Sequence[Tenant]) -> dict[str, Any]:
    credential, now = client.credential, clock.timestamp()
    return {
        "client_id": client.client_id,
        "name": client.name,
        "state": state_of(credential, now),
        "grants": [*client.grants],
        "scopes": sorted(credential.scopes),
        "known_by": known_by(client),
        "policy": credential.policy,
        "networks": [*credential.networks],
        "redirect_uris": [*client.redirect_uris],
        "issued_at": credential.issued_at,
        "expires_at": credential.expires_at,
        "former_until": credentials.former_until(client.tenant, credential, now),
        "removed_at": credential.revoked_at,
        "last_token_at": _last_token_at(client.tenant, credential),
        **_last_use(client.tenant, credential),
        "consents": [
            _consent(client.credential, *each) for each in clients.grants_of(client, ledgers)
        ],
    }


def _consent(client: Credential, tenant: Tenant, grant: Credential) -> dict[str, Any]:
    """Return a consent as it is shown; what its client is refused, it is refused."""
    state = state_of(grant, clock.timestamp())
    return {
        "id": grant.id,
        "ledger": tenant.name,
        "state": PAUSED.get(client.allows, state) if state == "live" else state,
        "scopes": sorted(grant.scopes),
        "networks": [*(grant.networks or client.networks)],
        "consented_at": grant.issued_at,
        "ended_at": grant.revoked_at,
        "last_refresh_at": _last_token_at(tenant, grant),
        **_last_use(tenant, grant),
        "arrived": grant.details.get("arrived"),
    }


def _last_token_at(tenant: Tenant, credential: Credential) -> str | None:
    """Return when a client or a grant last got an access token."""
    with tenant.ledger.reading() as connection:
        secrets = tenant.credentials.secrets(connection, credential.id, Use.ACCESS)
    return max((each.issued_at for each in secrets), default=None)


def _last_use(tenant: Tenant, credential: Credential) -> dict[str, Any]:
    return last_use(read_side_file(tenant.usage.last_use_of_each, {}).get(credential.id))


# Changing


@command(
    "set",
    "okta --okta https://acme-admin.okta.com/admin/app/acme_scim_1/instance/0oa1/",
    "okta --redirect https://idp.example.com/callback",
    group=client,
)
@CLIENT
@_redirects
def set_client(console: Console, client: str, okta: str | None, redirects: Sequence[str]) -> None:
    """Set the redirect URIs of a client, instead of those it had."""
    uris = list(dict.fromkeys(_redirect_uris(okta, redirects)))
    if not uris:
        raise click.UsageError("say --okta or --redirect")
    found = one_of(console.tenant(), client)
    if AUTHORIZATION_CODE not in found.grants:
        raise Failure(f"client {found.name} gets its tokens without a redirect")
    changed = [*found.redirect_uris] != uris
    if changed:
        with _usage_errors():
            clients.change(found, console.metadata(), redirect_uris=uris)
    says = f"{found.name} has {len(uris)} redirect URI{'s' if len(uris) > 1 else ''}"
    console.change(changed, says, f"{says}, the same as before")


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
    return partial(clients.limit, client, ledgers_of_service(console), console.metadata())


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
    clients.withdraw(tenant, consent, console.metadata(), why="operator")
    console.change(True, f"withdrew the consent for {found.name} ({consent})")


@command("remove", "okta", group=client)
@CLIENT
def remove_client(console: Console, client: str) -> None:
    """Remove a client and withdraw its consents, in every ledger."""
    found, ledgers = one_of(console.tenant(), client), ledgers_of_service(console)
    clients.remove(found, ledgers, console.metadata())
    console.change(True, f"removed {found.name} ({found.client_id})")
