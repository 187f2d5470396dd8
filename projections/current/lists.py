"""Lists of current resources: pages by index and by cursor, totals, within bounded time."""

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.contract import Connection
from ledger.sqlite.connection import snapshot
from projections.current.memberships import grouped_in
from projections.kinds import ResourceKind
from projections.query.documents import Documents
from projections.query.effort import bounded
from projections.query.model import START, Mark, Page, Query
from projections.tables import Tables

BLOCK = 1024  # positions counted together in the census
MOST_BYTES = 16_777_216  # of documents, after which a page ends


class Lists:
    """Reads pages of the current-state tables."""

    def __init__(self, kinds: Mapping[str, ResourceKind], tables: Tables) -> None:
        self._kinds = kinds
        self._tables = tables
        self._documents: dict[str | None, Documents] = {
            type_: Documents(tables, kind.name_attribute) for type_, kind in kinds.items()
        }
        self._documents[None] = Documents(tables, None)
        self._from = f"{tables.resource} AS resource"
        self._columns = f"position, type, {grouped_in(tables)}, document"

    def total(self, connection: Connection, type_: str) -> int:
        """Return how many resources of a type there are."""
        return sum(live for _, live in self._blocks(connection, type_))

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
        blocks = self._blocks(connection, type_)
        total = sum(live for _, live in blocks)
        if query.start_index > total:
            return Page(total, query.start_index, [])
        skip, at = query.start_index - 1, 0
        while skip >= blocks[at][1]:
            skip -= blocks[at][1]
            at += 1
        rows = connection.execute(
            f"SELECT {self._columns} FROM {self._from} WHERE position IN ("
            f"SELECT position FROM {self._tables.resource} WHERE type = ? AND position >= ?"
            " ORDER BY position LIMIT ? OFFSET ?) ORDER BY position",
            (type_, blocks[at][0] * BLOCK, query.count, skip),
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
            f"SELECT {columns} FROM {self._from} WHERE {selected}"
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
                f"SELECT count(*) FROM {self._from} WHERE {where}", values
            ).fetchone()[0]
        if query.after is None:
            return Page(total, query.start_index, page)
        mark = Mark(page[-1][0], page[-1][-1]) if page and more else None
        return Page(total, 1, [row[:-1] for row in page], mark)

    def _blocks(self, connection: Connection, type_: str) -> list[tuple[int, int]]:
        rows: list[tuple[int, int]] = connection.execute(
            f"SELECT block, live FROM {self._tables.census} WHERE type = ? ORDER BY block",
            (type_,),
        ).fetchall()
        return rows


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
