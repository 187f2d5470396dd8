"""Writes the figures into docs/performance.md, between its marks, and the picture next to it."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.bench.chart import svg
from tests.bench.figures import (
    Figures,
    Result,
    by_operation,
    growth,
    late_ms,
    of_peers,
    of_product,
    peer_names,
    sizes,
    warning,
)
from tests.bench.large import WORKS
from tests.bench.server import ROOT

PAGE = ROOT / "docs" / "performance.md"
PICTURE = PAGE.with_suffix(".svg")
_WIDTH = 150


def write(found: Figures) -> None:
    """Bring the page and its picture up to date."""
    page = PAGE.read_text()
    page = _between(page, "figures", "\n\n".join([_circumstances(found), _ratios(found)]))
    page = _between(page, "peers", _peers(found))
    if found.get("year"):
        page = _between(page, "year", _year(found["year"]))
    if found.get("large"):
        page = _between(page, "large", _large(found["large"]))
    PAGE.write_text(page)
    PICTURE.write_text(svg(found))


def _between(page: str, name: str, text: str) -> str:
    """Replace what stands between the marks of a name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{PAGE} has no marks for {name}")
    return f"{before}{begin}\n{text}\n\n{end}{after}"


def _circumstances(found: Figures) -> str:
    return _wrapped(
        f"{found['date']}, commit {found['commit']}, {found['cores']} cores, Python"
        f" {found['python']}; {found['workers']} workers of {found['threads']} threads,"
        f" {found['connections']} connections; the median of {found['rounds']} rounds of"
        f" {found['seconds']} s. {warning(found) or 'The machine had nothing else to do.'}"
        f" hello's GET took {found['hello_ms']:.3f} ms of CPU, an fsync"
        f" {found['fsync_ms']:.2f} ms (one in a hundred {found['fsync_p99_ms']:.2f})."
    )


def _ratios(found: Figures) -> str:
    """Return a row for each operation: ratios by size, and the largest size's times."""
    at = sizes(found)
    heads = [
        "operation",
        "target",
        *(f"{size:,} users" for size in at),
        "growth",
        "CPU ms",
        "requests/s",
        "p50 / p99 ms",
        "p99 over hello's + fsync",
    ]
    rows = [_ratio_row(found, title, own) for title, own in by_operation(of_product(found)).items()]
    note = f"The last four columns are at {at[-1]:,} users."
    return f"{_markdown(heads, rows)}\n\n{note}"


def _ratio_row(found: Figures, title: str, results: Sequence[Result]) -> list[str]:
    last, late = results[-1], late_ms(found, results[-1])
    own = last["own"]
    return [
        title,
        f"{last['target']:.1f}",
        *(f"{each['ratio']:.2f}" for each in results),
        f"{growth(results):+.0%}",
        f"{own['cpu_ms']:.3f}",
        f"{own['requests_per_second']:,.0f}",
        f"{own['p50_ms']:.1f} / {own['p99_ms']:.1f}",
        f"{late:.1f} ms" if late > 0 else "no",
    ]


def _peers(found: Figures) -> str:
    peers = of_peers(found)
    if not peers:
        return "Nothing else was installed."
    names = peer_names(found)
    of = {(each["contestant"], each["title"]): f"{each['ratio']:,.1f}" for each in peers}
    least = sizes(found)[0]
    own = {e["title"]: f"{e['ratio']:.2f}" for e in of_product(found) if e["users"] == least}
    rows = [[title, own[title], *(of.get((name, title), "") for name in names)] for title in own]
    return _markdown([f"ratio at {least:,} users", "scim-ledger", *names], rows)


def _year(year: dict[str, Any]) -> str:
    """Return what a replayed year came to."""
    sent, logs = year["requests"], year["logs"].values()
    memory = [max(each[place] for _, each in year["memory"]) for place in range(3)]
    says = (
        f"{sent:,} requests about {year['people']:,} people took {year['seconds']:,.0f} s"
        f" ({sent / year['seconds']:,.0f}/s): {year['events']:,} events recorded,"
        f" {year['expected']:,} acknowledged, {year['fed']:,} came by the feed;"
        f" {year['verified']}. A request cost the server {year['server_cpu'] / sent * 1000:.2f} ms"
        " of CPU with its jobs, the feed and the auditor, and the client"
        f" {year['client_cpu'] / sent * 1000:.3f} ms. At most {_mb(memory)} MB of memory (master,"
        f" workers), logs of {_mb(logs)} MB (ledger, history)."
    )
    rows = [
        [kind, f"{row['requests']:,}", *("{:.1f} / {:.1f}".format(*row[of]) for of in _ENDS)]
        for kind, row in year["kinds"].items()
    ]
    heads = ["p50 / p99 ms", "requests", "first minute", "last minute"]
    return f"{_wrapped(says)}\n\n{_markdown(heads, rows)}"


_ENDS = ("first", "last")


def _large(found: dict[str, Any]) -> str:
    """Return what a large ledger costs."""
    says = (
        f"{found['users']:,} users and {found['events']:,} events. Bytes an event:"
        f" {found['ledger_bytes'] / found['events']:,.0f} in the ledger with its projections,"
        f" {found['history_bytes'] / found['events']:,.0f} in the history. The service is ready"
        f" {found['start_seconds']:.1f} s after its start."
    )
    works = [
        [title, f"{took['per_second']:,.0f}", f"{took['seconds']:,.1f}", f"{took['megabytes']:.0f}"]
        for name, title in WORKS.items()
        for took in [found[name]]
    ]
    slowest = found["rebuild"]["slowest_get_ms"]
    during = f"The slowest GET while the current state was rebuilt took {slowest:.0f} ms."
    answers = [
        [name, f"{p50:,.1f}", f"{p99:,.1f}"] for name, (p50, p99) in found["milliseconds"].items()
    ]
    return "\n\n".join(
        [
            _wrapped(says),
            _markdown(["work", "events/s", "seconds", "MB, all processes"], works),
            during,
            _markdown(["one answer", "p50 ms", "p99 ms"], answers),
        ]
    )


def _mb(sizes_: Iterable[float]) -> str:
    return ", ".join(f"{each / 1e6:.0f}" for each in sizes_)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _wrapped(text: str) -> str:
    """Break a paragraph into lines as long as the page's."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
