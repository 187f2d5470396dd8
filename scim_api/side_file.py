"""A SQLite file next to a ledger, written now and then from what is noted in memory.

A note costs a request no input or output; a crash loses the notes of one interval at most.
"""

import heapq
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Generic, TypeVar

from ledger import owners
from ledger.contract import Ledger, LedgerError
from ledger.open_files import OPEN
from ledger.sqlite import scrub
from ledger.sqlite.connection import Connection, connect, driver, translate_errors
from scim_api.logs import LOGGER

NEVER = "9999"  # after every timestamp

P = TypeVar("P")  # the pending notes: a collection that is false when empty


@dataclass(frozen=True, slots=True)
class Erasures:
    """Who was erased since the oldest of some notes, and when last.

    What was noted before is written as the erasure would leave it, had it been in the file then.
    """

    ids: Sequence[str]
    at: str  # "" if nobody was

    @classmethod
    def since(cls, ledger: Ledger, at: str) -> "Erasures":
        """Return the erasures since a timestamp; where the ledger cannot tell, one is to come."""
        try:
            erased = ledger.erased_since(at)
        except LedgerError:
            return cls((), NEVER)
        ids = [stream.partition("-")[2] for stream in erased]
        return cls(ids, max(erased.values(), default=""))


class Writer:
    """The one thread that writes what is due, for all files: there may be thousands."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []  # monotonic seconds, number
        self._numbers = count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def schedule(self, flush: Callable[[], None], seconds: float) -> bool:
        """Call something after some seconds; return False where no thread can be started."""
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="notes", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), flush))
            self._changed.notify()
        return True

    def _run(self) -> None:
        while True:
            try:
                self._next()()
            except Exception as error:  # the notes of other ledgers are written all the same
                LOGGER.error("notes not written", exc_info=error)
            OPEN.tidy(keep=0)

    def _next(self) -> Callable[[], None]:
        """Wait until something is due, and return it."""
        with self._changed:
            while not self._due or self._due[0][0] > time.monotonic():
                self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
            return heapq.heappop(self._due)[2]


WRITER = Writer()


class SideFile(ABC, Generic[P]):
    """Pending notes and the file that they are flushed to.

    A subclass adds notes to `_pending`, holding `_lock`, and then calls `_schedule`.
    """

    name: str  # as log lines have it
    interval: float  # seconds between two writes
    schema: Sequence[str]  # statements that create what is not there yet

    def __init__(self, path: Path, ledger: Ledger, empty: Callable[[], P]) -> None:
        """`path` is the file, created by the first flush; `empty` makes an empty buffer.

        `ledger` tells who was erased since something was noted.
        """
        self._path = path
        self._ledger = ledger
        self._empty = empty
        self._pending = empty()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._scheduled = False
        self._closed = False
        self._failing = False

    @abstractmethod
    def _insert(self, connection: Connection, pending: P) -> None:
        """Insert notes, in an open transaction."""

    @abstractmethod
    def _merge(self, newer: P) -> None:
        """Add newer notes to the pending ones, which could not be written."""

    def _schedule(self) -> None:
        """Flush after the interval; where no thread can be started, the next note tries again."""
        if not (self._scheduled or self._closed):
            self._scheduled = WRITER.schedule(self.flush, self.interval)

    def flush(self) -> None:
        """Write the pending notes; after a failure they stay pending."""
        with self._writing:  # a reader who flushes also waits for what another thread is writing
            with self._lock:
                self._scheduled = False
                pending, self._pending = self._pending, self._empty()
            if not pending:
                return
            try:
                self._write(pending)
                self._failing = False
            except (LedgerError, driver.Error, OSError) as error:
                if not self._failing:
                    fields = {"error": type(error).__name__}
                    LOGGER.warning(f"{self.name} not writable", extra={"fields": fields})
                self._failing = True
                with self._lock:
                    newer, self._pending = self._pending, pending
                    self._merge(newer)
                    self._schedule()

    def _write(self, pending: P) -> None:
        owners.create_missing(self._path)
        self._path.chmod(0o600)  # of an earlier version; SQLite gives the WAL the same mode
        with closing(connect(self._path)) as connection:
            for statement in (*self.schema, "PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"):
                connection.execute(statement)
            self._insert(connection, pending)
            connection.execute("COMMIT")

    def prepare_rewrite(self, deadline: float) -> None:
        """Raise what `rewrite` would raise in the end; see scrub.prepare."""
        if self._path.exists():
            scrub.prepare(self._path, deadline)

    def rewrite(self, deadline: float) -> None:
        """Rewrite the file so that nothing deleted is left; see scrub.rewrite."""
        if self._path.exists():
            scrub.rewrite(self._path, deadline)

    def close(self) -> None:
        """Write the pending notes, and none later."""
        self._closed = True
        self.flush()

    @contextmanager
    def _opened(
        self, table: str, open_file: Callable[[Path], Connection]
    ) -> Iterator[Connection | None]:
        """Flush, and yield a connection, or None where the file does not have the table yet.

        Raises SideFileUnavailable or LedgerBusy.
        """
        self.flush()
        if not self._path.exists():
            yield None
            return
        with translate_errors(self._path), closing(open_file(self._path)) as connection:
            query = "SELECT 1 FROM sqlite_schema WHERE name = ?"
            yield connection if connection.execute(query, (table,)).fetchone() else None
