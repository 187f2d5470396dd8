"""The log lines of refusals that repeat themselves: one a minute of each source and refusal."""

import threading
from collections.abc import Mapping

from scim_api.logs import LOGGER
from scim_api.rates import Memory, Rate
from scim_api.side_file import WRITER

MINUTE = 60.0  # seconds
MOST = 16_384  # kinds of lines whose last count is remembered


class RefusalLines:
    """Counts the lines that are left out.

    The next line of its kind says how many, or else one for them alone, once the minute is over.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        """Count in a memory, which all processes of a service may share."""
        self._rate = Rate(1, memory)
        self._lock = threading.Lock()
        self._owed: dict[str, Mapping[str, str]] = {}  # kinds of which this process left some out
        self._scheduled = False

    def left_out(self, kind: Mapping[str, str]) -> int | None:
        """Return how many were left out before a line, None to leave out this one, too."""
        key = " ".join(kind.values())
        taken = self._rate.take(key)
        if not taken.wait:
            return taken.refused
        with self._lock:
            if len(self._owed) < MOST:
                self._owed[key] = kind
            self._schedule()
        return None

    def _schedule(self) -> None:
        """Settle in a minute; where no thread can be started, the next one tries again."""
        if not self._scheduled:
            self._scheduled = WRITER.schedule(self.settle, MINUTE)

    def settle(self, *, ended: bool = False) -> None:
        """Log what was left out in minutes that are over; in all of them where the service ends."""
        with self._lock:
            self._scheduled = False
            for key, kind in list(self._owed.items()):
                count = self._rate.settled(key, ended=ended)
                if count is None:
                    continue
                del self._owed[key]
                if count:
                    fields = {**kind, "left_out": count}
                    LOGGER.info("refused requests left out", extra={"fields": fields})
            if self._owed:
                self._schedule()
