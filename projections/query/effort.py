"""What one read may cost, and how many costly ones may run at once."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.contract import LedgerError
from ledger.sqlite.connection import Connection, within

PATIENCE = 10.0  # seconds of processor time that a read may take; Okta waits 60
SHORT = 0.2  # seconds of it that any read may take
LONG = 0.5  # seconds of it after which a read takes one of the places, if one is free


class TooCostly(LedgerError):
    """A read would take longer than PATIENCE; nothing was changed."""


class TooManyCostly(LedgerError):
    """Reads that take long have all places and all threads; nothing was changed."""


class Places:
    """Places of reads that take longer than LONG, in a process with so many threads.

    While one is free, or a thread that does not read, other reads go on for as long as they need.
    """

    def __init__(self, number: int, threads: int) -> None:
        self._changing = threading.Lock()
        self._free = number
        self._threads = threads
        self._reading = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count a read while it runs, however long."""
        with self._changing:
            self._reading += 1
        try:
            yield
        finally:
            with self._changing:
                self._reading -= 1

    def are_short(self) -> bool:
        """Return whether all places are taken, and all threads read."""
        return self._free == 0 and self._reading >= self._threads

    def take(self) -> bool:
        """Take a place; return whether one was free. No read waits: it holds a thread."""
        with self._changing:
            was_free = self._free > 0
            self._free -= was_free
            return was_free

    def leave(self) -> None:
        """Give a place back."""
        with self._changing:
            self._free += 1


_places = Places(1, 2)


def allow(threads: int) -> None:
    """Make as many places in this process as half of its threads; reads in progress keep theirs."""
    global _places
    _places = Places(max(1, threads // 2), threads)


class _Effort:
    """The processor time of one read, in the thread that does it."""

    def __init__(self, places: Places) -> None:
        self._started = time.thread_time()
        self._places = places
        self._has_place = False
        self.refusal: Exception | None = None

    def is_over(self) -> bool:
        """Return whether the read must stop."""
        taken = time.thread_time() - self._started
        if taken > PATIENCE:
            self.refusal = TooCostly(f"the search takes more than {PATIENCE:g} s of processor time")
        elif taken > SHORT and not self._may_go_on(taken):
            self.refusal = TooManyCostly("other searches take long already")
        return self.refusal is not None

    def _may_go_on(self, taken: float) -> bool:
        """Return whether a read of more than SHORT has a place, or is in nobody's way without."""
        if taken > LONG and not self._has_place:
            self._has_place = self._places.take()
        return self._has_place or not self._places.are_short()

    def end(self) -> None:
        """Give back the place, if there is one."""
        if self._has_place:
            self._places.leave()


@contextmanager
def bounded(connection: Connection) -> Iterator[None]:
    """Read at a bounded cost; raises TooCostly or TooManyCostly."""
    places = _places
    effort = _Effort(places)
    try:
        with places.reading(), within(connection, effort.is_over):
            yield
    except TimeoutError as error:
        raise effort.refusal or error from None
    finally:
        effort.end()
