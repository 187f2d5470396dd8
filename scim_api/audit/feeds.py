"""Feeds of events: who may wait, what comes next, and how a stream of events is written."""

import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from socket import MSG_PEEK
from threading import Semaphore
from typing import Any

from ledger.store import LedgerError
from scim_api.audit.events import EventPage, Events, Question, Shown
from scim_api.audit.lookout import Lookout, Over
from scim_api.errors import InvalidValue, ScimError, TooManyRequests
from scim_api.quotations import quoted

HEARTBEAT = 15.0  # seconds; a comment shows both ends that the other is there
LOOK = 1.0  # seconds between two looks whether a client is still there
MARK = 5.0  # seconds between two ids sent of positions without a matching event
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
                "As many clients wait for events as this service allows (SCIM_FEEDS)."
                " Ask again later, or without waiting.",
                headers={"Retry-After": "5"},
            )
        return Place(self._places)


def starting_point(after: int | None, end: int) -> int:
    """Return the position that a feed begins behind: by default now. Raises InvalidValue."""
    if after is not None and after > end:
        raise InvalidValue(
            f"The ledger ends at position {end}: there is nothing after {quoted(str(after))}."
        )
    return end if after is None else after


def following(lookout: Lookout, events: Events, asked: Question, seconds: float) -> EventPage:
    """Return the first events behind a position, waiting so long for one at most."""
    deadline = time.monotonic() + seconds
    ledger = events.tenant.ledger
    asked = replace(asked, after=starting_point(asked.after, events.end()))
    ledger.leave()
    while True:
        try:
            page = lookout.run(lambda: events.page(asked))  # noqa: B023 (run returns first)
        except Over:
            return EventPage((), asked.after or 0, older=False, newer=False)
        left = deadline - time.monotonic()
        if page.events or left <= 0:
            return page
        asked = replace(asked, after=page.end)
        try:
            lookout.wait(ledger, page.end, left)
        except Over:
            return page


@dataclass(slots=True)
class Stream:
    """Server-Sent Events for one client: every event behind `position` that the filter finds."""

    lookout: Lookout
    events: Events
    asked: Question
    position: int
    still_welcome: Callable[[], Any]  # raises a ScimError when its token is none any more
    socket: Any = None  # the client's, where the server gives it

    def __iter__(self) -> Iterator[bytes]:
        """Yield what is to be sent, until the token, the client or this process ends."""
        yield b"retry: %d\n\n" % RETRY
        try:
            yield from self._frames()
        except (Over, ScimError, LedgerError):
            return  # the client connects anew, and is told why if it may not

    def _frames(self) -> Iterator[bytes]:
        ledger, sent = self.events.tenant.ledger, self.position
        beat = mark = time.monotonic()
        more = True
        while not _is_gone(self.socket):
            page = self.lookout.run(self._page) if more else None
            now = time.monotonic()
            if page and page.events:
                yield b"".join(map(frame, page.events))
                sent, mark = page.events[-1].position, now
            self.position = page.reached if page else self.position
            if self.position > sent and now > mark + MARK:
                yield b"id: %d\n\n" % self.position  # resuming from here spares a search
                sent, mark = self.position, now
            if now > beat + HEARTBEAT:
                self.lookout.run(self.still_welcome)
                yield b": still here\n\n"
                beat = now
            more = bool(page and page.newer) or self.lookout.wait(ledger, self.position, LOOK)

    def _page(self) -> EventPage:
        return self.events.page(replace(self.asked, after=self.position))


def frame(event: Shown) -> bytes:
    """Return an event as Server-Sent Events have it; JSON has no line break of its own."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.type.encode(), event.json)


def _is_gone(socket: Any) -> bool:
    """Tell whether a client has hung up: nothing else would say so before the second write."""
    if socket is None:
        return False
    try:
        poll = select.poll()
        poll.register(socket, select.POLLIN)
        return bool(poll.poll(0)) and socket.recv(1, MSG_PEEK) == b""
    except (OSError, ValueError):
        return True
