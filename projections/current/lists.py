"""Lists of current resources: pages by index and by cursor, totals, within bounded time."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
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
        skip = query.start_index - 1
        if skip >= total:
            return Page(total, query.start_index, [])
        ends = list(accumulate(live for _, live in blocks))
        at = bisect_right(ends, skip)  # the first block that ends after what is skipped
        block, live = blocks[at]
        rows = connection.execute(
            f"SELECT {self._columns} FROM {self._from} WHERE position IN ("
            f"SELECT position FROM {self._tables.resource} WHERE type = ? AND position >= ?"
            " ORDER BY position LIMIT ? OFFSET ?) ORDER BY position",
            (type_, block * BLOCK, query.count, skip - (ends[at] - live)),
        )
        return Page(total, query.start_index, _taken(rows, query.count)[0])

    def _page(self, connection: Connection, type_: str | None, query: Query) -> Page:
        """Seek what follows the query's mark, which writes by others cannot move, or its index."""
        documents = Documents(self._tables, self._kinds[type_].name_attribute if type_ else None)
        where, values = ("type = ?", [type_]) if type_ else ("1", list[Any]())
        if query.filter:
            condition, more_values = documents.where(query.filter)
            where, values = f"{where} AND {condition}", [*values, *more_values]
        key, key_values = documents.sort_key(query.sort_by) if query.after else ("NULL", [])
        after, after_values = documents.after_mark(query)
        order, order_values = documents.order_by(query)
        skip = 0 if query.after else query.start_index - 1
        rows = connection.execute(
            f"SELECT {self._columns}, {key} FROM {self._from} WHERE {where} AND {after}"
            f" ORDER BY {order} LIMIT ? OFFSET ?",
            (*key_values, *values, *after_values, *order_values, query.count + 1, skip),
        )
        page, more = _taken(rows, query.count)
        begins = skip == 0 and query.after in (None, START)
        if type_ and query.filter is None:
            total = self.total(connection, type_)
        elif begins and not more:
            total = len(page)
        else:
            total = connection.execute(
                f"SELECT count(*) FROM {self._from} WHERE {where}", values
            ).fetchone()[0]
        mark = Mark(page[-1][0], page[-1][-1]) if query.after and page and more else None
        return Page(total, skip + 1, [row[:-1] for row in page], mark)

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
