"""Where the contest takes place: ledgers are filled, servers started, and everyone plays."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from tests.bench.circumstances import Watch
from tests.bench.contest import Contest, Contestant, Entry, Hello, hold
from tests.bench.figures import Figures, figures
from tests.bench.load import Load
from tests.bench.operations import Operation
from tests.bench.peers.field import PEERS, Missing, fill
from tests.bench.seed import Population, events_of, populate
from tests.bench.server import Server, product, stock
from tests.bench.story import Story

HELLO = "tests.bench.hello:app"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Shape:
    """What is measured, and how long."""

    operations: Sequence[Operation]
    sizes: Sequence[int]
    rounds: int
    seconds: float
    workers: int = 2
    each: int = 2  # connections to each worker
    peers: bool = False


def measure(shape: Shape, folder: Path, say: Say) -> Figures:
    """Fill the ledgers, start the servers, play all rounds."""
    populations = [_populated(folder, size, say) for size in shape.sizes]
    before = [events_of(population) for population in populations]
    with ExitStack() as stack:
        field = Field(stack, shape, folder)
        contestants = [field.product(population) for population in populations]
        peers, skipped = field.peers(say) if shape.peers else ([], [])
        hello = field.load(stock("hello", HELLO, folder / "hello.log", shape.workers))
        contests = _contests(shape.operations, hello, [*contestants, *peers])
        say("waiting for the histories")
        for each in contestants:
            each.settle()
        servers = [hello.server, *(each.load.server for each in [*contestants, *peers])]
        watch = Watch(servers, folder)
        hold(contests, shape.rounds, shape.seconds, say)
        run = watch.end(
            statistics.median(one.cpu_ms for contest in contests for one in contest.hellos),
            workers=shape.workers,
            each=shape.each,
            rounds=shape.rounds,
            seconds=shape.seconds,
        )
    for population, events in zip(populations, before, strict=True):
        _must_have_written(contests, population, events_of(population) - events)
    return figures(run, contests, skipped)


def _populated(folder: Path, size: int, say: Say) -> Population:
    started = time.monotonic()
    population = populate(folder / str(size), Story(size))
    say(f"{size:,} users written in {time.monotonic() - started:.1f} s")
    return population


def _contests(
    operations: Iterable[Operation], hello: Load, contestants: Sequence[Contestant]
) -> list[Contest]:
    return [
        Contest(operation, Hello(hello), [Entry(operation, each) for each in contestants])
        for operation in operations
    ]


@dataclass(frozen=True)
class Field:
    """Servers of one shape, each with its load; they end with the stack."""

    stack: ExitStack
    shape: Shape
    folder: Path

    def product(self, population: Population) -> Contestant:
        """Start the product over the ledger of a population."""
        name = f"product-{population.size}"
        log = self.folder / f"{name}.log"
        server = product(name, population.data_dir, log, self.shape.workers)
        return Contestant("scim-ledger", self.load(server), population)

    def peers(self, say: Say) -> tuple[list[Contestant], list[str]]:
        """Start the peers that are installed; return them, and why others are not there."""
        found, skipped = [], []
        for name, (start, title) in PEERS.items():
            try:
                each = self.shape.workers * self.shape.each  # one process has all connections
                load = self.load(start(self.folder / f"{name}.log"), each)
                found.append(fill(name, load, self.shape.sizes[0]))
            except Missing as missing:
                skipped.append(f"{title}: {missing}")
                say(f"left out: {skipped[-1]}")
        return found, skipped

    def load(self, server: AbstractContextManager[Server], each: int | None = None) -> Load:
        """Start a server and connect to it."""
        started = self.stack.enter_context(server)
        return self.stack.enter_context(closing(Load(started, each or self.shape.each)))


def _must_have_written(contests: Sequence[Contest], population: Population, events: int) -> None:
    """Make sure that what was measured recorded all its events, and nothing else."""
    expected = sum(
        entry.sent * entry.operation.events
        for contest in contests
        for entry in contest.entries
        if entry.contestant.population is population
    )
    if events != expected:
        raise RuntimeError(f"{expected} events should have been recorded, but {events} were")
