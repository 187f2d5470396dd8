"""The timeline of a resource: each event with its cause and every value before and after it."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ledger.events import Recorded
from projections.audit.archive import Archive, Change, Changes, move_of, values_set
from projections.audit.cause import Cause
from projections.current.reader import MOST_BYTES
from projections.history.contents import NEVER
from projections.history.lifetimes import Lifetime, MembershipInterval
from projections.state import MEMBER, Attributes

MOST_CHANGES = 20_000  # on a page: one that would have more ends early


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The entries asked for: between two positions, both exclusive, at most so many."""

    after: int = 0
    before: int = NEVER
    count: int = 100
    newest_first: bool = False

    def following(self, position: int) -> "Window":
        if self.newest_first:
            return replace(self, before=position)
        return replace(self, after=position)

    def holds(self, position: int) -> bool:
        return self.after < position < self.before


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and the values that it changed; `stream` may be that of a group joined or left."""

    cause: Cause
    stream: str
    version: int
    changes: Changes

    def document(self) -> dict[str, Any]:
        changes = {key: change._asdict() for key, change in self.changes.items()}
        head = {"stream": self.stream, "version": self.version}
        return self.cause.document() | head | {"changes": changes}


@dataclass(frozen=True, slots=True)
class Page:
    """The entries of one page, and whether more follow."""

    entries: Sequence[Entry]
    more: bool


class Timeline:
    """The timeline of one resource, deleted or not; every page costs its own entries."""

    def __init__(self, archive: Archive, type_: str, id_: str) -> None:
        self._archive = archive
        self._id = id_
        self._stream = f"{type_}-{id_}"
        self._relation = archive.kinds[type_].relation

    def exists(self) -> bool:
        return self._archive.ledger.version(self._stream) > 0

    def page(self, window: Window) -> Page:
        window = replace(window, before=min(window.before, self._archive.end() + 1))
        own, more = self._own(window)
        memberships: list[MembershipInterval] = []
        if self._relation == "groups":
            memberships = self._archive.lifetimes.memberships(self._id)
        moves = {at for each in memberships for at in each[1:] if window.holds(at)}
        if more:  # later moves than the last of its own events are of a later page
            later = window.following(own[-1].position)
            moves = {at for at in moves if not later.holds(at)}
        positions = {recorded.position for recorded in own} | moves
        choose = heapq.nlargest if window.newest_first else heapq.nsmallest
        chosen = choose(window.count, positions)
        kept = set(chosen)
        changes = dict(self._own_changes([e for e in own if e.position in kept]))
        changes |= self._group_changes(kept, memberships)
        events = self._archive.ledger.read_at(changes.keys() - {e.position for e in own})
        events |= {e.position: e for e in own}
        causes = self._archive.causes([events[at] for at in chosen])
        entries = [
            Entry(causes[at], events[at].stream, events[at].version, changes[at]) for at in chosen
        ]
        return Page(entries, more or len(positions) > window.count)

    def _own(self, window: Window) -> tuple[list[Recorded], bool]:
        """Return the events of the resource's own stream, and whether there are more of them."""
        ledger, stream = self._archive.ledger, self._stream
        first = ledger.version_at(stream, window.after) + 1
        last = ledger.version_at(stream, window.before - 1)
        events: list[Recorded] = []
        changes = size = 0
        for recorded in ledger.walk_stream(stream, first, last, newest_first=window.newest_first):
            changes += len(recorded.payload or ())
            size += len(orjson.dumps(recorded.payload))
            full = changes > MOST_CHANGES or size > MOST_BYTES
            if events and (full or len(events) == window.count):
                return events, True
            events.append(recorded)
        return events, False

    def _own_changes(self, events: list[Recorded]) -> Iterator[tuple[int, Changes]]:
        """Yield the changes by each of consecutive events; those of the erased have none."""
        lives = self._archive.lives(self._id)
        life: Lifetime | None = None
        state: Attributes = {}
        members: dict[int, dict[str, Change]] = {}
        for recorded in sorted(events, key=lambda each: each.position):
            at = recorded.position
            if life is None or at > life.died:
                life = next((each for each in lives if each.born <= at <= each.died), None)
                if life is None:
                    yield at, {}
                    continue
                state = self._archive.lifetimes.attributes_at(life.born, at - 1)
                if self._relation == "members":
                    members = self._archive.member_changes(life.born, events)
            values = values_set(recorded).items()
            own = {key: value for key, value in values if not key.startswith(MEMBER)}
            changes = {key: Change(state.get(key), value) for key, value in own.items()}
            state = {**state, **own}
            joined = members.get(at, {})
            yield at, changes | {f"{MEMBER}{id_}": each for id_, each in joined.items()}

    def _group_changes(
        self, chosen: set[int], memberships: Sequence[MembershipInterval]
    ) -> dict[int, dict[str, Change]]:
        """Return the groups joined and left at some positions, each with its name of then."""
        found: dict[int, dict[str, Change]] = {}
        for each in memberships:
            for at in {each.since, each.until} & chosen:
                left, joined = at == each.until, at == each.since
                group = self._archive.lifetimes.group_at(each.group, at - left)
                changes, key = found.setdefault(at, {}), f"groups:{group['value']}"
                changes[key] = move_of(changes.get(key), group, left=left, joined=joined)
        return found
