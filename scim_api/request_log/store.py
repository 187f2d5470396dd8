"""The request log: refused requests and writes that changed nothing, in a file next to the ledger.

Bounded by rows and by age; it is no part of the ledger and proves nothing.
"""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ledger import clock
from ledger.contract import Ledger, LedgerError
from ledger.sqlite.connection import Connection, connect, connect_read_only
from projections.query import sql
from projections.query.effort import bounded
from scim_api.logs import LOGGER
from scim_api.request_log.records import (
    TURNED_AWAY,
    Entry,
    NoChange,
    Record,
    known_id,
    records_of,
    without_names,
)
from scim_api.side_file import NEVER, Erasures, SideFile

REQUESTS_FILE = "requests.db"
MAX_PENDING = 5000  # rows in memory
MINUTE = 60.0  # seconds between two warnings of dropped rows: a flood makes one after the other
STRANGERS = 10  # one row in so many may be of a request that was turned away, whatever it was for
_SPARE = 200  # rows that a write removes beyond twice those it adds
_CODES = ", ".join(f"'{code}'" for code in TURNED_AWAY)
_OF_STRANGERS = f"(actor IS NULL OR status = 401 OR code IN ({_CODES}))"  # as Entry.of_stranger
_INDEX = f"CREATE INDEX IF NOT EXISTS request_turned_away ON request (row) WHERE {_OF_STRANGERS}"

_COLUMNS = ", ".join(Record._fields)
_INSERT = f"INSERT INTO request ({_COLUMNS}) VALUES ({', '.join('?' * len(Record._fields))})"
_FORGET = (
    "DELETE FROM request WHERE lower(resource_id) = :id OR instr(lower(path), :id)"
    " OR instr(lower(detail), :id)"
)
_ADDED = {"bulk": "INTEGER NOT NULL DEFAULT 0", "code": "TEXT"}  # since the first version


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: the most rows, and for how many days."""

    rows: int = 100_000
    days: int = 90

    def oldest(self) -> str:
        """Return the time before which nothing is kept."""
        return clock.timestamp(clock.now() - timedelta(days=self.days))


@dataclass(slots=True)
class _Backlog:
    """Requests not yet written; those beyond its bounds are counted and dropped."""

    entries: list[Entry] = field(default_factory=list)
    rows: int = 0
    of_strangers: int = 0
    dropped: int = 0

    def add(self, entry: Entry) -> None:
        size = len(entry.outcome) if isinstance(entry.outcome, list) else 1
        strangers = size if entry.of_stranger else 0
        if (
            self.rows + size > MAX_PENDING
            or self.of_strangers + strangers > MAX_PENDING // STRANGERS
        ):
            self.dropped += size
            return
        self.rows += size
        self.of_strangers += strangers
        self.entries.append(entry)

    def __len__(self) -> int:
        return self.rows + self.dropped


class RequestLog(SideFile[_Backlog]):
    """What a ledger's clients were refused and repeated, in `requests.db` next to it."""

    name = "request log"
    interval = 0.5
    schema = (
        "CREATE TABLE IF NOT EXISTS request (row INTEGER PRIMARY KEY AUTOINCREMENT,"
        " at TEXT NOT NULL, request_id TEXT NOT NULL, actor TEXT, client TEXT NOT NULL,"
        " family TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,"
        " status INTEGER NOT NULL, scim_type TEXT, detail TEXT, milliseconds REAL NOT NULL,"
        " resource_type TEXT, resource_id TEXT, position INTEGER, attributes TEXT,"
        " bulk INTEGER NOT NULL DEFAULT 0, code TEXT) STRICT",
        "CREATE INDEX IF NOT EXISTS request_by_folded_id ON request (lower(request_id))",
        "DROP INDEX IF EXISTS request_by_id",  # of an earlier version, as are the next
        "DROP INDEX IF EXISTS request_of_strangers",
        "DROP INDEX IF EXISTS request_of_refused",
    )

    def __init__(self, path: Path, ledger: Ledger, bounds: Bounds | None = None) -> None:
        """`path` is the file; positions of versions are looked up in `ledger`."""
        super().__init__(path, ledger, _Backlog)
        self._bounds = bounds or Bounds()
        self._dropped = 0  # rows, since the last warning
        self._warned = -MINUTE  # monotonic seconds

    def note(self, entry: Entry) -> None:
        """Note a request; where more come than can be written, the later ones are dropped."""
        with self._lock:
            self._pending.add(entry)
            self._schedule()

    def _merge(self, newer: _Backlog) -> None:
        for entry in newer.entries:
            self._pending.add(entry)
        self._pending.dropped += newer.dropped

    def _insert(self, connection: Connection, pending: _Backlog) -> None:
        erased = Erasures.since(self._ledger, min((e.at for e in pending.entries), default=NEVER))
        rows = [
            without_names(row) if row.at < erased.at else row
            for entry in pending.entries
            for row in records_of(entry, self._position)
        ]
        for name in _missing(connection):
            connection.execute(f"ALTER TABLE request ADD COLUMN {name} {_ADDED[name]}")
        connection.execute(_INDEX)  # once it has the columns
        connection.executemany(_INSERT, rows)
        for id_ in erased.ids:
            connection.execute(_FORGET, {"id": id_.lower()})
        self._prune(connection, 2 * len(rows) + _SPARE)
        self._dropped += pending.dropped
        if self._dropped and time.monotonic() >= self._warned + MINUTE:
            self._warn()

    def _warn(self) -> None:
        fields = {"dropped": self._dropped}
        LOGGER.warning("request log overflowed", extra={"fields": fields})
        self._dropped, self._warned = 0, time.monotonic()

    def close(self) -> None:
        """Write the pending notes, and none later; say what was dropped since the last warning."""
        super().close()
        if self._dropped:
            self._warn()

    def _position(self, no_change: NoChange) -> int | None:
        stream = f"{no_change.type}-{no_change.id}"
        try:
            return self._ledger.position_of(stream, no_change.version)
        except LedgerError:
            return None  # a row without it is better than none

    def forget(self, id_: str) -> None:
        """Remove the rows about a resource; raises SideFileUnavailable or LedgerBusy."""
        with self._opened("request", connect) as connection:
            if connection:
                connection.execute(_FORGET, {"id": id_.lower()})

    def coarsen(self) -> None:
        """Keep only the family of every client, and no id that a client made; raises as above."""
        with self._opened("request", connect) as connection:
            if connection:
                connection.create_function("known_id", 1, known_id)
                connection.execute(
                    "UPDATE request SET client = family, request_id = known_id(request_id)"
                    " WHERE client <> family OR request_id <> known_id(request_id)"
                )

    def _prune(self, connection: Connection, most: int) -> None:
        """Remove the rows beyond the bounds, at most `most` for each bound."""
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

    # Reading

    def of_request(self, id_: str) -> list[Record]:
        """Return the records of the requests whose id begins so, in any case, oldest first."""
        begins = "lower(request_id) >= lower(?) AND lower(request_id) < lower(?) || char(0x10FFFF)"
        return self.records(10_000, (begins, [id_, id_]), oldest_first=True)

    def refused_since(self, at: str) -> int:
        """Return how many requests, or operations of bulk requests, were refused since a time."""
        with self._opened("request", connect_read_only) as connection:
            if connection is None:
                return 0
            counted = "SELECT count(*) FROM request WHERE at >= ? AND status >= 400"
            return int(connection.execute(counted, (at,)).fetchone()[0])

    def records(self, count: int, *conditions: sql.Sql, oldest_first: bool = False) -> list[Record]:
        """Return the first records, newest first, that satisfy all conditions."""
        texts, values = zip(("at >= ?", [self._bounds.oldest()]), *conditions, strict=True)
        order = "ASC" if oldest_first else "DESC"
        rest = f"WHERE {' AND '.join(texts)} ORDER BY row {order} LIMIT ?"
        parameters = [value for each in values for value in each]
        with self._opened("request", connect_read_only) as connection:
            if connection is None:
                return []
            sql.register(connection)
            with bounded(connection):
                found = connection.execute(f"{_select(connection)} {rest}", (*parameters, count))
                return [Record._make(row) for row in found]


def _select(connection: Connection) -> str:
    """Return the statement that reads records, also from a file of an earlier version."""
    missing = _missing(connection)
    names = ("NULL" if name in missing else name for name in Record._fields)
    return f"SELECT {', '.join(names)} FROM request"


def _missing(connection: Connection) -> set[str]:
    """Return which columns a file of an earlier version lacks."""
    found = connection.execute("SELECT name FROM pragma_table_info('request')")
    return _ADDED.keys() - {name for (name,) in found}
