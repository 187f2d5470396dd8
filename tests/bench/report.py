"""The figures as a text for a terminal."""

from collections.abc import Iterator, Sequence

from tests.bench.figures import (
    MAY_GROW,
    Figures,
    Result,
    by_operation,
    growth,
    late_ms,
    met,
    of_peers,
    of_product,
    peer_names,
    sizes,
    warning,
)

_COLUMNS = "{:<25} {:>6} {:>12} {:>7} {:>12} {:>8} {:>8} {:>13} {:>13} {:>10}"
_UNITS = ("", "", "of rounds", "", "", "CPU ms", "req/s", "p50/p99 ms", "hello's", "+ fsync")
_HEADINGS = "operation|ratio|least-most|target|met?||||p50/p99 ms|p99 met?".split("|")


def text(found: Figures) -> str:
    """Return everything but the year."""
    product, parts = of_product(found), [heading(found)]
    for size in sizes(found):
        rows = [result for result in product if result["users"] == size]
        parts.append(_table(found, f"scim-ledger, {size:,} users", rows))
    if len(sizes(found)) > 1:
        parts.append(_growth(product, sizes(found)))
    if of_peers(found):
        parts.append(_peers(found))
    parts += [f"Left out: {reason[:200]}" for reason in found["skipped"]]
    parts += [warning(found)] if warning(found) else []
    return "\n\n".join([*parts, verdicts(product)])


def heading(found: Figures) -> str:
    """Say what was measured on what."""
    return (
        f"scim-ledger {found['commit']} next to a bare Flask application under gunicorn as it"
        f" comes: a GET costs {found['hello_ms']:.3f} ms.\n"
        f"{found['date']}, {found['cores']} cores, Python {found['python']}; gthread, workers x"
        f" threads {found['workers']} x {found['threads']}, connections kept alive:"
        f" {found['connections']};\n"
        f"{found['rounds']} rounds of {found['seconds']} s; other processes took"
        f" {found['others']:.0%} of the machine meanwhile; an fsync took"
        f" {found['fsync_ms']:.2f} ms, one in a hundred {found['fsync_p99_ms']:.2f}.\n"
        "CPU is that of the server with its background jobs, user and system, a request; the"
        " ratio is to a GET of\nthe bare application in the same round, the median of the rounds."
    )


def _peers(found: Figures) -> str:
    """Return the ratios of everyone at the size that the peers have."""
    least, names = sizes(found)[0], peer_names(found)
    columns = "{:<25}" + " {:>12}" * (1 + len(names))
    of = {(each["contestant"], each["title"]): f"{each['ratio']:,.2f}" for each in of_peers(found)}
    rows = [
        columns.format(title, f"{own[0]['ratio']:.2f}", *(of.get((n, title), "") for n in names))
        for title, own in by_operation(of_product(found)).items()
    ]
    short = [name.partition(",")[0] for name in names]
    head = columns.format(f"ratio at {least:,} users", "scim-ledger", *short)
    return "\n".join([f"Peers: {'; '.join(names)}", head, *rows])


def _table(found: Figures, title: str, results: Sequence[Result]) -> str:
    heads = [_COLUMNS.format(*each).rstrip() for each in (_UNITS, _HEADINGS)]
    rows = [_COLUMNS.format(*_row(found, each)).rstrip() for each in results]
    return "\n".join([title, *heads, *rows])


def _row(found: Figures, result: Result) -> list[str]:
    own, hello, late = result["own"], result["hello"], late_ms(found, result)
    return [
        result["title"],
        f"{result['ratio']:.2f}",
        f"{min(result['ratios']):.2f}-{max(result['ratios']):.2f}",
        f"{result['target']:.1f}",
        "yes" if met(result) else f"no, +{result['ratio'] / result['target'] - 1:.0%}",
        f"{own['cpu_ms']:.3f}",
        f"{own['requests_per_second']:.0f}",
        f"{own['p50_ms']:.1f}/{own['p99_ms']:.1f}",
        f"{hello['p50_ms']:.1f}/{hello['p99_ms']:.1f}",
        "yes" if late <= 0 else f"+{late:.1f} ms",
    ]


def _growth(results: Sequence[Result], sizes_: Sequence[int]) -> str:
    """Return how the ratio of each operation grew with the number of users."""
    columns = "{:<25}" + " {:>10}" * (len(sizes_) + 1) + "  {}"
    rows = [
        columns.format(
            title,
            *(f"{each['ratio']:.2f}" for each in own),
            f"{growth(own):+.0%}",
            "" if growth(own) <= MAY_GROW else "GROWS",
        ).rstrip()
        for title, own in by_operation(results).items()
    ]
    head = columns.format("ratio at", *(f"{size:,}" for size in sizes_), "growth", "").rstrip()
    return "\n".join([head, *rows])


def verdicts(results: Sequence[Result]) -> str:
    """Say which targets are missed and by how much."""
    sentences = list(_missed(results))
    if not sentences:
        return "Every target is met."
    return "\n".join(["Targets missed:", *(f"- {sentence}" for sentence in sentences)])


def _missed(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if not met(result):
            over = result["ratio"] - result["target"]
            yield (
                f"{result['title']} at {result['users']:,} users: {result['ratio']:.2f} times the"
                f" bare application, target {result['target']:.1f}; {over:.2f} over"
                f" ({over * result['hello']['cpu_ms'] * 1000:.0f} us a request)"
            )
