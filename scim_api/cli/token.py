"""Commands about tokens: create, list, revoke."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Protocol

import click

from ledger import clock
from ledger.events import Metadata
from projections.current.credentials import Credential
from scim_api.auth import credentials
from scim_api.auth.credentials import credentials_of
from scim_api.auth.scopes import DEFAULT, Scope
from scim_api.cli import ages
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    emit,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
    read_beside,
    say,
    time_of,
)
from scim_api.protocol.policy import PRESETS
from scim_api.tenants.tenants import Tenant

EXPIRES = (
    "a date (2027-10-01: its first instant, UTC), an instant (2027-10-01T08:00:00Z) or a time"
    f" from now ({ages.WORDS}; a year ends on the same day of the next)"
)


class Site(Protocol):
    """What the program gives these commands."""

    def tenant(self, name: str) -> Tenant: ...
    def metadata(self, via: str) -> Metadata: ...


@click.group("token", cls=Group, context_settings=HELP)
@examples(
    "scim-ledger token create okta --expires 365d",
    "scim-ledger token list",
    "scim-ledger token revoke okta",
)
def token_group() -> None:
    """Make, list and revoke the bearer tokens of a ledger.

    Several may be live at once, so that one can be replaced without a pause: make the new one,
    paste it into Okta, then revoke the old one.
    """


@token_group.command("create")
@click.argument("name")
@ledger_option
@json_option
@click.option("--expires", metavar="TIME", help=f"When it expires: {EXPIRES}.")
@click.option(
    "--policy",
    type=click.Choice(list(PRESETS)),
    help="Policy of this token, instead of the ledger's.",
)
@click.option("--user", metavar="ID|USERNAME", help="The user that it belongs to, for /Me.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([str(scope) for scope in Scope]),
    multiple=True,
    default=[str(scope) for scope in DEFAULT],
    show_default=True,
    help="What it may do; several may be given.",
)
@pass_site
@examples(
    "scim-ledger token create okta",
    "scim-ledger token create okta --expires 1y --json",
    "scim-ledger token create okta --expires 2029-10-01",
    "scim-ledger token create entra --policy entra",
    "scim-ledger token create auditor --scope audit",
)
def create_token(
    site: Site,
    name: str,
    ledger: str,
    as_json: bool,
    expires: str | None,
    policy: str | None,
    user: str | None,
    scopes: tuple[str, ...],
) -> None:
    """Make a token. It is printed once; only its SHA-256 is kept.

    A policy of its own stands in place of the ledger's, with what was turned on or off there.

    Scopes: provision does everything in SCIM, read only reads it, audit reads it and the ledger's
    own API, operate reads the ledger's status and its log of requests.
    """
    if not name.strip():
        raise click.UsageError("a token needs a name, to be told from others later")
    if not name.isprintable():
        raise click.UsageError("a token's name is of characters that can be printed")
    tenant = site.tenant(ledger)
    own = {"policy": policy, "user": None if user is None else _user_id(tenant, user)}
    made = credentials.issue(
        tenant,
        site.metadata("cli"),
        name,
        expires_at=_expiry(expires),
        scopes=map(Scope, scopes),
        **own,
    )
    if as_json:
        emit({key: value for key, value in asdict(made).items() if own.get(key, "") is not None})
    else:
        click.echo(made.token)
        place = "paste it into Okta now" if Scope.PROVISION in made.scopes else "keep it now"
        click.echo(f"shown this once; {place}", err=True)
        if made.expires_at:
            click.echo(f"expires at {made.expires_at}", err=True)


def _user_id(tenant: Tenant, user: str) -> str:
    with tenant.ledger.reading() as connection:
        found = tenant.resources.get(connection, "User", user)
        found = found or tenant.resources.find_by_name(connection, "User", user)
    if found is None:
        raise Failure(f"there is no user {user!r}", Exit.NOT_FOUND)
    return found.id


def _expiry(text: str | None) -> str | None:
    """Read when a token expires; raises UsageError for what is no moment to come."""
    if text is None:
        return None
    now = clock.now()
    try:
        at = ages.after(now, text) if ages.is_age(text) else time_of(text.strip())
        expires_at = clock.timestamp(at)
    except (ValueError, OverflowError):
        raise click.UsageError(f"--expires is {EXPIRES}; {text!r} is none of these") from None
    if expires_at <= clock.timestamp(now):
        raise click.UsageError(f"--expires {text} is not in the future: {expires_at} has come")
    return expires_at


@token_group.command("list")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger token list", "scim-ledger token list --json")
def list_tokens(site: Site, ledger: str, as_json: bool) -> None:
    """List the tokens ever issued, with state and last use."""
    tenant = site.tenant(ledger)
    rows = list(_token_rows(tenant))
    if not as_json:
        rows = [row | {"scopes": " ".join(row["scopes"])} for row in rows]
    emit_rows(rows, as_json, "no tokens yet; scim-ledger token create makes one")


def _token_rows(tenant: Tenant) -> Iterator[dict[str, Any]]:
    now = clock.timestamp()
    last_uses = read_beside(tenant.usage.last_uses, ())
    uses = {use.credential: use for use in reversed(last_uses)}
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


@token_group.command("revoke")
@click.argument("token", metavar="ID|NAME")
@ledger_option
@pass_site
@examples("scim-ledger token revoke okta", "scim-ledger token revoke 019ab6d3-...")
def revoke_token(site: Site, token: str, ledger: str) -> None:
    """Revoke a token: the next request with it is refused."""
    tenant = site.tenant(ledger)
    credential = _one_token(credentials_of(tenant), token)
    credentials.revoke(tenant, site.metadata("cli"), credential.id)
    say(f"revoked {credential.name} ({credential.id})", err=True)


def _one_token(every: list[Credential], token: str) -> Credential:
    by_id = [c for c in every if c.id == token]
    found = by_id or [c for c in every if c.name == token and not c.revoked_at]
    if not found:
        raise Failure(f"there is no live token {token!r}", Exit.NOT_FOUND)
    if len(found) > 1:
        ids = ", ".join(c.id for c in found)
        raise Failure(f"several live tokens are named {token!r}; name one by its id: {ids}")
    if found[0].revoked_at:
        raise Failure(f"token {token!r} was revoked already, at {found[0].revoked_at}")
    return found[0]


COMMANDS: list[click.Command] = [token_group]
