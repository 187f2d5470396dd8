"""The measurements as tables and as JSON."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.circumstances import Circumstances
from tests.bench.contest import Contest, growth
from tests.bench.load import Slice

MAY_GROW = 1.10  # what passes for no growth: a tree of 100,000 keys is a level deeper

_COLUMNS = "{:<19} {:>8} {:>8} {:>6} {:>12} {:>7} {:>11} {:>8} {:>8} {:>13} {:>13}"
_HEADINGS = (
    "operation",
    "product",
    "hello",
    "ratio",
    "of rounds",
    "target",
    "met?",
    "product",
    "hello",
    "product",
    "hello",
)


def heading(run: Circumstances) -> str:
    """Say what was measured on what."""
    return (
        f"scim-ledger {run.commit} beside a bare Flask application answering the same bytes.\n"
        f"{run.date}, {run.cores} cores, Python {run.python}; each under gunicorn gthread,"
        f" workers x threads {run.workers} x {run.threads}, connections kept alive:"
        f" {run.connections};\n{run.rounds} rounds of {run.seconds} s; other processes took"
        f" {run.others:.0%} of the machine meanwhile.\n"
        "CPU is that of the server, milliseconds a request, user and system; the ratio is the"
        " median of the rounds."
    )


def size_table(contests: Sequence[Contest]) -> str:
    """Return the table of one size."""
    units = ("CPU ms", "CPU ms", "", "", "", "", "req/s", "req/s", "p50/p99 ms", "p50/p99 ms")
    rows = [_COLUMNS.format(*_row(contest)) for contest in contests]
    title = f"{contests[0].population.size:,} users"
    return "\n".join([title, _COLUMNS.format("", *units), _COLUMNS.format(*_HEADINGS), *rows])


def _row(contest: Contest) -> list[str]:
    products, hellos = contest.products(), contest.hellos()
    return [
        contest.operation.title,
        f"{cpu_ms(products):.3f}",
        f"{cpu_ms(hellos):.3f}",
        f"{contest.ratio:.2f}",
        f"{min(contest.ratios):.2f}-{max(contest.ratios):.2f}",
        f"{contest.operation.target:.1f}",
        _verdict(contest),
        f"{per_second(products):.0f}",
        f"{per_second(hellos):.0f}",
        "{:.1f}/{:.1f}".format(*percentiles(products)),
        "{:.1f}/{:.1f}".format(*percentiles(hellos)),
    ]


def _verdict(contest: Contest) -> str:
    if contest.met:
        return "yes"
    return f"no, +{contest.ratio / contest.operation.target - 1:.0%}"


def cpu_ms(slices: Sequence[Slice]) -> float:
    """Return the median CPU milliseconds a request."""
    return statistics.median(one.cpu_ms for one in slices)


def per_second(slices: Sequence[Slice]) -> float:
    """Return the median of requests a second."""
    return statistics.median(one.per_second for one in slices)


def percentiles(slices: Sequence[Slice]) -> tuple[float, float]:
    """Return the 50th and the 99th percentile of all answers' times, in milliseconds."""
    times = sorted(time for one in slices for time in one.latencies)
    return times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000


def growth_table(small: Sequence[Contest], large: Sequence[Contest]) -> str:
    """Return how the cost of each operation grew with the number of users."""
    sizes = small[0].population.size, large[0].population.size
    columns = "{:<19} {:>14} {:>14} {:>14}  {}"
    labels = [f"ratio at {size:,}" for size in sizes]
    rows = [
        columns.format(
            before.operation.title,
            f"{before.ratio:.2f}",
            f"{after.ratio:.2f}",
            f"{growth(before, after):.2f}",
            _grows(before, after),
        ).rstrip()
        for before, after in zip(small, large, strict=True)
    ]
    title = f"From {sizes[0]:,} to {sizes[1]:,} users (growth: of the product's CPU a request)"
    return "\n".join([title, columns.format("operation", *labels, "growth", "").rstrip(), *rows])


def _grows(before: Contest, after: Contest) -> str:
    if not before.operation.must_not_grow:
        return ""
    return "does not grow" if growth(before, after) <= MAY_GROW else "GROWS"


def missed(contests: Sequence[Contest]) -> Iterator[str]:
    """Yield a sentence for each target that was not met."""
    for contest in contests:
        if not contest.met:
            over = contest.ratio - contest.operation.target
            yield (
                f"{contest.operation.title} at {contest.population.size:,} users:"
                f" {contest.ratio:.2f} times the bare application, target"
                f" {contest.operation.target:.1f}; {over:.2f} over"
                f" ({over * cpu_ms(contest.hellos()) * 1000:.0f} us a request)"
            )


def verdicts(contests: Sequence[Contest]) -> str:
    """Say which targets are missed and by how much."""
    sentences = list(missed(contests))
    if not sentences:
        return "Every target is met."
    return "\n".join(["Targets missed:", *(f"- {sentence}" for sentence in sentences)])


def as_json(run: Circumstances, contests: Sequence[Contest]) -> dict[str, Any]:
    """Return all measurements except the times of single answers."""
    return {**asdict(run), "results": [_result(contest) for contest in contests]}


def _result(contest: Contest) -> dict[str, Any]:
    return {
        "operation": contest.operation.name,
        "users": contest.population.size,
        "answer_bytes": len(contest.answer["body"].encode()),
        "ratio": contest.ratio,
        "target": contest.operation.target,
        "met": contest.met,
        "ratios": contest.ratios,
        "product": _figures(contest.products()),
        "hello": _figures(contest.hellos()),
    }


def _figures(slices: Sequence[Slice]) -> dict[str, Any]:
    p50, p99 = percentiles(slices)
    return {
        "cpu_ms": cpu_ms(slices),
        "cpu_ms_rounds": [one.cpu_ms for one in slices],
        "requests_per_second": per_second(slices),
        "requests": sum(one.requests for one in slices),
        "p50_ms": p50,
        "p99_ms": p99,
    }
