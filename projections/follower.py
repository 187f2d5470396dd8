"""Following ledgers in the background: in one process of those that serve, chunk by chunk."""

import fcntl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from ledger.store import LedgerError
from projections.history import History

INTERVAL = 2.0  # seconds between two looks at the ledgers
PAUSE = 0.02  # seconds between two chunks: requests of the same process go first
LOCK_FILE = "history.lock"


class Follower:
    """Keeps the histories of the ledgers of a process up to date, where no other process does."""

    def __init__(self, histories: Callable[[], Iterable[History]]) -> None:
        """`histories` are those of the ledgers that are open at the time."""
        self._histories = histories
        self._ended = threading.Event()
        self._locks: dict[Path, IO[bytes]] = {}
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def end(self) -> None:
        """Stop after the chunk in hand, if it was ever begun."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for lock in self._locks.values():
            lock.close()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            for history in self._histories():
                if self._ended.is_set():
                    return
                if self._has_turn(history):
                    self._follow(history)

    def _follow(self, history: History) -> None:
        try:
            end = history.ledger.last_position()
            while history.reached < end:
                history.follow(end)
                if self._ended.wait(PAUSE):
                    return
        except LedgerError:
            pass  # busy, or broken: who asks for the past is told so; the next look tries again

    def _has_turn(self, history: History) -> bool:
        """Take the ledger's lock, kept for as long as the process lives."""
        path = history.ledger.path.with_name(LOCK_FILE)
        if path in self._locks:
            return True
        lock = open(path, "ab")  # noqa: SIM115 (closed at the end, which lets go of the lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._locks[path] = lock
        return True
