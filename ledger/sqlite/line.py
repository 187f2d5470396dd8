"""The line of the processes that want to write one ledger: whoever is first in it is next.

SQLite's lock goes to whoever tries at the right moment, which is most often the process that has
just released it. So only the first in line tries, and whoever has written stands in line again.
"""

import os
import random
import time
from contextlib import suppress
from pathlib import Path

from ledger import byte_locks, owners
from ledger.contract import LedgerBusy
from ledger.sqlite.connection import Connection, execute_if_free, execute_when_free

LOCK_FILE = "ledger.lock"  # in the ledger's folder; its first bytes are the places, from the front
PLACES = 3  # at which nobody is overtaken; who comes when all are taken waits for the last
BURST = 0.005  # seconds in which a process goes on writing without standing in line again
_PAUSE = 0.001, 0.002  # seconds between two looks at whether the next place is free
_BEGIN = "BEGIN IMMEDIATE"


class Line:
    """A process's place in the line of a ledger; used by the thread whose turn it is to write."""

    def __init__(self, file: Path | None) -> None:
        """`file` is the one with the lock; without it nobody waits for others in a line."""
        self._path = file
        self._descriptor: int | None = None
        self._until = 0.0  # monotonic seconds: the end of this process's burst

    def open(self) -> None:
        """Open the file, unless it is; one that cannot be opened is no reason not to write."""
        if self._path and self._descriptor is None:
            with suppress(OSError):
                owners.create_missing(self._path)
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def begin(self, writer: Connection, deadline: float) -> None:
        """Begin a transaction that writes as soon as it is this process's turn.

        Raises LedgerBusy at the deadline.
        """
        if time.monotonic() < self._until and execute_if_free(writer, _BEGIN):
            return
        try:
            self._move_up(deadline)
            execute_when_free(writer, _BEGIN, deadline)
        finally:
            self._leave()
        self._until = time.monotonic() + BURST

    def _move_up(self, deadline: float) -> None:
        """Stand in line until this process is first, if there is a line."""
        if self._descriptor is None:
            return
        with suppress(OSError):
            for place in reversed(range(PLACES)):
                while not byte_locks.take(self._descriptor, place):
                    if time.monotonic() > deadline:
                        raise LedgerBusy("other processes stood in line for too long")
                    time.sleep(random.uniform(*_PAUSE))
                byte_locks.release(self._descriptor, place + 1)

    def _leave(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                byte_locks.release(self._descriptor, 0, PLACES)

    @property
    def files(self) -> int:
        """How many files are open for it."""
        return int(self._descriptor is not None)

    def close(self) -> None:
        """Close what is open; it may be used again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        self.close()  # a command leaves its ledger to the end of the process
