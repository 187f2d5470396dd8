"""Reads of resources: current ones, or those of a past position, by the given tables."""

from collections.abc import Collection, Mapping, Sequence

from ledger.sqlite.connection import Connection, json_list
from projections.current.lists import Lists
from projections.current.memberships import Memberships, Relation, grouped_in
from projections.kinds import ResourceKind
from projections.query.comparison import fold
from projections.query.model import Page, Query, Stored
from projections.state import Resource, resource_of
from projections.tables import Tables

Place = tuple[int, str | None]  # a resource's position, and those of its groups


class ResourceReader:
    """Reads resources; each read takes a connection to the file of the tables."""

    def __init__(self, kinds: Mapping[str, ResourceKind], tables: Tables) -> None:
        """`kinds` by resource type."""
        self._kinds = kinds
        self._tables = tables
        self._table = tables.resource
        self.memberships = Memberships(tables)
        names = {kind.type: kind.name_attribute for kind in kinds.values()}
        self._lists = Lists(tables, names)

    def get(self, connection: Connection, type_: str, id_: str) -> Resource | None:
        """Return a resource as it is now, a group without its members."""
        found = self.row(connection, type_, id_)
        return resource_of(found.document) if found else None

    def row(self, connection: Connection, type_: str, id_: str) -> Stored | None:
        """Return a resource's row."""
        row = connection.execute(
            f"SELECT position, id, type, version, {grouped_in(self._tables)}, document"
            f" FROM {self._table} WHERE id = ? AND +type = ?",  # +: found by its id, not its type
            (id_, type_),
        ).fetchone()
        return Stored(*row) if row else None

    def find_by_name(self, connection: Connection, type_: str, name: str) -> Resource | None:
        """Return the resource with a unique name, ignoring case."""
        row = connection.execute(
            f"SELECT document FROM {self._table} WHERE type = ? AND {self._tables.by_name}",
            (type_, fold(name)),
        ).fetchone()
        return resource_of(row[0]) if row else None

    def types_of(self, connection: Connection, ids: Collection[str]) -> dict[str, str]:
        """Return the resource type of each id that is one."""
        rows = connection.execute(
            f"SELECT id, type FROM {self._table} WHERE id IN (SELECT value FROM json_each(?))",
            (json_list(ids),),
        )
        return dict(rows.fetchall())

    def relations(
        self, connection: Connection, type_: str, places: Sequence[Place], *, named: bool = True
    ) -> Mapping[int, Sequence[Relation]]:
        """Return the members or groups that documents of a type show, by position.

        Without `named` the name of an existing member may be "".
        """
        relation = self._kinds[type_].relation
        if relation == "members":
            return {at: self.memberships.members(connection, at, named=named) for at, _ in places}
        grouped = {at: groups for at, groups in places if groups} if relation else {}
        found = self.memberships.groups(connection, grouped.values()) if grouped else {}
        return {at: found[groups] for at, groups in grouped.items()}

    def total(self, connection: Connection, type_: str) -> int:
        """Return how many resources of a type there are."""
        return self._lists.total(connection, type_)

    def search(self, connection: Connection, type_: str | None, query: Query) -> Page:
        """Return one page of a list, of all types if None; raises TooCostly."""
        return self._lists.page(connection, type_, query)
