"""The history of a ledger, in a file of its own next to it: reads as of any past position."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger import owners
from ledger.contract import (
    UNUSABLE,
    Connection,
    Ledger,
    LedgerBusy,
    LedgerError,
    Progress,
    SideFileUnavailable,
    no_progress,
)
from ledger.sqlite.connection import LOG_FILES, connect, connect_read_only, driver
from ledger.sqlite.database import DatabaseFile
from projections.current.reader import ResourceReader
from projections.history.lifetimes import Lifetimes
from projections.history.past_tables import PastTables
from projections.history.projector import HistoryProjector
from projections.kinds import ResourceKind
from projections.runner import StoredProjection
from projections.tables import set_checkpoint

HISTORY_FILE = "history.db"
CHUNK = 2000  # events projected at once, and in one transaction
STEP = 250  # and in the background: a few milliseconds in which requests share the interpreter
TOGETHER = 50_000  # events a transaction where more are to come: each writes all over the file
FAR = 20_000  # events, to follow which another process is started: it takes half a second
GLANCE = 0.05  # seconds between two looks at how far that is
PATIENCE = 10.0  # seconds that a read waits for the history to catch up
PROMPT = 1.0  # and where it is FAR behind: whoever asks is told at once how far it is

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
    """A position of a ledger, and the reader of its resources."""

    position: int
    file: DatabaseFile
    resources: ResourceReader


class History(StoredProjection):
    """The history projection: it follows its ledger on demand, and never takes its write lock."""

    file: DatabaseFile
    projection: HistoryProjector

    def __init__(
        self,
        ledger: Ledger,
        kinds: Mapping[str, ResourceKind],
        *,
        patience: float = PATIENCE,
        read_only: bool = False,
    ) -> None:
        """Name the file, which is created when first needed; `patience` is in seconds.

        `read_only` leaves it as it is.
        """
        super().__init__(ledger, HistoryProjector(kinds))
        self.file = DatabaseFile(ledger.path.with_name(HISTORY_FILE), self._connect, patience)
        self.lifetimes = Lifetimes(self.file)
        self._kinds = kinds
        self._read_only = read_only
        self._patience = patience
        self._following = threading.Lock()
        self._builder: subprocess.Popen[bytes] | None = None
        self.reached = 0  # the position that the history has reached, as this process knows
        self._inode: int | None = None  # of the file that has reached it

    def _connect(self) -> Any:
        if self._read_only:
            connection = connect_read_only(self.file.path)
        else:
            _discard_other_format(self.file.path, self.projection.revision)
            connection = _opened(self.file.path, time.monotonic() + self._patience)
            connection.execute("PRAGMA synchronous=NORMAL")  # what is lost is followed again
        self.projection.prepare(connection)
        return connection

    def close(self) -> None:
        self.file.close()

    # Reading

    def at(self, position: int) -> ResourceReader:
        """Return the reader of a position's resources, for a connection of `caught_up`."""
        return ResourceReader(self._kinds, PastTables(position))

    def past(self, position: int) -> Past:
        """Return the past of a position that the ledger has; raises HistoryBehind."""
        self.catch_up(patience=self._patience)
        return Past(position, self.file, self.at(position))

    def caught_up(self) -> AbstractContextManager[Connection]:
        """Give a reading connection, once the history has reached the ledger's end.

        To the end, whatever instant is read: who was erased lately must not be found at any.
        Raises HistoryBehind.
        """
        self.catch_up(patience=self._patience)
        return self.file.reading()

    # Following the ledger

    def catch_up(self, *, patience: float | None = None, progress: Progress = no_progress) -> int:
        """Follow the ledger to its end and return it; raises HistoryBehind after `patience` s."""
        end, started = self.ledger.last_position(), time.monotonic()
        self._notice_another_file()
        while self.reached < end:
            left = None
            if patience is not None:
                most = min(patience, PROMPT) if end - self.reached > FAR else patience
                left = started + most - time.monotonic()
                if left < 0:
                    raise HistoryBehind(self.reached, end)
            if self.is_built_elsewhere():
                time.sleep(GLANCE)
                self.reached = self.stands_at()
            elif left is None:
                self.follow(end)
            else:
                self._follow_within(end, left)
            progress(self.reached, end)
        return end

    def _follow_within(self, end: int, patience: float) -> None:
        """Follow a chunk, or see how far the process is that keeps the file for so long."""
        try:
            self.follow(end, CHUNK, patience)
        except LedgerBusy:
            self.reached = self.stands_at()

    def build_elsewhere(self, command: Sequence[str]) -> bool:
        """Start a program that follows the ledger to its end; return False if it failed before."""
        if self._builder is not None and self._builder.returncode:
            return False
        self._builder = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        return True

    def is_built_elsewhere(self) -> bool:
        return self._builder is not None and self._builder.poll() is None

    def _notice_another_file(self) -> None:
        """Look up what a file has reached that is not the one before: it is closed when idle."""
        try:
            inode = os.stat(self.file.path).st_ino
        except OSError:
            inode = None
        if inode is None or inode != self._inode:
            self._inode, self.reached = inode, 0

    def follow(self, end: int, most: int | None = None, patience: float | None = None) -> int:
        """Follow `most` events, or as many as are best, to a position; return the one reached.

        Raises LedgerBusy where others follow for longer than `patience`, in seconds.
        """
        if not self._following.acquire(timeout=-1 if patience is None else patience):
            raise LedgerBusy("the history is being followed")
        try:
            if 0 < end <= self.reached:  # by another thread, while this one waited
                return self.reached
            with self.file.writing(patience) as connection:
                reached = self._follow(connection, end, most)
            self.reached = reached  # only now others can read it
        finally:
            self._following.release()
        return reached

    def _follow(self, connection: Connection, end: int, most: int | None) -> int:
        connection.execute("PRAGMA cache_size=-64000")  # for the writer: indexes all over
        position = self._begin(connection)
        pages = 16000 if end - position > CHUNK else 4000  # a first build writes all over the file
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
        if position >= end:
            return position
        together = most or (TOGETHER if end - position > TOGETHER else CHUNK)
        upto = min(end, position + together)
        while position < upto:
            events = self.ledger.read_chunk(position, min(position + CHUNK, upto))
            self.projection.project_all(connection, events)
            position = events[-1].position
        self._set_checkpoint(connection, position)
        return position

    def _begin(self, connection: Connection) -> int:
        """Return the position of the tables; create them unless they are right for the ledger."""
        for table in _TABLES:
            connection.execute(table)
        position = self._standing(connection)
        if position is not None:
            return position
        for name in self.projection.tables:
            connection.execute(f"DROP TABLE IF EXISTS {name}")
        self.projection.create_tables(connection)
        connection.execute("DELETE FROM source")
        set_checkpoint(connection, self.name, self.projection.revision, 0)
        return 0

    def _standing(self, connection: Connection) -> int | None:
        """Return the position of the tables, None for another revision or another ledger's."""
        row = connection.execute(
            "SELECT revision, position FROM checkpoint WHERE projector = ?", (self.name,)
        ).fetchone()
        if row is None or row[0] != self.projection.revision:
            return None
        source = connection.execute("SELECT origin, position, leaf_hash FROM source").fetchone()
        if source is not None:  # else nothing was followed yet
            origin, position, leaf_hash = source
            if origin != self.ledger.origin or leaf_hash != self.ledger.leaf_hash(position):
                return None
        return int(row[1])

    def _set_checkpoint(self, connection: Connection, position: int) -> None:
        super()._set_checkpoint(connection, position)
        connection.execute(
            "INSERT OR REPLACE INTO source VALUES (1, ?, ?, ?)",
            (self.ledger.origin, position, self.ledger.leaf_hash(position)),
        )

    @property
    def fault(self) -> str | None:
        """Why the history could not be used when it was last, None if it could."""
        return self.file.damage.reason if self.file.damage else self.file.refusal

    # As a stored projection

    def stands_at(self) -> int:
        """Return the position of the tables, 0 before they are built; writes nothing.

        Tables of another program or ledger count as none.
        """
        if not self.file.path.exists():
            return 0
        with self.file.reading() as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            return self._standing(connection) or 0 if tables else 0

    def _position(self, connection: Connection) -> int:
        return position_of(connection)

    def rebuild(self, progress: Progress = no_progress) -> int:
        self.follow(0)  # creates the tables where there are none
        return super().rebuild(progress)


class HistoryJob:
    """Keeps the history of a ledger up to date in the background.

    It follows chunk by chunk. What takes long, as a first history, is done by another process.
    """

    def __init__(self, history: History, command: Sequence[str] = ()) -> None:
        """`command` starts a program that follows the ledger to its end, if there is one."""
        self._history = history
        self._command = command
        self.path = history.ledger.path

    def step(self) -> bool:
        """Follow one chunk of events; return whether there are more."""
        history, end = self._history, self._history.ledger.last_position()
        if history.reached >= end or history.is_built_elsewhere():
            return False
        is_far = end - history.reached > FAR and end - history.stands_at() > FAR
        if is_far and self._command and history.build_elsewhere(self._command):
            return False
        return history.follow(end, STEP) < end

    def settled(self) -> bool:
        return not self._history.is_built_elsewhere()

    def finish(self) -> None:
        """Do nothing: what was not followed yet is followed later."""


def position_of(connection: Connection) -> int:
    """Return the position that a history's tables have reached."""
    row = connection.execute("SELECT position FROM checkpoint").fetchone()
    return row[0] if row else 0


def _discard_other_format(path: Path, revision: int) -> None:
    """Remove a file that another version of the program made; it is built again.

    To drop its tables would take minutes, and the file would keep its size.
    """
    with suppress(LedgerError, OSError, driver.Error):  # whoever opens it next says what is wrong
        inode = os.stat(path).st_ino
        with closing(connect_read_only(path)) as connection:
            [(found,)] = connection.execute("SELECT revision FROM checkpoint").fetchall() or [(0,)]
        if found not in (0, revision) and os.stat(path).st_ino == inode:
            for name in (*LOG_FILES, ""):  # logs first: none is played into the next file
                Path(f"{path}{name}").unlink(missing_ok=True)


def _opened(path: Path, deadline: float) -> Any:
    """Open the file, created with access for this user only.

    It is busy while another process makes it a database; SQLite does not wait for that by itself.
    Raises SideFileUnavailable where it cannot be created, as in a folder without write access.
    """
    try:
        owners.create_missing(path)  # to open and close one in use would drop our own locks
    except OSError as error:
        says = f"{path} cannot be made: {owners.denial(path.parent, write=True) or error.strerror}"
        raise SideFileUnavailable(says, reason=UNUSABLE, file="history") from error
    while True:
        try:
            return connect(path)
        except LedgerBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
