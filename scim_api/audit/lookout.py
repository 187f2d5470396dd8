"""One thread a process that reads for all who wait for events, and wakes them when there are some.

Who waits holds no connection to a ledger and no read transaction; a ledger is looked at ten times
a second, however many wait, and not at all when nobody does.
"""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Condition, Thread
from typing import Any, TypeVar

from ledger.contract import Ledger, LedgerError

T = TypeVar("T")

TICK = 0.1  # seconds between two looks at a ledger that somebody waits for


class Over(Exception):
    """The process is about to end: nobody waits any longer."""


class Lookout:
    """Reads on its own thread; waits for ledgers to grow."""

    def __init__(self) -> None:
        """Begin without a thread: it starts with the first who asks."""
        self.over = False
        self._changed = Condition()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting: Counter[Ledger] = Counter()
        self._ends: dict[Ledger, int] = {}
        self._thread: Thread | None = None
        self._next_look = 0.0

    def end(self) -> None:
        """Let everybody go at once; may be called by a signal handler."""
        self.over = True
        self._jobs.put(None)

    def close(self) -> None:
        """End, and wait until nothing is read any more."""
        self.end()
        if self._thread:
            self._thread.join()

    def run(self, job: Callable[[], T]) -> T:
        """Do something on the reading thread and return what it returns; raises Over."""
        future: Future[T] = Future()
        with self._changed:
            if self.over:
                raise Over
            self._start()
            self._jobs.put(lambda: _fulfil(future, job))
        while True:
            try:
                return future.result(TICK)
            except TimeoutError:
                if future.done():  # the job's own
                    raise
                if self.over:
                    raise Over from None

    def wait(self, ledger: Ledger, position: int, seconds: float) -> bool:
        """Wait so long at most for a ledger to go beyond a position, and tell whether it has.

        Raises Over.
        """
        with self._changed:
            self._start()
            self._waiting[ledger] += 1
            if self._waiting[ledger] == 1:
                self._jobs.put(None)
            try:
                self._changed.wait_for(
                    lambda: self.over or self._ends.get(ledger, 0) > position, seconds
                )
            finally:
                self._waiting[ledger] -= 1
            if self.over:
                raise Over
            return self._ends.get(ledger, 0) > position

    def _start(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._watch, name="lookout", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while not self.over:
            job = self._next_job()
            if job:
                job()
            if time.monotonic() >= self._next_look:
                self._look()
        with self._changed:
            self._changed.notify_all()

    def _next_job(self) -> Callable[[], None] | None:
        idle = not any(self._waiting.values())
        patience = None if idle else max(0.0, self._next_look - time.monotonic())
        try:
            return self._jobs.get(timeout=patience)
        except Empty:
            return None

    def _look(self) -> None:
        """See how far the ledgers go, and wake who waits if one has grown."""
        self._next_look = time.monotonic() + TICK
        for ledger in [ledger for ledger, count in list(self._waiting.items()) if count]:
            try:
                end = ledger.last_position()
            except LedgerError:
                continue  # who waits reads it soon enough, and is told
            if end != self._ends.get(ledger):
                with self._changed:
                    self._ends[ledger] = end
                    self._changed.notify_all()


def _fulfil(future: Future[Any], job: Callable[[], Any]) -> None:
    try:
        future.set_result(job())
    except BaseException as error:
        future.set_exception(error)
