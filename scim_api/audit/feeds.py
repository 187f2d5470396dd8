"""Feeds of events: who may wait, what comes next, and how a stream of events is written."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from socket import MSG_PEEK
from threading import Semaphore
from typing import Any

from ledger.contract import LedgerError
from scim_api.audit.events import Events, Following, Question, Shown
from scim_api.audit.lookout import Lookout, Over
from scim_api.protocol.errors import InvalidValue, Quoted, ScimError, TooManyRequests

HEARTBEAT = 15.0  # seconds; a comment shows both ends that the other is there
LOOK = 1.0  # seconds between two looks whether a client is still there
RETRY = 2000  # milliseconds after which a client connects anew
CHUNK = 200  # events read at once


class Place:
    """Leave to wait, to be given back once."""

    def __init__(self, places: Semaphore) -> None:
        """`places` are those that are free, of which this is one no longer."""
        self._places: Semaphore | None = places

    def leave(self) -> None:
        """Give the place back, unless that is done."""
        places, self._places = self._places, None
        if places:
            places.release()


class Feeds:
    """The places for who waits in this process, and the thread that reads for them."""

    def __init__(self, places: int) -> None:
        """`places` is how many may wait at once."""
        self.places = places
        self.lookout = Lookout()
        self._places = Semaphore(places)

    def enter(self) -> Place:
        """Take a place; raises TooManyRequests when none is free."""
        if not self._places.acquire(blocking=False):
            raise TooManyRequests(
                "crowded.feeds",
                "As many clients are waiting for events as this service allows (SCIM_FEEDS)."
                " Ask again later, or without waiting.",
                headers={"Retry-After": "5"},
            )
        return Place(self._places)


def starting_point(after: int | None, end: int) -> int:
    """Return the position that a feed begins behind: by default now. Raises InvalidValue."""
    if after is not None and after > end:
        raise InvalidValue(
            "parameter.after",
            "The ledger ends at position {end}, so nothing comes after {after}.",
            end=end,
            after=Quoted(str(after)),
        )
    return end if after is None else after


def follow(
    lookout: Lookout, events: Events, asked: Question, position: int, until: float = inf
) -> Iterator[Following | None]:
    """Yield what is behind a position, piece by piece, and None after a while of nothing.

    After `until`, a monotonic time, it no longer waits. Raises Over.
    """
    more = True
    while True:
        found = lookout.run(partial(events.following, asked, position)) if more else None
        position = found.reached if found else position
        yield found
        more = found is not None and position < found.end
        if not more:
            pause = min(LOOK, max(0.0, until - time.monotonic()))
            more = lookout.wait(events.tenant.ledger, position, pause)


def poll(
    lookout: Lookout, events: Events, asked: Question, seconds: float, socket: Any = None
) -> Following:
    """Return the first events behind a position, waiting so long for one at most."""
    until = time.monotonic() + seconds
    end = events.end()
    last = Following((), starting_point(asked.after, end), end)
    events.tenant.ledger.leave()
    with suppress(Over):
        for found in follow(lookout, events, asked, last.reached, until):
            last = found or last
            if last.events or time.monotonic() >= until or is_gone(socket):
                break
    return last


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-Sent Events for one client: every event behind `position` that the filter finds."""

    lookout: Lookout
    events: Events
    asked: Question
    position: int
    still_welcome: Callable[[], object]  # raises a ScimError when its token is none any more
    socket: Any = None  # the client's, where the server gives it

    def __iter__(self) -> Iterator[bytes]:
        """Yield what is to be sent, until the token, the client or this process ends.

        A blank line ends an event only: some clients take every other for an event without data.
        """
        yield b"retry: %d\n" % RETRY
        try:
            yield from self._frames()
        except (Over, ScimError, LedgerError):
            return  # the client connects anew, and is told why if it may not

    def _frames(self) -> Iterator[bytes]:
        beat = time.monotonic()
        for found in follow(self.lookout, self.events, self.asked, self.position):
            now = time.monotonic()
            if found and found.events:
                yield b"".join(map(frame, found.events))
            if now > beat + HEARTBEAT:
                self.lookout.run(self.still_welcome)
                yield b": still here\n"
                beat = now
            if is_gone(self.socket):
                return


def frame(event: Shown) -> bytes:
    """Return an event as Server-Sent Events have it; JSON has no line break of its own."""
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
