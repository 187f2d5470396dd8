"""Compares ratios with recorded ones, and tells a regression from noise.

The noise of a ratio is the largest of: what the recorded runs differ by among themselves; three
standard errors of this run's median (1.253 times the standard deviation, estimated from the median
absolute deviation of the rounds, divided by the root of their number); and 5 % of the ratio. What
exceeds the recorded median by more is measured once more, twice as long, and fails only if it
exceeds it again.
"""

import statistics
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import orjson

from tests.bench.figures import Figures, Result, of_product
from tests.bench.operations import OPERATIONS, Operation

RECORDED = Path(__file__).with_name("recorded.json")
RUNS = 3  # that are recorded
LEAST = 0.05  # of a ratio: no run is more exact
Measure = Callable[[Sequence[Operation], int], Figures]  # with how many times the usual rounds


def record(runs: Sequence[Figures]) -> None:
    """Write down the ratios of some runs."""
    last = runs[-1]
    found: dict[str, Any] = {key: last[key] for key in ("date", "commit", "cores", "python")}
    found["others"] = [run["others"] for run in runs]
    found["ratios"] = {
        _key(result): [_same(run, result)["ratio"] for run in runs] for result in of_product(last)
    }
    RECORDED.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")


def check(measure: Measure) -> tuple[Figures, list[str]]:
    """Measure; return the figures, and a sentence for each regression."""
    recorded = orjson.loads(RECORDED.read_bytes())["ratios"]
    found = measure(OPERATIONS, 1)
    suspects = [each for each in of_product(found) if _regression(recorded, each)]
    if not suspects:
        return found, []
    names = {each["operation"] for each in suspects}
    again = measure([each for each in OPERATIONS if each.name in names], 2)
    sentences = [_regression(recorded, _same(again, each)) for each in suspects]
    return found, [sentence for sentence in sentences if sentence]


def noise(before: Sequence[float], ratios: Sequence[float]) -> float:
    """Return by how much a median of rounds can differ from the recorded one by chance."""
    middle = statistics.median(ratios)
    deviation = 1.4826 * statistics.median(abs(each - middle) for each in ratios)
    error = 1.253 * deviation / sqrt(len(ratios))
    return max(max(before) - min(before), 3 * error, LEAST * statistics.median(before))


def _regression(recorded: dict[str, list[float]], result: Result) -> str:
    """Return what to say of a result that is worse than recorded, nothing of another."""
    before = recorded.get(_key(result))
    if before is None:
        return ""
    expected, allowed = statistics.median(before), noise(before, result["ratios"])
    if result["ratio"] <= expected + allowed:
        return ""
    return (
        f"{result['title']} at {result['users']:,} users: {result['ratio']:.2f} times the bare"
        f" application, {expected:.2f} was recorded, {allowed:.2f} passes for noise"
    )


def _key(result: Result) -> str:
    return f"{result['operation']} {result['users']}"


def _same(found: Figures, result: Result) -> Result:
    [same] = [each for each in of_product(found) if _key(each) == _key(result)]
    return same
