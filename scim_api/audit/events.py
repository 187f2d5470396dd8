"""Events as the ledger's API shows them: pages in either direction, and what follows a position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from ledger.contract import RawEvent
from ledger.events import REQUEST_PREFIX, WITHHELD
from ledger.user_agents import family
from projections.current.reader import MOST_BYTES
from projections.history.event_index import EventIndex, EventQuery, Found
from projections.query.effort import TooCostly
from scim_api.auth.credentials import names_of
from scim_api.protocol.errors import NotFound, Quoted, TooMany
from scim_api.tenants.tenants import Tenant

MOST = 1000  # events on a page
MOST_SENT = 1_048_576  # bytes of payload read at once for a client that waits
STRIDE = 50_000  # positions searched at once for one that waits: some 10 ms, for many take turns

FIELDS = (  # of a header, in the order in which they are shown
    *("position", "id", "at", "type", "revision", "stream", "version", "txn", "actor", "via"),
    *("ledger", "attributes", "commitment", "v"),
)


class Shown(NamedTuple):
    """An event ready to be sent."""

    position: int
    type: str
    json: bytes


class EventPage(NamedTuple):
    """Events in the order asked for, and how far the ledger went when it was asked."""

    events: Sequence[Shown]
    end: int
    older: bool
    newer: bool


class Batch(NamedTuple):
    """All matching events after a position up to `reached`, of a ledger that ends at `end`."""

    events: Sequence[Shown]
    reached: int
    end: int


@dataclass(frozen=True, slots=True)
class Events:
    """The events of one ledger; every page is read in short reads that pin nothing."""

    tenant: Tenant

    def end(self) -> int:
        """Return the position of the newest event."""
        return self.tenant.ledger.last_position()

    def page(self, query: EventQuery) -> EventPage:
        """Return a page; raises TooMany for a filter that costs too much."""
        end = self.end()
        found = self.find(query, end, MOST_BYTES)
        return EventPage(self.shown(found.positions), end, found.older, found.newer)

    def following(self, query: EventQuery, after: int) -> Batch:
        """Return the first events after a position, at a bounded cost."""
        end = self.end()
        upto = end if query.filter is None else min(end, after + STRIDE)
        found = self.find(replace(query, newest_first=False, after=after), upto, MOST_SENT)
        events = self.shown(found.positions)
        return Batch(events, events[-1].position if found.newer else upto, end)

    def one(self, position: int) -> Shown:
        """Return the event at a position; raises NotFound."""
        found = self.shown([position])
        if not found:
            raise NotFound(
                "event.unknown",
                "There is no event at position {position}. The last one is {end}.",
                position=Quoted(str(position)),
                end=self.end(),
            )
        return found[0]

    def find(self, query: EventQuery, end: int, most: int) -> Found:
        """Find the positions of a page, which ends at a count or at `most` bytes of payloads."""
        found = self._find(query, end)
        positions = sorted(found.positions, reverse=query.descending)
        count = self.tenant.ledger.fitting(positions, most)
        return found if count == len(positions) else self._find(replace(query, count=count), end)

    def _find(self, query: EventQuery, end: int) -> Found:
        """Find the positions; without a filter every position is one, and no index is needed."""
        if query.filter is None:
            return query.every(end)
        try:
            with self.tenant.history.caught_up() as connection:
                return EventIndex().page(connection, query, end)
        except TooCostly as error:
            raise TooMany(
                "filter.costly_events",
                "The filter takes too long over this many events. Use fewer comparisons, or eq on"
                " type, stream, actor, txn, requestId or userName, which are indexed.",
            ) from error

    def shown(self, positions: Sequence[int]) -> list[Shown]:
        """Return events as they are shown."""
        names = names_of(self.tenant)
        lines = self.tenant.ledger.raw_events_at(positions)
        documents = (_document(line, names) for line in lines)
        return [Shown(each["position"], each["type"], orjson.dumps(each)) for each in documents]


def _document(line: RawEvent, credentials: Mapping[str, str]) -> dict[str, Any]:
    """Return an event; `credentials` are the names of credentials by their ids.

    The header is there as it was hashed, and each of its fields by its own name. The payload is as
    it was stored, so that the commitment in the header can be recomputed.
    """
    header = orjson.loads(line.header)
    payload = None if line.body is None else orjson.loads(line.body)
    withheld = sorted(WITHHELD.get(header["type"], frozenset()) & set(payload or ()))
    document: dict[str, Any] = {
        **{name: header[name] for name in FIELDS},
        "header": line.header.decode(),
        "leaf_hash": line.leaf_hash.hex(),
    }
    if withheld:
        document["withheld"] = withheld
    elif line.salt is not None:
        document["salt"] = line.salt.hex()
    shown = None if payload is None else {k: v for k, v in payload.items() if k not in withheld}
    return document | {
        "payload": shown,
        "request": None if payload is None else _request(payload),
        "credential": credentials.get(header["actor"]),
    }


def _request(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that a payload names, and the family of its client."""
    size = len(REQUEST_PREFIX)
    request = {k[size:]: v for k, v in payload.items() if k.startswith(REQUEST_PREFIX)}
    return request | {"family": family(request.get("client", ""))}
