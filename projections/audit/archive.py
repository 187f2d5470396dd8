"""The ledger, its history and its credentials, read together about what was."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ledger.contract import Ledger
from ledger.erasure import HOLD
from ledger.events import Recorded
from ledger.sqlite.connection import Connection, json_list
from projections.audit.cause import Cause, cause_of
from projections.current.credentials import Credentials
from projections.history.history import History
from projections.kinds import ResourceKind
from projections.query.comparison import fold
from projections.state import MEMBER, Attributes, resource_of


class Change(NamedTuple):
    """A value before and after; None stands for none."""

    before: Any
    after: Any


Changes = Mapping[str, Change]


class Life(NamedTuple):
    """A resource from its Created event to its Deleted event."""

    born: int
    died: int


class Stay(NamedTuple):
    """A membership: from the position `since` to before the position `until`."""

    group: int  # where the group was born
    since: int
    until: int


class Named(NamedTuple):
    """Who had a name: from the position `since` to before the position `until`."""

    id: str
    since: int
    until: int


class Group(NamedTuple):
    """A group as others show it."""

    id: str
    display: str

    def value(self) -> dict[str, str]:
        """Return it as a user's `groups` have it."""
        return {"value": self.id, "display": self.display}


@dataclass(frozen=True, slots=True)
class Archive:
    """What is asked about the past of one ledger; nothing in it writes to the ledger."""

    ledger: Ledger
    history: History
    credentials: Credentials
    kinds: Mapping[str, ResourceKind]

    def end(self) -> int:
        """Return the ledger's end, which the history has reached; raises HistoryBehind."""
        end = self.ledger.last_position()
        with self.history.caught_up():
            return end

    def time_of(self, position: int) -> str:
        """Return when the event at a position was recorded."""
        return self.ledger.time_of(position)

    def events_at(self, positions: Iterable[int]) -> dict[int, Recorded]:
        """Return events by position."""
        return self.ledger.read_at(positions)

    def causes(self, events: Collection[Recorded]) -> dict[int, Cause]:
        """Return the causes of events, by position."""
        with self.ledger.reading() as connection:
            names = self.credentials.names(connection, {recorded.actor for recorded in events})
        return {recorded.position: cause_of(recorded, names) for recorded in events}

    def causes_at(self, positions: Iterable[int]) -> dict[int, Cause]:
        """Return the causes of the events at some positions."""
        return self.causes(self.events_at(set(positions)).values())

    def lives(self, id_: str) -> list[Life]:
        """Return the lives of a resource, oldest first: none if it never was, or was erased."""
        with self.history.caught_up() as connection:
            rows = connection.execute(
                "SELECT born, died FROM life WHERE id = ? ORDER BY born", (id_,)
            )
            return [Life(*row) for row in rows]

    def attributes_at(self, born: int, position: int) -> Attributes:
        """Return the attributes of a life at a position, none before it began."""
        with self.history.file.reading() as connection:
            row = connection.execute(
                "SELECT document FROM resource_version WHERE born = ? AND position <= ?"
                " ORDER BY position DESC LIMIT 1",
                (born, position),
            ).fetchone()
        return resource_of(row[0]).attributes if row else {}

    def stays(self, member: str) -> list[Stay]:
        """Return every direct membership that a resource ever had."""
        with self.history.caught_up() as connection:
            rows = connection.execute(
                "SELECT group_born, since, until FROM membership WHERE member_id = ?", (member,)
            )
            return [Stay(*row) for row in rows]

    def group_at(self, born: int, position: int) -> Group:
        """Return a group as it was called at a position."""
        with self.history.file.reading() as connection:
            row = connection.execute(
                "SELECT id, (SELECT display FROM resource_version AS seen"
                " WHERE seen.born = life.born AND seen.position <= ?"
                " ORDER BY seen.position DESC LIMIT 1) FROM life WHERE born = ?",
                (position, born),
            ).fetchone()
        return Group(*row)

    def member_changes(
        self, group: int, events: Iterable[Recorded]
    ) -> dict[int, dict[str, Change]]:
        """Return who joined and who left a group by each of some events, by position.

        Each is named as it was called then, or last before; a stranger has no name.
        Whoever was erased since never came and never went.
        """
        asked = [
            (recorded.position, path.removeprefix(MEMBER))
            for recorded in events
            for path in recorded.payload or ()
            if path.startswith(MEMBER)
        ]
        found: dict[int, dict[str, Change]] = {}
        with self.history.file.reading() as connection:
            for at, id_, type_, since, until, name in _members_at(connection, group, asked):
                known = found.setdefault(at, {}).get(id_, Change(None, None))
                value = {"type": type_} | ({"display": name} if name else {})
                before = value if until == at else known.before
                found[at][id_] = Change(before, value if since == at else known.after)
        return found

    def names_of(self, events: Iterable[Recorded]) -> dict[int, str]:
        """Return the name that each event's resource had then, or last before, by position.

        A legal hold is about its user. This is one query; the history must have reached the events.
        Erased resources have no name.
        """
        about = (*self.kinds, HOLD)
        asked = [(each.position, each.subject) for each in events if each.category in about]
        with self.history.file.reading() as connection:
            found = [
                (position, resource_of(document))
                for position, document in _documents_at(connection, asked)
                if document
            ]
        return {
            position: resource.attributes[self.kinds[resource.type].name_attribute]
            for position, resource in found
        }

    def last_named(self, type_: str, name: str) -> str | None:
        """Return the id of who last had a name and was deleted with it."""
        with self.history.caught_up() as connection:
            row = connection.execute(
                "SELECT life.id FROM resource_key JOIN life USING (born)"
                " WHERE kind = 'name' AND key = ? AND life.type = ? AND until = life.died"
                " ORDER BY until DESC LIMIT 1",
                (fold(name), type_),
            ).fetchone()
        return row[0] if row else None

    def namesakes(self, type_: str, name: str, id_: str, most: int) -> list[Named]:
        """Return others that had the name of a resource, and when, oldest first: the last ones."""
        with self.history.caught_up() as connection:
            rows = connection.execute(
                "SELECT life.id, since, until FROM resource_key JOIN life USING (born)"
                " WHERE kind = 'name' AND key = ? AND life.type = ? AND life.id != ?"
                " ORDER BY since DESC LIMIT ?",
                (fold(name), type_, id_, most),
            ).fetchall()
        return [Named(*row) for row in reversed(rows)]


def _members_at(
    connection: Connection, group: int, asked: list[tuple[int, str]]
) -> Iterator[tuple[int, str, str, int, int, str | None]]:
    yield from connection.execute(
        "SELECT asked.value ->> 0 AS at, member_id, member_type, since, until,"
        " (SELECT (SELECT display FROM resource_version AS seen WHERE seen.born = life.born"
        " AND seen.position <= asked.value ->> 0 ORDER BY seen.position DESC LIMIT 1)"
        " FROM life WHERE id = member_id AND born <= asked.value ->> 0"
        " ORDER BY born DESC LIMIT 1)"
        " FROM json_each(?) AS asked CROSS JOIN membership"
        " ON group_born = ? AND member_id = asked.value ->> 1 AND at IN (since, until)",
        (json_list(asked), group),
    )


def _documents_at(
    connection: Connection, asked: list[tuple[int, str]]
) -> Iterator[tuple[int, bytes | None]]:
    """Yield each position with the document that the resource of an id had there."""
    yield from connection.execute(
        "SELECT asked.value ->> 0 AS at,"
        " (SELECT (SELECT document FROM resource_version AS seen WHERE seen.born = life.born"
        " AND seen.position <= asked.value ->> 0 ORDER BY seen.position DESC LIMIT 1)"
        " FROM life WHERE id = asked.value ->> 1 AND born <= asked.value ->> 0"
        " ORDER BY born DESC LIMIT 1)"
        " FROM json_each(?) AS asked",
        (json_list(asked),),
    )


def changes_between(before: Attributes, after: Attributes) -> dict[str, Change]:
    """Return the attributes that differ between two states."""
    return {
        key: Change(before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }
