"""Current state, projected inline in the append's transaction; uniqueness."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.database import Connection
from ledger.events import DELETED, SETTINGS_CHANGED, Recorded
from projections import sql
from projections.comparison import fold
from projections.lists import BLOCK, PATIENCE, Lists, TooCostly
from projections.memberships import Memberships, Relation, StillMember, grouped_in
from projections.query import Page, Query, Stored
from projections.state import MEMBER, Resource, document_of, evolve, resource_of
from projections.tables import Tables, create_tables
from projections.uniqueness import NotUnique, Uniqueness

__all__ = ["PATIENCE", "Kind", "NotUnique", "Resources", "StillMember", "TooCostly"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What the projection must know of a resource type: names only, no rules.

    `relation` is what is laid on its documents when read: `groups`, `members` or nothing.
    """

    type: str
    schema: str
    endpoint: str
    name_attribute: str
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Current:
    """A resource as it is now, and its position."""

    position: int
    resource: Resource


Place = tuple[int, str | None]  # a resource's position, and those of its groups


class Resources:
    """The current-state projection; reads take a ledger's reading connection."""

    name = "resources"
    revision = 2
    tables: Mapping[str, str] = {
        "resource": "position",
        "resource_email": "email_key, position",
        "resource_census": "type, block",
        "member": "group_position, member_id",
        "former_member": "member_id",
        "unique_attribute": "type, key",
        "unique_value": "type, key, value_key",
    }

    def __init__(self, kinds: Mapping[str, Kind], suffix: str = "") -> None:
        """`kinds` by resource type; `suffix` names tables other than the live ones."""
        self._kinds = kinds
        self._tables = Tables(suffix)
        self._table = self._tables.resource
        self.memberships = Memberships(self._tables)
        self._uniqueness = Uniqueness(self._tables)
        names = {kind.type: kind.name_attribute for kind in kinds.values()}
        self._lists = Lists(self._tables, names)

    def beside(self, suffix: str) -> "Resources":
        """Return the same projection with tables of its own."""
        return Resources(self._kinds, suffix)

    def create_tables(self, connection: Connection) -> None:
        """Make the tables, empty."""
        create_tables(connection, "resources.sql", self._tables.suffix)

    def prepare(self, connection: Connection) -> None:
        """Give a connection the functions that filters compile to."""
        sql.register(connection)

    # Writing

    def project(self, connection: Connection, recorded: Recorded) -> None:
        """Follow one event; raises NotUnique, or StillMember."""
        kind = self._kinds.get(recorded.category)
        if kind is None:
            if recorded.type == SETTINGS_CHANGED:
                self._uniqueness.settle(connection, recorded.effects)
            return
        old = self._current(connection, recorded.subject)
        new = evolve(old.resource if old else None, recorded)
        if old and new:
            self._update(connection, kind, old, new)
        elif new:
            self._insert(connection, kind, recorded.position, new)
        elif old:
            self._delete(connection, old)
        members = [key for key in recorded.payload or () if key.startswith(MEMBER)]
        if old and members and recorded.type != DELETED:
            self.memberships.change(connection, old.position, _only(recorded.payload, members))

    def _insert(
        self, connection: Connection, kind: Kind, position: int, resource: Resource
    ) -> None:
        name_key = self._claim(connection, kind, resource)
        connection.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                position,
                resource.id,
                resource.type,
                name_key,
                resource.attributes.get("externalId"),
                _display(kind, resource),
                resource.version,
                document_of(resource, kind.schema, kind.endpoint),
            ),
        )
        place = position, resource.id
        self._uniqueness.follow(connection, kind.type, place, {}, resource.attributes)
        self._write_emails(connection, position, set(), _email_keys(resource))
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
        if (display := _display(kind, new)) != _display(kind, old.resource):
            values["display"] = display
        columns = ", ".join(f"{column} = ?" for column in values)
        connection.execute(
            f"UPDATE {self._table} SET {columns} WHERE position = ?",
            (*values.values(), old.position),
        )
        self._uniqueness.follow(connection, kind.type, (old.position, new.id), before, after)
        if before.get("emails") != after.get("emails"):
            keys = _email_keys(old.resource), _email_keys(new)
            self._write_emails(connection, old.position, *keys)

    def _delete(self, connection: Connection, old: Current) -> None:
        self.memberships.forget(connection, old.resource.id)
        self.memberships.dissolve(connection, old.position)
        place, gone = (old.position, old.resource.id), old.resource.attributes
        self._uniqueness.follow(connection, old.resource.type, place, gone, {})
        connection.execute(f"DELETE FROM {self._table} WHERE position = ?", (old.position,))
        self._write_emails(connection, old.position, _email_keys(old.resource), set())
        self._count(connection, old.resource.type, old.position, -1)

    def _claim(self, connection: Connection, kind: Kind, resource: Resource) -> str:
        """Return the key of the resource's name; raises NotUnique when another has it."""
        key = fold(resource.attributes[kind.name_attribute])
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

    # Reading

    def _current(self, connection: Connection, id_: str) -> Current | None:
        row = connection.execute(
            f"SELECT position, document FROM {self._table} WHERE id = ?", (id_,)
        ).fetchone()
        return Current(row[0], resource_of(row[1])) if row else None

    def get(self, connection: Connection, type_: str, id_: str) -> Resource | None:
        """Return a resource as it is now, a group without its members."""
        found = self.row(connection, type_, id_)
        return resource_of(found.document) if found else None

    def row(self, connection: Connection, type_: str, id_: str) -> Stored | None:
        """Return a resource's row."""
        row = connection.execute(
            "SELECT position, id, type, version,"
            f" {grouped_in(self._tables)}, document"
            f" FROM {self._table} WHERE id = ? AND type = ?",
            (id_, type_),
        ).fetchone()
        return Stored(*row) if row else None

    def find_by_name(self, connection: Connection, type_: str, name: str) -> Resource | None:
        """Return the resource that has a unique name, whatever the case of its letters."""
        row = connection.execute(
            f"SELECT document FROM {self._table} WHERE type = ? AND name_key = ?",
            (type_, fold(name)),
        ).fetchone()
        return resource_of(row[0]) if row else None

    def types_of(self, connection: Connection, ids: Collection[str]) -> dict[str, str]:
        """Return the resource type of each id that is one."""
        marks = sql.json_list(ids)
        rows = connection.execute(
            f"SELECT id, type FROM {self._table} WHERE id IN (SELECT value FROM json_each(?))",
            (marks,),
        )
        return dict(rows.fetchall())

    def relations(
        self, connection: Connection, type_: str, places: Sequence[Place]
    ) -> Mapping[int, Sequence[Relation]]:
        """Return what is to be laid on documents of a type, by position: members, or groups."""
        relation = self._kinds[type_].relation
        if relation == "members":
            return {at: self.memberships.members(connection, at) for at, _ in places}
        grouped = {at: groups for at, groups in places if groups} if relation else {}
        found = self.memberships.groups(connection, grouped.values()) if grouped else {}
        return {at: found[groups] for at, groups in grouped.items()}

    def total(self, connection: Connection, type_: str) -> int:
        """Return how many resources of a type there are."""
        return self._lists.total(connection, type_)

    def search(self, connection: Connection, type_: str | None, query: Query) -> Page:
        """Return one page of a list, of all types if None; raises TooCostly.

        In order of creation unless the query sorts.
        """
        return self._lists.page(connection, type_, query)


def _only(payload: Mapping[str, Any] | None, keys: list[str]) -> dict[str, Any]:
    return {key: payload[key] for key in keys} if payload else {}


def _display(kind: Kind, resource: Resource) -> str:
    shown: str = resource.attributes.get("displayName") or resource.attributes[kind.name_attribute]
    return shown


def _email_keys(resource: Resource) -> set[str]:
    emails = resource.attributes.get("emails", ())
    return {fold(email["value"]) for email in emails if email.get("value")}
