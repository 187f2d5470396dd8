"""A database file in use: a reader for each thread, one writer for the process."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ledger.contract import LedgerBusy, LedgerUnavailable
from ledger.sqlite.connection import DAMAGED, UNWRITABLE, Connection, Turns, driver, speaking
from ledger.sqlite.inspection import Inspection
from ledger.sqlite.place import AFTER_A_WRITE, ALL, Place


class DatabaseFile:
    """Connections to one file, opened as they are needed; SQLite's errors become LedgerErrors."""

    def __init__(
        self,
        path: Path,
        open_one: Callable[[], Connection],
        patience: float,
        place: Place | None = None,
    ) -> None:
        """`open_one` opens a connection; `patience` is the longest wait to write, in seconds.

        With a `place` nothing is written unless the file at the path is the one that was opened.
        """
        self.path = path
        self._open_one = open_one
        self._turns = Turns(patience)
        self._place = place
        self._local = threading.local()
        self._opening = threading.Lock()
        self._writer: Connection | None = None
        self._opened: list[Connection] = []
        self._generation = 0  # of connections; those of an earlier one are opened again
        self._written_by = 0  # the generation of the writer
        self.inspection = Inspection(path)
        self.damage: LedgerUnavailable | None = None
        self.damaged_at = 0.0  # monotonic seconds
        self.refusal: str | None = None  # the reason for which the last write failed, if it did

    def close(self) -> None:
        """Close every connection; the file can be used again and then opens new ones."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._writer = None
        self._local = threading.local()
        if self._place:
            self._place.forget()

    def reading(self) -> "Reading":
        """Give this thread's connection for reading; SQLite's errors become LedgerErrors."""
        return Reading(self)

    def reader(self) -> Connection:
        """Return this thread's connection for reading; `reading` also names its errors."""
        local = self._local
        connection = getattr(local, "connection", None)
        if connection is not None and local.generation != self._generation:
            self._forget(connection)  # not closed: a caller in this thread may still use it
            connection = None
        if connection is None:
            connection, local.generation = self._open(), self._generation
            local.connection = connection
        return connection

    def leave(self) -> None:
        """Close this thread's connection for reading; its next read opens another.

        For a thread that is about to wait for long.
        """
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            self._forget(connection)
            connection.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the process's writing connection for one transaction, when its turn comes."""
        self._must_be_sound()
        if self.refusal == UNWRITABLE:
            self._renew()
        with _Writing(self):
            self.must_be_in_place()
            with self._turns.transaction(self._only_writer) as writer:
                yield writer
            self.must_be_in_place(AFTER_A_WRITE)  # what went elsewhere is not acknowledged

    def _must_be_sound(self) -> None:
        """Raise LedgerUnavailable once a page proved damaged, until a look finds nothing wrong.

        What looked like damage was perhaps a disk that failed for a while.
        """
        damage = self.damage
        if damage is None:
            return
        if not self.inspection.is_sound_since(self.damaged_at):
            # a new one each time: an exception keeps the frames of every raise
            raise type(damage)(str(damage), reason=damage.reason)
        self.damage = None
        self._generation += 1

    def must_be_in_place(self, names: Sequence[str] = ALL) -> None:
        """Raise LedgerUnavailable unless what was opened is what is there; see ledger.place."""
        if self._place is None:
            return
        try:
            self._place.check(names)
        except LedgerUnavailable:
            self._save_log()
            raise

    def log_size(self) -> int:
        """Return the size of the write-ahead log, in bytes."""
        try:
            return os.stat(f"{self.path}-wal").st_size
        except OSError:
            return 0

    def write_back(self) -> bool:
        """Copy the log into the file; return whether all of it could be copied."""
        with self.reading() as connection:
            [row] = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return bool(row[1] == row[2])

    def _save_log(self) -> None:
        """Copy the log into the file that was opened: another log may be next to it later."""
        connection = self._writer or getattr(self._local, "connection", None)
        if connection is not None:
            with suppress(driver.Error, LedgerBusy), self._turns.alone():
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _only_writer(self) -> Connection:
        """Return the writing connection; only the thread whose turn it is may ask."""
        if self._writer is not None and self._written_by != self._generation:
            stale, self._writer = self._writer, None
            self._forget(stale)
            stale.close()
        if self._writer is None:
            writer, self._written_by = self._open(), self._generation
            writer.execute("PRAGMA busy_timeout=0")  # Turns waits better
            self._writer = writer
        return self._writer

    def _renew(self) -> None:
        """Open the file again in every thread if it can be written now.

        A connection that was opened read-only stays read-only.
        """
        if os.access(self.path, os.W_OK):
            self._generation += 1

    def _open(self) -> Connection:
        with self._opening:
            if self._place:
                self._place.check()  # to open another would play this one's log into it
            connection = self._open_one()
            try:
                if self._place:
                    connection.execute("PRAGMA schema_version").fetchone()  # opens the log
                    self._place.take()
            except BaseException:
                connection.close()
                raise
            self._opened.append(connection)
        return connection

    def _forget(self, connection: Connection) -> None:
        with suppress(ValueError):  # closed and cleared already
            self._opened.remove(connection)
        if self._place and not self._opened:
            self._place.leave()


class _Speaking(speaking):
    """Names SQLite's errors; once a page proved damaged, nothing more is written."""

    __slots__ = ("_file",)

    def __init__(self, file: DatabaseFile) -> None:
        super().__init__(file.path)
        self._file = file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            super().__exit__(kind, error, trace)
        except LedgerUnavailable as trouble:
            if trouble.reason == DAMAGED:
                self._file.damage, self._file.damaged_at = trouble, time.monotonic()
            raise


class _Writing(_Speaking):
    """The same, and how the last write went is remembered."""

    __slots__ = ()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            super().__exit__(kind, error, trace)
        except LedgerUnavailable as trouble:
            self._file.refusal = trouble.reason
            raise
        if error is None or isinstance(error, LedgerUnavailable):
            self._file.refusal = error.reason if error else None


class Reading(_Speaking):
    """The same, and what it gives is the thread's reading connection."""

    __slots__ = ()

    def __enter__(self) -> Connection:
        return self._file.reader()
