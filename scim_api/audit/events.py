"""Events found and shown: pages of them in either direction, and what follows a position."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from ledger.contract import RawEvent
from projections.current.lists import MOST_BYTES
from projections.history.event_index import Entries, Found, Walk, every
from projections.query.effort import TooCostly
from projections.query.model import Filter
from scim_api.audit.event_documents import event_document
from scim_api.protocol.errors import NotFound, Quoted, TooMany
from scim_api.protocol.list_query import DEFAULT_COUNT
from scim_api.tenants.tenants import Tenant

MOST = 1000  # events on a page
MOST_SENT = 1_048_576  # bytes of payload read at once for a client that waits
STRIDE = 50_000  # positions searched at once for who follows: some 10 ms, for many wait in turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which events are asked for: those of one page, in its order; see Entries.page."""

    filter: Filter | None = None
    newest_first: bool = True
    count: int = DEFAULT_COUNT
    after: int | None = None
    before: int | None = None

    def page(self) -> dict[str, Any]:
        """Return all but the filter, by the names of Entries.page."""
        return {name: getattr(self, name) for name in ("newest_first", "count", "after", "before")}


class Shown(NamedTuple):
    """An event ready to be sent."""

    position: int
    type: str
    json: bytes


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in the order asked for, and how far the ledger went when it was asked."""

    events: Sequence[Shown]
    end: int
    older: bool
    newer: bool


class Following(NamedTuple):
    """Events behind a position: all that are asked for up to `reached`, of a ledger up to `end`."""

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

    def page(self, question: Question) -> EventPage:
        """Return a page; raises TooMany for a filter that costs too much."""
        end = self.end()
        found = self.find(question, end)
        return EventPage(self.shown(found.positions), end, found.older, found.newer)

    def following(self, question: Question, after: int) -> Following:
        """Return the first events behind a position, at a cost that has a bound."""
        end = self.end()
        upto = end if question.filter is None else min(end, after + STRIDE)
        found = self.find(replace(question, newest_first=False, after=after), upto, MOST_SENT)
        events = self.shown(found.positions)
        return Following(events, events[-1].position if found.newer else upto, end)

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

    def find(self, question: Question, end: int, most: int | None = None) -> Found:
        """Find the positions of a page, which ends at a count or at `most` bytes of payloads.

        Those are MOST_BYTES by default.
        """
        found = self._find(question, end)
        walk = Walk.of(question.after, question.before, question.newest_first, end)
        positions = sorted(found.positions, reverse=walk.descending)
        count = self.tenant.ledger.fitting(positions, MOST_BYTES if most is None else most)
        return found if count == len(positions) else self._find(replace(question, count=count), end)

    def _find(self, question: Question, end: int) -> Found:
        """Find the positions; without a filter every position is one, and no index is needed."""
        asked = question.page()
        if question.filter is None:
            return every(**asked, upto=end)
        try:
            with self.tenant.history.caught_up() as connection:
                return Entries().page(connection, question.filter, **asked, upto=end)
        except TooCostly as error:
            raise TooMany(
                "filter.costly_events",
                "The filter takes too long over this many events. Use fewer comparisons, or eq on"
                " type, stream, actor, txn, requestId or userName, which are indexed.",
            ) from error

    def shown(self, positions: Sequence[int]) -> list[Shown]:
        """Return events as they are shown."""
        lines = self.tenant.ledger.raw_events_at(positions)
        names = self.credential_names()
        return [_shown(line, names) for line in lines]

    def credential_names(self) -> dict[str, str]:
        """Return the name of each credential there ever was, by its id."""
        with self.tenant.ledger.reading() as connection:
            return {c.id: c.name for c in self.tenant.credentials.all(connection)}


def _shown(line: RawEvent, names: dict[str, str]) -> Shown:
    document = event_document(line, names)
    return Shown(line.position, document["type"], orjson.dumps(document))
