"""token: the bearer tokens of clients."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from ledger import clock
from projections.current.credentials import Credential
from scim_api.auth import credentials
from scim_api.auth.credentials import credentials_of
from scim_api.auth.scopes import DEFAULT, Scope
from scim_api.cli.console import Console, command, group
from scim_api.cli.lookup import PastQuery
from scim_api.cli.moments import expires_option
from scim_api.cli.terminal import Exit, Failure, note, print_json, read_side_file, say
from scim_api.protocol.policy import PRESETS
from scim_api.tenants.tenants import Tenant

token = group(
    "token",
    """Make, list and revoke the bearer tokens of clients.

    Several tokens may be live at once, so you can replace one without a pause: make the new one,
    paste it into Okta, then revoke the old one.
    """,
)


@command(
    "create",
    "okta",
    "okta --expires 90d --json",
    "okta --expires never",
    "entra --policy entra",
    "auditor --scope audit",
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
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([str(scope) for scope in Scope]),
    multiple=True,
    default=[str(scope) for scope in DEFAULT],
    show_default=True,
    help="What it may do; can be repeated.",
)
def create_token(
    console: Console,
    name: str,
    expires: str | None,
    policy: str | None,
    user: str | None,
    scopes: tuple[str, ...],
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
    own = {"policy": policy, "user": id_}
    made = credentials.issue(
        tenant,
        console.metadata(),
        name,
        expires_at=expires,
        scopes=map(Scope, scopes),
        **own,
    )
    if console.as_json:
        left_out = {key for key, value in own.items() if value is None}
        print_json({key: value for key, value in asdict(made).items() if key not in left_out})
        return
    say(made.token)
    place = "paste it into Okta now" if Scope.PROVISION in made.scopes else "keep it now"
    note(f"shown this once; {place}")
    note(f"expires at {made.expires_at}" if made.expires_at else "never expires")


@command("list", "", "--json", group=token)
def list_tokens(console: Console) -> None:
    """List all tokens ever issued, with state and last use."""
    rows = list(_token_rows(console.tenant()))
    if not console.as_json:
        rows = [row | {"scopes": " ".join(row["scopes"])} for row in rows]
    console.rows(rows, "no tokens yet; scim-ledger token create makes one")


def _token_rows(tenant: Tenant) -> Iterator[dict[str, Any]]:
    now = clock.timestamp()
    uses = {u.credential: u for u in reversed(read_side_file(tenant.usage.last_uses, ()))}
    for credential in credentials_of(tenant):
        use = uses.get(credential.id)
        yield {
            "id": credential.id,
            "name": credential.name,
            "state": credential.state(now),
            "scopes": sorted(credential.scopes),
            "policy": credential.policy,
            "user": credential.user,
            "issued_at": credential.issued_at,
            "expires_at": credential.expires_at,
            "revoked_at": credential.revoked_at,
            "last_used_at": use and use.last_at,
            "last_client": use and use.client,
        }


@command("revoke", "okta", "019ab6d3-...", group=token, json=False)
@click.argument("token", metavar="ID|NAME")
def revoke_token(console: Console, token: str) -> None:
    """Revoke a token: the next request with it is refused."""
    tenant = console.tenant()
    credential = _one_token(credentials_of(tenant), token)
    credentials.revoke(tenant, console.metadata(), credential.id)
    note(f"revoked {credential.name} ({credential.id})")


def _one_token(every: list[Credential], token: str) -> Credential:
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
