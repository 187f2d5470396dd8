"""The connections of a worker: taken, read until a request is whole, limited, closed in time.

One thread does all of this and never waits for a client. Others hold a connection while they
answer its request, and give it back.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ledger.open_files import shortage_of
from scim_api.protocol.errors import TooManyRequests
from scim_api.server.connection import ARRIVAL, PIECE, Connection
from scim_api.web.proxies import address_of, hop, source_of

AT_ONCE = 64  # connections taken at once, so that those there are get their turn
LOOK = 1.0  # seconds between two looks at the deadlines
DRAINED = 64 * 1024 * 1024  # bytes of a refused body that are read so that its client listens
SMALL = 65_536  # bytes that a connection may always keep in memory
CROWDED = "This address has too many connections open, or requests under way."

_ONCE = select.EPOLLONESHOT  # after an event nobody is told of another until the poller asks


@dataclass(frozen=True, slots=True)
class Limits:
    """What the connections of a worker may take."""

    connections: int
    per_address: int
    proxies: int  # trusted ones, which name a client's address
    body: int  # bytes
    memory: int  # bytes of large bodies and answers together


class Poller:
    """Watches the connections that no thread holds."""

    def __init__(self, rules: Any, limits: Limits, enter: Callable[[Connection], None]) -> None:
        """`enter` takes a connection with a whole request, or with one to refuse."""
        self._rules, self._limits, self._enter = rules, limits, enter
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._bells: set[int] = set()
        self._turn = threading.Lock()  # to give a connection back, or to close one
        self._next_look = 0.0

    def __len__(self) -> int:
        return len(self._connections)

    def watch(self, bell: int) -> None:
        """End a wait as soon as something can be read from a descriptor."""
        self._bells.add(bell)
        self._epoll.register(bell, select.EPOLLIN)

    def listen(self, listener: socket.socket) -> None:
        """Take connections from a listening socket."""
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener
        self._epoll.register(listener.fileno(), select.EPOLLIN)

    def listen_no_more(self) -> None:
        """Take no further connection, and leave those that wait for one to others at once."""
        for descriptor, listener in self._listeners.items():
            self._epoll.unregister(descriptor)  # the master has it too
            listener.close()
        self._listeners.clear()

    def run(self, timeout: float = LOOK) -> None:
        """Wait for something to happen, and do what is to be done."""
        for descriptor, _ in self._epoll.poll(timeout):
            if connection := self._connections.get(descriptor):
                if not connection.held:  # else the event was another's, of the same number
                    self._go_on(connection)
            elif listener := self._listeners.get(descriptor):
                self._accept_from(listener)
            elif descriptor in self._bells:
                os.read(descriptor, 4096)
        if (now := time.monotonic()) >= self._next_look:
            self._next_look = now + LOOK
            self._look(now)

    def hurry(self, until: float) -> None:
        """Give the clients that are not in the middle of something only so long."""
        for connection in list(self._connections.values()):
            if not (connection.received or connection.request or connection.outgoing):
                connection.deadline = min(connection.deadline, until)

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._connections.values()):
            self._close(connection)
        self._epoll.close()

    # Threads and the poller

    def give_back(self, connection: Connection) -> None:
        """Watch a connection again; any thread that holds it may call this."""
        if connection.ended:
            connection.closing = True
            connection.outgoing = connection.outgoing[:0]
        if connection.closing and not connection.outgoing:
            connection.end()
        elif not connection.outgoing and connection.received and connection.advance():
            self._count(connection)
            self._enter(connection)  # the next request came with the one before
            return
        with self._turn, suppress(OSError, ValueError):
            connection.held = False
            self._arm(connection)

    def receive_for(self, connection: Connection) -> bool:
        """Do what the poller does when something has arrived, for the thread that holds it."""
        whole = connection.receive()
        if whole:
            self._count(connection)
        return whole

    def _count(self, connection: Connection) -> None:
        """Count a whole request to the client that a proxy names; refuse it if that has too many.

        Only the poller closes others for it, which are in the middle of a body.
        """
        if self._is_to_name(connection):
            alike = self._alike(connection, list(self._connections.values()))
            if len(alike) >= self._limits.per_address:
                connection.error = TooManyRequests("crowded.address", CROWDED)

    def _is_to_name(self, connection: Connection) -> bool:
        """Note which client a proxy names, once that is known; return whether it is only now."""
        if not self._limits.proxies or connection.source or not connection.request:
            return False
        connection.source = self._named_by_proxy(connection.request)
        return connection.source is not None

    def _arm(self, connection: Connection) -> None:
        event = select.EPOLLOUT if connection.outgoing else select.EPOLLIN
        self._epoll.modify(connection.descriptor, event | _ONCE)

    def _hand_over(self, connection: Connection) -> None:
        connection.held = True
        self._enter(connection)

    # Connections

    def _accept_from(self, listener: socket.socket) -> None:
        server = listener.getsockname()
        for _ in range(AT_ONCE):
            try:
                accepted, client = listener.accept()
            except OSError as error:
                if shortage_of(error):
                    self._close_one_of(self._connections.values())
                return  # or nobody waits any more
            connection = Connection(accepted, client, server, self._rules, self._limits.body)
            if not self._limits.proxies:
                connection.counts_to(source_of(client[0]))
            self._connections[connection.descriptor] = connection
            self._epoll.register(connection.descriptor, _ONCE)
            self._make_room_for(connection)
            if connection.error:
                self._hand_over(connection)
            else:
                self._arm(connection)

    def _make_room_for(self, connection: Connection) -> None:
        """Keep to the limits: close what has waited longest, or else refuse the new one.

        It is of the same address where that has too many. A connection is refused only when all the
        others are being answered.
        """
        others = [each for each in self._connections.values() if each is not connection]
        if len(others) >= self._limits.connections:
            alike = others
        elif connection.source is None:
            return
        else:
            alike = self._alike(connection, others)
            if len(alike) < self._limits.per_address:
                return
        if not self._close_one_of(alike):
            connection.error = TooManyRequests("crowded.address", CROWDED)

    @staticmethod
    def _alike(connection: Connection, all_: Iterable[Connection]) -> list[Connection]:
        """Return the other connections that count to the same client."""
        own = connection.source
        return [each for each in all_ if each.source == own and each is not connection]

    def _close_one_of(self, connections: Iterable[Connection]) -> bool:
        """Close the connection that waits longest, of those of the least rank.

        One whose request is there all the same, and only not read yet, is spared. Return whether
        there is one to close.
        """
        waiting = {each for each in connections if not each.held}
        while waiting:
            oldest = min(waiting, key=lambda each: each.rank)
            rank = oldest.rank
            if oldest.is_reading and self.receive_for(oldest):
                self._hand_over(oldest)
                waiting.remove(oldest)
            elif rank == oldest.rank or oldest.ended:
                self._close(oldest)
                return True
        return False

    def _go_on(self, connection: Connection) -> None:
        """Do what has become possible on a connection."""
        if connection.outgoing:
            connection.send()
            if not (connection.outgoing or connection.ended):
                connection.held = True
                self.give_back(connection)
                return
        elif connection.closing:
            self._drain(connection)
        elif not self._is_room_for_more(connection):
            connection.give_time(ARRIVAL)
            return  # until the next look
        elif self._receive(connection):
            self._hand_over(connection)
            return
        if connection.ended:
            self._close(connection)
        else:
            self._arm(connection)

    def _receive(self, connection: Connection) -> bool:
        """Take what has arrived; return whether there is something to answer."""
        whole = connection.receive()
        if self._is_to_name(connection):
            self._make_room_for(connection)
        return whole or connection.error is not None

    def _named_by_proxy(self, request: Any) -> str | None:
        named = (value for name, value in request.headers if name == "X-FORWARDED-FOR")
        address = address_of(hop(",".join(named), self._limits.proxies))
        return source_of(address) if address else None

    def _is_room_for_more(self, connection: Connection) -> bool:
        """Return whether there is memory for more of a large body; the first always goes on."""
        if len(connection.received) < SMALL or not self.is_crowded():
            return True
        large = (each for each in self._connections.values() if len(each.received) >= SMALL)
        return connection is min(large, key=lambda each: each.since)

    def is_crowded(self) -> bool:
        """Return whether large bodies and answers take the memory that there is for them."""
        held = sum(len(c.received) + len(c.outgoing) for c in list(self._connections.values()))
        return held > self._limits.memory

    def _drain(self, connection: Connection) -> None:
        """Read what a client still sends after its last answer, so that it gets to read that."""
        try:
            data = connection.sock.recv(PIECE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection.drained += len(data)
        connection.ended = not data or connection.drained > DRAINED

    def _look(self, now: float) -> None:
        """End what takes too long, and go on where there was no memory."""
        for connection in list(self._connections.values()):
            if connection.held:
                continue
            if now > connection.deadline:
                self._end(connection)
            elif len(connection.received) >= SMALL and connection.is_reading:
                with self._turn, suppress(OSError, ValueError):
                    self._arm(connection)

    def _end(self, connection: Connection) -> None:
        """Answer a request whose body did not arrive in time; close all else."""
        if connection.request and connection.is_reading:
            connection.ended = True
            self._hand_over(connection)
        else:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        with self._turn:
            del self._connections[connection.descriptor]
            self._epoll.unregister(connection.descriptor)
            connection.sock.close()
