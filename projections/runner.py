"""Projections as a whole: making their tables, rebuilding beside the live ones, checking."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol, runtime_checkable

from ledger.create import file_lock
from ledger.events import Recorded
from ledger.sqlite.connection import Connection, snapshot, temporary
from ledger.sqlite.database import DatabaseFile
from ledger.sqlite.ledger import SQLiteLedger, last_position

Progress = Callable[[int, int], None]

CHUNK = 500  # events a transaction while rebuilding: writers wait for one chunk at the most
SWEEP = 500  # rows a transaction while old tables are emptied


class Projection(Protocol):
    """An inline projector whose tables can be thrown away and rebuilt."""

    name: str
    revision: int
    tables: Mapping[str, str]  # table -> the columns that order it

    def beside(self, suffix: str) -> "Projection": ...
    def create_tables(self, connection: Connection) -> None: ...
    def prepare(self, connection: Connection) -> None: ...
    def project(self, connection: Connection, recorded: Recorded) -> None: ...


@runtime_checkable
class ByChunks(Protocol):
    """A projection that follows many events at once faster than one by one."""

    def project_all(self, connection: Connection, events: Sequence[Recorded]) -> None: ...


@dataclass(frozen=True, slots=True)
class Status:
    """A projection, where it stands and how large it is."""

    name: str
    revision: int
    position: int
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row of a table that a rebuild gives otherwise."""

    projection: str
    table: str
    key: Mapping[str, Any]
    columns: Sequence[str]

    def __str__(self) -> str:
        key = ", ".join(f"{column} {value}" for column, value in self.key.items())
        return (
            f"projection {self.projection}: table {self.table} differs from a rebuild at {key}"
            f" ({', '.join(self.columns)})"
        )


def _ignore(done: int, total: int) -> None:
    pass


def outdated(ledger: SQLiteLedger, projections: Sequence[Projection]) -> list[Projection]:
    """Return the projections that have no tables yet, or tables of another revision."""
    with ledger.reading() as connection:
        built = dict(connection.execute("SELECT projector, revision FROM checkpoint"))
    return [p for p in projections if built.get(p.name) != p.revision]


def status(
    store: DatabaseFile,
    projections: Sequence[Projection],
    end: Callable[[Connection], int] = last_position,
) -> list[Status]:
    """Return where each projection of a file stands; `end` reads the position from the file."""
    with store.reading() as connection, snapshot(connection):
        return [
            Status(
                p.name, p.revision, end(connection), {t: _count(connection, t) for t in p.tables}
            )
            for p in projections
        ]


def _count(connection: Connection, table: str) -> int:
    count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


def rebuild(
    ledger: SQLiteLedger,
    projection: Projection,
    progress: Progress = _ignore,
    store: DatabaseFile | None = None,
) -> int:
    """Rebuild a projection from the events beside its live tables, then swap; return the position.

    `store` is the file of its tables, by default the ledger's own. The service goes on answering
    and writing meanwhile: each chunk is a short transaction.
    """
    store = store or ledger
    with file_lock(ledger.path.parent):
        sweep(store, projection)
        suffix = f"_building_{secrets.token_hex(4)}"
        twin = projection.beside(suffix)
        with store.writing() as connection:
            twin.prepare(connection)
            twin.create_tables(connection)
        position = _replay(ledger, store, twin, progress)
        with store.writing() as connection:
            end = ledger.last_position()
            project_all(connection, twin, ledger.read_chunk(position, end))
            _swap(connection, projection, suffix, end)
        sweep(store, projection)
    return end


def _replay(ledger: SQLiteLedger, store: DatabaseFile, twin: Projection, progress: Progress) -> int:
    """Project up to less than a chunk before the end; the rest belongs to the swap."""
    position, end = 0, ledger.last_position()
    while end - position > CHUNK:
        with store.writing() as connection:
            project_all(connection, twin, ledger.read_chunk(position, position + CHUNK))
        position += CHUNK
        end = ledger.last_position()
        progress(position, end)
    return position


def project_all(connection: Connection, projection: Projection, events: Sequence[Recorded]) -> None:
    """Project events into the tables of a connection."""
    if isinstance(projection, ByChunks):
        projection.project_all(connection, events)
    else:
        for recorded in events:
            projection.project(connection, recorded)


def _swap(connection: Connection, projection: Projection, suffix: str, position: int) -> None:
    existing = _tables(connection)
    for table in projection.tables:
        if table in existing:
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_retired{suffix}")
        connection.execute(f"ALTER TABLE {table}{suffix} RENAME TO {table}")
    connection.execute(
        "INSERT INTO checkpoint VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
        " revision = excluded.revision, position = excluded.position",
        (projection.name, projection.revision, position),
    )


def _tables(connection: Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in rows}


def sweep(store: DatabaseFile, projection: Projection) -> None:
    """Drop retired tables and those of a rebuild that was cut off; call it under `file_lock`.

    A few rows at a time: deleted pages are overwritten (secure_delete), so dropping a large table
    at once would keep writers waiting.
    """
    with store.reading() as connection:
        remains = [
            name
            for name in _tables(connection)
            for table in projection.tables
            if name.startswith((f"{table}_building_", f"{table}_retired_"))
        ]
    for table in remains:
        key = projection.tables[next(t for t in _longest_first(projection) if table.startswith(t))]
        while _delete_some(store, table, key):
            pass
        with store.writing() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def _longest_first(projection: Projection) -> list[str]:
    return sorted(projection.tables, key=len, reverse=True)


def _delete_some(store: DatabaseFile, table: str, key: str) -> int:
    with store.writing() as connection:
        deleted: int = connection.execute(
            f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} LIMIT {SWEEP})"
        ).rowcount
    return deleted


def check(
    ledger: SQLiteLedger,
    projection: Projection,
    progress: Progress = _ignore,
    store: DatabaseFile | None = None,
    end: Callable[[Connection], int] = last_position,
) -> Difference | None:
    """Prove that a rebuild gives the same rows; return the first difference.

    `store` and `end` are the file of the projection's tables and what reads from it where they
    stand: by default the ledger's own, and its last position.
    """
    scratch = temporary()
    try:
        projection.prepare(scratch)
        twin = projection.beside("")
        twin.create_tables(scratch)
        scratch.execute("BEGIN")
        with (store or ledger).reading() as connection:
            stand = end(connection)
        position = _replay_into(scratch, ledger, twin, stand, progress)
        with (store or ledger).reading() as connection, snapshot(connection):
            project_all(scratch, twin, ledger.read_chunk(position, end(connection)))
            return next(_differences(connection, scratch, projection), None)
    finally:
        scratch.close()


def _replay_into(
    scratch: Connection, ledger: SQLiteLedger, twin: Projection, end: int, progress: Progress
) -> int:
    """Project up to a chunk before where the live tables stand; the rest belongs to the look."""
    position = 0
    while end - position > CHUNK:
        project_all(scratch, twin, ledger.read_chunk(position, position + CHUNK))
        position += CHUNK
        progress(position, end)
    return position


def _differences(
    live: Connection, rebuilt: Connection, projection: Projection
) -> Iterator[Difference]:
    for table, order in projection.tables.items():
        statement = f"SELECT * FROM {table} ORDER BY {order}"
        found, expected = live.execute(statement), rebuilt.execute(statement)
        columns = [column[0] for column in found.description]
        keys = order.split(", ")
        for left, right in zip_longest(found, expected):
            if left != right:
                yield _difference(projection.name, table, columns, keys, left, right)


def _difference(
    name: str,
    table: str,
    columns: list[str],
    keys: list[str],
    found: tuple[Any, ...] | None,
    expected: tuple[Any, ...] | None,
) -> Difference:
    rows = [dict(zip(columns, row, strict=True)) for row in (found, expected) if row is not None]
    key, *others = sorted(({k: row[k] for k in keys} for row in rows), key=_order)
    if others != [key]:
        return Difference(name, table, key, ["the whole row"])
    left, right = rows
    return Difference(name, table, key, [c for c in columns if left[c] != right[c]])


def _order(key: Mapping[str, Any]) -> list[tuple[bool, Any]]:
    """Order keys as SQLite does: NULL comes first."""
    return [(value is not None, value) for value in key.values()]
