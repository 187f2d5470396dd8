"""Commands that read the events of a ledger: list, tail, show."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import click

from ledger import codec
from ledger.events import WITHHELD, Recorded
from ledger.user_agents import family
from projections.query.model import And, Compare, Filter, Operator
from scim_api.audit.documents import archive_of
from scim_api.audit.event_filters import EVENT, event_filter
from scim_api.audit.events import MOST, EventQuery, Events
from scim_api.cli.lookup import follow
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    emit_record,
    emit_rows,
    examples,
    in_json,
    json_option,
    ledger_option,
    moment,
    pass_site,
    read_beside,
    say,
)
from scim_api.protocol.errors import InvalidFilter, TooMany
from scim_api.tenants.tenants import Tenant

POLL = 0.5  # seconds between two looks for new events


class Site(Protocol):
    """What the program gives these commands."""

    def tenant(self, name: str) -> Tenant: ...


filter_option = click.option(
    "--filter",
    "filter_",
    metavar="FILTER",
    help='A SCIM filter over position, at, type, userName, ..., such as type eq "Deleted".',
)


@click.group("events", cls=Group, context_settings=HELP)
@examples(
    "scim-ledger events list --since 7d --type Deactivated",
    "scim-ledger events tail -f",
    "scim-ledger events show 42",
)
def events_group() -> None:
    """Read the events of a ledger."""


@events_group.command("list")
@ledger_option
@json_option
@filter_option
@click.option("--since", help="A time (2026-11-01T10:00:00Z, 2026-11-01) or an age (7d, 12h).")
@click.option("--type", "type_", help="Only events of this type, such as Deactivated.")
@click.option("--stream", help="Only events of this stream, such as User-<id>.")
@click.option("--limit", type=click.IntRange(1), help="At most so many, the newest.")
@click.option("--newest-first/--oldest-first", help="In which order.  [default: oldest-first]")
@pass_site
@examples(
    "scim-ledger events list --limit 20 --newest-first",
    "scim-ledger events list --since 2026-11-01 --type Created --json",
    "scim-ledger events list --stream User-019ab6d3-0000-7000-8000-000000000000",
    """scim-ledger events list --filter 'type eq "Deactivated" and at ge "2026-10-01"'""",
    """scim-ledger events list --filter 'userName eq "jane@example.com" and client eq "Okta"'""",
)
def list_events(
    site: Site,
    ledger: str,
    as_json: bool,
    filter_: str | None,
    since: str | None,
    type_: str | None,
    stream: str | None,
    limit: int | None,
    newest_first: bool,
) -> None:
    """List events, oldest first unless asked otherwise.

    A filter compares with eq, ne, co, sw, ew, gt, ge, lt, le, pr; and, or, not and brackets join
    comparisons. It knows position, at, type, stream, resourceType, userName, credential, actor,
    via, txn, client, requestId and operator.

    name is what the user, group or token of an event was called then; who was erased has none.
    """
    tenant = site.tenant(ledger)
    given = {"type": type_, "stream": stream}
    asked = [f"{name} eq {json.dumps(value)}" for name, value in given.items() if value is not None]
    terms = [read_filter(text, tenant) for text in (filter_, *asked) if text is not None]
    if since is not None:
        terms.append(Compare(path_of("at"), Operator.GE, moment(since)))
    teller = Teller(tenant)
    found = teller.chosen(joined(terms), limit, newest_first)
    emit_rows((teller.row(e, as_json) for e in found), as_json, "no such events")


@events_group.command("tail")
@ledger_option
@json_option
@filter_option
@click.option("-f", "--follow", is_flag=True, help="Go on with new events as they come.")
@click.option("-n", "count", type=click.IntRange(0), default=10, show_default=True)
@pass_site
@examples(
    "scim-ledger events tail",
    "scim-ledger events tail -f --json",
    """scim-ledger events tail -f --filter 'resourceType eq "Group"'""",
)
def tail(
    site: Site, ledger: str, as_json: bool, filter_: str | None, follow: bool, count: int
) -> None:
    """Show the newest events, one a line."""
    tenant = site.tenant(ledger)
    teller = Teller(tenant)
    asked = None if filter_ is None else read_filter(filter_, tenant)
    with suppress(KeyboardInterrupt):  # how following ends
        for event in teller.newest(asked, count, follow):
            row = teller.row(event, as_json)
            if as_json:
                click.echo(in_json(row))
            else:
                say("  ".join(map(str, row.values())))


@events_group.command("show")
@click.argument("position", type=click.IntRange(1))
@ledger_option
@json_option
@pass_site
@examples("scim-ledger events show 42", "scim-ledger events show 42 --json")
def show(site: Site, position: int, ledger: str, as_json: bool) -> None:
    """Show one event with what it changed and the request that caused it."""
    teller = Teller(site.tenant(ledger))
    found = teller.read([min(position, 2**62)])
    if not found:
        raise Failure(f"there is no event at position {position}", Exit.NOT_FOUND)
    emit_record(teller.row(found[0], True), as_json)


def read_filter(text: str, tenant: Tenant) -> Filter:
    """Read a filter over events; a wrong one is a usage error."""
    try:
        return event_filter(text, Events(tenant).credential_names())
    except InvalidFilter as error:
        raise click.UsageError(error.detail) from None


def path_of(name: str) -> Any:
    """Return the path of an attribute of events."""
    return EVENT.declared[name].path()


def joined(terms: list[Filter]) -> Filter | None:
    """Return one filter of all that an event has to satisfy; None when that is nothing."""
    return And(tuple(terms)) if len(terms) > 1 else next(iter(terms), None)


class NamedEvent(NamedTuple):
    """An event, and the name that its resource had then; None if it is not known."""

    recorded: Recorded
    name: str | None


class Teller:
    """Finds the events of a ledger and tells of them."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._ledger = tenant.ledger
        self._events = Events(tenant)
        self._names = self._events.credential_names()

    def read(self, positions: list[int]) -> list[NamedEvent]:
        """Return the events at some positions, with the names of the time."""
        lines = self._ledger.raw_events_at(positions)
        events = [codec.decode(line.header, line.body) for line in lines]
        names = read_beside(lambda: self._named(events), {})
        return [NamedEvent(recorded, names.get(recorded.position)) for recorded in events]

    def _named(self, events: list[Recorded]) -> Mapping[int, str]:
        """Return the names of what events are about, by position."""
        follow(self._tenant.history)
        credentials = {
            recorded.position: self._names[recorded.subject]
            for recorded in events
            if recorded.subject in self._names
        }
        return credentials | archive_of(self._tenant).names_of(events)

    def chosen(
        self, filter: Filter | None, limit: int | None, newest_first: bool
    ) -> Iterator[NamedEvent]:
        """Yield the events that a filter finds, of those at most so many, the newest."""
        if filter is not None:
            follow(self._tenant.history)
        yield from self._chosen(filter, limit, newest_first, self._events.end())

    def _chosen(
        self, filter: Filter | None, limit: int | None, newest_first: bool, end: int
    ) -> Iterator[NamedEvent]:
        if limit is None:
            asked = EventQuery(filter=filter, newest_first=newest_first, count=MOST)
            yield from self._walk(asked, end)
            return
        newest = EventQuery(filter=filter, newest_first=True, count=min(limit, MOST))
        found = [e for e, _ in zip(self._walk(newest, end), range(limit), strict=False)]
        yield from found if newest_first else reversed(found)

    def newest(self, filter: Filter | None, count: int, go_on: bool) -> Iterator[NamedEvent]:
        """Yield the newest events, oldest first, and if asked for those that come."""
        if filter is not None:
            follow(self._tenant.history)
        end = self._events.end()
        if count:
            yield from self._chosen(filter, count, False, end)
        while go_on:
            asked = EventQuery(filter=filter, newest_first=False, count=MOST, after=end)
            end = self._events.end()
            if end > (asked.after or 0):
                self._names = self._events.credential_names()
                yield from self._walk(asked, end)
            time.sleep(POLL)

    def _walk(self, asked: EventQuery, end: int) -> Iterator[NamedEvent]:
        more = True
        while more:
            found = self._find(asked, end)
            yield from self.read(found.positions)
            more = found.older if asked.newest_first else found.newer
            if more:
                bound = "before" if asked.newest_first else "after"
                asked = replace(asked, **{bound: found.positions[-1]})

    def _find(self, asked: EventQuery, end: int) -> Any:
        try:
            return self._events.find(asked, end)
        except TooMany as error:
            raise Failure(error.detail) from None

    def row(self, event: NamedEvent, full: bool) -> dict[str, Any]:
        """Return an event as a line of a table, or all of it."""
        recorded = event.recorded
        if full:
            return self._full(recorded, event.name)
        return {
            "position": recorded.position,
            "at": recorded.at,
            "type": recorded.type,
            "who": self._who(recorded),
            "client": family(recorded.request.get("client", "")),
            "via": recorded.via,
            "name": event.name or "",
            "stream": recorded.stream,
            "changed": _changed(recorded),
        }

    def _who(self, recorded: Recorded) -> str:
        operator: str | None = recorded.request.get("operator")
        return self._names.get(recorded.actor) or operator or recorded.actor

    def _full(self, recorded: Recorded, name: str | None) -> dict[str, Any]:
        return {
            "position": recorded.position,
            "id": recorded.id,
            "at": recorded.at,
            "type": recorded.type,
            "revision": recorded.revision,
            "stream": recorded.stream,
            "name": name,
            "version": recorded.version,
            "txn": recorded.txn,
            "actor": recorded.actor,
            "credential": self._names.get(recorded.actor),
            "via": recorded.via,
            "effects": None if recorded.payload is None else _shown(recorded),
            "request": recorded.request,
        }


def _shown(recorded: Recorded) -> Mapping[str, Any]:
    withheld = WITHHELD.get(recorded.type, frozenset())
    return {k: v for k, v in recorded.effects.items() if k not in withheld}


def _changed(recorded: Recorded) -> str:
    """Name what changed: attributes of extensions without their long URN, members by number."""
    if recorded.payload is None:
        return "erased"
    kinds = {key: key.partition(":")[0] for key in _shown(recorded)}
    named = (key.rpartition(":")[2] if kind == "urn" else kind for key, kind in kinds.items())
    counts = Counter(named)
    return ", ".join(f"{name} ({n})" if n > 1 else name for name, n in sorted(counts.items()))


COMMANDS: list[click.Command] = [events_group]
