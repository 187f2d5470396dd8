"""Rows that hold from one position to another, gathered through a chunk of events, then written."""

from collections.abc import Iterable
from typing import Any

from ledger.sqlite.connection import Connection

NEVER = 2**63 - 1  # where a row that still holds ends

Key = tuple[Any, ...]


class Intervals:
    """The changes of one table whose last columns are `since` and `until`."""

    def __init__(self, table: str, keys: Iterable[str], others: int = 0) -> None:
        """`keys` are the columns that tell what holds; `others` columns follow them."""
        self._table = table
        self._keys = tuple(keys)
        self._others = others
        self._open: dict[Key, tuple[Any, ...]] = {}  # begun in this chunk
        self._rows: list[tuple[Any, ...]] = []  # begun and ended in this chunk
        self._ended: list[tuple[int, Key]] = []  # begun before

    def begin(self, key: Key, at: int, *others: Any) -> None:
        """Let something hold from a position on."""
        self._open[key] = (*others, at)

    def end(self, key: Key, at: int) -> None:
        """Let it hold no longer; a shorter key ends all that begin with it."""
        if len(key) == len(self._keys):
            begun = [key] if key in self._open else []
        else:
            begun = [each for each in self._open if each[: len(key)] == key]
        for each in begun:
            self._rows.append((*each, *self._open.pop(each), at))
        if begun != [key]:
            self._ended.append((at, key))

    def write(self, connection: Connection) -> None:
        """Write what was gathered."""
        for size in sorted({len(key) for _, key in self._ended}, reverse=True):
            where = " AND ".join(f"{column} = ?" for column in self._keys[:size])
            connection.executemany(
                f"UPDATE {self._table} SET until = ? WHERE {where} AND until = {NEVER}",
                [(at, *key) for at, key in self._ended if len(key) == size],
            )
        self._rows += [(*key, *begun, NEVER) for key, begun in self._open.items()]
        marks = ", ".join("?" * (len(self._keys) + self._others + 2))
        connection.executemany(f"INSERT INTO {self._table} VALUES ({marks})", self._rows)
        self._open.clear()
        self._rows.clear()
        self._ended.clear()
