"""Who joined a group and who left it between two positions, and which groups a user did."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.sqlite.connection import Connection, json_list
from projections.audit.archive import Archive
from projections.current.reader import ResourceReader
from projections.history.past_tables import PastTables
from projections.state import MEMBER

CHUNK = 100  # events of a group read at once, each of 1,000 members at most


@dataclass(frozen=True, slots=True)
class Span:
    """From after one position up to another."""

    start: int
    end: int


@dataclass(slots=True)
class Crowd:
    """Ids that are counted, of which the first are kept."""

    most: int
    count: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, id_: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.ids) < self.most:
            self.ids.append(id_)


@dataclass(frozen=True, slots=True)
class Turnover:
    """Who joined and who left: how many, and the first of them as members or groups are shown."""

    joined: int = 0
    left: int = 0
    joined_values: Sequence[dict[str, Any]] = ()
    left_values: Sequence[dict[str, Any]] = ()

    def __bool__(self) -> bool:
        """Return whether anybody did."""
        return bool(self.joined or self.left)

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "joined": {"count": self.joined, "values": list(self.joined_values)},
            "left": {"count": self.left, "values": list(self.left_values)},
        }


class Turnovers:
    """Works out turnovers in one span; `most` are named on each side, all are counted."""

    def __init__(self, archive: Archive, span: Span, most: int) -> None:
        self._archive = archive
        self._span = span
        self._most = most

    def of_group(self, id_: str) -> Turnover:
        """Return who joined and left a group, at the cost of its events in between.

        For a group that came or went, of all its members.
        """
        start, end = self._span.start, self._span.end
        lives = self._archive.lives(id_)
        before = next((life.born for life in lives if life.born <= start < life.died), None)
        after = next((life.born for life in lives if life.born <= end < life.died), None)
        joined, left = Crowd(self._most), Crowd(self._most)
        with self._archive.history.file.reading() as connection:
            if before is not None and before == after:
                for member, came in self._moved(connection, id_, before):
                    (joined if came else left).add(member)
            else:
                for member in _only(connection, (after, end), (before, start)):
                    joined.add(member)
                for member in _only(connection, (before, start), (after, end)):
                    left.add(member)
            return self._named(connection, joined, left)

    def of_user(self, id_: str) -> Turnover:
        """Return which groups a user joined and left, also by way of others."""
        history = self._archive.history
        with history.file.reading() as connection:
            before = _groups(connection, history.at(self._span.start), id_)
            after = _groups(connection, history.at(self._span.end), id_)
        joined, left = Crowd(self._most), Crowd(self._most)
        for id_ in after.keys() - before.keys():
            joined.add(id_)
        for id_ in before.keys() - after.keys():
            left.add(id_)
        return Turnover(
            joined.count,
            left.count,
            [after[group] for group in sorted(joined.ids)],
            [before[group] for group in sorted(left.ids)],
        )

    def _named(self, connection: Connection, joined: Crowd, left: Crowd) -> Turnover:
        return Turnover(
            joined.count,
            left.count,
            _values(connection, joined.ids, self._span.end),
            _values(connection, left.ids, self._span.start),
        )

    def _moved(self, connection: Connection, id_: str, born: int) -> Iterator[tuple[str, bool]]:
        """Yield whoever is on one side only, and whether they came: each once, with one event."""
        span = self._span
        for chunk in self._named_members(f"Group-{id_}"):
            rows = connection.execute(
                "SELECT member_id, since = asked.value ->> 0 FROM json_each(?) AS asked"
                " CROSS JOIN membership AS seen"
                " ON group_born = ? AND member_id = asked.value ->> 1"
                " WHERE (since = asked.value ->> 0 AND until > ?"
                f" AND NOT {_there('seen')}) OR (until = asked.value ->> 0 AND since <= ?"
                f" AND NOT {_there('seen')})",
                (
                    json_list(chunk),
                    *(born, span.end, born, span.start, span.start),
                    *(span.start, born, span.end, span.end),
                ),
            )
            yield from ((member, bool(came)) for member, came in rows)

    def _named_members(self, stream: str) -> Iterator[list[tuple[int, str]]]:
        """Yield, in chunks, the members that a group's events name, with the events' positions."""
        ledger = self._archive.ledger
        version = ledger.version_at(stream, self._span.start)
        last = ledger.version_at(stream, self._span.end)
        while version < last:
            upto = min(version + CHUNK, last)
            yield [
                (recorded.position, path.removeprefix(MEMBER))
                for recorded in ledger.walk_stream(stream, version + 1, upto)
                for path in recorded.payload or ()
                if path.startswith(MEMBER)
            ]
            version = upto


def _there(seen: str) -> str:
    """Return SQL for: the member was in the group (?) at a position (?, ?)."""
    return (
        "EXISTS (SELECT 1 FROM membership AS other WHERE other.group_born = ?"
        f" AND other.member_id = {seen}.member_id AND other.since <= ? AND other.until > ?)"
    )


def _only(
    connection: Connection, here: tuple[int | None, int], not_there: tuple[int | None, int]
) -> Iterator[str]:
    """Yield the members of a group (where it was born) at a position who are not of another's."""
    rows = connection.execute(
        "SELECT member_id FROM membership AS seen WHERE group_born = ? AND since <= ?"
        f" AND until > ? AND NOT {_there('seen')} ORDER BY member_id",
        (here[0], here[1], here[1], not_there[0], not_there[1], not_there[1]),
    )
    return (member for (member,) in rows)


def _values(connection: Connection, ids: Iterable[str], at: int) -> list[dict[str, Any]]:
    """Return members as they are shown, named as at a position; of strangers only the id."""
    ids = sorted(ids)
    rows = connection.execute(
        f"SELECT id, type, display FROM {PastTables(at=at).resource}"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (json_list(ids),),
    )
    known = {id_: {"value": id_, "type": type_, "display": name} for id_, type_, name in rows}
    return [known.get(id_, {"value": id_}) for id_ in ids]


def _groups(
    connection: Connection, readings: ResourceReader, user: str
) -> dict[str, dict[str, Any]]:
    """Return the groups that a user is in, by id, as they are shown."""
    row = readings.row(connection, "User", user)
    found = readings.relations(connection, "User", [row.place]) if row else {}
    groups = found.get(row.position, ()) if row else ()
    return {each.id: {"value": each.id, "display": each.display} for each in groups}
