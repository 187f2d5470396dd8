"""The benchmark: `make bench`, or `python -m tests.bench --help`."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench import report
from tests.bench.circumstances import Circumstances, Watch, circumstances
from tests.bench.contest import Contest, hold
from tests.bench.hello import ANSWERS
from tests.bench.load import Load
from tests.bench.operations import OPERATIONS, Operation
from tests.bench.seed import Population, events_of, populate
from tests.bench.server import serving

PRODUCT, HELLO = "app:create_app()", "tests.bench.hello:create_app()"
QUICK = {"sizes": [1000], "rounds": 3, "seconds": 0.3}


def main() -> None:
    """Measure and print; what was started is stopped and what was written removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    with tempfile.TemporaryDirectory(prefix="scim-bench-") as folder:
        run, contests = measure(options, Path(folder))
    _print(run, contests, options.sizes)
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
    parser.add_argument("--quick", action="store_true", help="1,000 users, about 15 seconds")
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
        loads = [field.product(population) for population in populations]
        contests = [
            Contest.of(operation, population, load)
            for operation in options.only
            for population, load in zip(populations, loads, strict=True)
        ]
        loads.append(field.hello(contests))
        run = _held(options, contests, loads)
    for population, events in zip(populations, before, strict=True):
        _must_have_written(contests, population, events_of(population) - events)
    return run, contests


def _held(
    options: argparse.Namespace, contests: Sequence[Contest], loads: Sequence[Load]
) -> Circumstances:
    """Warm up and play, with an eye on what else the machine has to do."""
    _say("warming up")
    for contest in contests:
        contest.challenge(loads[-1])
    watch = Watch([load.server for load in loads])
    hold(contests, options.rounds, options.seconds, _say)
    return circumstances(
        watch,
        workers=options.workers,
        each=options.each,
        rounds=options.rounds,
        seconds=options.seconds,
    )


def _populated(folder: Path, size: int) -> Population:
    started = time.monotonic()
    population = populate(folder / str(size), size, lambda _: None)
    _say(f"{size:,} users written in {time.monotonic() - started:.1f} s")
    return population


@dataclass(frozen=True)
class Field:
    """Where the contests take place: servers of one shape, each with its load."""

    stack: ExitStack
    workers: int
    each: int
    folder: Path

    def product(self, population: Population) -> Load:
        """Start the product over the ledger of a population."""
        settings = {"SCIM_DATA_DIR": str(population.data_dir)}
        return self._load(f"product-{population.size}", PRODUCT, settings)

    def hello(self, contests: Sequence[Contest]) -> Load:
        """Start the bare application with the answers that the product gave."""
        answers = self.folder / "answers.json"
        answers.write_bytes(orjson.dumps({c.place: c.prepared() for c in contests}))
        return self._load("hello", HELLO, {ANSWERS: str(answers)})

    def _load(self, name: str, target: str, settings: Mapping[str, str]) -> Load:
        log = self.folder / f"{name}.log"
        server = self.stack.enter_context(serving(name, target, settings, log, self.workers))
        return self.stack.enter_context(closing(Load(server, self.each)))


def _must_have_written(contests: Sequence[Contest], population: Population, events: int) -> None:
    """Make sure that every write that was measured recorded one event."""
    writing = [c for c in contests if c.operation.writes and c.population is population]
    sent = sum(contest.product.sent for contest in writing)
    if events != sent:
        raise RuntimeError(f"{sent} writes were answered, but {events} events were recorded")


def _print(run: Circumstances, contests: Sequence[Contest], sizes: Sequence[int]) -> None:
    by_size = [[c for c in contests if c.population.size == size] for size in sizes]
    tables = [report.size_table(group) for group in by_size]
    if len(sizes) > 1:
        tables.append(report.growth_table(by_size[0], by_size[-1]))
    print("\n\n".join([report.heading(run), *tables, report.verdicts(contests)]))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
