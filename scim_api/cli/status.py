"""status: each ledger in figures."""

from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any

from ledger import clock
from ledger.contract import LedgerError
from projections.current.credentials import Credential
from scim_api.auth.credentials import credentials_of
from scim_api.cli.console import Console, command, failure_of
from scim_api.cli.ledgers import Done, attempts, finish
from scim_api.cli.terminal import (
    Exit,
    Failure,
    note,
    print_json,
    print_record,
    print_table,
    read_side_file,
    say,
)
from scim_api.tenants.tenants import Tenant

EXPIRES_SOON = timedelta(days=30)
MOST_CLIENTS = 20  # in the table; JSON has all that are kept


@command("status", "", "--json", ledger=False)
def status(console: Console) -> None:
    """Show each ledger: size, users, clients, expiring tokens.

    A ledger that cannot be served is shown with the reason, as far as it can be read; exit 1 then.
    """
    if not console.names:
        raise Failure(
            f"there is no ledger yet: {console.whereabouts()}. `scim-ledger init` makes one",
            Exit.NOT_FOUND,
        )
    ended = list(attempts(console, lambda name: _figures(console, name)))
    if console.as_json:
        print_json([done.record for _, done in ended])
    else:
        _print_all(done.record for _, done in ended)
    finish(ended, "in order", Exit.FAILED)


def _figures(console: Console, name: str) -> Done:
    """Return the figures of a ledger; of one that cannot be served, as far as it can be read."""
    try:
        with closing(console.tenant(name)) as tenant:
            return Done({"ledger": name, "trouble": None, **_status(tenant)})
    except (LedgerError, OSError) as error:
        failure = failure_of(console, error)
    record = {"ledger": name, "trouble": failure.message}
    with suppress(LedgerError, OSError), closing(console.unchecked(name)) as tenant:
        record |= _status(tenant)
    return Done(record, code=Exit.FAILED, says=failure.message)


def _print_all(records: Iterable[Mapping[str, Any]]) -> None:
    for each in records:
        record = {key: value for key, value in each.items() if key != "trouble"}
        clients, expiring = record.pop("clients", None), record.pop("tokens_expiring_soon", ())
        print_record(record)
        if clients is None:
            say("")
            continue
        if not print_table(clients[:MOST_CLIENTS]):
            note("no client has sent a request yet")
        if len(clients) > MOST_CLIENTS:
            say(f"and {len(clients) - MOST_CLIENTS} more; --json has all that are kept")
        for item in expiring:
            say(f"warning: token {item['name']} expires at {item['expires_at']}")
        say("")


def _status(tenant: Tenant) -> dict[str, Any]:
    week_ago = clock.timestamp(clock.now() - timedelta(days=7))
    day_ago = clock.timestamp(clock.now() - timedelta(days=1))
    position, last_at = tenant.ledger.end()
    with tenant.ledger.reading() as connection:
        users = tenant.resources.total(connection, "User")
        groups = tenant.resources.total(connection, "Group")
    credentials = {c.id: c for c in credentials_of(tenant)}
    reached = read_side_file(tenant.history.stands_at, None)
    head = tenant.ledger.newest_head()
    return {
        "origin": tenant.ledger.origin,
        "events": position,
        "last_event_at": last_at,
        "tree_head_size": head.size if head else None,
        "tree_head_signed_at": head.signed_at if head else None,
        "signing_key": tenant.heads.trouble() or "good",
        "events_last_7_days": position - tenant.ledger.position_before(week_ago),
        "users": users,
        "groups": groups,
        "bytes": sum(f.stat().st_size for f in tenant.ledger.path.parent.iterdir() if f.is_file()),
        "log_bytes": tenant.ledger.log_size(),
        "requests_refused_last_24h": read_side_file(
            lambda: tenant.requests.refused_since(day_ago), None
        ),
        "history_position": reached,
        "history_behind": None if reached is None else max(position - reached, 0),
        "erasures_unfinished": len(tenant.ledger.unfinished_erasures()),
        "clients": read_side_file(lambda: _clients(tenant, credentials), ()),
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
