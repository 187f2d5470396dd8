"""A database file in use: a reader for each thread, one writer for the process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ledger.database import DAMAGED, Connection, Turns, speaking
from ledger.store import LedgerUnavailable


class DatabaseFile:
    """Connections to one file, opened as they are needed; SQLite's errors become LedgerErrors."""

    def __init__(self, path: Path, open_one: Callable[[], Connection], patience: float) -> None:
        """`open_one` opens a connection; `patience` is the longest wait to write, in seconds."""
        self.path = path
        self._open_one = open_one
        self._turns = Turns(patience)
        self._local = threading.local()
        self._opening = threading.Lock()
        self._writer: Connection | None = None
        self._opened: list[Connection] = []
        self.damage: LedgerUnavailable | None = None

    def close(self) -> None:
        """Close every connection; the file can be used again and then opens new ones."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._writer = None
        self._local = threading.local()

    def reading(self) -> "Reading":
        """Give this thread's connection for reading; SQLite's errors become LedgerErrors."""
        return Reading(self)

    def reader(self) -> Connection:
        """Return this thread's connection for reading; `reading` also names its errors."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._open()
        return connection

    def leave(self) -> None:
        """Close this thread's connection for reading; its next read opens another.

        For a thread that is about to wait for long.
        """
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            with suppress(ValueError):  # closed and cleared already
                self._opened.remove(connection)
            connection.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the process's writing connection for one transaction, when its turn comes."""
        if self.damage:  # anew each time: an exception keeps the frames of all its raises
            raise type(self.damage)(str(self.damage), reason=self.damage.reason)
        with _Speaking(self):
            writer = self._only_writer()
            with self._turns.transaction(writer):
                yield writer

    def _only_writer(self) -> Connection:
        with self._opening:  # or threads that are the first to write would open one each
            if self._writer is None:
                writer = self._open()
                writer.execute("PRAGMA busy_timeout=0")  # Turns waits better
                self._writer = writer
            return self._writer

    def _open(self) -> Connection:
        connection = self._open_one()
        self._opened.append(connection)
        return connection


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
                self._file.damage = trouble
            raise


class Reading(_Speaking):
    """The same, and what it gives is the thread's reading connection."""

    __slots__ = ()

    def __enter__(self) -> Connection:
        return self._file.reader()
