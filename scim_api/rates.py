"""Rates: how often something may happen in a minute, counted by all processes of a service.

The counts are in memory that a process shares with those that it forks. Nothing waits for a lock of
another process: of two that count the same key at the very same moment, one may not be counted.
"""

import mmap
import threading
import time
from hashlib import blake2b
from typing import NamedTuple

MINUTE = 60_000_000_000  # nanoseconds
SETS, WAYS = 4096, 4  # a key has its place in one set: of five in a set, one is forgotten
WORDS = 3  # of a place: the hash of the key, until when it counts (nanoseconds), refused since


class Memory:
    """Places for keys, of bounded number."""

    def __init__(self) -> None:
        self.words = memoryview(mmap.mmap(-1, SETS * WAYS * WORDS * 8)).cast("Q")

    def find(self, key: str) -> int | None:
        """Return the place of a key, if it has one."""
        digest, places = _places(key)
        return next((place for place in places if self.words[place] == digest), None)

    def place_of(self, key: str) -> int:
        """Return the place of a key; a new key takes that of the one that counts least long."""
        words = self.words
        digest, places = _places(key)
        least = places[0]
        for place in places:
            if words[place] == digest:
                return place
            if words[place + 1] < words[least + 1]:
                least = place
        words[least + 1] = words[least + 2] = 0
        words[least] = digest
        return least


def _places(key: str) -> tuple[int, range]:
    """Return what stands for a key, and where it may be."""
    digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) | 1  # 0 is none
    first = (digest >> 1) % SETS * WAYS * WORDS
    return digest, range(first, first + WAYS * WORDS, WORDS)


class Taken(NamedTuple):
    """What came of an attempt."""

    wait: float  # seconds until the next may succeed; 0.0 if this one did
    refused: int = 0  # attempts between the one before that succeeded and this one, if it did


class Rate:
    """So many of each key a minute, at once or spread over it: a generic cell rate algorithm."""

    def __init__(self, per_minute: int, memory: Memory | None = None) -> None:
        """Count in a memory, which is this rate's alone."""
        self._interval = MINUTE // per_minute
        self._most = self._interval * per_minute
        self._memory = memory or Memory()
        self._lock = threading.Lock()  # of the threads of one process

    def take(self, key: str) -> Taken:
        """Count an attempt, unless it is refused."""
        words, now = self._memory.words, time.monotonic_ns()
        with self._lock:
            place = self._memory.place_of(key)
            until = words[place + 1]
            if not now <= until <= now + self._most:  # it counts no longer, or is none of this rate
                until = now
            wait = until + self._interval - now - self._most
            if wait > 0:
                words[place + 2] += 1
                return Taken(wait / 1e9)
            refused, words[place + 2] = words[place + 2], 0
            words[place + 1] = until + self._interval
            return Taken(0.0, refused)

    def settled(self, key: str, *, ended: bool = False) -> int | None:
        """Return how many attempts were refused since one succeeded, and count from 0 again.

        None as long as another would be refused, unless the rate has `ended`.
        """
        words, now = self._memory.words, time.monotonic_ns()
        with self._lock:
            place = self._memory.find(key)
            if place is None:
                return 0
            if not ended and words[place + 1] + self._interval > now + self._most:
                return None
            refused, words[place + 2] = words[place + 2], 0
            return refused


_KINDS = 3
_shared: list[Memory] = []


def share() -> None:
    """Have the processes that this one forks count together."""
    _shared[:] = [Memory() for _ in range(_KINDS)]


def memories() -> list[Memory]:
    """Return a memory for each kind of rate: those that are shared, else new ones."""
    return list(_shared) or [Memory() for _ in range(_KINDS)]
