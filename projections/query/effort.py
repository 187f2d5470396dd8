"""Bounds on the cost of one read, and on how many costly ones run at once."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.contract import Connection, LedgerError
from ledger.sqlite.connection import within

PATIENCE = 10.0  # seconds of processor time that a read may take; Okta waits 60
SHORT = 0.2  # seconds that any read may take
LONG = 0.5  # seconds after which a read takes one of the places, if one is free


class TooCostly(LedgerError):
    """A read would take longer than PATIENCE; nothing was changed."""


class TooManyCostly(LedgerError):
    """Long reads have all places and all threads; nothing was changed."""


class Places:
    """The places for reads longer than LONG, in a process with so many threads.

    While a place is free, or a thread that does not read, all reads may continue.
    """

    def __init__(self, number: int, threads: int) -> None:
        self._lock = threading.Lock()
        self._free = number
        self._idle = threads

    def __enter__(self) -> None:
        """Count a read, however long, while it runs."""
        with self._lock:
            self._idle -= 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._idle += 1

    def are_short(self) -> bool:
        """Return whether all places are taken, and all threads read."""
        return self._free == 0 and self._idle <= 0

    def take(self) -> bool:
        """Take a place; return whether one was free. No read waits for one: it holds a thread."""
        with self._lock:
            was_free = self._free > 0
            self._free -= was_free
            return was_free

    def leave(self) -> None:
        with self._lock:
            self._free += 1


_places = Places(1, 2)


def allow(threads: int) -> None:
    """Set as many places as half of the process's threads; reads in progress keep theirs."""
    global _places
    _places = Places(max(1, threads // 2), threads)


@contextmanager
def bounded(connection: Connection) -> Iterator[None]:
    """Read at a bounded cost of processor time; raises TooCostly or TooManyCostly."""
    places, started = _places, -1.0
    has_place = False
    refusal: LedgerError | None = None

    def is_over() -> bool:
        nonlocal has_place, refusal, started
        if started < 0:  # the clock costs more than a look-up: it starts with the first question
            started = time.thread_time()
        taken = time.thread_time() - started
        if taken > LONG and not has_place:
            has_place = places.take()
        if taken > PATIENCE:
            refusal = TooCostly(f"the search takes more than {PATIENCE:g} s of processor time")
        elif taken > SHORT and not has_place and places.are_short():
            refusal = TooManyCostly("other searches take long already")
        return refusal is not None

    try:
        with places, within(connection, is_over):
            yield
    except TimeoutError as error:
        raise refusal or error from None
    finally:
        if has_place:
            places.leave()
