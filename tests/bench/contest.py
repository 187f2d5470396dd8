"""The contest: everyone in turns, in short slices, next to the bare application."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from tests.bench.load import Load, Slice, WrongAnswer, accepting
from tests.bench.operations import Operation
from tests.bench.seed import Population, wait_for_history
from tests.bench.wire import Request, Wire

SCIM_BASE = "/scim/v2"
WARM_UP = 0.25  # seconds
NOTES = 0.6  # seconds within which the service writes its notes of requests


@dataclass(frozen=True, eq=False)
class Contestant:
    """A server with users in it; the product at one size, or a peer."""

    name: str
    load: Load
    population: Population
    is_peer: bool = False

    def settle(self) -> None:
        """Wait until the work that writes leave for later is done."""
        if not self.is_peer:
            time.sleep(NOTES)
            wait_for_history(self.population)

    def wire(self) -> Wire:
        return Wire(self.load.server.port, SCIM_BASE, self.population.token)


@dataclass
class Entry:
    """One operation of one contestant: its requests, and its rounds so far."""

    operation: Operation
    contestant: Contestant
    slices: list[Slice] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        requests = self.operation.requests(self.contestant.population)
        self._requests = map(self.contestant.wire().bytes, requests)
        self._accepts = accepting(None if self.contestant.is_peer else self.operation.status)

    def try_once(self) -> None:
        """Send one request; raises RuntimeError unless its answer is right."""
        answer = self.contestant.load.connections[0].exchange(next(self._requests))
        self.sent += 1
        self._accepts(answer)

    def run(self, seconds: float) -> Slice:
        """Send requests for some seconds; what they leave to background jobs counts too."""
        load = self.contestant.load
        cpu = load.server.cpu()
        took, latencies = load.run(self._requests, self._accepts, seconds)
        if self.operation.writes:
            self.contestant.settle()
        self.sent += len(latencies)
        return Slice(len(latencies), took, load.server.cpu() - cpu, latencies)


class Hello:
    """The bare application: its GET is measured in every round of every operation."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._request = Wire(load.server.port, "", "none").bytes(Request("GET", "/hello"))
        self.slices: list[Slice] = []

    def run(self, seconds: float) -> Slice:
        cpu = self._load.server.cpu()
        took, latencies = self._load.run(repeat(self._request), accepting(200), seconds)
        return Slice(len(latencies), took, self._load.server.cpu() - cpu, latencies)


@dataclass
class Contest:
    """One operation, and all who play it."""

    operation: Operation
    hello: Hello
    entries: list[Entry]
    hellos: list[Slice] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # which peers cannot play, and why

    def warm_up(self) -> None:
        self.hello.run(WARM_UP)
        for entry in [*self.entries]:
            try:
                entry.try_once()
                entry.run(WARM_UP)
            except WrongAnswer as wrong:
                if not entry.contestant.is_peer:
                    raise
                self.entries.remove(entry)
                self.refused.append(f"{entry.contestant.name}: {self.operation.title}: {wrong}")

    def play(self, seconds: float) -> None:
        """Measure everyone once; who goes first changes from round to round."""
        turn = len(self.hellos) % (len(self.entries) + 1)
        players: list[Hello | Entry] = [self.hello, *self.entries]
        slices = {id(each): each.run(seconds) for each in players[turn:] + players[:turn]}
        hello = slices[id(self.hello)]
        self.hellos.append(hello)
        for entry in self.entries:
            entry.slices.append(slices[id(entry)])
            entry.ratios.append(entry.slices[-1].cpu_ms / hello.cpu_ms)


def hold(
    contests: Sequence[Contest], rounds: int, seconds: float, progress: Callable[[str], None]
) -> None:
    """Play all rounds: operations that read or change users first, then those that add them."""
    for phase in _phases(contests):
        for contest in phase:
            contest.warm_up()
        names = ", ".join(contest.operation.name for contest in phase)
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}: {names}")
            for contest in phase:
                contest.play(seconds)


def _phases(contests: Sequence[Contest]) -> Iterator[list[Contest]]:
    for adding in (False, True):
        phase = [contest for contest in contests if contest.operation.adds_users == adding]
        if phase:
            yield phase
