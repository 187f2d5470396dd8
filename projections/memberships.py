"""Who is a member of which group: rows of their own, so that a change costs its own size."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from ledger.database import Connection
from projections.state import MEMBER
from projections.tables import Tables


class Relation(NamedTuple):
    """A member of a group, or a group of a user.

    `type` is that of the member (User, Group), or how the user belongs (direct, indirect).
    `display` is None for a member that no resource stands for.
    """

    id: str
    type: str
    display: str | None


class StillMember(Exception):
    """A resource is being deleted while it is a member of a group; the append was undone."""


class Memberships:
    """The rows of memberships, in the tables of the current-state projection."""

    def __init__(self, tables: Tables) -> None:
        self._resource = tables.resource
        self._member = tables.member
        self._former = tables.former_member

    # Writing

    def change(self, connection: Connection, group: int, effects: Mapping[str, Any]) -> None:
        """Follow what an event says of members; `group` is the group's position."""
        named = [(key.removeprefix(MEMBER), value) for key, value in effects.items()]
        removed = [id_ for id_, value in named if value is None]
        connection.executemany(
            f"INSERT OR REPLACE INTO {self._member} VALUES (?, ?, ?)",
            [(group, id_, value["type"]) for id_, value in named if value is not None],
        )
        connection.executemany(
            f"DELETE FROM {self._member} WHERE group_position = ? AND member_id = ?",
            [(group, id_) for id_ in removed],
        )
        connection.executemany(
            f"INSERT OR IGNORE INTO {self._former} VALUES (?)", [(id_,) for id_ in removed]
        )

    def dissolve(self, connection: Connection, group: int) -> None:
        """Let everyone leave a group that is deleted."""
        connection.execute(
            f"INSERT OR IGNORE INTO {self._former}"
            f" SELECT member_id FROM {self._member} WHERE group_position = ?",
            (group,),
        )
        connection.execute(f"DELETE FROM {self._member} WHERE group_position = ?", (group,))

    def forget(self, connection: Connection, id_: str) -> None:
        """Take leave of a resource that is deleted; raises StillMember if it is in a group."""
        if self.is_member(connection, id_):
            raise StillMember(id_)
        connection.execute(f"DELETE FROM {self._former} WHERE member_id = ?", (id_,))

    # Reading

    def is_member(self, connection: Connection, id_: str) -> bool:
        """Tell whether a resource is a member of any group."""
        return self._has(connection, self._member, id_)

    def was_member(self, connection: Connection, id_: str) -> bool:
        """Tell whether a resource has ever left a group."""
        return self._has(connection, self._former, id_)

    def _has(self, connection: Connection, table: str, id_: str) -> bool:
        found = connection.execute(f"SELECT 1 FROM {table} WHERE member_id = ? LIMIT 1", (id_,))
        return found.fetchone() is not None

    def among(self, connection: Connection, group: int, ids: Iterable[str]) -> set[str]:
        """Return which of the ids are members of a group."""
        rows = connection.execute(
            f"SELECT member_id FROM {self._member} WHERE group_position = ?"
            " AND member_id IN (SELECT value FROM json_each(?))",
            (group, orjson.dumps(list(ids)).decode()),
        )
        return {id_ for (id_,) in rows}

    def more_than(self, connection: Connection, group: int, number: int) -> bool:
        """Tell whether a group has more members than a number, without counting all."""
        row = connection.execute(
            f"SELECT 1 FROM {self._member} WHERE group_position = ? LIMIT 1 OFFSET ?",
            (group, number),
        ).fetchone()
        return row is not None

    def members(self, connection: Connection, group: int) -> list[Relation]:
        """Return the members of a group, in the order of their ids."""
        rows = connection.execute(
            f"SELECT member_id, member_type, display FROM {self._member}"
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

    def groups(self, connection: Connection, ids: Sequence[str]) -> dict[str, list[Relation]]:
        """Return the groups of each of several resources, through nested groups too."""
        rows = connection.execute(
            "WITH RECURSIVE belongs (member, place, direct) AS ("
            f"SELECT member_id, group_position, 1 FROM {self._member}"
            " WHERE member_id IN (SELECT value FROM json_each(?))"
            " UNION "
            f"SELECT belongs.member, outer_member.group_position, 0 FROM belongs"
            f" JOIN {self._resource} ON position = belongs.place"
            f" JOIN {self._member} AS outer_member ON outer_member.member_id = id)"
            f" SELECT member, id, max(direct), display FROM belongs JOIN {self._resource}"
            " ON position = place GROUP BY member, place ORDER BY place",
            (orjson.dumps(list(ids)).decode(),),
        )
        found: dict[str, list[Relation]] = {}
        for member, group, direct, display in rows:
            relation = Relation(group, "direct" if direct else "indirect", display)
            found.setdefault(member, []).append(relation)
        return found
