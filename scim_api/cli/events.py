"""events: the events of a ledger."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice, starmap
from typing import Any

import click

from ledger import codec
from ledger.events import WITHHELD, Recorded
from projections.audit.cause import cause_of
from projections.current.reader import MOST_BYTES
from projections.history.event_index import EventQuery
from projections.query.model import And, Compare, Filter, Operator
from scim_api.audit.documents import archive_of
from scim_api.audit.event_filters import EVENT, event_filter, resolved
from scim_api.audit.events import MOST, Events
from scim_api.auth.credentials import names_of
from scim_api.cli.console import Console, command, group
from scim_api.cli.lookup import cause_columns, follow, label
from scim_api.cli.moments import since_option
from scim_api.cli.terminal import Exit, Failure, cell, read_side_file, say, to_json
from scim_api.tenants.tenants import Tenant

POLL = 0.5  # seconds between two looks for new events

events = group("events", "List, follow and show the events of a ledger.")
filter_option = click.option(
    "--filter",
    "filter_",
    metavar="FILTER",
    help='A SCIM filter over position, at, type, userName, ..., such as type eq "Deleted".',
)


@command(
    "list",
    "--limit 20 --newest-first",
    "--since 2026-11-01 --type Created --json",
    "--stream User-019ab6d3-0000-7000-8000-000000000000",
    """--filter 'type eq "Deactivated" and at ge "2026-10-01"'""",
    """--filter 'userName eq "jane@example.com" and client eq "Okta"'""",
    group=events,
)
@filter_option
@since_option
@click.option("--type", help="Only events of this type, such as Deactivated.")
@click.option("--stream", help="Only events of this stream, such as User-<id>.")
@click.option("--limit", type=click.IntRange(1), help="At most this many, the newest.")
@click.option("--newest-first/--oldest-first", help="In which order.  [default: oldest-first]")
def list_events(
    console: Console,
    filter_: str | None,
    since: str | None,
    limit: int | None,
    newest_first: bool,
    **equal: str | None,
) -> None:
    """List events, oldest first.

    A filter compares with eq, ne, co, sw, ew, gt, ge, lt, le, pr; and, or, not and brackets join
    comparisons. Its attributes are position, at, type, stream, resourceType, userName, credential,
    actor, via, txn, client, requestId and operator.

    The column name has the name that the user, group or token of an event had then; erased users
    have none.
    """
    reader = EventReader(console.tenant())
    asked = reader.filter(filter_, since, **equal)
    found = reader.select(asked, limit, newest_first)
    shape = reader.document if console.as_json else reader.row
    console.rows(starmap(shape, found), "no such events")


@command("tail", "", "-f --json", """-f --filter 'resourceType eq "Group"'""", group=events)
@filter_option
@click.option("-f", "--follow", "go_on", is_flag=True, help="Go on with new events as they come.")
@click.option(
    "-n", "count", type=click.IntRange(0), default=10, show_default=True, help="How many."
)
def tail(console: Console, filter_: str | None, go_on: bool, count: int) -> None:
    """Show the newest events, one a line."""
    reader = EventReader(console.tenant())
    asked = reader.filter(filter_)
    with suppress(KeyboardInterrupt):  # ends following
        for event in reader.newest(asked, count, go_on):
            if console.as_json:
                click.echo(to_json(reader.document(*event)))
            else:
                say("  ".join(map(cell, reader.row(*event).values())))


@command("show", "42", "42 --json", group=events)
@click.argument("position", type=click.IntRange(1))
def show(console: Console, position: int) -> None:
    """Show one event: its effects and the request that caused it."""
    reader = EventReader(console.tenant())
    found = reader.read([min(position, 2**62)])
    if not found:
        raise Failure(f"there is no event at position {position}", Exit.NOT_FOUND)
    console.record(reader.document(*found[0]))


Named = tuple[Recorded, str | None]  # an event, and the name that its resource had then, if known


class EventReader:
    """Finds the events of a ledger and shows them."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._events = Events(tenant)
        self._credentials = names_of(tenant)

    def filter(
        self, text: str | None, since: str | None = None, **equal: str | None
    ) -> Filter | None:
        """Return a filter of all that is asked of an event; raises UsageError."""
        terms = [] if text is None else [event_filter(text, self._credentials)]
        for name, value in equal.items():
            if value is not None:
                leaf = Compare(EVENT.declared[name].path(), Operator.EQ, value)
                terms.append(resolved(leaf, self._credentials))
        if since is not None:
            at = EVENT.declared["at"].path()
            terms.append(Compare(at, Operator.GE, since))
        if terms:
            follow(self._tenant.history)
        return And(tuple(terms)) if len(terms) > 1 else next(iter(terms), None)

    def read(self, positions: Sequence[int]) -> list[Named]:
        """Return the events at some positions, with the names of the time."""
        lines = self._tenant.ledger.raw_events_at(positions)
        found = [codec.decode(line.header, line.body) for line in lines]
        names = read_side_file(lambda: self._names(found), {})
        return [(recorded, names.get(recorded.position)) for recorded in found]

    def _names(self, found: list[Recorded]) -> Mapping[int, str]:
        """Return the names of the subjects of events, by position."""
        follow(self._tenant.history)
        own, known = archive_of(self._tenant).names_of(found), self._credentials
        return {r.position: known[r.subject] for r in found if r.subject in known} | own

    def select(
        self,
        filter: Filter | None,
        limit: int | None,
        newest_first: bool = False,
        end: int | None = None,
    ) -> Iterator[Named]:
        """Yield the events that a filter finds; with a limit, the newest of them."""
        end = self._events.end() if end is None else end
        if limit is None:
            return self._walk(EventQuery(filter=filter, newest_first=newest_first, count=MOST), end)
        newest = EventQuery(filter=filter, newest_first=True, count=min(limit, MOST))
        found = list(islice(self._walk(newest, end), limit))
        return iter(found if newest_first else reversed(found))

    def newest(self, filter: Filter | None, count: int, go_on: bool) -> Iterator[Named]:
        """Yield the newest events, oldest first, then if `go_on` new ones as they come."""
        end = self._events.end()
        yield from self.select(filter, count, end=end)
        while go_on:
            asked = EventQuery(filter=filter, newest_first=False, count=MOST, after=end)
            end = self._events.end()
            if end > (asked.after or 0):
                self._credentials = names_of(self._tenant)
                yield from self._walk(asked, end)
            time.sleep(POLL)

    def _walk(self, asked: EventQuery, end: int) -> Iterator[Named]:
        more = True
        while more:
            found = self._events.find(asked, end, MOST_BYTES)
            yield from self.read(found.positions)
            more = found.older if asked.newest_first else found.newer
            if more:
                last = found.positions[-1]
                bound: Any = {"before": last} if asked.newest_first else {"after": last}
                asked = replace(asked, **bound)

    def row(self, recorded: Recorded, name: str | None) -> dict[str, Any]:
        return {
            **cause_columns(cause_of(recorded, self._credentials)),
            "via": recorded.via,
            "name": name,
            "stream": recorded.stream,
            "changed": _changed(recorded),
        }

    def document(self, recorded: Recorded, name: str | None) -> dict[str, Any]:
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
            "credential": self._credentials.get(recorded.actor),
            "via": recorded.via,
            "effects": None if recorded.payload is None else _effects(recorded),
            "request": recorded.request,
        }


def _effects(recorded: Recorded) -> Mapping[str, Any]:
    withheld = WITHHELD.get(recorded.type, frozenset())
    return {k: v for k, v in recorded.effects.items() if k not in withheld}


def _changed(recorded: Recorded) -> str:
    """Name what changed: attributes of extensions without their long URN, members by number."""
    if recorded.payload is None:
        return "erased"
    counts = Counter(map(label, _effects(recorded)))
    return ", ".join(f"{name} ({n})" if n > 1 else name for name, n in sorted(counts.items()))
