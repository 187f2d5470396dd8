"""Queries over the history: lifetimes of resources, their versions, memberships and names."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ledger.sqlite.database import DatabaseFile
from projections.history.contents import NEVER, document_at
from projections.history.past_tables import PastTables, name_at
from projections.query.comparison import fold
from projections.state import Attributes, Resource, resource_of
from projections.tables import json_list

PositionAndId = tuple[int, str]
Side = tuple[int | None, int]  # a group (its first position; None: it is not there), at a position

# The newest version at a position, or before it, of the last lifetime of an id; both are asked.
_LAST_KNOWN = (
    "(SELECT {} FROM life WHERE id = {} AND born <= asked.value ->> 0 ORDER BY born DESC LIMIT 1)"
)
_IN_OTHER = (
    "EXISTS (SELECT 1 FROM membership AS other WHERE other.group_born = ?"
    " AND other.member_id = seen.member_id AND other.since <= ? AND other.until > ?)"
)


class Lifetime(NamedTuple):
    """A resource from its Created event to its Deleted event."""

    born: int
    died: int


class MembershipInterval(NamedTuple):
    """A direct membership, from the position `since` to before the position `until`."""

    group: int  # the position of the group's Created event
    since: int
    until: int


class NameInterval(NamedTuple):
    """The id of a resource that had a name from `since` to before `until`."""

    id: str
    since: int
    until: int


class Lifetimes:
    """The queries, on the file of a history."""

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file

    def _rows(self, statement: str, *parameters: Any) -> list[Any]:
        with self._file.reading() as connection:
            rows: list[Any] = connection.execute(statement, parameters).fetchall()
        return rows

    # Resources

    def of(self, id_: str) -> list[Lifetime]:
        """Return the lifetimes of a resource, oldest first: none if it never was, or was erased."""
        rows = self._rows("SELECT born, died FROM life WHERE id = ? ORDER BY born", id_)
        return [Lifetime(*row) for row in rows]

    def attributes_at(self, born: int, position: int) -> Attributes:
        """Return the attributes of a lifetime at a position, none before it began."""
        rows = self._rows(
            f"SELECT {document_at(position)} FROM life WHERE born = ? AND born <= ?", born, position
        )
        with self._file.reading():  # names the file that held what cannot be read
            return resource_of(rows[0][0]).attributes if rows else {}

    def resources_at(self, ids: Iterable[str], position: int) -> dict[str, Resource]:
        """Return the resources that existed at a position, of some ids."""
        rows = self._rows(
            f"SELECT id, document FROM {PastTables(position).resource}"
            " WHERE id IN (SELECT value FROM json_each(?))",
            json_list(ids),
        )
        with self._file.reading():
            return {id_: resource_of(document) for id_, document in rows}

    def transient(self, ids: Iterable[str], start: int, end: int) -> dict[str, Resource]:
        """Return the last version of the resources created and deleted between two positions."""
        rows = self._rows(
            f"SELECT id, {document_at(end)} FROM life WHERE born IN (SELECT max(born) FROM life"
            " WHERE id IN (SELECT value FROM json_each(?)) AND born > ? AND died <= ? GROUP BY id)",
            *(json_list(ids), start, end),
        )
        with self._file.reading():
            return {id_: resource_of(document) for id_, document in rows}

    def last_known(self, asked: Sequence[PositionAndId]) -> dict[int, Resource]:
        """Return the resource of each id as it was at a position, or last before, by position."""
        document = _LAST_KNOWN.format(document_at("(asked.value ->> 0)"), "asked.value ->> 1")
        rows = self._rows(
            f"SELECT asked.value ->> 0, {document} FROM json_each(?) AS asked", json_list(asked)
        )
        with self._file.reading():
            return {position: resource_of(document) for position, document in rows if document}

    # Names

    def deleted_with_name(self, type_: str, name: str) -> list[str]:
        """Return the ids of resources that were deleted with a name, the last one last."""
        rows = self._rows(
            "SELECT life.id FROM resource_key JOIN life USING (born) WHERE kind = 'name'"
            f" AND key = ? AND life.type = ? AND until = died AND died < {NEVER}"
            " GROUP BY life.id ORDER BY max(until)",
            *(fold(name), type_),
        )
        return [id_ for (id_,) in rows]

    def namesakes(
        self, type_: str, name: str, id_: str, most: int, until: int = NEVER
    ) -> list[NameInterval]:
        """Return the last other resources that had a name up to a position, oldest first."""
        rows = self._rows(
            "SELECT life.id, since, until FROM resource_key JOIN life USING (born)"
            " WHERE kind = 'name' AND key = ? AND life.type = ? AND life.id != ? AND since <= ?"
            " ORDER BY since DESC LIMIT ?",
            *(fold(name), type_, id_, until, most),
        )
        return [NameInterval(*row) for row in reversed(rows)]

    # Memberships

    def memberships(self, member: str) -> list[MembershipInterval]:
        """Return every direct membership that a resource ever had."""
        rows = self._rows(
            "SELECT group_born, since, until FROM membership WHERE member_id = ?", member
        )
        return [MembershipInterval(*row) for row in rows]

    def group_at(self, born: int, position: int) -> dict[str, str]:
        """Return a group with its name at a position, as a user's `groups` have it."""
        display = name_at("display", "?")
        with self._file.reading():
            found = self._rows(f"SELECT id, {display} FROM life WHERE born = ?", position, born)
            [(id_, name)] = found
        return {"value": id_, "display": name}

    def member_moves(
        self, group: int, asked: Sequence[PositionAndId]
    ) -> list[tuple[int, str, str, int, int, str | None]]:
        """Return the memberships in a group that begin or end at given positions, of given ids.

        As position, id, type, `since`, `until`, and the name at that position or last before.
        """
        name = _LAST_KNOWN.format(name_at("display", "(asked.value ->> 0)"), "member_id")
        return self._rows(
            f"SELECT asked.value ->> 0 AS at, member_id, member_type, since, until, {name}"
            " FROM json_each(?) AS asked CROSS JOIN membership"
            " ON group_born = ? AND member_id = asked.value ->> 1 AND at IN (since, until)",
            *(json_list(asked), group),
        )

    def moved(
        self, group: int, asked: Sequence[PositionAndId], start: int, end: int
    ) -> list[tuple[str, bool]]:
        """Return the members that are in a group at one of two positions only; true: at the end.

        Of those that join or leave at given positions; each once, by its last or first event.
        """
        return self._rows(
            "SELECT member_id, since = asked.value ->> 0 FROM json_each(?) AS asked"
            " CROSS JOIN membership AS seen"
            " ON group_born = ? AND member_id = asked.value ->> 1"
            f" WHERE (since = asked.value ->> 0 AND until > ? AND NOT {_IN_OTHER})"
            f" OR (until = asked.value ->> 0 AND since <= ? AND NOT {_IN_OTHER})",
            *(json_list(asked), group, end, group, start, start, start, group, end, end),
        )

    def only_members(self, here: Side, there: Side, most: int) -> tuple[int, list[str]]:
        """Return how many members one side has that another does not, and the first of them."""
        rows = self._rows(
            "SELECT member_id, count(*) OVER () FROM membership AS seen WHERE group_born = ?"
            f" AND since <= ? AND until > ? AND NOT {_IN_OTHER} ORDER BY member_id LIMIT ?",
            *(here[0], here[1], here[1], there[0], there[1], there[1], most),
        )
        return (rows[0][1] if rows else 0), [member for member, _ in rows]

    def shown_members(self, ids: Iterable[str], at: int) -> list[dict[str, Any]]:
        """Return members as groups show them at a position; of unknown ones only the id."""
        rows = self._rows(
            f"SELECT id, type, display FROM {PastTables(at).resource}"
            " WHERE id IN (SELECT value FROM json_each(?))",
            json_list(ids),
        )
        known = {id_: {"value": id_, "type": type_, "display": name} for id_, type_, name in rows}
        return [known.get(id_, {"value": id_}) for id_ in sorted(ids)]

    def members(
        self, group: int, at: int, after: str, count: int
    ) -> list[tuple[str, str, str | None, int]]:
        """Return id, type, name and `since` of members after an id, at a position."""
        return self._rows(
            "SELECT member_id, member_type, display, since FROM membership"
            f" LEFT JOIN {PastTables(at).resource} ON id = member_id"
            " WHERE group_born = ? AND member_id > ? AND since <= ? AND until > ?"
            " ORDER BY member_id LIMIT ?",
            *(group, after, at, at, count),
        )

    def direct_groups(
        self, member: str, at: int, after: int, count: int
    ) -> list[tuple[int, str, str, int]]:
        """Return first position, id, name and `since` of groups after a position, at another."""
        return self._rows(
            "SELECT group_born, id, display, since FROM membership"
            f" JOIN {PastTables(at).resource} ON position = group_born"
            " WHERE member_id = ? AND group_born > ? AND since <= ? AND until > ?"
            " ORDER BY group_born LIMIT ?",
            *(member, after, at, at, count),
        )
