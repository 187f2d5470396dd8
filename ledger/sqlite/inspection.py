"""SQLite's own look through a whole file, now and then."""

import threading
import time
from contextlib import suppress
from pathlib import Path

from ledger.contract import LedgerBusy, LedgerUnavailable
from ledger.sqlite.connection import DAMAGED, connect_read_only, speaking

RECHECK = 10.0  # seconds at the least between two looks
SHARE = 100  # times as long as a look took are between two


class Inspection:
    """Looks through one file, at most for a hundredth of the time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._next = 0.0
        self._fault: str | None = None
        self._began = 0.0

    def fault(self) -> str | None:
        """Return what is wrong with the file, None where nothing was found."""
        return self._latest()[0]

    def is_sound_since(self, moment: float) -> bool:
        """Return whether a look that began after a moment (monotonic) found nothing wrong."""
        fault, began = self._latest()
        return fault is None and began > moment

    def _latest(self) -> tuple[str | None, float]:
        """Return what the newest look found and when it began; look first if it is time."""
        with self._lock:
            started = time.monotonic()
            if started >= self._next:
                with suppress(LedgerBusy):  # busy is not broken, nor is it sound
                    self._fault, self._began = _quick_check(self._path), started
                took = time.monotonic() - started
                self._next = started + max(RECHECK, SHARE * took)
            return self._fault, self._began


def _quick_check(path: Path) -> str | None:
    try:
        with speaking(path):
            connection = connect_read_only(path)
            try:
                result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            finally:
                connection.close()
    except LedgerUnavailable as trouble:
        return trouble.reason
    return None if result == "ok" else DAMAGED
