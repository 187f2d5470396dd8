"""The benchmark: `make bench`, or `python -m tests.bench --help`."""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench import report
from tests.bench.circumstances import Circumstances, Watch
from tests.bench.contest import Contest, Contestant, Entry, Hello, hold
from tests.bench.load import Load
from tests.bench.operations import OPERATIONS, Operation
from tests.bench.seed import Population, events_of, populate
from tests.bench.server import Server, product, stock
from tests.bench.story import Story

HELLO = "tests.bench.hello:app"
QUICK = {"sizes": [1000], "rounds": 5, "seconds": 0.3}


def main() -> None:
    """Measure and print; what was started is stopped and what was written removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    with tempfile.TemporaryDirectory(prefix="scim-bench-") as folder:
        run, contests = measure(options, Path(folder))
    print(report.text(run, contests))
    if options.json:
        figures = report.as_json(run, contests)
        options.json.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = ",".join(operation.name for operation in OPERATIONS)
    parser.add_argument("--sizes", type=_sizes, default=[1000, 100_000], metavar="N,N")
    parser.add_argument("--rounds", type=int, default=10, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each time")
    parser.add_argument("--workers", type=int, default=2, help="gunicorn workers of each server")
    parser.add_argument("--each", type=int, default=2, help="connections to each worker")
    parser.add_argument("--only", type=_operations, default=OPERATIONS, metavar=names)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--quick", action="store_true", help="1,000 users, five short rounds")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    return options


def _sizes(text: str) -> list[int]:
    sizes = sorted({int(part) for part in text.split(",")})
    if sizes[0] < 100:
        raise argparse.ArgumentTypeError("at least 100 users are needed for a page of 100")
    return sizes


def _operations(text: str) -> tuple[Operation, ...]:
    known = {operation.name: operation for operation in OPERATIONS}
    unknown = [name for name in text.split(",") if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"no operation {unknown[0]}; there are {', '.join(known)}")
    return tuple(operation for name, operation in known.items() if name in text.split(","))


def measure(options: argparse.Namespace, folder: Path) -> tuple[Circumstances, list[Contest]]:
    """Fill the ledgers, start the servers, play all rounds."""
    populations = [_populated(folder, size) for size in options.sizes]
    before = [events_of(population) for population in populations]
    with ExitStack() as stack:
        field = Field(stack, options.workers, options.each, folder)
        contestants = [field.product(population) for population in populations]
        hello = field.load(stock("hello", HELLO, folder / "hello.log", options.workers))
        contests = [
            Contest(operation, Hello(hello), [Entry(operation, each) for each in contestants])
            for operation in options.only
        ]
        _say("waiting for the histories")
        for each in contestants:
            each.settle()
        watch = Watch([hello.server, *(each.load.server for each in contestants)], folder)
        hold(contests, options.rounds, options.seconds, _say)
        run = watch.end(
            statistics.median(one.cpu_ms for contest in contests for one in contest.hellos),
            workers=options.workers,
            each=options.each,
            rounds=options.rounds,
            seconds=options.seconds,
        )
    for population, events in zip(populations, before, strict=True):
        _must_have_written(contests, population, events_of(population) - events)
    return run, contests


def _populated(folder: Path, size: int) -> Population:
    started = time.monotonic()
    population = populate(folder / str(size), Story(size))
    _say(f"{size:,} users written in {time.monotonic() - started:.1f} s")
    return population


@dataclass(frozen=True)
class Field:
    """Where the contests take place: servers of one shape, each with its load."""

    stack: ExitStack
    workers: int
    each: int
    folder: Path

    def product(self, population: Population) -> Contestant:
        """Start the product over the ledger of a population."""
        log = self.folder / f"product-{population.size}.log"
        server = product(f"product-{population.size}", population.data_dir, log, self.workers)
        return Contestant("scim-ledger", self.load(server), population)

    def load(self, server: AbstractContextManager[Server]) -> Load:
        """Start a server and connect to it."""
        started = self.stack.enter_context(server)
        return self.stack.enter_context(closing(Load(started, self.each)))


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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
