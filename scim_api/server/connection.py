"""A client's connection: what has arrived on it, and whether that is a whole request."""

import io
import select
import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, ParseException

from scim_api.server.chunks import Chunks
from scim_api.server.parsing import Blocks, Head, Incomplete

ARRIVAL = 10.0  # seconds within which a request, once begun, has to have arrived
STALL = 10.0  # seconds within which a client takes 64 KiB of its answer, or all of it
LINGER = 2.0  # seconds for which a closed connection's client may still send
PIECE = 65_536  # bytes read at once
LARGE_PIECE = 524_288  # of the body of a request


class Connection:
    """What is known of a connection. Whoever holds it works on it: one thread, or the poller."""

    def __init__(
        self, sock: socket.socket, client: Any, server: Any, rules: Any, most: int
    ) -> None:
        """`most` is how many bytes of a body are waited for; of a larger one they are enough."""
        self.sock, self.client, self.server = sock, client, server
        self.descriptor: int = sock.fileno()
        self.received = bytearray()  # and not yet taken
        self.outgoing = memoryview(b"")  # what the client still has to take of its answer
        self.request: Head | None = None  # the one whose head has arrived
        self.error: Exception | None = None  # why what has arrived is no request
        self.since = self.deadline = 0.0  # when it was last given time, and until when
        self.held = False  # by a thread, or by one of the queues
        self.ended = False  # nothing more comes: the client has hung up, or was too slow
        self.closing = False  # it will be closed once all is sent
        self.answered = 0  # requests
        self.drained = 0  # bytes that came after the last answer
        self.lane = 0
        self.whole_at = 0.0  # when its request entered the lane
        self.source: str | None = (
            None  # whose it is; what a proxy sends is one client's after another
        )
        self._own: str | None = None
        self._rules, self._most = rules, most
        self._blocks: Blocks = {}
        self._looked = 0  # bytes in which there is no end of a head
        self._enough = 1  # bytes from which on the parser is asked about a part of a head
        self._chunks = Chunks()
        self._taken = 0  # bytes of an answer, since the client was given time
        self.give_time(ARRIVAL)

    def counts_to(self, source: str) -> None:
        """Note whose connection it is, whatever is sent on it."""
        self.source = self._own = source

    def give_time(self, seconds: float) -> None:
        """Let the client take so long from now for what it has to do next."""
        self.since = time.monotonic()
        self.deadline = self.since + seconds

    @property
    def rank(self) -> tuple[int, float]:
        """Where it stands among those to close where there are too many: the least goes first.

        Before what is in the middle of a body or an answer go those that wait for a request, and
        before these those that never had an answer.
        """
        busy = self.outgoing or self.request
        return 2 if busy else int(self.answered > 0), self.since

    @property
    def is_reading(self) -> bool:
        """Whether the next that happens is that the client sends a request, or more of one."""
        return not (self.outgoing or self.closing)

    # Arriving

    def receive(self) -> bool:
        """Take what has arrived; return whether there is something to answer."""
        begun = bool(self.received) or self.request is not None
        try:
            size = LARGE_PIECE if self.request else PIECE
            data = self.sock.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data and not begun:
            self.give_time(ARRIVAL)
        self.ended = not data
        self.received += data
        return self.advance()

    def advance(self) -> bool:
        """Look at what was received; return whether there is something to answer."""
        if self.request is None and self.error is None and self.received:
            self._read_head()
        return self.error is not None or (self.request is not None and self._has_body())

    def _read_head(self) -> None:
        """Read a head that is there; of a part, see now and then whether it can become one."""
        end = self.received.find(b"\r\n\r\n", max(0, self._looked - 3))
        self._looked = len(self.received)
        too_long = self._looked > self._rules.longest_head
        if end < 0 and self._looked < self._enough and not (self.ended or too_long):
            return
        data = bytes(self.received if end < 0 else self.received[: end + 4])
        try:
            self.request = Head(self._rules, data, self.client, self._blocks)
        except Incomplete:
            self._enough = 2 * len(data)
            if too_long:
                self.error = LimitRequestHeaders("the head does not end")
        except Exception as error:
            self.error = error
        else:
            del self.received[: len(data)]

    def _has_body(self) -> bool:
        """Return whether the body is there, or as much as is waited for."""
        request = self.request
        assert request
        if not request.chunked:
            there = len(self.received) >= request.length or request.length > self._most
        else:
            try:
                there = self._chunks.end(self.received) is not None
            except ParseException as error:
                self.error = error
                return True
            there = there or len(self.received) > self._most
        if request.expects_continue:
            if not (there or self.ended):
                with suppress(OSError):
                    self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n", socket.MSG_DONTWAIT)
            request.has_continued()  # or need not be told: gunicorn would tell it all the same
        return there or self.ended

    # Answering

    def take_body(self) -> None:
        """Give the request the body that has arrived; what is after it belongs to the next."""
        request = self.request
        assert request
        size = self._chunks.end(self.received) if request.chunked else request.length
        whole = size is not None and len(self.received) >= size
        taken = bytes(self.received if size == len(self.received) else self.received[:size])
        del self.received[: len(taken)]
        if request.chunked or not whole:
            request.arrived.unread(taken)
            request.arrived.more = bytes if whole or self.ended else partial(_more, self)
            self.closing |= not whole
        elif size:
            request.body = io.BytesIO(taken)

    def must_close(self) -> bool:
        """Return whether nothing follows the request, or nobody can know where that begins."""
        request = self.request
        if self.closing or self.ended or request is None or not request.chunked:
            return self.closing or self.ended
        with suppress(Exception):
            while request.body.read(PIECE):
                pass
        return bool(request.body.failed or request.arrived.take_buffered())

    def is_answered(self, data: bytes, *, close: bool) -> None:
        """Send an answer, as far as the client takes it at once, and be ready for the next."""
        self.request = self.error = None
        self.source = self._own
        self._looked, self._enough, self._chunks = 0, 1, Chunks()
        self.answered += 1
        self.closing = close
        self.outgoing = memoryview(data)
        self._taken = 0
        self.give_time(STALL)
        self.send()

    def send(self) -> None:
        """Send what the client takes now; raises nothing, and what cannot be sent is dropped."""
        try:
            sent = self.sock.send(self.outgoing, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            self.outgoing, self.closing, self.ended = self.outgoing[:0], True, True
            return
        self.outgoing = self.outgoing[sent:]
        self._taken += sent
        if not self.outgoing:
            idle = ARRIVAL if self.received else self._rules.keepalive  # or the next has begun
            self.give_time(LINGER if self.closing else idle)
        elif self._taken >= PIECE:
            self._taken = 0
            self.give_time(STALL)

    def send_all(self) -> None:
        """Wait until the client has taken all, or too long for it."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        while self.outgoing and not self.ended:
            left = self.deadline - time.monotonic()
            self.ended = left <= 0 or not poll.poll(left * 1000)
            if not self.ended:
                self.send()

    def end(self) -> None:
        """Say that nothing more is sent."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)


def _more(connection: Connection) -> bytes:
    """Wait for more of a body, in a thread and no longer than a request may take to arrive."""
    left = connection.deadline - time.monotonic()
    poll = select.poll()
    poll.register(connection.descriptor, select.POLLIN)
    if left > 0 and poll.poll(left * 1000):
        return connection.sock.recv(LARGE_PIECE)
    return b""
