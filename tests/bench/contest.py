"""The contest: product and bare application in turns, short slices, several rounds."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.load import Load, Slice
from tests.bench.operations import Operation, Wire
from tests.bench.seed import Population

SCIM_BASE = "/scim/v2"
WARM_UP = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Round:
    """One slice of each side, one right after the other."""

    product: Slice
    hello: Slice

    @property
    def ratio(self) -> float:
        return self.product.cpu_ms / self.hello.cpu_ms


class Side:
    """One server's part in a contest: its own sequence of requests."""

    def __init__(self, load: Load, operation: Operation, population: Population, base: str) -> None:
        wire = Wire(load.server.port, base, population.token)
        self._load = load
        self._status = operation.status
        self._requests = map(wire.bytes, operation.requests(population))
        self.sent = 0

    def ask_once(self) -> dict[str, Any]:
        """Return the status, the media type and the body of one answer."""
        answer = self._load.connections[0].exchange(next(self._requests))
        self.sent += 1
        if answer.status != self._status:
            raise RuntimeError(f"expected {self._status}: {answer.head!r} {answer.body[:500]!r}")
        body = answer.body.decode()
        return {"status": answer.status, "content_type": answer.content_type, "body": body}

    def run(self, seconds: float) -> Slice:
        measured = self._load.run(self._requests, self._status, seconds)
        self.sent += measured.requests
        return measured


@dataclass
class Contest:
    """One operation at one size, and its rounds so far."""

    operation: Operation
    population: Population
    product: Side
    answer: dict[str, Any]
    rounds: list[Round] = field(default_factory=list)

    @classmethod
    def of(cls, operation: Operation, population: Population, load: Load) -> "Contest":
        """Prepare a contest: the product answers the first request."""
        side = Side(load, operation, population, SCIM_BASE)
        return cls(operation, population, side, side.ask_once())

    @property
    def place(self) -> str:
        """The path under which the bare application has the answer."""
        return f"{self.population.size}/{self.operation.name}"

    def prepared(self) -> dict[str, Any]:
        """Return the answer that the bare application is to give."""
        first = next(self.operation.requests(self.population))
        names_one = first.path.startswith(("/Users/", "/Groups/"))
        return {**self.answer, "method": first.method, "names_one": names_one}

    def challenge(self, load: Load) -> None:
        """Add the bare application, after checking that it gives the same answer."""
        self.hello = Side(load, self.operation, self.population, f"/{self.place}")
        if self.hello.ask_once() != self.answer:
            raise RuntimeError(f"the bare application answers {self.place} with other bytes")
        for side in (self.product, self.hello):
            side.run(WARM_UP)

    def play(self, seconds: float) -> None:
        """Measure both once; who goes first changes from round to round."""
        if len(self.rounds) % 2:
            hello, product = self.hello.run(seconds), self.product.run(seconds)
        else:
            product, hello = self.product.run(seconds), self.hello.run(seconds)
        self.rounds.append(Round(product, hello))

    # What it came to

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: what disturbs one round does not move it."""
        return statistics.median(self.ratios)

    @property
    def ratios(self) -> list[float]:
        return [one.ratio for one in self.rounds]

    @property
    def met(self) -> bool:
        return self.ratio <= self.operation.target

    def products(self) -> list[Slice]:
        return [one.product for one in self.rounds]

    def hellos(self) -> list[Slice]:
        return [one.hello for one in self.rounds]


def hold(
    contests: Sequence[Contest], rounds: int, seconds: float, progress: Callable[[str], None]
) -> None:
    """Play all rounds: operations that read or change users first, then those that add them."""
    for phase in _phases(contests):
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}: {', '.join(_names(phase))}")
            for contest in phase:
                contest.play(seconds)


def _phases(contests: Sequence[Contest]) -> Iterator[list[Contest]]:
    for creating in (False, True):
        phase = [c for c in contests if (c.operation.name == "create") == creating]
        if phase:
            yield phase


def _names(contests: Sequence[Contest]) -> list[str]:
    return list(dict.fromkeys(contest.operation.name for contest in contests))


def growth(small: Contest, large: Contest) -> float:
    """Return how the product's CPU grew from one size to another, the median of the rounds."""
    pairs = zip(small.products(), large.products(), strict=True)
    return statistics.median(after.cpu_ms / before.cpu_ms for before, after in pairs)
