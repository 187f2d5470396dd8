"""Reads of resources: current ones, or those of a past position, by the given tables."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ledger.contract import Connection
from ledger.sqlite.connection import snapshot
from projections.current.memberships import Memberships, Relation, grouped_in
from projections.kinds import ResourceKind
from projections.query.comparison import fold
from projections.query.documents import Documents
from projections.query.effort import bounded
from projections.query.model import START, Mark, Page, Query, Stored
from projections.state import Resource, resource_of
from projections.tables import BLOCK, LARGE_BLOCK, Tables

MOST_BYTES = 16_777_216  # of documents, after which a page ends

Place = tuple[int, str | None]  # a resource's position, and those of its groups


class ResourceReader:
    """Reads resources; each read takes a connection to the file of the tables."""

    def __init__(self, kinds: Mapping[str, ResourceKind], tables: Tables) -> None:
        self._kinds = kinds
        self._tables = tables
        self._table = tables.resource
        self._columns = f"position, type, {grouped_in(tables)}, document"
        self._documents: dict[str | None, Documents] = {
            type_: Documents(tables, kind.name_attribute) for type_, kind in kinds.items()
        }
        self._documents[None] = Documents(tables, None)
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
        if row and row[-1] is None:
            raise LookupError(f"no document of {type_} {id_}")  # the past lost a row of it
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

    # Lists: pages by index and by cursor, within bounded time

    def total(self, connection: Connection, type_: str) -> int:
        """Return how many resources of a type there are."""
        found: int = connection.execute(
            f"SELECT coalesce(sum(live), 0) FROM {self._tables.census} WHERE type = ? AND size = ?",
            (type_, LARGE_BLOCK),
        ).fetchone()[0]
        return found

    def search(self, connection: Connection, type_: str | None, query: Query) -> Page:
        """Return one page of a list, of all types if None; raises as effort.bounded does.

        In order of creation unless the query sorts.
        """
        if type_ and query.filter is None and query.sort_by is None:
            with snapshot(connection):
                read = self._page if query.after else self._whole_list
                return read(connection, type_, query)
        with bounded(connection):
            return self._page(connection, type_, query)

    def _whole_list(self, connection: Connection, type_: str, query: Query) -> Page:
        """Seek the first resource of the page by the census, so that every page costs the same."""
        total = self.total(connection, type_)
        if query.start_index > total:
            return Page(total, query.start_index, [])
        first, skip = self._skipped(connection, type_, query.start_index - 1)
        rows = connection.execute(
            f"SELECT {self._columns} FROM {self._table} AS resource"
            " WHERE type = ? AND position >= ? ORDER BY position LIMIT ? OFFSET ?",
            (type_, first, query.count, skip),
        )
        return Page(total, query.start_index, _taken(rows, query.count)[0])

    def _page(self, connection: Connection, type_: str | None, query: Query) -> Page:
        """Seek what follows the query's mark, which writes by others cannot move, or its index."""
        documents = self._documents[type_]
        where, values = ("type = ?", [type_]) if type_ else ("1", list[Any]())
        if query.filter:
            condition, more_values = documents.where(query.filter)
            where, values = f"{where} AND {condition}", [*values, *more_values]
        columns, selected, parameters = self._columns, where, values
        skip = query.start_index - 1
        if query.after:
            key, key_values = documents.sort_key(query.sort_by)
            after, after_values = documents.after_mark(query.after, query)
            columns, selected = f"{columns}, {key}", f"{where} AND {after}"
            parameters = [*key_values, *values, *after_values]
            skip = 0
        order, order_values = documents.order_by(query)
        rows = connection.execute(
            f"SELECT {columns} FROM {self._table} AS resource WHERE {selected}"
            f" ORDER BY {order} LIMIT ? OFFSET ?",
            (*parameters, *order_values, query.count + 1, skip),
        )
        page, more = _taken(rows, query.count)
        if type_ and query.filter is None:
            total = self.total(connection, type_)
        elif skip == 0 and query.after in (None, START) and not more:
            total = len(page)
        else:
            total = connection.execute(
                f"SELECT count(*) FROM {self._table} AS resource WHERE {where}", values
            ).fetchone()[0]
        if query.after is None:
            return Page(total, query.start_index, page)
        mark = Mark(page[-1][0], page[-1][-1]) if page and more else None
        return Page(total, 1, [row[:-1] for row in page], mark)

    def _skipped(self, connection: Connection, type_: str, skip: int) -> tuple[int, int]:
        """Skip whole blocks; return the position from which to skip how many one by one."""
        first, end = 0, sys.maxsize
        for size in (LARGE_BLOCK, BLOCK) if skip else ():
            blocks = connection.execute(
                f"SELECT block, live FROM {self._tables.census}"
                " WHERE type = ? AND size = ? AND block >= ? AND block < ? ORDER BY block",
                (type_, size, first // size, end // size),
            )
            for block, live in blocks:
                if skip < live:
                    first, end = block * size, (block + 1) * size
                    break
                skip -= live
        return first, skip


def _taken(rows: Iterable[Any], count: int) -> tuple[list[Any], bool]:
    """Return the rows of a page, and whether there are more: it ends at a count or MOST_BYTES."""
    page: list[Any] = []
    room = MOST_BYTES
    for row in rows:
        if room < 0:
            return page[:count], True
        page.append(row)
        room -= len(row[3])  # the document
    return page[:count], len(page) > count
