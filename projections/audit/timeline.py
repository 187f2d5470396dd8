"""The timeline of a resource: each event with its cause and every value before and after it."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ledger.events import CREATED, Recorded
from projections.audit.archive import Archive, Change, Changes, Life, Stay
from projections.audit.cause import Cause
from projections.current.lists import MOST_BYTES
from projections.history.projector import NEVER
from projections.state import MEMBER, Attributes, laid_over

MOST_CHANGES = 20_000  # on a page: one that would have more ends early


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which entries are asked for: between two positions, both exclusive, at most so many."""

    after: int = 0
    before: int = NEVER
    count: int = 100
    newest_first: bool = False

    def behind(self, position: int) -> "Window":
        """Return the window of the next page."""
        bounds = (self.after, position) if self.newest_first else (position, self.before)
        return Window(
            after=bounds[0], before=bounds[1], count=self.count, newest_first=self.newest_first
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """An event, and what it changed for the resource; `stream` may be that of a group joined."""

    cause: Cause
    stream: str
    version: int
    changes: Changes

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        changes = {key: change._asdict() for key, change in self.changes.items()}
        head = {"stream": self.stream, "version": self.version}
        return self.cause.document() | head | {"changes": changes}


@dataclass(frozen=True, slots=True)
class Page:
    """The entries of one page, and whether more lie behind them."""

    entries: Sequence[Entry]
    more: bool


class Timeline:
    """The timeline of one resource, deleted or not; every page costs its own entries."""

    def __init__(self, archive: Archive, type_: str, id_: str) -> None:
        self._archive = archive
        self._id = id_
        self._type = type_
        self._stream = f"{type_}-{id_}"
        self._relation = archive.kinds[type_].relation

    def exists(self) -> bool:
        """Return whether there ever was such a resource."""
        return self._archive.ledger.version(self._stream) > 0

    def page(self, window: Window) -> Page:
        """Return the entries of a window; raises HistoryBehind."""
        end = self._archive.end()
        window = Window(
            after=window.after,
            before=min(window.before, end + 1),
            count=window.count,
            newest_first=window.newest_first,
        )
        own, more = self._own(window)
        stays = self._stays()
        moments = {at for stay in stays for at in stay[1:] if _holds(window, at)}
        if more:  # what lies behind the last of its own events is of a later page
            moments = {at for at in moments if not _holds(window.behind(own[-1].position), at)}
        positions = {recorded.position for recorded in own} | moments
        choose = heapq.nlargest if window.newest_first else heapq.nsmallest
        chosen = choose(window.count, positions)
        kept = set(chosen)
        entries = self._entries([e for e in own if e.position in kept], kept, stays)
        return Page([entries[at] for at in chosen], more or len(positions) > window.count)

    def _own(self, window: Window) -> tuple[list[Recorded], bool]:
        """Return the events of the resource's own stream, and whether there are more of them."""
        events: list[Recorded] = []
        changes = size = 0
        ledger = self._archive.ledger
        first = ledger.version_at(self._stream, window.after) + 1
        last = ledger.version_at(self._stream, window.before - 1)
        for recorded in ledger.walk_stream(
            self._stream, first, last, newest_first=window.newest_first
        ):
            changes += len(recorded.payload or ())
            size += len(orjson.dumps(recorded.payload))
            full = changes > MOST_CHANGES or size > MOST_BYTES
            if events and (full or len(events) == window.count):
                return events, True
            events.append(recorded)
        return events, False

    def _stays(self) -> list[Stay]:
        """Return the memberships that count as the resource's: those of users."""
        return self._archive.stays(self._id) if self._relation == "groups" else []

    def _entries(
        self, own: list[Recorded], chosen: set[int], stays: Sequence[Stay]
    ) -> dict[int, Entry]:
        changes = dict(self._own_changes(sorted(own, key=lambda e: e.position)))
        changes |= self._group_changes(chosen, stays)
        others = self._archive.events_at(changes.keys() - {e.position for e in own})
        events = {e.position: e for e in own} | others
        causes = self._archive.causes(events.values())
        return {
            at: Entry(causes[at], recorded.stream, recorded.version, changes[at])
            for at, recorded in events.items()
        }

    def _own_changes(self, events: Sequence[Recorded]) -> Iterator[tuple[int, Changes]]:
        """Yield what each of consecutive events changed; nothing is known of what was erased."""
        lives = self._archive.lives(self._id)
        life: Life | None = None
        state: Attributes = {}
        members: dict[int, dict[str, Change]] = {}
        for recorded in events:
            at = recorded.position
            if life is None or at > life.died:
                life = next((each for each in lives if each.born <= at <= each.died), None)
                if life:
                    state = self._archive.attributes_at(life.born, at - 1)
                    members = self._member_changes(life, events)
            effects = _attributes(recorded) if life else {}
            after = laid_over(state, effects, self._type) if life else {}
            set_ = after if recorded.type == CREATED else effects
            changes = {key: Change(state.get(key), after.get(key)) for key in set_}
            state = after
            joined = members.get(at, {}) if life else {}
            yield at, changes | {f"{MEMBER}{id_}": each for id_, each in joined.items()}

    def _member_changes(
        self, life: Life, events: Iterable[Recorded]
    ) -> dict[int, dict[str, Change]]:
        if self._relation != "members":
            return {}
        return self._archive.member_changes(life.born, events)

    def _group_changes(
        self, chosen: set[int], stays: Sequence[Stay]
    ) -> dict[int, dict[str, Change]]:
        """Return the groups joined and left at some positions, each as it was called then."""
        found: dict[int, dict[str, Change]] = {}
        for stay in stays:
            for at in {stay.since, stay.until} & chosen:
                group = self._archive.group_at(stay.group, at - (at == stay.until))
                key = f"groups:{group.id}"
                known = found.setdefault(at, {}).get(key, Change(None, None))
                before = group.value() if at == stay.until else known.before
                after = group.value() if at == stay.since else known.after
                found[at][key] = Change(before, after)
        return found


def _holds(window: Window, position: int) -> bool:
    return window.after < position < window.before


def _attributes(recorded: Recorded) -> dict[str, Any]:
    """Return what an event says of attributes: members are rows of their own."""
    return {k: v for k, v in recorded.effects.items() if not k.startswith(MEMBER)}
