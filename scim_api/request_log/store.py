"""The request log: refused requests and writes that changed nothing, beside the ledger.

It is kept in memory and written down off the request path every half second, so a crash loses no
more than that. Bounded by rows and by age; it is no part of the ledger and proves nothing.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ledger import clock
from ledger.contract import LedgerError
from ledger.sqlite.connection import Connection, connect, connect_read_only, driver, speaking
from projections.query import sql
from projections.query.effort import bounded
from scim_api.later import later
from scim_api.logs import LOGGER
from scim_api.request_log.outcomes import Repetition
from scim_api.request_log.records import Entry, Row, rows_of

REQUESTS_FILE = "requests.db"
INTERVAL = 0.5  # seconds between two writes
MAX_PENDING = 5000  # rows in memory
STRANGERS = 10  # one row in so many may be of a request whose token was refused, or without one
_SPARE = 200  # rows that a write removes beyond twice those it adds
_OF_STRANGERS = "(actor IS NULL OR status = 401)"  # whoever holds a revoked token is one too

_TABLES = (
    "CREATE TABLE IF NOT EXISTS request (row INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL,"
    " request_id TEXT NOT NULL, actor TEXT, client TEXT NOT NULL, family TEXT NOT NULL,"
    " method TEXT NOT NULL, path TEXT NOT NULL, status INTEGER NOT NULL, scim_type TEXT,"
    " detail TEXT, milliseconds REAL NOT NULL, resource_type TEXT, resource_id TEXT,"
    " position INTEGER, attributes TEXT, bulk INTEGER NOT NULL DEFAULT 0) STRICT",
    "CREATE INDEX IF NOT EXISTS request_by_folded_id ON request (lower(request_id))",
    "DROP INDEX IF EXISTS request_by_id",  # of an earlier version, as is the next
    "DROP INDEX IF EXISTS request_of_strangers",
    f"CREATE INDEX IF NOT EXISTS request_of_refused ON request (row) WHERE {_OF_STRANGERS}",
)
_INSERT = (
    f"INSERT INTO request ({', '.join(Row._fields)}) VALUES ({', '.join('?' * len(Row._fields))})"
)
_FORGET = (
    "DELETE FROM request WHERE lower(resource_id) = :id OR instr(lower(path), :id)"
    " OR instr(lower(detail), :id)"
)
_BULK = "SELECT 1 FROM pragma_table_info('request') WHERE name = 'bulk'"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: the most rows, and for how many days."""

    rows: int = 100_000
    days: int = 90

    def oldest(self) -> str:
        """Return the time before which nothing is kept."""
        return clock.timestamp(clock.now() - timedelta(days=self.days))


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the log and its number; numbers rise and are given once."""

    number: int
    row: Row


class RequestLog:
    """What a ledger's clients were refused and repeated, in `requests.db` beside it."""

    def __init__(self, path: Path, ledger: Path, bounds: Bounds | None = None) -> None:
        """`path` is the file, made when first written; positions are looked up in `ledger`."""
        self._path = path
        self._ledger = ledger
        self._bounds = bounds or Bounds()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: list[Entry] = []
        self._room = _room()
        self._dropped = 0
        self._timer: threading.Timer | None = None
        self._closed = False
        self._failing = False

    def note(self, entry: Entry) -> None:
        """Note a request; costs it no input or output.

        Where more come than can be written, the later ones are counted and dropped.
        """
        size, stranger = entry.size, entry.actor is None or entry.status == 401
        with self._lock:
            if self._room[stranger] < size or self._room[False] < size:
                self._dropped += size
            else:
                self._room[stranger] -= size
                if stranger:
                    self._room[False] -= size
                self._pending.append(entry)
            self._wait()

    def _wait(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = later(INTERVAL, self.flush)

    def flush(self) -> None:
        """Write down what is pending; what cannot be written is kept for the next time."""
        with self._writing:  # so that who reads afterwards finds what another thread took
            with self._lock:
                self._timer = None
                pending, self._pending, self._room = self._pending, [], _room()
                dropped, self._dropped = self._dropped, 0
            if dropped:
                LOGGER.warning("request log overflowed", extra={"fields": {"dropped": dropped}})
            if pending:
                self._try(pending)

    def _try(self, pending: list[Entry]) -> None:
        try:
            self._write(pending)
            self._failing = False
        except (LedgerError, driver.Error, OSError) as error:
            if not self._failing:
                fields = {"error": type(error).__name__}
                LOGGER.warning("request log not writable", extra={"fields": fields})
            self._failing = True
            for entry in pending:
                self.note(entry)

    def _write(self, pending: Sequence[Entry]) -> None:
        with _Positions(self._ledger) as positions:
            rows = [row for entry in pending for row in rows_of(entry, positions.of)]
        self._path.touch(mode=0o600)
        connection = connect(self._path)
        try:
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute(_BULK).fetchone():  # of an earlier version
                connection.execute("ALTER TABLE request ADD COLUMN bulk INTEGER NOT NULL DEFAULT 0")
            connection.executemany(_INSERT, rows)
            self._prune(connection, 2 * len(rows) + _SPARE)
            connection.execute("COMMIT")
        finally:
            connection.close()

    def forget(self, id_: str) -> None:
        """Remove what is about a resource; raises BesideUnavailable or LedgerBusy."""
        with self._changing() as connection:
            if connection:
                connection.execute(_FORGET, {"id": id_.lower()})

    def coarsen(self, tells: Callable[[str], bool]) -> None:
        """Keep only the family of the clients that tell of somebody; raises as above."""
        with self._changing() as connection:
            if connection:
                found = connection.execute("SELECT DISTINCT client FROM request").fetchall()
                named = [(client,) for (client,) in found if tells(client)]
                connection.executemany("UPDATE request SET client = family WHERE client = ?", named)

    @contextmanager
    def _changing(self) -> Iterator[Connection | None]:
        """Give a connection to what is written, None where nothing ever was."""
        self.flush()
        if not self._path.exists():
            yield None
            return
        with speaking(self._path), closing(connect(self._path)) as connection:
            made = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'request'")
            yield connection if made.fetchone() else None

    def _prune(self, connection: Connection, most: int) -> None:
        """Remove what is too much or too old, but at most so many rows of each."""
        rows = self._bounds.rows
        for where, bound in ((_OF_STRANGERS, max(1, rows // STRANGERS)), ("TRUE", rows)):
            count = connection.execute(f"SELECT count(*) FROM request WHERE {where}").fetchone()[0]
            connection.execute(
                "DELETE FROM request WHERE row IN"
                f" (SELECT row FROM request WHERE {where} ORDER BY row LIMIT ?)",
                (min(max(0, count - bound), most),),
            )
        connection.execute(
            "DELETE FROM request WHERE at < ? AND row IN"
            " (SELECT row FROM request ORDER BY row LIMIT ?)",
            (self._bounds.oldest(), most),
        )

    def close(self) -> None:
        """Write down what is pending and take no more."""
        self._closed = True
        self.flush()

    # Reading

    def newest(self, count: int, *conditions: sql.Sql) -> list[Record]:
        """Return the last records that satisfy all conditions, newest first."""
        return self._records("DESC", count, conditions)

    def oldest(self, count: int, *conditions: sql.Sql) -> list[Record]:
        """Return the first records that satisfy all conditions, oldest first."""
        return self._records("ASC", count, conditions)

    def of_request(self, id_: str) -> list[Record]:
        """Return the records of the requests whose id begins so, in any case, oldest first."""
        begins = "lower(request_id) >= lower(?) AND lower(request_id) < lower(?) || char(0x10FFFF)"
        return self.oldest(10_000, (begins, [id_, id_]))

    def refused_since(self, at: str) -> int:
        """Return how many requests, or operations of bulk requests, were refused since a time."""
        with self._reading() as connection:
            if connection is None:
                return 0
            counted = "SELECT count(*) FROM request WHERE at >= ? AND status >= 400"
            return int(connection.execute(counted, (at,)).fetchone()[0])

    def _records(self, order: str, count: int, conditions: Sequence[sql.Sql]) -> list[Record]:
        texts, values = zip(("at >= ?", [self._bounds.oldest()]), *conditions, strict=True)
        rest = f"WHERE {' AND '.join(texts)} ORDER BY row {order} LIMIT ?"
        parameters = [value for each in values for value in each]
        with self._reading() as connection:
            if connection is None:
                return []
            with bounded(connection):
                found = connection.execute(f"{_select(connection)} {rest}", (*parameters, count))
                rows = found.fetchall()
        return [Record(number, Row._make((*row, bool(bulk)))) for number, *row, bulk in rows]

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        """Give a connection, None where nothing was ever written; raises BesideUnavailable."""
        self.flush()
        if not self._path.exists():
            yield None
            return
        with speaking(self._path), closing(connect_read_only(self._path)) as connection:
            sql.register(connection)
            made = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'request'")
            yield connection if made.fetchone() else None


def _select(connection: Connection) -> str:
    """Return the statement that reads records; a file of an earlier version lacks a column."""
    bulk = "bulk" if connection.execute(_BULK).fetchone() else "0"
    return f"SELECT row, {', '.join(Row._fields[:-1])}, {bulk} FROM request"


def _room() -> dict[bool, int]:
    """Return how many rows may yet be pending: of strangers (True), and in all (False)."""
    return {True: MAX_PENDING // STRANGERS, False: MAX_PENDING}


class _Positions:
    """The positions of the events that made versions of resources; the ledger is opened once."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._connection: Any = None

    def __enter__(self) -> "_Positions":
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection:
            self._connection.close()

    def of(self, repetition: Repetition) -> int | None:
        try:
            return self._look_up(f"{repetition.type}-{repetition.id}", repetition.version)
        except (LedgerError, driver.Error):
            return None  # a row without it is better than none

    def _look_up(self, stream: str, version: int) -> int | None:
        if self._connection is None:
            self._connection = connect_read_only(self._ledger)
        found = self._connection.execute(
            "SELECT position FROM event WHERE stream = ? AND version = ?",
            (stream, version),
        ).fetchone()
        return found[0] if found else None
