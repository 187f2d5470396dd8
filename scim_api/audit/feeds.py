"""Clients that wait for events: their requests and slots, the one thread that reads for all."""

import select
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from math import inf
from socket import MSG_PEEK
from threading import Semaphore
from typing import Any, TypeVar
from urllib.parse import unquote

from ledger.contract import Ledger, LedgerError
from ledger.open_files import OPEN
from projections.history.event_index import EventQuery
from scim_api.audit.events import Batch, Events, Shown
from scim_api.audit.parameters import BASE
from scim_api.protocol.errors import InvalidValue, Quoted, ScimError, TooManyRequests

T = TypeVar("T")

TICK = 0.3  # seconds between two looks whether this process is about to end
LOOK = 1.0  # seconds between two looks whether a client is still there
HEARTBEAT = 15.0  # seconds; a comment shows both ends that the other is there
RETRY = 2000  # milliseconds after which a client connects again
REFUSING = 4  # threads more than slots: they refuse the clients for which there is none
CHUNK = 200  # events read at once


def waits(path: str, query: str) -> bool:
    """Return whether a request, as it stands on its first line, may wait for an event."""
    if "ledger" not in path and "%" not in path:
        return False  # by far the most
    address = "/" + "/".join(filter(None, unquote(path).split("/")))
    if address == f"{BASE}/feed":
        return True
    return address == f"{BASE}/events" and "wait" in unquote(query)


class Over(Exception):
    """The process is about to end: no client waits any longer."""


class Feeds:
    """The slots for clients that wait, and the one thread that reads for all of them.

    So a client that waits holds no connection.
    """

    def __init__(self, slots: int) -> None:
        """`slots` is how many may wait at once."""
        self.slots = slots
        self.over = False
        self._free = Semaphore(slots)
        self._reader = ThreadPoolExecutor(1, "feeds")

    def enter(self) -> ExitStack:
        """Take a slot, which closing gives back; raises TooManyRequests when none is free."""
        if not self._free.acquire(blocking=False):
            raise TooManyRequests(
                "crowded.feeds",
                "As many clients are waiting for events as this service allows (SCIM_FEEDS)."
                " Ask again later, or without waiting.",
                headers={"Retry-After": "5"},
            )
        slot = ExitStack()
        slot.callback(self._free.release)
        return slot

    def end(self) -> None:
        """Release every client at once; may be called by a signal handler."""
        if not self.over:  # so that a second signal never waits for the first one's lock
            self.over = True
            self._reader.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End, and wait until nothing is read any more."""
        self.end()
        self._reader.shutdown()

    def run(self, job: Callable[[], T]) -> T:
        """Run a job on the thread and return its result; raises Over."""
        try:
            return self._reader.submit(_tidily, job).result()
        except (CancelledError, RuntimeError) as error:
            if self.over:  # the job was dropped, or not even taken
                raise Over from error
            raise

    def wait(self, ledger: Ledger, position: int, seconds: float) -> bool:
        """Wait for a ledger to grow beyond a position; return whether it has. Raises Over."""
        until = time.monotonic() + seconds
        while not self.over:
            left = until - time.monotonic()
            if left <= 0 or ledger.wait_beyond(position, min(left, TICK)):
                return left > 0
        raise Over


def _tidily(job: Callable[[], T]) -> T:
    try:
        return job()
    finally:
        OPEN.tidy(OPEN.share)


def starting_point(after: int | None, end: int) -> int:
    """Return the position after which a feed begins: by default now. Raises InvalidValue."""
    if after is not None and after > end:
        template = "The ledger ends at position {end}, so nothing comes after {after}."
        raise InvalidValue("parameter.after", template, end=end, after=Quoted(str(after)))
    return end if after is None else after


def follow(
    feeds: Feeds, events: Events, query: EventQuery, position: int, until: float = inf
) -> Iterator[Batch | None]:
    """Yield the events after a position, batch by batch, and None after a while of nothing.

    After `until`, a monotonic time, it no longer waits. Raises Over.
    """
    more = True
    while True:
        found = feeds.run(partial(events.following, query, position)) if more else None
        position = found.reached if found else position
        yield found
        more = found is not None and position < found.end
        if not more:
            pause = min(LOOK, max(0.0, until - time.monotonic()))
            more = feeds.wait(events.tenant.ledger, position, pause)


def poll(
    feeds: Feeds, events: Events, query: EventQuery, seconds: float, socket: Any = None
) -> Batch:
    """Return the first events after a position, waiting so long for one at most."""
    until = time.monotonic() + seconds
    end = events.end()
    last = Batch((), starting_point(query.after, end), end)
    events.tenant.ledger.leave()
    with suppress(Over):
        for found in follow(feeds, events, query, last.reached, until):
            last = found or last
            if last.events or time.monotonic() >= until or is_gone(socket):
                break
    return last


def stream(
    feeds: Feeds,
    events: Events,
    query: EventQuery,
    position: int,
    check: Callable[[], object],
    socket: Any = None,
) -> Iterator[bytes]:
    """Yield Server-Sent Events after a position until the token, the client or this process ends.

    `check` raises a ScimError once the token is not valid any more. A blank line ends an event
    only: some clients take every other for an event without data.
    """
    yield b"retry: %d\n" % RETRY
    beat = time.monotonic()
    with suppress(Over, ScimError, LedgerError):  # the client connects again, and gets the reason
        for found in follow(feeds, events, query, position):
            now = time.monotonic()
            if found and found.events:
                yield b"".join(map(_frame, found.events))
            if now > beat + HEARTBEAT:
                feeds.run(check)
                yield b": still here\n"
                beat = now
            if is_gone(socket):
                return


def _frame(event: Shown) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.type.encode(), event.json)


def is_gone(socket: Any) -> bool:
    """Return whether a client has hung up: nothing else would say so before the second write."""
    if socket is None:
        return False
    try:
        poll = select.poll()
        poll.register(socket, select.POLLIN)
        return bool(poll.poll(0)) and socket.recv(1, MSG_PEEK) == b""
    except (OSError, ValueError):
        return True
