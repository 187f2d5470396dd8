"""The lanes of a worker: requests of a kind share threads, and never take another kind's."""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

from scim_api.audit.feeds import waits
from scim_api.server.connection import Connection

READS, WRITES, WAITS, GRANTS = range(4)

STAY = 20  # milliseconds for which a thread waits for the next request of its connection

_READING = frozenset(("GET", "HEAD", "OPTIONS"))


def lane_of(request: Any) -> int:
    """Return the lane of a request: it may write, wait for an event, or wait for a key set."""
    if request is None or request.method in _READING:
        return WAITS if request and waits(request.path, request.query) else READS
    if asks_for_a_grant(request.path):
        return GRANTS
    return READS if request.path.rstrip("/").endswith("/.search") else WRITES


def asks_for_a_grant(path: str) -> bool:
    """Return whether a path is one of OAuth's: a key set is fetched there, if anywhere."""
    if "oauth" not in path and "%" not in path:
        return False  # by far the most
    return unquote(path).lstrip("/").startswith("oauth/")


class Seat:
    """Where a thread waits: until it is called, or for a moment until a client says something."""

    def __init__(self) -> None:
        self.job: Connection | None = None  # what it was called for
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)

    def call(self, job: Connection) -> None:
        """Give the thread something to do."""
        self.job = job
        os.eventfd_write(self._bell, 1)

    def take(self) -> Connection | None:
        """Return what the thread was called for, and make ready for the next call."""
        job, self.job = self.job, None
        if job:
            os.eventfd_read(self._bell)
        return job

    def wait(self) -> None:
        """Wait until the thread is called."""
        self._poll.poll()

    def stay(self, connection: Connection) -> bool:
        """Wait a moment; return whether something has arrived on a connection."""
        self._poll.register(connection.descriptor, select.POLLIN)
        found = self._poll.poll(STAY)
        self._poll.unregister(connection.descriptor)
        return any(descriptor == connection.descriptor for descriptor, _ in found)


class Lanes:
    """Threads that answer requests: so many of each lane at once, and the others queue.

    A thread that has answered waits a moment for the next request of the same connection: to hand
    it back and to be called again costs as much as a whole answer. It leaves at once when called.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        answer: Callable[[Connection], None],
        give_back: Callable[[Connection], None],
        receive: Callable[[Connection], bool],
    ) -> None:
        self._answer, self._give_back, self._receive = answer, give_back, receive
        self._free = list(sizes)
        self._queues: tuple[deque[Connection], ...] = tuple(deque() for _ in sizes)
        self._ready: deque[Connection] = deque()  # let in, and no thread has them yet
        self._idle: dict[Seat, None] = {}
        self._staying: dict[Seat, None] = {}
        self._busy = self._threads = 0
        self._usual = sizes[READS] + sizes[WRITES]
        self._lock = threading.Lock()

    def enter(self, connection: Connection) -> None:
        """Have a request answered as soon as its lane has room."""
        with self._lock:
            if self._is_let_in(connection):
                self._hand_over(connection)

    def _is_let_in(self, connection: Connection) -> bool:
        lane = connection.lane = lane_of(connection.request)
        connection.whole_at = time.monotonic()
        if not self._free[lane]:
            self._queues[lane].append(connection)
            return False
        self._free[lane] -= 1
        self._busy += 1
        return True

    def _hand_over(self, connection: Connection) -> None:
        """Give a request to a thread that is idle, a new one, or one that stays elsewhere."""
        enough = self._idle or self._threads >= max(self._usual, self._busy)
        if not enough and self._is_started_with(connection):
            return
        if waiting := self._idle or self._staying:
            seat, _ = waiting.popitem()
            seat.call(connection)
        else:
            self._ready.append(connection)  # some thread is just about to look

    def _is_started_with(self, connection: Connection) -> bool:
        """Return whether there could be another thread, which begins with a request."""
        try:
            arguments = Seat(), connection
            threading.Thread(target=self._work, args=arguments, daemon=True).start()
        except (OSError, RuntimeError):  # too many open files, or threads: others will come to it
            return False
        self._threads += 1
        return True

    def _work(self, seat: Seat, job: Connection | None) -> None:
        while True:
            while job:
                job = self._serve(job, seat)
            with self._lock:
                job = self._ready.popleft() if self._ready else None
                if job is None:
                    self._idle[seat] = None
            if job is None:
                seat.wait()
                job = seat.take()

    def _serve(self, connection: Connection, seat: Seat) -> Connection | None:
        """Answer a request; return what this thread answers next, if that is known."""
        self._answer(connection)
        stays = not (connection.closing or connection.outgoing or connection.received)
        with self._lock:
            successor = self._leave(connection.lane)
            if stays and not successor:
                self._staying[seat] = None
        if successor or not stays:
            self._give_back(connection)
            return successor
        whole = seat.stay(connection) and self._receive(connection)
        with self._lock:
            job = seat.take()
            if job is None:
                del self._staying[seat]
            if whole and self._is_let_in(connection):
                if job is None:
                    job = connection
                else:
                    self._hand_over(connection)
        if not whole:
            self._give_back(connection)
        return job

    def take_out(self, lane: int, patience: float) -> list[Connection]:
        """Return the requests that have queued for a lane too long; they queue no more."""
        queue, found = self._queues[lane], []
        if queue:  # else the threads need not be kept from it
            before = time.monotonic() - patience
            with self._lock:
                while queue and queue[0].whole_at < before:
                    found.append(queue.popleft())
        return found

    def _leave(self, lane: int) -> Connection | None:
        """Return the request that gets the place in a lane, or else one without a thread."""
        if self._queues[lane]:
            return self._queues[lane].popleft()
        self._free[lane] += 1
        self._busy -= 1
        return self._ready.popleft() if self._ready else None
