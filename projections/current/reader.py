"""Reads of resources: current ones, or those of a past position, by the given tables."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ledger.contract import Connection
from ledger.sqlite.connection import snapshot
from projections.current.indexes import AttributeIndexes
from projections.current.memberships import Memberships, Relation, grouped_in
from projections.kinds import ResourceKind
from projections.query.comparison import fold
from projections.query.documents import Documents, after_in_index
from projections.query.effort import bounded
from projections.query.model import START, Mark, Page, Query, Stored
from projections.state import Resource, resource_of
from projections.tables import BLOCK, LARGE_BLOCK, Tables

MOST_BYTES = 16_777_216  # of documents, after which a page ends

# Of a bare parameter of LIMIT, SQLite uses the value to plan, and plans again with every other.
_SOME = "LIMIT ? + 0 OFFSET ?"

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
        self,
        connection: Connection,
        type_: str,
        places: Sequence[Place],
        *,
        named: bool = True,
        memory: dict[Any, Any] | None = None,
    ) -> Mapping[int, Sequence[Relation]]:
        """Return the members or groups that documents of a type show, by position.

        Without `named` the name of an existing member may be "". See `groups` about `memory`.
        """
        relation = self._kinds[type_].relation
        if relation == "members":
            return {at: self.memberships.members(connection, at, named=named) for at, _ in places}
        grouped = {at: groups for at, groups in places if groups} if relation else {}
        found = self.memberships.groups(connection, grouped.values(), memory) if grouped else {}
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
                if query.after is None:
                    return self._whole_list(connection, type_, query)
                return self._page(connection, type_, query, self._documents[type_])
        documents = self._documents[type_]
        if documents.finds_one(query):  # the most frequent one: there is nothing to bound
            return self._page(connection, type_, query, documents)
        if documents.is_sought(query):  # one seek, of a few rows
            with bounded(connection):
                return self._page(connection, type_, query, documents)
        with bounded(connection), snapshot(connection):
            if type_ and self._tables.are_indexed:
                ready = AttributeIndexes(self._tables).ready(connection, type_)
                documents = replace(documents, indexes=ready)
            number = documents.sorting_index(query)
            if number is None or type_ is None:
                return self._page(connection, type_, query, documents)
            return self._by_index(connection, type_, query, number)

    def _whole_list(self, connection: Connection, type_: str, query: Query) -> Page:
        """Seek the first resource of the page by the census, so that every page costs the same."""
        total = self.total(connection, type_)
        if query.start_index > total:
            return Page(total, query.start_index, [])
        first, skip = self._skipped(connection, type_, query.start_index - 1)
        rows = connection.execute(
            f"SELECT {self._columns} FROM {self._table} AS resource"
            f" WHERE type = ? AND position >= ? ORDER BY position {_SOME}",
            (type_, first, query.count, skip),
        )
        return Page(total, query.start_index, _taken(rows, query.count)[0])

    def _page(
        self, connection: Connection, type_: str | None, query: Query, documents: Documents
    ) -> Page:
        """Seek what follows the query's mark, which writes by others cannot move, or its index."""
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
            f" ORDER BY {order} {_SOME}",
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
        return _page_of(query, total, page, more)

    def _by_index(self, connection: Connection, type_: str, query: Query, number: int) -> Page:
        """Walk the index of the attribute that the whole list is sorted by."""
        after, values = after_in_index(query)
        way = "DESC" if query.descending else "ASC"
        key = ", CASE WHEN value_key < x'' THEN value_key END" if query.after else ""
        skip = 0 if query.after else query.start_index - 1
        rows = connection.execute(
            f"SELECT {self._columns}{key} FROM ("
            f"SELECT position AS place, value_key FROM {self._tables.attribute_value}"
            f" WHERE number = ? AND {after} ORDER BY value_key {way}, position {_SOME}"
            f") CROSS JOIN {self._table} AS resource ON position = place"
            f" ORDER BY value_key {way}, place",
            (number, *values, query.count + 1, skip),
        )
        page, more = _taken(rows, query.count)
        return _page_of(query, self.total(connection, type_), page, more)

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


def _page_of(query: Query, total: int, rows: list[Any], more: bool) -> Page:
    """Return a page; rows of a walk end with their sort key."""
    if query.after is None:
        return Page(total, query.start_index, rows)
    mark = Mark(rows[-1][0], rows[-1][-1]) if rows and more else None
    return Page(total, 1, [row[:-1] for row in rows], mark)


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
