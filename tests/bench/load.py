"""The load: kept-alive connections, each with one request under way, driven by one thread."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.server import Server

_PATIENCE = 60.0  # seconds for one answer
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it came: its status, its head and its body."""

    status: int
    head: bytes
    body: bytes

    @property
    def content_type(self) -> str:
        lines = self.head.decode("latin-1").split("\r\n")
        return next(line[14:] for line in lines if line.lower().startswith("content-type: "))


@dataclass(frozen=True, slots=True)
class Slice:
    """The results of a short run of one kind of request."""

    requests: int
    seconds: float
    cpu: float  # seconds, of the server
    latencies: list[float]  # seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu * 1000 / self.requests

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Connection:
    """One connection, with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> Response | None:
        """Take what has arrived; return the answer once it is whole."""
        arrived = self.socket.recv(1 << 18)
        if not arrived:
            raise ConnectionError("the server closed a connection in the middle of the benchmark")
        self._received += arrived
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return None
        self._received.clear()
        return Response(int(head[9:12]), bytes(head), bytes(body))

    def exchange(self, request: bytes) -> Response:
        """Send a request and wait for its answer."""
        self.send(request)
        while (response := self.receive()) is None:
            pass
        return response


def _length(head: bytearray) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


class WrongAnswer(Exception):
    """A server did not do what was asked of it."""


Accepts = Callable[[Response], None]


def accepting(status: int | None) -> Accepts:
    """Return a check that raises WrongAnswer for another status; None stands for any success."""

    def accepts(response: Response) -> None:
        right = response.status == status if status else 200 <= response.status < 300
        if not right:
            raise WrongAnswer(f"{response.status}: {response.head!r} {response.body[:500]!r}")

    return accepts


def connect_evenly(server: Server, each: int) -> list[Connection]:
    """Open `each` connections to every worker: the kernel deals them out by chance."""
    time.sleep(0.5)  # for the socket of the other worker
    held: dict[int, list[Connection]] = {pid: [] for pid in server.workers}
    for _ in range(_ATTEMPTS):
        before = server.sockets()
        opened = Connection(server.port)
        opened.exchange(b"GET /nothing HTTP/1.1\r\nHost: bench\r\n\r\n")
        after = server.sockets()
        takers = [pid for pid in server.workers if after[pid] > before[pid]]
        if len(takers) == 1 and len(held[takers[0]]) < each:
            held[takers[0]].append(opened)
        else:  # this worker has enough, or an earlier connection ended meanwhile
            opened.socket.close()
            _wait(lambda: sum(server.sockets().values()) < sum(after.values()))  # noqa: B023
        if all(len(connections) == each for connections in held.values()):
            return [connection for connections in held.values() for connection in connections]
    raise RuntimeError(f"one of the workers of {server.name} takes no connections")


def _wait(done: Callable[[], bool]) -> None:
    """Wait a moment for a server to notice something."""
    for _ in range(100):
        if done():
            return
        time.sleep(0.01)


class Load:
    """Keeps every connection to a server busy for a while."""

    def __init__(self, server: Server, each: int) -> None:
        """`each` is the number of connections to every worker."""
        self.server = server
        self.connections = connect_evenly(server, each)
        self._ready = selectors.DefaultSelector()
        for connection in self.connections:
            self._ready.register(connection.socket, selectors.EVENT_READ, connection)

    def close(self) -> None:
        self._ready.close()
        for connection in self.connections:
            connection.socket.close()

    def run(
        self, requests: Iterator[bytes], accepts: Accepts, seconds: float
    ) -> tuple[float, list[float]]:
        """Send requests for some seconds, one after the other on each connection.

        Return how long it took, and how long each answer took.
        """
        started = time.perf_counter()
        latencies = self._drive(requests, accepts, started + seconds)
        return time.perf_counter() - started, latencies

    def _drive(self, requests: Iterator[bytes], accepts: Accepts, deadline: float) -> list[float]:
        """Return how long each answer took; the last ones come after the deadline."""
        latencies: list[float] = []
        for connection in self.connections:
            connection.send(next(requests))
        under_way = len(self.connections)
        while under_way:
            for connection, response in self._answers():
                latencies.append(time.perf_counter() - connection.sent_at)
                accepts(response)
                if time.perf_counter() < deadline:
                    connection.send(next(requests))
                else:
                    under_way -= 1
        return latencies

    def _answers(self) -> Iterator[tuple[Connection, Response]]:
        """Yield the answers that are whole by now."""
        ready = self._ready.select(_PATIENCE)
        if not ready:
            raise TimeoutError(f"{self.server.name} did not answer within {_PATIENCE} s")
        for key, _ in ready:
            if response := key.data.receive():
                yield key.data, response
