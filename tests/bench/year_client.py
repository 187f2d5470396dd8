"""Replays conversations over HTTP in one thread: each connection has one under way."""

import selectors
import socket
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.year_okta import Ask, Conversation, Okta, Reply
from tests.bench.year_plan import BARRIER, Happening

_PATIENCE = 60.0  # seconds for one answer, as Okta has it
_TICK = 0.25  # seconds between two looks around
MOST_FAILURES = 20


@dataclass
class Latencies:
    """When each answer of a kind came and how long it took, in seconds since the start."""

    at: "array[float]" = field(default_factory=lambda: array("f"))
    took: "array[float]" = field(default_factory=lambda: array("f"))


@dataclass
class Done:
    """What came of a replay."""

    started: float = field(default_factory=time.perf_counter)
    requests: int = 0
    events: int = 0  # that the acknowledged writes must have recorded
    failures: list[str] = field(default_factory=list)
    latencies: dict[str, Latencies] = field(default_factory=lambda: defaultdict(Latencies))


class Line:
    """A connection and the conversation on it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = b""
        self.conversation: Conversation | None = None
        self.ask: Ask | None = None
        self.sent_at = 0.0

    def send(self, ask: Ask) -> None:
        self.ask = ask
        self.sent_at = time.perf_counter()
        self.socket.sendall(ask.bytes)

    def receive(self) -> Reply | None:
        """Take what has arrived; return the answer once it is whole."""
        arrived = self.socket.recv(1 << 18)
        if not arrived:
            raise ConnectionError("the server closed a connection while it owed an answer")
        self.received = self.received + arrived if self.received else arrived
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.received[:end]
        length = _number(head, b"Content-Length: ")
        if len(self.received) < end + 4 + length:
            return None
        reply = Reply(int(head[9:12]), _number(head, b'ETag: W/"'), self.received[end + 4 :])
        self.received = b""
        return reply


def _number(head: bytes, name: bytes) -> int:
    """Return the number that follows a text in a head, 0 where it is not there."""
    start = head.find(name) + len(name)
    if start < len(name):
        return 0
    end = start
    while head[end : end + 1].isdigit():
        end += 1
    return int(head[start:end])


class Replay:
    """Plays happenings on some connections at once, in order, and counts what was answered."""

    def __init__(
        self,
        okta: Okta,
        happenings: Iterator[Happening],
        sockets: Sequence[socket.socket],
        look: Callable[[float, int], None],
    ) -> None:
        """`look` is called four times a second, with the seconds gone by and the answers so far."""
        self.done = Done()
        self._okta, self._happenings = okta, happenings
        self._idle = [Line(each) for each in sockets]
        self._look = look
        self._ready = selectors.EpollSelector()
        for line in self._idle:
            self._ready.register(line.socket, selectors.EVENT_READ, line)
        self._busy = 0

    def watch(self, other: socket.socket, arrived: Callable[[], None]) -> None:
        """Call a function whenever another connection has something to read."""
        self._ready.register(other, selectors.EVENT_READ, arrived)

    def run(self) -> float:
        """Replay everything; return how many seconds it took."""
        started = self.done.started = time.perf_counter()
        looked, answered = 0.0, (0, 0.0)
        self._begin_some()
        while self._busy:
            for key, _ in self._ready.select(_TICK):
                if isinstance(key.data, Line):
                    self._go_on(key.data)
                else:
                    key.data()
            now = time.perf_counter() - started
            if now < looked + _TICK:
                continue
            looked = now
            self._look(now, self.done.requests)
            if self.done.requests > answered[0]:
                answered = self.done.requests, now
            if now > answered[1] + _PATIENCE:
                raise TimeoutError(f"no answer within {_PATIENCE:.0f} s")
            if len(self.done.failures) >= MOST_FAILURES:
                break
        return time.perf_counter() - started

    def _begin_some(self) -> None:
        """Give idle connections the next conversations, up to a barrier."""
        while self._idle:
            happening = next(self._happenings, None)
            if happening is None:
                return
            if happening is BARRIER:
                if self._busy:
                    self._happenings = _with(happening, self._happenings)
                    return
                continue
            line = self._idle.pop()
            line.conversation = self._okta.says(happening)
            self._busy += 1
            line.send(next(line.conversation))

    def _go_on(self, line: Line) -> None:
        reply, ask = line.receive(), line.ask
        if reply is None or ask is None or line.conversation is None:
            return
        now = time.perf_counter()
        latencies = self.done.latencies[ask.kind]
        latencies.at.append(now - self.done.started)
        latencies.took.append(now - line.sent_at)
        self.done.requests += 1
        following = self._following(line.conversation, ask, reply)
        if following:
            line.send(following)
        else:
            self._busy -= 1
            self._idle.append(line)
            self._begin_some()

    def _following(self, conversation: Conversation, ask: Ask, reply: Reply) -> Ask | None:
        """Return what Okta asks next; nothing at the end, and after an answer that is wrong."""
        if reply.status not in ask.status:
            self._fail(ask, reply)
            return None
        self._count(ask, reply)
        try:
            return conversation.send(reply)
        except StopIteration:
            return None

    def _count(self, ask: Ask, reply: Reply) -> None:
        self.done.events += ask.events
        if not ask.stream:
            return
        before = self._okta.versions[ask.stream]
        if ask.stream.startswith("User-") and reply.version != before + ask.events:
            self._fail(ask, reply)
        self._okta.versions[ask.stream] = max(before, reply.version)

    def _fail(self, ask: Ask, reply: Reply) -> None:
        self.done.failures.append(f"{ask.kind}: {reply.status} {reply.body[:300]!r}")


def _with(first: Happening, others: Iterator[Happening]) -> Iterator[Happening]:
    yield first
    yield from others
