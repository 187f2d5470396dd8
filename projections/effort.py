"""What one read may cost, and how many costly ones may run at once."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.database import Connection, within
from ledger.store import LedgerError

PATIENCE = 10.0  # seconds of processor time that a read may take; Okta waits 60
SHORT = 0.2  # seconds of it that any read may take


class TooCostly(LedgerError):
    """A read would take longer than PATIENCE; nothing was changed."""


class TooManyCostly(LedgerError):
    """As many reads as may take longer than SHORT do so already; nothing was changed."""


class Places:
    """Places for reads that take longer than SHORT, in one process."""

    def __init__(self, number: int) -> None:
        self._free = threading.BoundedSemaphore(number)

    def take(self) -> bool:
        """Return whether there was a place; no read waits for one, for it holds a thread."""
        return self._free.acquire(blocking=False)

    def leave(self) -> None:
        """Give a place back."""
        self._free.release()


_places = Places(1)


def allow(number: int) -> None:
    """Set how many costly reads may run at once in this process, besides those running now."""
    global _places
    _places = Places(number)


class _Effort:
    """The processor time of one read, in the thread that does it."""

    def __init__(self) -> None:
        self._started = time.thread_time()
        self._places = _places
        self._has_place = False
        self.refusal: Exception | None = None

    def is_over(self) -> bool:
        """Return whether the read must stop; beyond SHORT it needs a place."""
        taken = time.thread_time() - self._started
        if taken > PATIENCE:
            self.refusal = TooCostly(f"the search takes more than {PATIENCE:g} s of processor time")
        elif taken > SHORT and not self._has_place:
            self._has_place = self._places.take()
            if not self._has_place:
                self.refusal = TooManyCostly("other searches take long already")
        return self.refusal is not None

    def end(self) -> None:
        """Give back the place, if there is one."""
        if self._has_place:
            self._places.leave()


@contextmanager
def bounded(connection: Connection) -> Iterator[None]:
    """Read at a bounded cost; raises TooCostly or TooManyCostly."""
    effort = _Effort()
    try:
        with within(connection, effort.is_over):
            yield
    except TimeoutError as error:
        raise effort.refusal or error from None
    finally:
        effort.end()
