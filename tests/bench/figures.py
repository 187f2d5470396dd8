"""The measurements as figures: what tables, the chart and the check are made of, and the JSON."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.circumstances import Circumstances
from tests.bench.contest import Contest, Entry
from tests.bench.load import Slice

Figures = dict[str, Any]
Result = dict[str, Any]
QUIET = 0.10  # of the machine may be others': what waits for a disk suffers first
MAY_GROW = 0.15  # of the ratio at the smallest size: what passes for no growth


def figures(run: Circumstances, contests: Sequence[Contest], skipped: Sequence[str]) -> Figures:
    """Return all measurements except the times of single answers."""
    results = [_result(contest, entry) for contest in contests for entry in contest.entries]
    refused = [each for contest in contests for each in contest.refused]
    return {**asdict(run), "results": results, "skipped": [*skipped, *refused]}


def _result(contest: Contest, entry: Entry) -> Result:
    return {
        "operation": contest.operation.name,
        "title": contest.operation.title,
        "contestant": entry.contestant.name,
        "peer": entry.contestant.is_peer,
        "users": entry.contestant.population.size,
        "ratio": statistics.median(entry.ratios),
        "target": contest.operation.target,
        "ratios": entry.ratios,
        "own": _of(entry.slices),
        "hello": _of(contest.hellos),
    }


def _of(slices: Sequence[Slice]) -> dict[str, Any]:
    p50, p99 = percentiles([time for one in slices for time in one.latencies])
    requests = sum(one.requests for one in slices)
    return {
        "cpu_ms": statistics.median(one.cpu_ms for one in slices),
        "cpu_ms_mean": sum(one.cpu for one in slices) * 1000 / requests,
        "cpu_ms_rounds": [one.cpu_ms for one in slices],
        "requests_per_second": statistics.median(one.per_second for one in slices),
        "requests": requests,
        "p50_ms": p50,
        "p99_ms": p99,
    }


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return the 50th and the 99th percentile of some seconds, in milliseconds."""
    times = sorted(times)
    return times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000


# Read from them


def of_product(found: Figures) -> list[Result]:
    """Return the results of the product, by operation and then by size."""
    return [result for result in found["results"] if not result["peer"]]


def of_peers(found: Figures) -> list[Result]:
    """Return the results of other servers."""
    return [result for result in found["results"] if result["peer"]]


def peer_names(found: Figures) -> list[str]:
    """Return the names of the other servers."""
    return list(dict.fromkeys(result["contestant"] for result in of_peers(found)))


def sizes(found: Figures) -> list[int]:
    """Return the numbers of users at which the product was measured."""
    return sorted({result["users"] for result in of_product(found)})


def by_operation(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return results by the title of their operation, in order."""
    titles = dict.fromkeys(result["title"] for result in results)
    return {title: [each for each in results if each["title"] == title] for title in titles}


def warning(found: Figures) -> str:
    """Return what has to be said of figures from a machine that others used."""
    if found["others"] <= QUIET:
        return ""
    return (
        f"Other processes took {found['others']:.0%} of the machine: writes, which wait for the"
        " disk and then find the processor's caches full of something else, cost more than on a"
        " quiet one, and 99th percentiles say nothing."
    )


def met(result: Result) -> bool:
    """Return whether the ratio is not above its target, as far as it is shown."""
    return round(result["ratio"], 2) <= result["target"]


def late_ms(found: Figures, result: Result) -> float:
    """Return by how much the 99th percentile is over hello's and one fsync; less than 0: under."""
    allowed = result["hello"]["p99_ms"] + found["fsync_ms"]
    over: float = result["own"]["p99_ms"] - allowed
    return over


def growth(results: Sequence[Result]) -> float:
    """Return by which part an operation's ratio grew from the smallest to the largest size."""
    grown: float = results[-1]["ratio"] / results[0]["ratio"] - 1
    return grown
