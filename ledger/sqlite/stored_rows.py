"""The rows of a ledger's file as they are stored, damaged or not: what a verification reads."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ledger.codec import FORMAT
from ledger.contract import Bounds, LedgerUnavailable, RawEvent, StoredEvent, StoredHead
from ledger.events import ERASED, LEDGER_OPENED
from ledger.findings import Finding, Kind, short
from ledger.sqlite.connection import SCHEMA_VERSION, connect_read_only, snapshot, translate_errors
from ledger.sqlite.reads import HEAD, HEADERS, RAW, TILE
from ledger.sqlite.schema import (
    CHECKPOINT,
    TILES,
    check_identity,
    lend_tables,
    schema_sql,
    steps,
    version_of,
)

SOME = 100  # rows out of place that are returned at most


class SQLiteRows:
    """The stored rows of a SQLite file, read by a connection that cannot write."""

    def __init__(self, path: Path) -> None:
        """Open a ledger's file; raises LedgerMissing or LedgerUnavailable."""
        self._path = path
        self._connection = connect_read_only(path)
        self._connection.text_factory = _lenient
        with translate_errors(path):
            self._version = version_of(self._connection)
        if 0 < self._version <= SCHEMA_VERSION:
            with suppress(LedgerUnavailable):  # whoever reads the tables says more
                self._lend_tables()

    def _lend_tables(self) -> None:
        with translate_errors(self._path):
            self._connection.execute("PRAGMA query_only=OFF")  # the file is open for reading
            try:
                lend_tables(self._connection)
            finally:
                self._connection.execute("PRAGMA query_only=ON")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with translate_errors(self._path), snapshot(self._connection):
            yield

    def check_identity(self) -> None:
        with translate_errors(self._path):
            check_identity(self._connection, self._path, oldest=1)

    def is_migrated(self) -> bool:
        return self._version == SCHEMA_VERSION

    def _rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return list(self._each(statement, *parameters))

    def _each(self, statement: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        with translate_errors(self._path):
            yield from self._connection.execute(statement, parameters)

    def _one(self, statement: str, *parameters: object) -> Any:
        return self._rows(statement, *parameters)[0][0]

    def origin(self) -> str:
        return str(self._one("SELECT max(origin) FROM ledger") or "")

    def bounds(self) -> Bounds:
        return Bounds(
            self._one("SELECT max(position) FROM event") or 0,
            self._one("SELECT max(number) FROM tree_head") or 0,
            self._one("PRAGMA page_count") * self._one("PRAGMA page_size"),
        )

    def own_stream(self) -> list[RawEvent]:
        own = "stream = (SELECT stream FROM event WHERE position = 1)"
        return [RawEvent(*row) for row in self._rows(f"{RAW} WHERE {own} ORDER BY version")]

    def events(self, first: int, last: int) -> Iterator[StoredEvent]:
        rows = self._each(
            "SELECT position, event.id, stream, version, type, revision, recorded_at, txn, actor,"
            " header, leaf_hash, payload.position, salt, body, erased_by"
            " FROM event LEFT JOIN payload USING (position)"
            " WHERE position BETWEEN ? AND ? ORDER BY position",
            first,
            last,
        )
        return map(StoredEvent._make, rows)

    def event_before(self, position: int) -> tuple[int, str]:
        rows = self._rows(
            "SELECT position, recorded_at FROM event WHERE position < ?"
            " ORDER BY position DESC LIMIT 1",
            position,
        )
        return (rows[0][0], str(rows[0][1])) if rows else (0, "")

    def type_and_stream(self, position: int | None) -> tuple[Any, ...] | None:
        rows = self._rows("SELECT type, stream FROM event WHERE position = ?", position)
        return rows[0] if rows else None

    def headers(self, first: int, last: int) -> list[bytes]:
        return [_bytes(header) for (header,) in self._rows(HEADERS, first, last)]

    def leaves(self, first: int, last: int) -> list[tuple[int, bytes]]:
        rows = self._rows(
            "SELECT position, leaf_hash FROM event WHERE position BETWEEN ? AND ?"
            " ORDER BY position",
            first,
            last,
        )
        return [(position, _bytes(leaf)) for position, leaf in rows]

    def stray_payloads(self, first: int, last: int) -> list[int]:
        rows = self._rows(
            "SELECT position FROM payload WHERE position BETWEEN ? AND ?"
            " AND position NOT IN (SELECT position FROM event) LIMIT ?",
            first,
            last,
            SOME,
        )
        return [position for (position,) in rows]

    def versions(self, end: int) -> Iterator[tuple[Any, ...]]:
        return self._each(
            "SELECT CAST(stream AS BLOB), version, position FROM event WHERE +position <= ?"
            " ORDER BY stream, version",
            end,
        )

    def stream_versions(self, stream: bytes, end: int) -> list[tuple[Any, ...]]:
        return self._rows(
            "SELECT position, version FROM event"
            " WHERE stream = CAST(? AS TEXT) AND +position <= ? ORDER BY position",
            stream,
            end,
        )

    def heads(self, after: int, last: int) -> Iterator[StoredHead]:
        return self._heads("number > ? AND number <= ? ORDER BY number", after, last)

    def heads_of(self, size: int) -> list[StoredHead]:
        return list(self._heads("size = ?", size))

    def newest_head_over(self, position: int) -> StoredHead | None:
        return next(self._heads("size >= ? ORDER BY number DESC LIMIT 1", position), None)

    def _heads(self, where: str, *parameters: int) -> Iterator[StoredHead]:
        return map(StoredHead._make, self._each(f"{HEAD} WHERE {where}", *parameters))

    def tile(self, level: int, number: int) -> bytes:
        rows = self._rows(TILE, level, number)
        return _bytes(rows[0][0]) if rows else b""

    def tile_levels(self) -> list[tuple[Any, ...]]:
        return self._rows(
            "SELECT level, sum(length(hashes)) / 32, max(number), count(*) FROM tile"
            " GROUP BY level ORDER BY level"
        )

    def check_tables(self) -> Iterator[Finding]:
        rows = self._rows("SELECT name, sql, type FROM main.sqlite_master WHERE sql IS NOT NULL")
        found, ours = {name: sql for name, sql, _ in rows}, schema_sql(self._version)
        for name, sql in ours.items():
            if found.get(name) != sql:
                state = "another definition" if name in found else "none"
                kind = Kind.TILES if name == TILES else Kind.STORE
                if name == CHECKPOINT and name not in found:
                    kind = Kind.PROJECTION
                as_made = "as this program makes it"
                yield Finding(kind, None, f"schema of {name}", as_made, state)
        for name, _, type_ in rows:
            if type_ == "trigger" and name not in ours:
                yield _finding(f"schema of {name}", "no such trigger", "a trigger")
        known = "_sqlite_migrations" in found
        statement = "SELECT migration_set, name FROM _sqlite_migrations ORDER BY id"
        applied = self._rows(statement) if known else []
        if applied != (expected := steps(self._version)):
            yield _finding("table _sqlite_migrations", short(expected), short(applied))
        yield from self._check_ledger_row()

    def _check_ledger_row(self) -> Iterator[Finding]:
        """Compare the ledger's own row with its first event."""
        rows = self._rows("SELECT id, origin, opened_at, format FROM ledger")
        first = self._rows("SELECT type, recorded_at FROM event WHERE position = 1")
        expected = [(1, self.origin(), first[0][1] if first else None, FORMAT)]
        if rows != expected:
            yield _finding("table ledger", short(expected), short(rows))
        if first and first[0][0] != LEDGER_OPENED:
            yield Finding(Kind.EVENT, 1, "first event", LEDGER_OPENED, short(first[0][0]))

    def check_integrity(self) -> Iterator[Finding]:
        for (line,) in self._rows("PRAGMA integrity_check(10)"):
            if line != "ok":
                yield _finding("SQLite integrity check", "ok", line.replace("\n", " "))
        for row in self._rows("PRAGMA foreign_key_check")[:SOME]:
            yield _finding("foreign keys", "ok", f"{row[0]} row {row[1]}")

    def check_markers(self, end: int) -> Iterator[Finding]:
        for name, revision, position in self._rows(
            "SELECT projector, revision, position FROM checkpoint"
        ):
            if not isinstance(position, int) or not 1 <= position <= end:
                what, expected = f"checkpoint of {short(name)}", f"a position from 1 to {end}"
                yield Finding(Kind.PROJECTION, None, what, expected, short(position))
            if not isinstance(revision, int) or revision < 1:
                what = f"revision of {short(name)}"
                yield Finding(Kind.PROJECTION, None, what, "1 or more", short(revision))
        for position, type_ in self._rows(
            "SELECT purge.position, type FROM purge LEFT JOIN event USING (position)"
        ):
            if type_ != ERASED:
                what, found = "erasure to be finished", short(type_ or "no event")
                yield Finding(Kind.STORE, position, what, ERASED, found)

    def unfinished_erasures(self) -> list[int]:
        return [each for (each,) in self._rows("SELECT position FROM purge ORDER BY position")]


def _finding(what: str, expected: str, found: str) -> Finding:
    return Finding(Kind.STORE, None, what, expected, found)


def _bytes(value: object) -> bytes:
    """Return a column's bytes, none where it holds something else."""
    return value if isinstance(value, bytes) else b""


def _lenient(raw: bytes) -> str:
    """Read damaged text too, as something that cannot equal what was hashed."""
    return raw.decode(errors="replace")
