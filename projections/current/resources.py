"""Current state, projected inline in the append's transaction; uniqueness."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.events import DELETED, ERASED, SETTINGS_CHANGED, Recorded
from ledger.sqlite.connection import Connection
from projections.current.lists import BLOCK
from projections.current.memberships import StillMember
from projections.current.reader import Readings
from projections.current.unassigned import Unassigned
from projections.current.uniqueness import NotUnique, Uniqueness
from projections.kinds import Kind, display_of, email_keys, name_key
from projections.query import sql
from projections.state import MEMBER, Resource, document_of, evolve, resource_of
from projections.tables import Tables, create_tables

__all__ = ["NotUnique", "Resources", "StillMember"]


@dataclass(frozen=True, slots=True)
class Current:
    """A resource as it is now, and its position."""

    position: int
    resource: Resource


class Resources(Readings):
    """The current-state projection; reads take a ledger's reading connection."""

    name = "resources"
    revision = 4
    tables: Mapping[str, str] = {
        "resource": "position",
        "resource_email": "email_key, position",
        "resource_census": "type, block",
        "member": "group_position, member_id",
        "former_member": "member_id",
        "unique_attribute": "type, key",
        "unique_value": "type, key, value_key, position",
        "unassigned_active": "resource_position",
    }

    def __init__(
        self, kinds: Mapping[str, Kind], suffix: str = "", *, replaying: bool = False
    ) -> None:
        """`kinds` by resource type; `suffix` names tables other than the live ones.

        `replaying` says that it follows what is recorded already: no value of a unique attribute
        of the operator's is refused.
        """
        super().__init__(kinds, Tables(suffix))
        self._suffix = suffix
        self._uniqueness = Uniqueness(self._tables, replaying=replaying)
        self.unassigned = Unassigned(self._tables)

    def beside(self, suffix: str) -> "Resources":
        """Return the same projection with tables of its own, for what is recorded already."""
        return Resources(self._kinds, suffix, replaying=True)

    def shared_values(self, connection: Connection) -> list[tuple[str, list[str]]]:
        """Return each unique attribute's key with the ids of resources that share a value of it.

        Only a program before revision 4 of these tables let a value be shared.
        """
        return self._uniqueness.shared(connection)

    def create_tables(self, connection: Connection) -> None:
        """Make the tables, empty."""
        create_tables(connection, "current/resources.sql", self._suffix)

    def prepare(self, connection: Connection) -> None:
        """Give a connection the functions that filters compile to."""
        sql.register(connection)

    def project(self, connection: Connection, recorded: Recorded) -> None:
        """Follow one event; raises NotUnique, or StillMember."""
        kind = self._kinds.get(recorded.category)
        if recorded.payload is None:
            return  # forgotten; the Erased event of its stream comes later
        if kind is None:
            if recorded.type == SETTINGS_CHANGED:
                self._uniqueness.settle(connection, recorded.effects)
            return
        old = self._current(connection, recorded.subject)
        new = evolve(old.resource if old else None, recorded)
        if old and new:
            self._update(connection, kind, old, new)
            self.unassigned.follow(connection, old.position, recorded)
        elif new:
            self._insert(connection, kind, recorded.position, new)
        elif old:
            self._delete(connection, old)
        elif recorded.type == ERASED:  # deleted before, or never known by what is left of it
            self.memberships.forget(connection, recorded.subject)
        members = [key for key in recorded.payload or () if key.startswith(MEMBER)]
        if old and members and recorded.type != DELETED:
            self.memberships.change(connection, old.position, _only(recorded.payload, members))

    def _current(self, connection: Connection, id_: str) -> Current | None:
        row = connection.execute(
            f"SELECT position, document FROM {self._table} WHERE id = ?", (id_,)
        ).fetchone()
        return Current(row[0], resource_of(row[1])) if row else None

    def _insert(
        self, connection: Connection, kind: Kind, position: int, resource: Resource
    ) -> None:
        key = self._claim(connection, kind, resource)
        connection.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                position,
                resource.id,
                resource.type,
                key,
                resource.attributes.get("externalId"),
                display_of(kind, resource),
                resource.version,
                document_of(resource, kind.schema, kind.endpoint),
            ),
        )
        place = position, resource.id
        self._uniqueness.follow(connection, kind.type, place, {}, resource.attributes)
        self._write_emails(connection, position, set(), email_keys(resource))
        self._count(connection, resource.type, position, +1)

    def _update(self, connection: Connection, kind: Kind, old: Current, new: Resource) -> None:
        values: dict[str, Any] = {
            "version": new.version,
            "document": document_of(new, kind.schema, kind.endpoint),
        }
        before, after = old.resource.attributes, new.attributes
        if before.get(kind.name_attribute) != after.get(kind.name_attribute):
            values["name_key"] = self._claim(connection, kind, new)
        if before.get("externalId") != after.get("externalId"):
            values["external_id"] = after.get("externalId")
        if (display := display_of(kind, new)) != display_of(kind, old.resource):
            values["display"] = display
        columns = ", ".join(f"{column} = ?" for column in values)
        connection.execute(
            f"UPDATE {self._table} SET {columns} WHERE position = ?",
            (*values.values(), old.position),
        )
        self._uniqueness.follow(connection, kind.type, (old.position, new.id), before, after)
        if before.get("emails") != after.get("emails"):
            keys = email_keys(old.resource), email_keys(new)
            self._write_emails(connection, old.position, *keys)

    def _delete(self, connection: Connection, old: Current) -> None:
        self.memberships.forget(connection, old.resource.id)
        self.memberships.dissolve(connection, old.position)
        self.unassigned.forget(connection, old.position)
        place, gone = (old.position, old.resource.id), old.resource.attributes
        self._uniqueness.follow(connection, old.resource.type, place, gone, {})
        connection.execute(f"DELETE FROM {self._table} WHERE position = ?", (old.position,))
        self._write_emails(connection, old.position, email_keys(old.resource), set())
        self._count(connection, old.resource.type, old.position, -1)

    def _claim(self, connection: Connection, kind: Kind, resource: Resource) -> str:
        """Return the key of the resource's name; raises NotUnique when another has it."""
        key = name_key(kind, resource)
        row = connection.execute(
            f"SELECT id FROM {self._table} WHERE type = ? AND name_key = ?", (kind.type, key)
        ).fetchone()
        if row and row[0] != resource.id:
            raise NotUnique(kind.name_attribute, row[0], resource.id)
        return key

    def _write_emails(
        self, connection: Connection, position: int, old: set[str], new: set[str]
    ) -> None:
        connection.executemany(
            f"DELETE FROM {self._tables.email} WHERE email_key = ? AND position = ?",
            [(key, position) for key in old - new],
        )
        connection.executemany(
            f"INSERT INTO {self._tables.email} VALUES (?, ?)",
            [(key, position) for key in new - old],
        )

    def _count(self, connection: Connection, type_: str, position: int, change: int) -> None:
        connection.execute(
            f"INSERT INTO {self._tables.census} VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET live = live + excluded.live",
            (type_, position // BLOCK, change),
        )
        if change < 0:  # a block whose resources are gone is as one that never had any
            connection.execute(
                f"DELETE FROM {self._tables.census} WHERE type = ? AND block = ? AND live = 0",
                (type_, position // BLOCK),
            )


def _only(payload: Mapping[str, Any] | None, keys: list[str]) -> dict[str, Any]:
    return {key: payload[key] for key in keys} if payload else {}
