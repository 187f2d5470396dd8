"""The figures as a picture: each operation next to its target and the peers, and how it grows."""

import math
from collections.abc import Iterator
from html import escape

from tests.bench.figures import (
    Figures,
    Result,
    by_operation,
    of_peers,
    of_product,
    peer_names,
    sizes,
)

WIDTH, TOP, ROW = 1080, 64, 30
_LEFT, _BARS = 222, 330  # where the bars begin, and how wide the widest can be
_GROWTH, _GROWN = 620, 270  # where the curves begin, and how wide they are
_COLOURS = (
    *("#0b6e99", "#c2571a", "#3d8b37", "#8e3b8e", "#b03a48", "#5c6ac4", "#8a6d1b", "#2a9d8f"),
    *("#6b4f3a", "#44546a"),
)
_PEERS = ("#7a7a7a", "#b8b8b8")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#222}.s{font-size:11px;fill:#666}"
    ".h{font-size:14px;font-weight:600}line,path{fill:none;stroke:#ccc}"
)


def svg(found: Figures) -> str:
    """Return the picture as a file's text."""
    product = by_operation(of_product(found))
    height = TOP + ROW * len(product) + 60
    parts = [*_bars(found, product), *_curves(found, product, height)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}" role="img">',
            f"<style>{_STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            *parts,
            "</svg>\n",
        ]
    )


# Left: bars


def _bars(found: Figures, product: dict[str, list[Result]]) -> Iterator[str]:
    """Yield a bar for each operation at the smallest size; its target, and each peer's dot."""
    peers = of_peers(found)
    most = max(result["ratio"] for result in found["results"])
    scale = _Log(0.5, most * 1.3, _LEFT, _LEFT + _BARS)
    bottom = TOP + ROW * len(product)
    yield _text(16, 26, "CPU of a request, times that of a bare Flask application's GET", "h")
    yield from _legend(found)
    for tick in (1, 2, 5, 10, 100, 1000):
        if tick <= most * 1.3:
            x = scale(tick)
            yield f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom}"/>'
            yield _text(x, bottom + 16, f"{tick:,}", "s", "middle")
    for row, (title, results) in enumerate(product.items()):
        y, result = TOP + ROW * row, results[0]
        yield _text(_LEFT - 48, y + 17, title, "", "end")
        yield _text(_LEFT - 8, y + 17, f"{result['ratio']:.2f}", "", "end")
        end, goal = scale(result["ratio"]), scale(result["target"])
        yield (
            f'<rect x="{_LEFT}" y="{y + 5}" width="{end - _LEFT:.1f}" height="16"'
            f' fill="{_COLOURS[row % len(_COLOURS)]}"/>'
        )
        yield (
            f'<line x1="{goal:.1f}" y1="{y + 1}" x2="{goal:.1f}" y2="{y + 25}"'
            ' style="stroke:#000;stroke-width:2"/>'
        )
        for number, name in enumerate(peer_names(found)):
            for each in peers:
                if each["contestant"] == name and each["title"] == title:
                    x = scale(each["ratio"])
                    yield f'<circle cx="{x:.1f}" cy="{y + 13}" r="5" fill="{_PEERS[number % 2]}"/>'


def _legend(found: Figures) -> Iterator[str]:
    yield _text(16, 46, f"at {sizes(found)[0]:,} users; | is the target", "s")
    x = 220
    for number, name in enumerate(peer_names(found)):
        yield f'<circle cx="{x}" cy="42" r="5" fill="{_PEERS[number % 2]}"/>'
        yield _text(x + 9, 46, name.partition(",")[0], "s")
        x += 110


# Right: curves


def _curves(found: Figures, product: dict[str, list[Result]], height: int) -> Iterator[str]:
    """Yield how each operation's ratio goes with the number of users."""
    at = sizes(found)
    bottom = height - 60
    most = max(result["ratio"] for results in product.values() for result in results) * 1.1
    across = _Log(at[0], max(at[-1], at[0] * 1.01), _GROWTH, _GROWTH + _GROWN)
    yield _text(_GROWTH - 20, 26, "the same, by the number of users", "h")
    for tick in range(int(most) + 1):
        y = _height(tick, most, bottom)
        yield f'<line x1="{_GROWTH}" y1="{y:.1f}" x2="{_GROWTH + _GROWN}" y2="{y:.1f}"/>'
        yield _text(_GROWTH - 8, y + 4, str(tick), "s", "end")
    for size in at:
        yield _text(across(size), bottom + 16, f"{size:,}", "s", "middle")
    ends = []
    for number, (title, results) in enumerate(product.items()):
        points = [(across(e["users"]), _height(e["ratio"], most, bottom)) for e in results]
        colour = _COLOURS[number % len(_COLOURS)]
        path = " L ".join(f"{x:.1f} {y:.1f}" for x, y in points)
        yield f'<path d="M {path}" style="stroke:{colour};stroke-width:2"/>'
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        ends.append((points[-1][1], title, colour))
    yield from _labels(ends)


def _labels(ends: list[tuple[float, str, str]]) -> Iterator[str]:
    """Name the curves at their ends, one below the other."""
    last = -math.inf
    for y, title, colour in sorted(ends):
        last = max(y, last + 14)
        place = f'x="{_GROWTH + _GROWN + 12}" y="{last + 4:.1f}"'
        yield f'<text {place} style="fill:{colour}">{escape(title)}</text>'


def _height(value: float, most: float, bottom: int) -> float:
    return bottom - (bottom - TOP) * value / most


class _Log:
    """A logarithmic axis from one place to another."""

    def __init__(self, least: float, most: float, start: float, end: float) -> None:
        self._least, self._start = math.log(least), start
        self._by = (end - start) / (math.log(most) - self._least)

    def __call__(self, value: float) -> float:
        return self._start + (math.log(value) - self._least) * self._by


def _text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="{style}">{escape(words)}</text>'
