"""Queries about past states and events: the ledger, its history and its credentials together."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger.contract import Ledger
from ledger.erasure import HOLD
from ledger.events import CREATED, Recorded
from projections.audit.cause import Cause, cause_of
from projections.current.credentials import Credentials
from projections.history.history import History
from projections.history.lifetimes import Lifetime, Lifetimes
from projections.kinds import ResourceKind
from projections.state import MEMBER, STANDING, Attributes, laid_over


class Change(NamedTuple):
    """A value before and after; None stands for none."""

    before: Any
    after: Any


Changes = Mapping[str, Change]


@dataclass(frozen=True, slots=True)
class Archive:
    """The past of one ledger; nothing here writes to the ledger."""

    ledger: Ledger
    history: History
    credentials: Credentials
    kinds: Mapping[str, ResourceKind]

    @property
    def lifetimes(self) -> Lifetimes:
        """The queries over the history, as far as it has followed the ledger."""
        return self.history.lifetimes

    def end(self) -> int:
        """Return the ledger's end, which the history has reached; raises HistoryBehind."""
        end = self.ledger.last_position()
        with self.history.caught_up():
            return end

    def causes(self, events: Collection[Recorded]) -> dict[int, Cause]:
        with self.ledger.reading() as connection:
            names = self.credentials.names(connection, {recorded.actor for recorded in events})
        return {recorded.position: cause_of(recorded, names) for recorded in events}

    def causes_at(self, positions: Iterable[int]) -> dict[int, Cause]:
        return self.causes(self.ledger.read_at(set(positions)).values())

    def lives(self, id_: str) -> list[Lifetime]:
        """Return the lifetimes of a resource, oldest first; raises HistoryBehind."""
        with self.history.caught_up():
            return self.lifetimes.of(id_)

    def names_of(self, events: Iterable[Recorded]) -> dict[int, str]:
        """Return the name of each event's resource then, or last before, by position.

        A legal hold is about its user. The history must have reached the events. Erased resources
        have no name.
        """
        about = (*self.kinds, HOLD)
        asked = [(each.position, each.subject) for each in events if each.category in about]
        return {
            position: resource.attributes[self.kinds[resource.type].name_attribute]
            for position, resource in self.lifetimes.last_known(asked).items()
        }

    def member_changes(
        self, group: int, events: Iterable[Recorded]
    ) -> dict[int, dict[str, Change]]:
        """Return the members that joined or left a group by each of some events, by position.

        Each has its name of then, or its last one before; an unknown member has none. Erased
        members neither joined nor left.
        """
        moves = self.lifetimes.member_moves(group, members_named(events))
        found: dict[int, dict[str, Change]] = {}
        for at, id_, type_, since, until, name in moves:
            value = {"type": type_} | ({"display": name} if name else {})
            changes = found.setdefault(at, {})
            changes[id_] = move_of(changes.get(id_), value, left=until == at, joined=since == at)
        return found


def move_of(known: Change | None, value: Any, *, left: bool, joined: bool) -> Change:
    """Return the change by a membership that ends, begins, or both, at one position."""
    before, after = known or (None, None)
    return Change(value if left else before, value if joined else after)


def members_named(events: Iterable[Recorded]) -> list[tuple[int, str]]:
    """Return the members that a group's events name, each with the event's position."""
    return [
        (recorded.position, path.removeprefix(MEMBER))
        for recorded in events
        for path in recorded.payload or ()
        if path.startswith(MEMBER)
    ]


def values_set(recorded: Recorded) -> Attributes:
    """Return the attributes and members that an event sets, with their values; None removes one.

    The one answer to "which event set this value": a creation also sets the values that a resource
    has by default. A deletion sets none, but removes all that there were.
    """
    standing = STANDING.get(recorded.category, {})
    if recorded.type == CREATED:
        return laid_over({}, recorded.effects, recorded.category)
    return {
        key: standing.get(key) if value is None else value
        for key, value in recorded.effects.items()
    }


def changes_between(before: Attributes, after: Attributes) -> dict[str, Change]:
    return {
        key: Change(before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }
