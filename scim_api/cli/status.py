"""status: each ledger in figures."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from functools import cache
from typing import Any

from ledger import clock
from ledger.contract import LedgerError
from projections.current.credentials import ALL, READS, Credential
from scim_api.auth import notices
from scim_api.auth.credentials import KINDS, credentials_of
from scim_api.cli.console import Console, command, failure_of
from scim_api.cli.credentials.clients import every_ledger
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
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant

MOST_CLIENTS = 20  # in the table; JSON has all that are kept


@command("status", "", "--json", ledger=False)
def status(console: Console) -> None:
    """Show each ledger: size, clients, limits, credentials to look at.

    Those are the ones that expire within 60 days or have expired, of which a secret was used twice
    within 30 days, that were not used for SCIM_UNUSED_DAYS, that are paused, or whose client is not
    found in its own ledger. A ledger that cannot be served is shown with the reason, as far as it
    can be read; exit 1 then.
    """
    if not console.names:
        raise Failure(
            f"there is no ledger yet: {console.whereabouts()}. `scim-ledger init` makes one",
            Exit.NOT_FOUND,
        )
    ledgers = cache(lambda: every_ledger(console)[0])  # only some need them
    ended = list(attempts(console, lambda name: _figures(console, name, ledgers)))
    if console.as_json:
        print_json([done.record for _, done in ended])
    else:
        _print_all(done.record for _, done in ended)
    finish(ended, "in order", Exit.FAILED)


_Ledgers = Callable[[], Iterable[Tenant]]


def _figures(console: Console, name: str, ledgers: _Ledgers) -> Done:
    """Return the figures of a ledger; of one that cannot be served, as far as it can be read."""
    try:
        with closing(console.tenant(name)) as tenant:
            figures = _status(tenant, console.settings, ledgers)
            return Done({"ledger": name, "trouble": None, **figures})
    except (LedgerError, OSError) as error:
        failure = failure_of(console, error)
    record = {"ledger": name, "trouble": failure.message}
    with suppress(LedgerError, OSError), closing(console.unchecked(name)) as tenant:
        record |= _status(tenant, console.settings, ledgers)
    return Done(record, code=Exit.FAILED, says=failure.message)


def _print_all(records: Iterable[Mapping[str, Any]]) -> None:
    for each in records:
        record = {key: value for key, value in each.items() if key != "trouble"}
        clients = record.pop("clients", None)
        warnings = [
            line for key, warn in _WARNINGS.items() for line in map(warn, record.pop(key, ()))
        ]
        networks = record.pop("allowed_networks", ())
        for name in record.keys() & {"request_rate", "refusal_rate"}:
            rate = record[name]
            record[name] = f"{rate:,} a minute" if rate else "no limit"
        print_record(record)
        if clients is None:
            say("")
            continue
        shown = [{k: v for k, v in row.items() if k != "id"} for row in clients[:MOST_CLIENTS]]
        if not print_table(shown):
            note("no client has sent a request yet")
        if len(clients) > MOST_CLIENTS:
            say(f"and {len(clients) - MOST_CLIENTS} more; --json has all that are kept")
        for item in networks:
            named = f"{item['kind']} {item['name']} ({item['id']})"
            say(f"{named} may be used from {', '.join(item['networks'])} only")
        for line in warnings:
            say(f"warning: {line}")
        say("")


def _status(tenant: Tenant, settings: Settings, ledgers: _Ledgers) -> dict[str, Any]:
    week_ago = clock.timestamp(clock.now() - timedelta(days=7))
    day_ago = clock.timestamp(clock.now() - timedelta(days=1))
    position, last_at = tenant.ledger.end()
    with tenant.ledger.reading() as connection:
        users = tenant.resources.total(connection, "User")
        groups = tenant.resources.total(connection, "Group")
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
        "request_rate": settings.request_rate,
        "refusal_rate": settings.refusal_rate,
        **_of_credentials(tenant, settings, ledgers),
    }


def _of_credentials(tenant: Tenant, settings: Settings, ledgers: _Ledgers) -> dict[str, Any]:
    """Return who uses a ledger, and which of its credentials are to be looked at."""
    credentials = {c.id: c for c in credentials_of(tenant, *KINDS)}
    now = clock.timestamp()
    live = [each for each in credentials.values() if each.state(now) == "live"]
    uses = read_side_file(tenant.usage.last_use_of_each, {})
    last_used = {id_: use.last_at for id_, use in uses.items()}
    return {
        "allowed_networks": [
            {**_named(each), "networks": [*each.networks]} for each in live if each.networks
        ],
        "clients": read_side_file(lambda: _clients(tenant, credentials), ()),
        "credentials_expiring_soon": [
            _named(each.credential)
            | {"expires_at": each.expires_at, "days": each.days, "says": f"{each.what} {each.when}"}
            | {"last_used_at": last_used.get(each.credential.id), "do": each.advice}
            for each in notices.expiring(tenant)
        ],
        "credentials_reused": [
            _named(each.credential) | {"of": each.of, "at": each.at, "says": each.says}
            for each in notices.reuses(tenant)
        ],
        "credentials_stranded": [
            {**_named(each.credential), "says": each.says}
            for each in notices.stranded(tenant, ledgers)
        ],
        "credentials_unused": [
            {**_named(each), "days": settings.unused_days}
            for each in read_side_file(lambda: notices.unused(tenant, settings.unused_days), ())
        ],
        "credentials_paused": [
            {**_named(each), "allows": each.allows} for each in live if each.allows != ALL
        ],
    }


def _clients(tenant: Tenant, credentials: dict[str, Credential]) -> list[dict[str, Any]]:
    forgiven: dict[tuple[str, str], list[str]] = {}
    for each in tenant.usage.tolerance_uses():
        forgiven.setdefault((each.credential, each.client), []).append(each.name)
    return [
        {
            "client": use.client,
            "credential": credentials[use.credential].name,
            "id": use.credential,
            "kind": notices.WORDS[credentials[use.credential].kind],
            "last_request_at": use.last_at,
            "address": use.address or None,
            "requests": use.requests,
            "forgiven": ", ".join(sorted(forgiven.get((use.credential, use.client), ()))),
        }
        for use in tenant.usage.last_uses()
        if use.credential in credentials
    ]


def _named(credential: Credential) -> dict[str, Any]:
    return {
        "kind": notices.WORDS[credential.kind],
        "name": credential.name,
        "id": credential.id,
    }


def _expires(item: Mapping[str, Any]) -> str:
    used = f", last used at {item['last_used_at']}" if item["last_used_at"] else ""
    return f"{item['says']} ({item['expires_at']}){used}: {item['do']}"


def _says(item: Mapping[str, Any]) -> str:
    return str(item["says"])


def _is_unused(item: Mapping[str, Any]) -> str:
    return f"{item['kind']} {item['name']} ({item['id']}) was not used for {item['days']} days"


def _is_paused(item: Mapping[str, Any]) -> str:
    how = "only reads" if item["allows"] == READS else "is refused everything"
    return f"{item['kind']} {item['name']} ({item['id']}) is paused: it {how}"


_WARNINGS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "credentials_expiring_soon": _expires,
    "credentials_reused": _says,
    "credentials_stranded": _says,
    "credentials_unused": _is_unused,
    "credentials_paused": _is_paused,
}
