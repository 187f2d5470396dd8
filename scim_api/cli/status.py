"""Commands that look at the service: status, doctor, config."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import click
from marshmallow import fields

from ledger import clock
from projections.current.credentials import Credential
from scim_api import settings as settings_
from scim_api.auth.credentials import credentials_of
from scim_api.cli import doctor as doctor_
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    emit,
    emit_record,
    emit_rows,
    examples,
    json_option,
    pass_site,
    read_beside,
    say,
)
from scim_api.settings import SCHEMA, Settings
from scim_api.tenants.tenants import Tenant, ledger_names

EXPIRES_SOON = timedelta(days=30)
MOST_CLIENTS = 20  # in the table; JSON has all that are kept


class Site(Protocol):
    """What the program gives these commands."""

    @property
    def settings(self) -> Settings: ...
    def tenant(self, name: str) -> Tenant: ...


@click.command("status", context_settings=HELP)
@json_option
@pass_site
@examples("scim-ledger status", "scim-ledger status --json")
def status(site: Site, as_json: bool) -> None:
    """Show each ledger: size, growth, users, last request of each client, tokens that expire."""
    names = ledger_names(site.settings.data_dir)
    if not names:
        raise Failure("there is no ledger yet; scim-ledger init makes one", Exit.NOT_FOUND)
    found = [_status(site.tenant(name)) for name in names]
    if as_json:
        emit(found)
        return
    for record in found:
        clients, expiring = record.pop("clients"), record.pop("tokens_expiring_soon")
        emit_record(record, False)
        emit_rows(clients[:MOST_CLIENTS], False, "no client has asked for anything yet")
        if len(clients) > MOST_CLIENTS:
            click.echo(f"and {len(clients) - MOST_CLIENTS} more; --json has all that are kept")
        for item in expiring:
            say(f"warning: token {item['name']} expires at {item['expires_at']}")
        click.echo("")


def _status(tenant: Tenant) -> dict[str, Any]:
    week_ago = clock.timestamp(clock.now() - timedelta(days=7))
    day_ago = clock.timestamp(clock.now() - timedelta(days=1))
    position, last_at = tenant.ledger.end()
    with tenant.ledger.reading() as connection:
        users = tenant.resources.total(connection, "User")
        groups = tenant.resources.total(connection, "Group")
    credentials = {c.id: c for c in credentials_of(tenant)}
    reached = read_beside(tenant.history.stands_at, None)
    head = tenant.heads.newest()
    return {
        "ledger": tenant.name,
        "origin": tenant.ledger.origin,
        "events": position,
        "last_event_at": last_at,
        "tree_head_size": head.size if head else None,
        "tree_head_signed_at": head.signed_at if head else None,
        "signing_key": tenant.heads.trouble() or "good",
        "events_last_7_days": position - tenant.ledger.position_before(week_ago),
        "users": users,
        "groups": groups,
        "bytes": _size(tenant),
        "log_bytes": tenant.ledger.log_size(),
        "requests_refused_last_24h": read_beside(
            lambda: tenant.requests.refused_since(day_ago), None
        ),
        "history_position": reached,
        "history_behind": None if reached is None else max(position - reached, 0),
        "erasures_unfinished": len(tenant.ledger.unfinished_erasures()),
        "clients": read_beside(lambda: _clients(tenant, credentials), ()),
        "tokens_expiring_soon": _expiring_soon(credentials),
    }


def _clients(tenant: Tenant, credentials: dict[str, Credential]) -> list[dict[str, Any]]:
    forgiven: dict[tuple[str, str], list[str]] = {}
    for each in tenant.usage.tolerance_uses():
        forgiven.setdefault((each.credential, each.client), []).append(each.name)
    return [
        {
            "client": use.client,
            "token": credentials[use.credential].name,
            "last_request_at": use.last_at,
            "requests": use.requests,
            "forgiven": ", ".join(sorted(forgiven.get((use.credential, use.client), ()))),
        }
        for use in tenant.usage.last_uses()
        if use.credential in credentials
    ]


def _expiring_soon(credentials: dict[str, Credential]) -> list[dict[str, Any]]:
    now, soon = clock.timestamp(), clock.timestamp(clock.now() + EXPIRES_SOON)
    return [
        {"name": c.name, "id": c.id, "expires_at": c.expires_at}
        for c in credentials.values()
        if c.expires_at and c.expires_at < soon and c.state(now) == "live"
    ]


def _size(tenant: Tenant) -> int:
    folder = tenant.ledger.path.parent
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


@click.command("doctor", context_settings=HELP)
@json_option
@pass_site
@examples("scim-ledger doctor", "scim-ledger doctor --json")
def doctor(site: Site, as_json: bool) -> None:
    """Look for what could go wrong: SQLite, rights, disk, clock, settings, each ledger; exit 1."""

    def open_ledger(name: str) -> Callable[[], Tenant]:
        return lambda: site.tenant(name)

    checks = list(doctor_.examine(os.environ, open_ledger))
    rows = [{"check": c.name, "ok": c.ok, "says": c.says} for c in checks]
    if as_json:
        emit(rows)
    else:
        for row in rows:
            say(f"{'ok  ' if row['ok'] else 'BAD '} {row['check']}: {row['says']}")
    if not all(c.ok for c in checks):
        click.get_current_context().exit(Exit.FAILED)


@click.group("config", cls=Group, context_settings=HELP)
@examples("scim-ledger config show")
def config_group() -> None:
    """Look at the settings."""


@config_group.command("show")
@json_option
@pass_site
@examples("scim-ledger config show", "scim-ledger config show --json")
def show_config(site: Site, as_json: bool) -> None:
    """Show every setting: its value, where it comes from, its default and its meaning."""
    settings = site.settings
    for sentence in settings_.unknown(os.environ):
        click.echo(f"warning: {sentence}", err=True)
    emit_rows(
        (
            {
                "setting": field.data_key,
                "value": _shown(field, getattr(settings, name)),
                "source": "environment" if os.environ.get(str(field.data_key)) else "default",
                "default": str(field.load_default),
                "meaning": field.metadata["meaning"],
            }
            for name, field in SCHEMA.fields.items()
        ),
        as_json,
        "no settings",
    )


def _shown(field: fields.Field[Any], value: Any) -> str:
    """Return a value as its variable takes it, but for a secret one."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "(secret)" if value and field.metadata.get("secret") else str(value)


COMMANDS: list[click.Command] = [status, doctor, config_group]
