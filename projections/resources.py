"""Current state, projected inline in the append's transaction; uniqueness; lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.database import Connection, snapshot, within
from ledger.events import Recorded
from projections import sql
from projections.comparison import fold
from projections.query import Page, Query
from projections.state import Resource, document_of, evolve, resource_of
from projections.tables import create_tables

BLOCK = 1024  # positions counted together in the census
PATIENCE = 20.0  # seconds a list may take; Okta waits 60


@dataclass(frozen=True, slots=True)
class Kind:
    """What the projection must know of a resource type: names only, no rules."""

    type: str
    schema: str
    endpoint: str
    name_attribute: str


class NotUnique(Exception):
    """The value of a unique attribute is another resource's; the append was undone."""

    def __init__(self, attribute: str, holder: str) -> None:
        super().__init__(f"{attribute} is taken by {holder}")
        self.attribute = attribute
        self.holder = holder


class TooCostly(Exception):
    """A list would take longer than PATIENCE; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Current:
    """A resource as it is now, with its stored document."""

    position: int
    resource: Resource
    document: bytes


class Resources:
    """The current-state projection; reads take a ledger's reading connection."""

    name = "resources"
    revision = 1
    tables: Mapping[str, str] = {
        "resource": "position",
        "resource_email": "email_key, position",
        "resource_census": "type, block",
    }

    def __init__(self, kinds: Mapping[str, Kind], suffix: str = "") -> None:
        """`kinds` by resource type; `suffix` names tables other than the live ones."""
        self._kinds = kinds
        self._suffix = suffix
        self._table = f"resource{suffix}"
        self._emails = f"resource_email{suffix}"
        self._census = f"resource_census{suffix}"

    def beside(self, suffix: str) -> "Resources":
        """Return the same projection with tables of its own."""
        return Resources(self._kinds, suffix)

    def create_tables(self, connection: Connection) -> None:
        """Make the tables, empty."""
        create_tables(connection, "resources.sql", self._suffix)

    def prepare(self, connection: Connection) -> None:
        """Give a connection the functions that filters compile to."""
        sql.register(connection)

    # Writing

    def project(self, connection: Connection, recorded: Recorded) -> None:
        """Follow one event; raises NotUnique."""
        kind = self._kinds.get(recorded.category)
        if kind is None:
            return
        old = self._current(connection, recorded.subject)
        new = evolve(old.resource if old else None, recorded)
        if old and new:
            self._update(connection, kind, old, new)
        elif new:
            self._insert(connection, kind, recorded.position, new)
        elif old:
            self._delete(connection, old)

    def _insert(
        self, connection: Connection, kind: Kind, position: int, resource: Resource
    ) -> None:
        name_key = self._claim(connection, kind, resource)
        connection.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                position,
                resource.id,
                resource.type,
                name_key,
                resource.attributes.get("externalId"),
                resource.version,
                document_of(resource, kind.schema, kind.endpoint),
            ),
        )
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
        columns = ", ".join(f"{column} = ?" for column in values)
        connection.execute(
            f"UPDATE {self._table} SET {columns} WHERE position = ?",
            (*values.values(), old.position),
        )
        if before.get("emails") != after.get("emails"):
            keys = _email_keys(old.resource), _email_keys(new)
            self._write_emails(connection, old.position, *keys)

    def _delete(self, connection: Connection, old: Current) -> None:
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
            raise NotUnique(kind.name_attribute, row[0])
        return key

    def _write_emails(
        self, connection: Connection, position: int, old: set[str], new: set[str]
    ) -> None:
        connection.executemany(
            f"DELETE FROM {self._emails} WHERE email_key = ? AND position = ?",
            [(key, position) for key in old - new],
        )
        connection.executemany(
            f"INSERT INTO {self._emails} VALUES (?, ?)", [(key, position) for key in new - old]
        )

    def _count(self, connection: Connection, type_: str, position: int, change: int) -> None:
        connection.execute(
            f"INSERT INTO {self._census} VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET live = live + excluded.live",
            (type_, position // BLOCK, change),
        )

    # Reading

    def _current(self, connection: Connection, id_: str) -> Current | None:
        row = connection.execute(
            f"SELECT position, document FROM {self._table} WHERE id = ?", (id_,)
        ).fetchone()
        return Current(row[0], resource_of(row[1]), row[1]) if row else None

    def get(self, connection: Connection, type_: str, id_: str) -> Resource | None:
        """Return a resource as it is now."""
        found = self.document(connection, type_, id_)
        return resource_of(found[0]) if found else None

    def document(self, connection: Connection, type_: str, id_: str) -> tuple[bytes, int] | None:
        """Return a resource's stored document and its version."""
        row: tuple[bytes, int] | None = connection.execute(
            f"SELECT document, version FROM {self._table} WHERE id = ? AND type = ?", (id_, type_)
        ).fetchone()
        return row

    def find_by_name(self, connection: Connection, type_: str, name: str) -> Resource | None:
        """Return the resource that has a unique name, whatever the case of its letters."""
        row = connection.execute(
            f"SELECT document FROM {self._table} WHERE type = ? AND name_key = ?",
            (type_, fold(name)),
        ).fetchone()
        return resource_of(row[0]) if row else None

    def total(self, connection: Connection, type_: str) -> int:
        """Return how many resources of a type there are."""
        return sum(live for _, live in self._blocks(connection, type_))

    def search(self, connection: Connection, type_: str, query: Query) -> Page:
        """Return one page of a list, in order of creation unless the query sorts.

        Raises TooCostly.
        """
        if query.filter is None and query.sort_by is None:
            with snapshot(connection):
                return self._whole_list(connection, type_, query)
        try:
            with within(connection, PATIENCE):
                return self._filtered_list(connection, type_, query)
        except TimeoutError as error:
            raise TooCostly(str(error)) from error

    def _blocks(self, connection: Connection, type_: str) -> list[tuple[int, int]]:
        rows: list[tuple[int, int]] = connection.execute(
            f"SELECT block, live FROM {self._census} WHERE type = ? ORDER BY block", (type_,)
        ).fetchall()
        return rows

    def _whole_list(self, connection: Connection, type_: str, query: Query) -> Page:
        """Seek the first resource of the page by the census, so that every page costs the same."""
        blocks = self._blocks(connection, type_)
        total = sum(live for _, live in blocks)
        if query.start_index > total:
            return Page(total, query.start_index, [])
        block, skip = _seek(blocks, query.start_index - 1)
        rows = connection.execute(
            f"SELECT document FROM {self._table} WHERE position IN ("
            f"SELECT position FROM {self._table} WHERE type = ? AND position >= ?"
            " ORDER BY position LIMIT ? OFFSET ?) ORDER BY position",
            (type_, block * BLOCK, query.count, skip),
        )
        return Page(total, query.start_index, [row[0] for row in rows])

    def _filtered_list(self, connection: Connection, type_: str, query: Query) -> Page:
        name = self._kinds[type_].name_attribute
        where, parameters = "type = ?", [type_]
        if query.filter is not None:
            condition, values = sql.compile_filter(query.filter, self._emails, unique_name=name)
            where, parameters = f"{where} AND {condition}", [type_, *values]
        order, order_values = "position", list[Any]()
        if query.sort_by is not None:
            order, order_values = sql.order_by(query.sort_by, query.descending, unique_name=name)
        rows = connection.execute(
            f"SELECT document FROM {self._table} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",
            (*parameters, *order_values, query.count, query.start_index - 1),
        ).fetchall()
        documents = [row[0] for row in rows]
        if query.start_index == 1 and len(documents) < query.count:
            return Page(len(documents), 1, documents)
        total = connection.execute(
            f"SELECT count(*) FROM {self._table} WHERE {where}", parameters
        ).fetchone()[0]
        return Page(total, query.start_index, documents)


def _seek(blocks: list[tuple[int, int]], skip: int) -> tuple[int, int]:
    """Return the block in which so many resources are skipped, and how many are left to skip."""
    for block, live in blocks:
        if skip < live:
            return block, skip
        skip -= live
    raise IndexError("more to skip than there are")


def _email_keys(resource: Resource) -> set[str]:
    emails = resource.attributes.get("emails", ())
    return {fold(email["value"]) for email in emails if email.get("value")}
