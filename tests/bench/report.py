"""The measurements as tables and as JSON."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.circumstances import Circumstances
from tests.bench.contest import Contest, Contestant, Entry
from tests.bench.load import Slice

MAY_GROW = 0.15  # of the ratio at the smallest size: what passes for no growth

_COLUMNS = "{:<25} {:>6} {:>12} {:>7} {:>12} {:>8} {:>8} {:>13} {:>13} {:>10}"
_UNITS = ("", "", "of rounds", "", "", "CPU ms", "req/s", "p50/p99 ms", "hello's", "+ fsync")
_HEADINGS = "operation|ratio|least-most|target|met?||||p50/p99 ms|p99 met?".split("|")


def text(run: Circumstances, contests: Sequence[Contest]) -> str:
    """Return everything, for a terminal."""
    sizes = sizes_of(contests)
    parts = [heading(run)]
    parts += [table(contests, contestant, run.fsync_ms) for contestant in contestants(contests)]
    if len(sizes) > 1:
        parts.append(growth_table(contests, sizes))
    return "\n\n".join([*parts, verdicts(contests)])


def heading(run: Circumstances) -> str:
    """Say what was measured on what."""
    return (
        f"scim-ledger {run.commit} next to a bare Flask application under gunicorn as it comes:"
        f" a GET costs {run.hello_ms:.3f} ms.\n"
        f"{run.date}, {run.cores} cores, Python {run.python}; gthread, workers x threads"
        f" {run.workers} x {run.threads}, connections kept alive: {run.connections};\n"
        f"{run.rounds} rounds of {run.seconds} s; other processes took {run.others:.0%} of the"
        f" machine meanwhile; an fsync took {run.fsync_ms:.2f} ms, one in a hundred"
        f" {run.fsync_p99_ms:.2f}.\n"
        "CPU is that of the server with its background jobs, user and system, a request; the"
        " ratio is to a GET of\nthe bare application in the same round, the median of the rounds."
    )


def contestants(contests: Sequence[Contest]) -> list[Contestant]:
    """Return all who took part, the product first, by size."""
    return list(dict.fromkeys(entry.contestant for each in contests for entry in each.entries))


def sizes_of(contests: Sequence[Contest]) -> list[int]:
    """Return the numbers of users at which the product was measured."""
    return [each.population.size for each in contestants(contests) if not each.is_peer]


def table(contests: Sequence[Contest], contestant: Contestant, fsync_ms: float) -> str:
    """Return the table of one contestant."""
    rows = [
        _COLUMNS.format(*_row(contest, entry, fsync_ms)).rstrip()
        for contest in contests
        for entry in contest.entries
        if entry.contestant is contestant
    ]
    title = f"{contestant.name}, {contestant.population.size:,} users"
    heads = [_COLUMNS.format(*each).rstrip() for each in (_UNITS, _HEADINGS)]
    return "\n".join([title, *heads, *rows])


def _row(contest: Contest, entry: Entry, fsync_ms: float) -> list[str]:
    hello, own = percentiles(contest.hellos), percentiles(entry.slices)
    return [
        contest.operation.title,
        f"{entry.ratio:.2f}",
        f"{min(entry.ratios):.2f}-{max(entry.ratios):.2f}",
        f"{contest.operation.target:.1f}",
        verdict(entry),
        f"{cpu_ms(entry.slices):.3f}",
        f"{per_second(entry.slices):.0f}",
        "{:.1f}/{:.1f}".format(*own),
        "{:.1f}/{:.1f}".format(*hello),
        "yes" if own[1] <= hello[1] + fsync_ms else f"+{own[1] - hello[1] - fsync_ms:.1f} ms",
    ]


def verdict(entry: Entry) -> str:
    if entry.met:
        return "yes"
    return f"no, +{entry.ratio / entry.operation.target - 1:.0%}"


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


def growth(contest: Contest) -> float | None:
    """Return by which part the ratio grew from the smallest to the largest size."""
    own = [entry for entry in contest.entries if not entry.contestant.is_peer]
    return own[-1].ratio / own[0].ratio - 1 if len(own) > 1 else None


def growth_table(contests: Sequence[Contest], sizes: Sequence[int]) -> str:
    """Return how the ratio of each operation grew with the number of users."""
    columns = "{:<25}" + " {:>10}" * (len(sizes) + 1) + "  {}"
    rows = [
        columns.format(
            contest.operation.title,
            *(f"{entry.ratio:.2f}" for entry in contest.entries if not entry.contestant.is_peer),
            f"{grown:+.0%}",
            "" if grown <= MAY_GROW else "GROWS",
        ).rstrip()
        for contest in contests
        if (grown := growth(contest)) is not None
    ]
    head = columns.format("ratio at", *(f"{size:,}" for size in sizes), "growth", "").rstrip()
    return "\n".join([head, *rows])


def missed(contests: Sequence[Contest]) -> Iterator[str]:
    """Yield a sentence for each target that the product did not meet."""
    for contest in contests:
        for entry in contest.entries:
            if not entry.contestant.is_peer and not entry.met:
                over = entry.ratio - contest.operation.target
                yield (
                    f"{contest.operation.title} at {entry.contestant.population.size:,} users:"
                    f" {entry.ratio:.2f} times the bare application, target"
                    f" {contest.operation.target:.1f}; {over:.2f} over"
                    f" ({over * cpu_ms(contest.hellos) * 1000:.0f} us a request)"
                )


def verdicts(contests: Sequence[Contest]) -> str:
    """Say which targets are missed and by how much."""
    sentences = list(missed(contests))
    if not sentences:
        return "Every target is met."
    return "\n".join(["Targets missed:", *(f"- {sentence}" for sentence in sentences)])


def as_json(run: Circumstances, contests: Sequence[Contest]) -> dict[str, Any]:
    """Return all measurements except the times of single answers."""
    results = [_result(contest, entry) for contest in contests for entry in contest.entries]
    return {**asdict(run), "results": results}


def _result(contest: Contest, entry: Entry) -> dict[str, Any]:
    return {
        "operation": contest.operation.name,
        "contestant": entry.contestant.name,
        "peer": entry.contestant.is_peer,
        "users": entry.contestant.population.size,
        "ratio": entry.ratio,
        "target": contest.operation.target,
        "met": entry.met,
        "ratios": entry.ratios,
        "own": _figures(entry.slices),
        "hello": _figures(contest.hellos),
    }


def _figures(slices: Sequence[Slice]) -> dict[str, Any]:
    p50, p99 = percentiles(slices)
    requests = sum(one.requests for one in slices)
    return {
        "cpu_ms": cpu_ms(slices),
        "cpu_ms_mean": sum(one.cpu for one in slices) * 1000 / requests,
        "cpu_ms_rounds": [one.cpu_ms for one in slices],
        "requests_per_second": per_second(slices),
        "requests": requests,
        "p50_ms": p50,
        "p99_ms": p99,
    }
