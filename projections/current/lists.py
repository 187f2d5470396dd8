"""Lists of current resources: pages by index and by cursor, totals, within bounded time."""

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.sqlite.connection import Connection, snapshot
from projections.current.memberships import grouped_in
from projections.query import ordering, sql
from projections.query.effort import bounded
from projections.query.model import Mark, Page, Query
from projections.tables import Tables

BLOCK = 1024  # positions counted together in the census
MOST_BYTES = 16_777_216  # of documents, after which a page ends


class Lists:
    """Reads pages of the current-state tables."""

    def __init__(self, tables: Tables, unique_names: Mapping[str, str]) -> None:
        """`unique_names`: for each type the attribute whose folded value is `name_key`."""
        self._tables = tables
        self._from = f"{tables.resource} AS resource"
        self._columns = f"position, type, {grouped_in(tables)}, document"
        self._unique_names = unique_names

    def total(self, connection: Connection, type_: str) -> int:
        """Return how many resources of a type there are."""
        return sum(live for _, live in self._blocks(connection, type_))

    def page(self, connection: Connection, type_: str | None, query: Query) -> Page:
        """Return one page of a list, of all types if None; raises as effort.bounded does."""
        if type_ and query.filter is None and query.sort_by is None:
            read = self._by_cursor if query.after else self._whole_list
            with snapshot(connection):
                return read(connection, type_, query)
        with bounded(connection):
            read_some = self._by_cursor if query.after else self._filtered_list
            return read_some(connection, type_, query)

    def _blocks(self, connection: Connection, type_: str) -> list[tuple[int, int]]:
        rows: list[tuple[int, int]] = connection.execute(
            f"SELECT block, live FROM {self._tables.census} WHERE type = ? ORDER BY block",
            (type_,),
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
            f"SELECT {self._columns} FROM {self._from} WHERE position IN ("
            f"SELECT position FROM {self._tables.resource} WHERE type = ? AND position >= ?"
            " ORDER BY position LIMIT ? OFFSET ?) ORDER BY position",
            (type_, block * BLOCK, query.count, skip),
        )
        return Page(total, query.start_index, _taken(rows, query.count)[0])

    def _filtered_list(self, connection: Connection, type_: str | None, query: Query) -> Page:
        where, values = self._condition(type_, query)
        order, order_values = self._order(type_, query)
        rows = connection.execute(
            f"SELECT {self._columns} FROM {self._from} WHERE {where}"
            f" ORDER BY {order} LIMIT ? OFFSET ?",
            (*values, *order_values, query.count, query.start_index - 1),
        )
        page, more = _taken(rows, query.count)
        if query.start_index == 1 and len(page) < query.count and not more:
            return Page(len(page), 1, page)
        total = self._matching(connection, where, values)
        return Page(total, query.start_index, page)

    def _by_cursor(self, connection: Connection, type_: str | None, query: Query) -> Page:
        """Seek behind the mark: what others write meanwhile moves no resource across it."""
        where, values = self._condition(type_, query)
        total = self._total_of(connection, type_, query, where, values)
        key, key_values = self._key(type_, query)
        behind, behind_values = ordering.behind(key, key_values, query)
        order, order_values = self._order(type_, query)
        rows = connection.execute(
            f"SELECT {self._columns}, {key} FROM {self._from} WHERE {where} AND {behind}"
            f" ORDER BY {order} LIMIT ?",
            (*key_values, *values, *behind_values, *order_values, query.count + 1),
        )
        page, more = _taken(rows, query.count)
        mark = Mark(page[-1][0], page[-1][-1]) if page and more else None
        return Page(total, 1, [row[:-1] for row in page], mark)

    def _total_of(
        self,
        connection: Connection,
        type_: str | None,
        query: Query,
        where: str,
        values: list[Any],
    ) -> int:
        if type_ and query.filter is None:
            return self.total(connection, type_)
        return self._matching(connection, where, values)

    def _matching(self, connection: Connection, where: str, values: list[Any]) -> int:
        found: int = connection.execute(
            f"SELECT count(*) FROM {self._from} WHERE {where}", values
        ).fetchone()[0]
        return found

    def _condition(self, type_: str | None, query: Query) -> sql.Sql:
        where, values = ("type = ?", [type_]) if type_ else ("1", list[Any]())
        if query.filter is None:
            return where, values
        name = self._unique_names.get(type_) if type_ else None
        condition, more = sql.compile_filter(query.filter, self._tables, unique_name=name)
        return f"{where} AND {condition}", [*values, *more]

    def _order(self, type_: str | None, query: Query) -> sql.Sql:
        if query.sort_by is None:
            return "position", []
        name = self._unique_names.get(type_) if type_ else None
        return ordering.order_by(query.sort_by, query.descending, self._tables, unique_name=name)

    def _key(self, type_: str | None, query: Query) -> sql.Sql:
        if query.sort_by is None:
            return "NULL", []
        name = self._unique_names.get(type_) if type_ else None
        return ordering.sort_key(query.sort_by, self._tables, unique_name=name)


def _taken(rows: Iterable[Any], count: int) -> tuple[list[Any], bool]:
    """Return the rows of a page, and whether there are more: it ends at a count or MOST_BYTES."""
    page: list[Any] = []
    size = 0
    for row in rows:
        if len(page) == count or size > MOST_BYTES:
            return page, True
        page.append(row)
        size += len(row[3])  # the document
    return page, False


def _seek(blocks: list[tuple[int, int]], skip: int) -> tuple[int, int]:
    """Return the block in which so many resources are skipped, and how many are left to skip."""
    for block, live in blocks:
        if skip < live:
            return block, skip
        skip -= live
    raise IndexError("more to skip than there are")
