"""The tree grown anew from what the ranges found: its roots, and the tiles that are kept of it.

Only the right edge is remembered: a hash for each height, and for each level of tiles the one that
is being filled.
"""

from collections.abc import Iterator
from hashlib import sha256

from ledger.sqlite.connection import Connection
from ledger.verify.event import Finding
from ledger.verify.ranges import SPAN, SPAN_HEIGHT, TILE_HEIGHT, Outcome

WIDTH = 1 << TILE_HEIGHT  # hashes of a full tile
_SIZE = 32  # bytes of a hash


class Growing:
    """Takes the outcomes of ranges in any order and joins them in theirs.

    `roots` are those of the sizes that the ranges were asked for, as far as no event is missing.
    """

    def __init__(self, tiles: "Tiles") -> None:
        self.roots: dict[int, bytes] = {}
        self.size = 0
        self.whole = True
        self._tiles = tiles
        self._waiting: dict[int, Outcome] = {}
        self._next = 0
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, number: int, outcome: Outcome) -> Iterator[Finding]:
        """Take the outcome of the range of a number, from 0; find tiles that are not its own."""
        self._waiting[number] = outcome
        while self._next in self._waiting:
            yield from self._join(self._waiting.pop(self._next))
            self._next += 1

    def finish(self, end: int) -> Iterator[Finding]:
        """Find what is wrong with tiles that are not full; `end` is where the ledger ends now."""
        if self.whole:
            yield from self._tiles.finish()
        yield from self._tiles.counted(end)

    def _join(self, outcome: Outcome) -> Iterator[Finding]:
        gap = self.size % SPAN != 0  # only the last range may be shorter
        if gap or not outcome.whole or outcome.read != self.size + outcome.events:
            self.whole = False
        if not self.whole:
            return
        for size, root in outcome.roots.items():
            self.roots[size] = self._above(root)
        self.size += outcome.events
        for node in outcome.tiles:
            yield from self._tiles.add(node)
        if outcome.events == SPAN:
            self._push(SPAN_HEIGHT, outcome.root)

    def _push(self, height: int, node: bytes) -> None:
        while self._peaks and self._peaks[-1][0] == height:
            node = _above(self._peaks.pop()[1], node)
            height += 1
        self._peaks.append((height, node))

    def _above(self, root: bytes) -> bytes:
        """Return the root of all before and of a part behind it."""
        for _, peak in reversed(self._peaks):
            root = _above(peak, root)
        return root


def _above(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tiles:
    """The tiles that are kept, compared with the nodes that they should hold."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._filling: list[tuple[int, list[bytes]]] = []  # of each level: number, nodes
        rows = connection.execute(
            "SELECT level, coalesce(max(number), -1) FROM tile GROUP BY level"
        )
        self._newest: dict[int, int] = dict(rows.fetchall())

    def add(self, node: bytes, level: int = 1) -> Iterator[Finding]:
        """Take the next node of a level; compare a tile once it is full."""
        while len(self._filling) < level:
            self._filling.append((0, []))
        number, nodes = self._filling[level - 1]
        nodes.append(node)
        if len(nodes) < WIDTH:
            return
        yield from self._compare(level, number, nodes)
        self._filling[level - 1] = (number + 1, [])
        while len(nodes) > 1:
            nodes = [_above(*pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)]
        yield from self.add(nodes[0], level + 1)

    def finish(self) -> Iterator[Finding]:
        """Compare the tiles that are not full."""
        for level, (number, nodes) in enumerate(self._filling, 1):
            if nodes:
                yield from self._compare(level, number, nodes)

    def _compare(self, level: int, number: int, nodes: list[bytes]) -> Iterator[Finding]:
        if number > self._newest.get(level, -1):
            return  # not made yet
        row = self._connection.execute(
            "SELECT hashes FROM tile WHERE level = ? AND number = ?", (level, number)
        ).fetchone()
        kept = row[0] if row else b""
        expected = b"".join(nodes)
        kept = kept[: len(expected)]  # it may be ahead of the end
        if number == self._newest[level]:  # or behind it
            expected = expected[: len(kept)]
        if kept != expected:
            first, last = _events_of(level, number, _differing(kept, expected))
            what = f"tile {level}/{number}"
            yield Finding(None, what, f"the hash of events {first} to {last}", "another, or none")

    def counted(self, end: int) -> Iterator[Finding]:
        """Find levels that do not fit on each other, or hold more than there are events."""
        below = end >> TILE_HEIGHT
        rows = self._connection.execute(
            "SELECT level, sum(length(hashes)) / ?, max(number), count(*) FROM tile"
            " GROUP BY level ORDER BY level",
            (_SIZE,),
        ).fetchall()
        for at, (level, count, number, tiles) in enumerate(rows, 1):
            fits = count <= below if level == 1 else count == below
            if level != at or not fits or tiles != number + 1:
                found = f"{count:,} hashes in {tiles:,} tiles"
                yield Finding(None, f"tiles of level {level}", f"{below:,} hashes", found)
            below = count >> TILE_HEIGHT
        if rows and below:
            yield Finding(None, f"tiles of level {len(rows) + 1}", f"{below:,} hashes", "none")


def _differing(kept: bytes, expected: bytes) -> int:
    """Return the index of the first hash that is not as expected."""
    both = zip(kept, expected, strict=False)
    return next((n for n, (a, b) in enumerate(both) if a != b), len(kept)) // _SIZE


def _events_of(level: int, number: int, index: int) -> tuple[int, int]:
    """Return the first and the last position under a hash of a tile."""
    width = WIDTH**level
    first = (number * WIDTH + index) * width
    return first + 1, first + width
