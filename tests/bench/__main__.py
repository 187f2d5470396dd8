"""The benchmark: `make bench`, or `python -m tests.bench --help`."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench import check, large, page, report, year
from tests.bench.field import Shape, measure
from tests.bench.figures import Figures
from tests.bench.operations import OPERATIONS, Operation

FULL = {
    "sizes": [1000, 10_000, 100_000],
    "rounds": 10,
    "seconds": 0.5,
    "peers": True,
    "year": 20_000,
}
QUICK = {"sizes": [1000], "rounds": 5, "seconds": 0.3, "peers": False, "year": 4000}
MILLION = 1_000_000
LARGE = MILLION, 2 * MILLION  # users, events


def main() -> None:
    """Measure and print; what was started is stopped and what was written removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    if options.render:
        page.write(orjson.loads(options.render.read_bytes()))
    elif options.record:
        check.record([_Bench(options).quick(OPERATIONS, 1) for _ in range(check.RUNS)])
    elif options.check:
        _check(options)
    else:
        _run(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = ",".join(operation.name for operation in OPERATIONS)
    parser.add_argument("--quick", action="store_true", help="1,000 users, two minutes")
    parser.add_argument("--million", action="store_true", help="1,000,000 users too")
    parser.add_argument("--sizes", type=_sizes, metavar="N,N", help="default: 1000,10000,100000")
    parser.add_argument("--rounds", type=int, help="how often each is measured")
    parser.add_argument("--seconds", type=float, help="how long each time")
    parser.add_argument("--only", type=_operations, default=OPERATIONS, metavar=names)
    parser.add_argument("--year", type=int, metavar="REQUESTS", help="0 leaves the year out")
    parser.add_argument("--large", action="store_true", help="what a large ledger costs, too")
    parser.add_argument(
        "--peers", action=argparse.BooleanOptionalAction, help="default: unless quick"
    )
    parser.add_argument("--workers", type=int, default=2, help="gunicorn workers of each server")
    parser.add_argument("--each", type=int, default=2, help="connections to each worker")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md and .svg")
    parser.add_argument("--render", type=Path, metavar="FILE", help="write them from such figures")
    parser.add_argument("--record", action="store_true", help="record ratios for --check")
    parser.add_argument("--check", action="store_true", help="fail where one became worse")
    options = parser.parse_args()
    if options.only != OPERATIONS:  # whoever looks at one operation wants to know that alone
        options.peers, options.year = bool(options.peers), options.year or 0
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.million:
        options.sizes = sorted({*options.sizes, MILLION})
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


@dataclass(frozen=True)
class _Bench:
    """Measures in a folder that is removed afterwards."""

    options: argparse.Namespace

    def full(self) -> Figures:
        """Measure what the options say."""
        options = self.options
        shape = Shape(
            options.only,
            options.sizes,
            options.rounds,
            options.seconds,
            options.workers,
            options.each,
            options.peers,
        )
        with _scratch() as folder:
            found = measure(shape, Path(folder), _say)
        if options.year:
            with _scratch() as folder:
                people = max(100, options.year // 20)
                found["year"] = year.as_json(year.replay(Path(folder), people, options.year))
        if options.large:
            with _scratch() as folder:
                found["large"] = large.make_and_measure(Path(folder), *LARGE)
        return found

    def quick(self, operations: Sequence[Operation], times: int) -> Figures:
        """Measure some operations of the product at 1,000 users, with some times the rounds."""
        rounds, seconds = QUICK["rounds"] * times, QUICK["seconds"]
        with _scratch() as folder:
            return measure(Shape(operations, QUICK["sizes"], rounds, seconds), Path(folder), _say)


def _scratch() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="scim-bench-")


def _run(options: argparse.Namespace) -> None:
    found = _Bench(options).full()
    print(report.text(found))
    if found.get("year"):
        print(f"\n{year.text(found['year'])}")
    if found.get("large"):
        print(f"\n{large.text(found['large'])}")
    if options.json:
        options.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    if options.docs:
        page.write(found)
    sys.exit(bool(found.get("year")) and not found["year"]["holds"])


def _check(options: argparse.Namespace) -> None:
    found, regressions = check.check(_Bench(options).quick)
    print(report.text(found))
    print("\n".join(["", *regressions]) if regressions else "\nNo ratio is worse than recorded.")
    sys.exit(bool(regressions))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
