"""token: the tokens of clients."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from ledger import clock
from projections.current.credentials import Credential
from scim_api.auth import credentials
from scim_api.auth.credentials import credentials_of
from scim_api.auth.scopes import Scope
from scim_api.cli.console import Console, command, group
from scim_api.cli.credentials.credential import (
    Change,
    allow,
    anywhere_option,
    last_use,
    networks_option,
    pause,
    reads_option,
    resume,
    scopes_option,
    state_of,
    table_of,
)
from scim_api.cli.lookup import PastQuery
from scim_api.cli.moments import expires_option, overlap_option
from scim_api.cli.terminal import Exit, Failure, note, print_json, read_side_file, say
from scim_api.protocol.policy import PRESETS
from scim_api.settings import HEADER
from scim_api.tenants.tenants import Tenant

token = group(
    "token",
    """Make, list, rotate, pause and revoke the tokens of clients.

    To replace one without a pause: rotate it and paste the new one into Okta; the former works for
    another week.
    """,
)


ID = click.argument("token", metavar="ID|NAME")


@command(
    "create",
    "okta",
    "okta --expires 90d --json",
    "okta --expires never",
    "entra --policy entra",
    "auditor --scope audit",
    "okta --network 203.0.113.0/24 --network 2001:db8::/32",
    group=token,
)
@click.argument("name")
@expires_option
@click.option(
    "--policy",
    type=click.Choice(list(PRESETS)),
    help="Policy for this token, overriding the ledger's.",
)
@click.option("--user", metavar="ID|USERNAME", help="The user it belongs to, for /Me.")
@scopes_option("What it may do")
@networks_option
def create_token(
    console: Console,
    name: str,
    expires: str | None,
    policy: str | None,
    user: str | None,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
) -> None:
    """Make a token and print it, once; only its SHA-256 is kept.

    With --policy, the ledger's policy and its --on and --off settings do not apply to this token.

    Scopes: provision does everything in SCIM, read only reads it, audit reads it and the audit
    API, operate reads the ledger's status and its request log.
    """
    if not name.strip():
        raise click.UsageError("a token needs a name, so that you can tell it from others")
    if not name.isprintable():
        raise click.UsageError("a token's name consists of characters that can be printed")
    tenant = console.tenant()
    id_ = None if user is None else PastQuery(tenant).find("User", user, PastQuery(tenant).now())
    made = credentials.issue(
        tenant,
        console.metadata(),
        name,
        expires_at=expires,
        scopes=map(Scope, scopes),
        policy=policy,
        user=id_,
        networks=list(dict.fromkeys(networks)),
    )
    shown = asdict(made)
    for key in ("policy", "user", "networks"):
        if not shown[key]:
            del shown[key]
    _show(console, shown, provisions=Scope.PROVISION in made.scopes)


def _show(console: Console, made: Mapping[str, Any], *, provisions: bool) -> None:
    """Print a new token, once."""
    if console.as_json:
        print_json(made)
        return
    say(made["token"])
    note(f"shown this once; {'paste it into Okta now' if provisions else 'keep it now'}")
    ways = console.settings.authentication
    if not console.settings.takes_tokens:
        note(
            "warning: it opens nothing while SCIM_AUTHENTICATION has neither header nor basic:"
            " scim-ledger client add registers an OAuth client"
        )
    elif HEADER not in ways:
        note("it is the password of Basic Auth, with any user name: SCIM_AUTHENTICATION is basic")
    note(f"expires at {made['expires_at']}" if made["expires_at"] else "never expires")
    if made.get("former_until"):
        note(f"the former token works until {made['former_until']}")


@command("list", "", "--json", group=token)
def list_tokens(console: Console) -> None:
    """List all tokens ever issued, with state and last use."""
    rows = list(_token_rows(console.tenant()))
    if not console.as_json:
        rows = table_of(rows)
    console.rows(rows, "no tokens yet; scim-ledger token create makes one")


def _token_rows(tenant: Tenant) -> Iterator[dict[str, Any]]:
    now = clock.timestamp()
    uses = read_side_file(tenant.usage.last_use_of_each, {})
    for credential in credentials_of(tenant):
        yield {
            "id": credential.id,
            "name": credential.name,
            "state": state_of(credential, now),
            "scopes": sorted(credential.scopes),
            "policy": credential.policy,
            "user": credential.user,
            "networks": [*credential.networks],
            "issued_at": credential.issued_at,
            "expires_at": credential.expires_at,
            "former_until": credentials.former_until(tenant, credential, now),
            "revoked_at": credential.revoked_at,
            **last_use(uses.get(credential.id)),
        }


@command("rotate", "okta", "okta --overlap 1d --expires 90d", group=token)
@ID
@expires_option
@overlap_option
def rotate_token(console: Console, token: str, expires: str | None, former_until: str) -> None:
    """Give a token a new secret and print it, once; the former works for a while.

    Name, scopes, policy and networks stay. Where there are two already, the older one ends at once.
    """
    tenant = console.tenant()
    found = _one_token(tenant, token)
    secret = credentials.rotate(
        tenant, console.metadata(), found, expires_at=expires, former_until=former_until
    )
    made = {
        "id": found.id,
        "name": found.name,
        "ledger": tenant.name,
        "expires_at": expires,
        "former_until": credentials.former_until(tenant, found, clock.timestamp()),
        "token": secret,
    }
    _show(console, made, provisions=Scope.PROVISION in found.scopes)


@command("pause", "okta", "okta --reads", group=token)
@ID
@reads_option
def pause_token(console: Console, token: str, reads: bool) -> None:
    """Refuse what a token asks for, until it is resumed."""
    pause(console, *_one_to_change(console, token), reads=reads)


@command("resume", "okta", group=token)
@ID
def resume_token(console: Console, token: str) -> None:
    """End the pause of a token."""
    resume(console, *_one_to_change(console, token))


@command("allow", "okta --network 203.0.113.0/24", "okta --anywhere", group=token)
@ID
@networks_option
@anywhere_option
def allow_token(console: Console, token: str, networks: tuple[str, ...], anywhere: bool) -> None:
    """Set the networks a token may be used from, instead of those it had."""
    allow(console, *_one_to_change(console, token), networks, anywhere=anywhere)


def _one_to_change(console: Console, token: str) -> tuple[str, Change]:
    tenant = console.tenant()
    found = _one_token(tenant, token)
    return found.name, partial(credentials.change, tenant, console.metadata(), found.id)


@command("revoke", "okta", "019ab6d3-...", group=token, json=False)
@ID
def revoke_token(console: Console, token: str) -> None:
    """Revoke a token: the next request with it is refused."""
    tenant = console.tenant()
    credential = _one_token(tenant, token)
    credentials.revoke(tenant, console.metadata(), credential.id)
    note(f"revoked {credential.name} ({credential.id})")


def _one_token(tenant: Tenant, token: str) -> Credential:
    every = credentials_of(tenant)
    by_id = [c for c in every if c.id == token]
    found = by_id or [c for c in every if c.name == token and not c.revoked_at]
    if not found:
        raise Failure(f"there is no live token {token!r}", Exit.NOT_FOUND)
    if len(found) > 1:
        ids = ", ".join(c.id for c in found)
        raise Failure(f"several live tokens are named {token!r}; choose one by its id: {ids}")
    if found[0].revoked_at:
        raise Failure(f"token {token!r} was revoked already, at {found[0].revoked_at}")
    return found[0]
