"""The history of a ledger, in a file of its own beside it: reads as of any past position."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ledger.contract import BesideUnavailable, LedgerBusy, LedgerError
from ledger.sqlite.connection import UNUSABLE, Connection, connect, connect_read_only
from ledger.sqlite.database import DatabaseFile, Reading
from ledger.sqlite.ledger import SQLiteLedger
from projections import runner
from projections.current.reader import ResourceReader
from projections.history.past_tables import PastTables
from projections.history.projector import Chronicle
from projections.kinds import ResourceKind
from projections.runner import Difference, Status, project_all

HISTORY_FILE = "history.db"
CHUNK = 2000  # events a transaction while following, at the most
PATIENCE = 10.0  # seconds that one who asks waits for the history to catch up

Progress = Callable[[int, int], None]

_TABLES = (
    "CREATE TABLE IF NOT EXISTS checkpoint"
    " (projector TEXT PRIMARY KEY, revision INTEGER NOT NULL, position INTEGER NOT NULL) STRICT",
    # Which ledger was followed, and the leaf of an event of it: another ledger has another.
    "CREATE TABLE IF NOT EXISTS source (id INTEGER PRIMARY KEY CHECK (id = 1),"
    " origin TEXT NOT NULL, position INTEGER NOT NULL, leaf_hash BLOB NOT NULL) STRICT",
)


class HistoryBehind(LedgerError):
    """The history has not caught up with the ledger yet; it goes on doing so."""

    def __init__(self, reached: int, end: int) -> None:
        super().__init__(f"the history is being built: {reached:,} of {end:,} events")
        self.reached = reached
        self.end = end


@dataclass(frozen=True, slots=True)
class Past:
    """A position of a ledger, and what reads the resources of that position."""

    position: int
    file: DatabaseFile
    readings: ResourceReader

    def reading(self) -> Reading:
        """Give this thread's connection for reading."""
        return self.file.reading()


class History:
    """The history projection: it follows its ledger when asked, and never takes its write lock."""

    def __init__(
        self,
        ledger: SQLiteLedger,
        kinds: Mapping[str, ResourceKind],
        *,
        patience: float = PATIENCE,
        read_only: bool = False,
    ) -> None:
        """Name the file, which is made when it is first needed; `patience` is in seconds.

        `read_only` leaves it as it is.
        """
        self.ledger = ledger
        self.projection = Chronicle(kinds)
        self.file = DatabaseFile(ledger.path.with_name(HISTORY_FILE), self._connect, patience)
        self._kinds = kinds
        self._read_only = read_only
        self._patience = patience
        self._following = threading.Lock()
        self.reached = 0  # where the history stands, as far as this process knows
        self._remembered = 0  # the checkpoint that what the projection remembers belongs to

    def _connect(self) -> Connection:
        if self._read_only:
            connection = connect_read_only(self.file.path)
        else:
            connection = _opened(self.file.path, time.monotonic() + self._patience)
            connection.execute("PRAGMA synchronous=NORMAL")  # what is lost is followed again
        self.projection.prepare(connection)
        return connection

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def at(self, position: int) -> ResourceReader:
        """Return what reads the resources of a position, from a connection of `caught_up`."""
        return ResourceReader(self._kinds, PastTables(at=position))

    def past(self, position: int) -> "Past":
        """Return the past of a position that the ledger has; raises HistoryBehind."""
        self.catch_up(patience=self._patience)
        return Past(position, self.file, self.at(position))

    def caught_up(self) -> Reading:
        """Give a reading connection, once the history has reached the ledger's end.

        The whole of it, whatever instant is asked for: who was erased lately is to be found at
        none. Raises HistoryBehind.
        """
        self.catch_up(patience=self._patience)
        return self.file.reading()

    def catch_up(
        self, *, patience: float | None = None, progress: Progress = lambda done, end: None
    ) -> int:
        """Follow the ledger to its end and return it; raises HistoryBehind after `patience` s."""
        end = self.ledger.last_position()
        deadline = time.monotonic() + (patience or float("inf"))
        while self.reached < end:
            if time.monotonic() > deadline:
                raise HistoryBehind(self.reached, end)
            self.follow(end)
            progress(self.reached, end)
        return end

    def follow(self, end: int) -> int:
        """Follow one chunk of events towards a position; return the position reached."""
        with self._following:
            if 0 < end <= self.reached:  # by another thread, while this one waited
                return self.reached
            try:
                with self.file.writing() as connection:
                    reached = self._followed(connection, end)
            except BaseException:
                self.projection.forget()
                raise
            self._remembered = self.reached = reached  # only now others can read it
        return reached

    # As the other projections are looked at

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.projection.name

    def stands_at(self) -> int:
        """Return the position that the tables stand for, 0 before they are built; writes nothing.

        Those of another program or ledger are as good as none.
        """
        if not self.file.path.exists():
            return 0
        with self.file.reading() as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            return self._standing(connection) or 0 if tables else 0

    def status(self) -> Status:
        """Return where it stands."""
        revision = self.projection.revision
        if not self.stands_at():
            return Status(self.name, revision, 0, {})
        [found] = runner.status(self.file, [self.projection], position_of)
        return found

    def rebuild(self, progress: Progress) -> int:
        """Rebuild it beside the live tables, then swap; return the position."""
        self.follow(0)  # makes the tables where there are none
        position = runner.rebuild(self.ledger, self.projection, progress, self.file)
        with self.file.writing() as connection:
            self._set_checkpoint(connection, position_of(connection))
        return position

    def check(self, progress: Progress) -> Difference | None:
        """Prove that a rebuild gives the same rows, where there are any."""
        if not self.stands_at():
            return None
        return runner.check(self.ledger, self.projection, progress, self.file, position_of)

    def _followed(self, connection: Connection, end: int) -> int:
        connection.execute("PRAGMA cache_size=-64000")  # of the one that writes: indexes all over
        position = self._checkpoint(connection)
        pages = 16000 if end - position > CHUNK else 4000  # a first build writes all over the file
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
        if position != self._remembered:  # another process went on with it
            self.projection.forget()
        if position >= end:
            return position
        events = self.ledger.read_chunk(position, min(position + CHUNK, end))
        project_all(connection, self.projection, events)
        position = events[-1].position
        self._set_checkpoint(connection, position)
        return position

    def _checkpoint(self, connection: Connection) -> int:
        """Return where the tables stand; of another program or ledger, they begin anew."""
        for table in _TABLES:
            connection.execute(table)
        position = self._standing(connection)
        return self._begin_anew(connection) if position is None else position

    def _standing(self, connection: Connection) -> int | None:
        """Return where the tables stand, None if they are of another program or ledger."""
        row = connection.execute(
            "SELECT revision, position FROM checkpoint WHERE projector = ?",
            (self.projection.name,),
        ).fetchone()
        known = row and row[0] == self.projection.revision and self._is_of_this_ledger(connection)
        return row[1] if known else None

    def _is_of_this_ledger(self, connection: Connection) -> bool:
        row = connection.execute("SELECT origin, position, leaf_hash FROM source").fetchone()
        if row is None:
            return True  # nothing was followed yet
        origin, position, leaf_hash = row
        return bool(origin == self.ledger.origin and leaf_hash == self.ledger.leaf_hash(position))

    def _begin_anew(self, connection: Connection) -> int:
        for table in self.projection.tables:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        self.projection.create_tables(connection)
        connection.execute("DELETE FROM source")
        self._write_checkpoint(connection, 0)
        return 0

    def _set_checkpoint(self, connection: Connection, position: int) -> None:
        self._write_checkpoint(connection, position)
        connection.execute(
            "INSERT OR REPLACE INTO source VALUES (1, ?, ?, ?)",
            (self.ledger.origin, position, self.ledger.leaf_hash(position)),
        )

    def _write_checkpoint(self, connection: Connection, position: int) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)",
            (self.projection.name, self.projection.revision, position),
        )


def position_of(connection: Connection) -> int:
    """Return the position that a history's tables stand for."""
    row = connection.execute("SELECT position FROM checkpoint").fetchone()
    return row[0] if row else 0


def _opened(path: Path, deadline: float) -> Connection:
    """Open the file, made if need be so that nobody else can read it.

    While another makes it a database it is busy, and SQLite does not wait for that by itself.
    Raises BesideUnavailable where it cannot be made, as in a folder that is not to be written.
    """
    try:
        with suppress(FileExistsError):  # to open and close one in use would drop our own locks
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        says = f"{path} cannot be made: {error.strerror}"
        raise BesideUnavailable(says, reason=UNUSABLE) from error
    while True:
        try:
            return connect(path)
        except LedgerBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
