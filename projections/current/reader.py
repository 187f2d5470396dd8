"""Reads of resources: current ones, or those of a past position, by the given tables."""

from collections.abc import Mapping, Sequence

from ledger.contract import Connection
from projections.current.lists import Lists
from projections.current.memberships import Memberships, Relation, grouped_in
from projections.kinds import ResourceKind
from projections.query.comparison import fold
from projections.query.model import Stored
from projections.state import Resource, resource_of
from projections.tables import Tables

Place = tuple[int, str | None]  # a resource's position, and those of its groups


class ResourceReader(Lists):
    """Reads resources; each read takes a connection to the file of the tables."""

    def __init__(self, kinds: Mapping[str, ResourceKind], tables: Tables) -> None:
        super().__init__(kinds, tables)
        self._table = tables.resource
        self.memberships = Memberships(tables)

    def get(self, connection: Connection, type_: str, id_: str) -> Resource | None:
        """Return a resource, a group without its members."""
        found = self.row(connection, type_, id_)
        return resource_of(found.document) if found else None

    def row(self, connection: Connection, type_: str, id_: str) -> Stored | None:
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
