"""Memberships of groups: rows of their own, so that a change costs its own size."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from ledger.contract import Connection
from ledger.sqlite.connection import remembered
from projections.state import MEMBER
from projections.tables import Tables, json_list


class Relation(NamedTuple):
    """A member of a group, or a group of a user.

    `type` is that of the member (User, Group), or how the user belongs (direct, indirect).
    `display` is None for a member that is no existing resource.
    """

    id: str
    type: str
    display: str | None

    def shown(self, base_url: str = "") -> dict[str, str]:
        """Return it as SCIM shows it (RFC 7643 §4.1.2, §4.2); its URI begins with `base_url`."""
        value = {"value": self.id, "type": self.type}
        if self.display is None:
            return value
        endpoint = "/Users" if self.type == "User" else "/Groups"  # Group, or direct or indirect
        return {**value, "$ref": f"{base_url}{endpoint}/{self.id}", "display": self.display}


def grouped_in(tables: Tables) -> str:
    """Return SQL for the positions of the groups that a row's `id` is a direct member of."""
    return f"(SELECT group_concat(group_position) FROM {tables.member} WHERE member_id = id)"


class StillMember(Exception):
    """A deleted resource is still a member of a group; the append was undone."""


class Memberships:
    """The rows of memberships, in the tables of the current-state projection."""

    def __init__(self, tables: Tables) -> None:
        self._resource = tables.resource
        self._member = tables.member
        self._former = tables.former_member

    # Writing

    def change(self, connection: Connection, group: int, effects: Mapping[str, Any]) -> int:
        """Follow the members that an event sets; return how many more the group has then.

        `group` is the group's position.
        """
        named = [
            (key.removeprefix(MEMBER), value)
            for key, value in effects.items()
            if key.startswith(MEMBER)
        ]
        if not named:
            return 0
        added = [(group, id_, value["type"]) for id_, value in named if value is not None]
        removed = [id_ for id_, value in named if value is None]
        more, many = 0, connection.executemany
        if added:
            more = many(f"INSERT OR IGNORE INTO {self._member} VALUES (?, ?, ?)", added).rowcount
        if more < len(added):  # an event named somebody who was a member already
            many(f"REPLACE INTO {self._member} VALUES (?, ?, ?)", added)
        if removed:
            more -= many(
                f"DELETE FROM {self._member} WHERE group_position = ? AND member_id = ?",
                [(group, id_) for id_ in removed],
            ).rowcount
            many(f"INSERT OR IGNORE INTO {self._former} VALUES (?)", [(id_,) for id_ in removed])
        return more

    def count(self, connection: Connection) -> None:
        """Count the members of every group, after a rebuild."""
        connection.execute(
            f"UPDATE {self._resource} SET members = seen.number FROM (SELECT group_position,"
            f" count(*) AS number FROM {self._member} GROUP BY group_position) AS seen"
            " WHERE position = seen.group_position"
        )

    def write_all(
        self, connection: Connection, changes: Mapping[tuple[int, str], str | None]
    ) -> None:
        """Write what became of members, by group and id: their type, None for those who left."""
        connection.executemany(
            f"INSERT OR REPLACE INTO {self._member} VALUES (?, ?, ?)",
            [(*key, type_) for key, type_ in sorted(changes.items()) if type_ is not None],
        )
        connection.executemany(
            f"DELETE FROM {self._member} WHERE group_position = ? AND member_id = ?",
            [key for key, type_ in changes.items() if type_ is None],
        )

    def dissolve(self, connection: Connection, group: int) -> None:
        """Remove every member of a deleted group."""
        connection.execute(
            f"INSERT OR IGNORE INTO {self._former}"
            f" SELECT member_id FROM {self._member} WHERE group_position = ?",
            (group,),
        )
        self.clear(connection, group)

    def clear(self, connection: Connection, group: int) -> None:
        connection.execute(f"DELETE FROM {self._member} WHERE group_position = ?", (group,))

    def forget(self, connection: Connection, id_: str) -> None:
        """Forget a deleted resource; raises StillMember if it is in a group."""
        if self._has(connection, self._member, id_):
            raise StillMember(id_)
        connection.execute(f"DELETE FROM {self._former} WHERE member_id = ?", (id_,))

    # Reading

    def was_member(self, connection: Connection, id_: str) -> bool:
        """Return whether a resource has ever left a group."""
        return self._has(connection, self._former, id_)

    def _has(self, connection: Connection, table: str, id_: str) -> bool:
        found = connection.execute(f"SELECT 1 FROM {table} WHERE member_id = ? LIMIT 1", (id_,))
        return found.fetchone() is not None

    def among(self, connection: Connection, group: int, ids: Iterable[str]) -> dict[str, str]:
        """Return which of the ids are members of a group, with their types."""
        rows = connection.execute(
            f"SELECT member_id, member_type FROM {self._member} WHERE group_position = ?"
            " AND member_id IN (SELECT value FROM json_each(?))",
            (group, json_list(ids)),
        )
        return dict(rows.fetchall())

    def known(self, connection: Connection, ids: Iterable[str]) -> dict[str, Relation]:
        """Return the resources with some ids, as members of a group."""
        rows = connection.execute(
            f"SELECT id, type, display FROM {self._resource}"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (json_list(ids),),
        )
        return {row[0]: Relation(*row) for row in rows}

    def more_than(self, connection: Connection, group: int, number: int) -> bool:
        """Return whether a group has more members than a number."""
        row = connection.execute(
            f"SELECT members > ? FROM {self._resource} WHERE position = ?", (number, group)
        ).fetchone()
        return bool(row and row[0])

    def members(self, connection: Connection, group: int, *, named: bool = True) -> list[Relation]:
        """Return the members of a group, in the order of their ids.

        Names cost a look-up each: without `named` that of an existing member is "".
        """
        display = "display" if named else "CASE WHEN id IS NOT NULL THEN '' END"
        rows = connection.execute(
            f"SELECT member_id, member_type, {display} FROM {self._member}"
            f" LEFT JOIN {self._resource} ON id = member_id"
            " WHERE group_position = ? ORDER BY member_id",
            (group,),
        )
        return [Relation(*row) for row in rows]

    def direct_groups(self, connection: Connection, id_: str) -> list[tuple[str, int]]:
        """Return id and version of each group that a resource is a direct member of."""
        rows: list[tuple[str, int]] = connection.execute(
            f"SELECT id, version FROM {self._member}"
            f" JOIN {self._resource} ON position = group_position"
            " WHERE member_id = ? ORDER BY position",
            (id_,),
        ).fetchall()
        return rows

    def groups(
        self,
        connection: Connection,
        direct: Collection[str],
        memory: dict[Any, Any] | None = None,
    ) -> dict[str, tuple[Relation, ...]]:
        """Return the groups of resources, nested ones too, by their direct ones.

        `direct` are lists of positions as `grouped_in` gives them. Each group is looked up once,
        with those it belongs to: there are few, compared with members. `memory` is what is
        remembered of the state that the caller wants; by default, of the newest.
        """
        memory = remembered(connection) if memory is None else memory
        table = self._member  # of which moment, says the table
        new = [text for text in set(direct) if (table, text) not in memory]
        if new:
            places = {text: tuple(map(int, text.split(","))) for text in new}
            known = self._climb(connection, set[int]().union(*places.values()))
            memory |= {(table, text): _relations(at, known) for text, at in places.items()}
        return {text: memory[table, text] for text in direct}

    def _climb(self, connection: Connection, places: set[int]) -> dict[int, "_Group"]:
        """Return groups by their positions, and all those they belong to."""
        known: dict[int, _Group] = {}
        while places:
            rows = connection.execute(
                f"SELECT position, id, display, group_position FROM {self._resource}"
                f" LEFT JOIN {self._member} ON member_id = id"
                " WHERE position IN (SELECT value FROM json_each(?))",
                (json_list(places),),
            )
            for place, id_, display, above in rows:
                group = known.setdefault(place, _Group(id_, display, set()))
                if above is not None:
                    group.above.add(above)
            found = places & known.keys()  # one may be deleted since its position was read
            places = {above for place in found for above in known[place].above} - known.keys()
        return known


class _Group(NamedTuple):
    id: str
    display: str
    above: set[int]  # the positions of the groups it is a member of


def _relations(direct: tuple[int, ...], known: Mapping[int, _Group]) -> tuple[Relation, ...]:
    """Return the groups of a resource that is a direct member of some."""
    reached = ahead = known.keys() & direct
    while ahead:
        above = {each for place in ahead for each in known[place].above}
        ahead = (above & known.keys()) - reached
        reached |= ahead
    return tuple(
        Relation(known[place].id, "direct" if place in direct else "indirect", known[place].display)
        for place in sorted(reached)
    )
