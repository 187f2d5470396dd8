"""What goes on next to the year: an auditor of the past, a feed, an eye on the server."""

import os
import random
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.server import Server
from tests.bench.wire import Request, Wire
from tests.bench.year_client import Done, Line
from tests.bench.year_okta import Ask, Okta

_PAUSE = 0.5  # seconds between two questions of the auditor
_SAMPLE = 5.0  # seconds between two looks at the memory
LOGS = ("ledger.db-wal", "history.db-wal")
SCIM = "/scim/v2"


class Feed:
    """A client that stays connected, counts the events and forgets them."""

    def __init__(self, wire: Wire, connection: socket.socket) -> None:
        self.socket = connection
        self.position = self.events = self.bytes = 0
        self._rest = b""
        connection.sendall(wire.bytes(Request("GET", "/ledger/v1/feed?after=0")))

    def arrived(self) -> None:
        data = self._rest + self.socket.recv(1 << 20)
        if len(data) == len(self._rest):
            raise ConnectionError("the server closed the feed")
        self.bytes += len(data) - len(self._rest)
        whole = data.rfind(b"\n\n") + 2  # an event ends with a blank line
        if whole < 2:
            self._rest = data
            return
        self.events += data.count(b"\nid: ", 0, whole)
        last = data.rfind(b"\nid: ", 0, whole)
        if last >= 0:
            self.position = int(data[last + 5 : data.index(b"\n", last + 5)])
        self._rest = data[whole - 1 :]  # with a line end, for the next event to begin after


class Auditor:
    """Asks twice a second what a user, or a page of users, was at some position of the past."""

    def __init__(
        self, wire: Wire, connection: socket.socket, okta: Okta, feed: Feed, done: Done
    ) -> None:
        self._line, self._wire = Line(connection), wire
        self._okta, self._feed, self._done = okta, feed, done
        self._random = random.Random(7)
        self._due = 0.0
        self.socket = connection

    def look(self, now: float) -> None:
        """Ask the next question if it is time."""
        if (
            self._line.ask is None
            and now >= self._due
            and self._okta.people
            and self._feed.position
        ):
            self._line.send(self._question())

    def _question(self) -> Ask:
        position = self._random.randint(2, self._feed.position)
        if self._random.random() < 0.5:
            path = f"{SCIM}/Users?startIndex=1&count=100&asOf={position}"
            return Ask("as-of page", self._wire.bytes(Request("GET", path)))
        path = f"{SCIM}/Users/{self._random.choice(self._okta.ids)}?asOf={position}"
        return Ask("as-of user", self._wire.bytes(Request("GET", path)), (200, 404))

    def arrived(self) -> None:
        reply, ask = self._line.receive(), self._line.ask
        if reply is None or ask is None:
            return
        now = time.perf_counter()
        latencies = self._done.latencies[ask.kind]
        latencies.at.append(now - self._done.started)
        latencies.took.append(now - self._line.sent_at)
        if reply.status not in ask.status:
            self._done.failures.append(f"{ask.kind}: {reply.status} {reply.body[:300]!r}")
        self._line.ask, self._due = None, now - self._done.started + _PAUSE


@dataclass
class Watch:
    """The memory of each process over time, and the largest size of each log."""

    server: Server
    folder: Path
    memory: list[tuple[float, list[int]]] = field(default_factory=list)  # seconds, bytes
    logs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LOGS, 0))
    _due: float = 0.0

    def look(self, now: float) -> None:
        for name in LOGS:
            try:
                size = os.stat(self.folder / name).st_size
            except FileNotFoundError:
                continue
            self.logs[name] = max(self.logs[name], size)
        if now >= self._due:
            self._due = now + _SAMPLE
            self.memory.append((now, [memory_of(pid) for pid in self.server.processes]))


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process that are not a file's."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
