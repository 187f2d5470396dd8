"""The tree built again from the ranges: its roots, and whether the tiles that are kept agree."""

from collections.abc import Iterator

from ledger import merkle
from ledger.contract import StoredRows
from ledger.findings import Finding, Kind
from ledger.signing.tiles import HEIGHT, WIDTH
from ledger.verify.ranges import SPAN, Outcome


class TreeCheck:
    """Takes the outcomes of ranges in any order and joins them in theirs.

    `roots` are those of the sizes that the ranges were asked for, as far as no event is missing.
    """

    def __init__(self, rows: StoredRows) -> None:
        self.roots: dict[int, bytes] = {}
        self.size = 0
        self.whole = True
        self._tiles = _Tiles(rows)
        self._tree = merkle.TreeBuilder()
        self._waiting: dict[int, Outcome] = {}
        self._next = 0

    def add(self, number: int, outcome: Outcome) -> Iterator[Finding]:
        """Take the outcome of the range of a number, from 0; find tiles that do not agree."""
        self._waiting[number] = outcome
        while self._next in self._waiting:
            yield from self._join(self._waiting.pop(self._next))
            self._next += 1

    def _join(self, outcome: Outcome) -> Iterator[Finding]:
        gap = self.size % SPAN != 0  # only the last range may be shorter
        if gap or not outcome.whole or outcome.read != self.size + outcome.events:
            self.whole = False
        if not self.whole:
            return
        self.roots |= {size: self._tree.root(root) for size, root in outcome.roots.items()}
        self.size += outcome.events
        for tile in outcome.tiles:
            for height, number, node in self._tree.add(tile, HEIGHT):
                if height % HEIGHT == 0:
                    yield from self._tiles.compare(height // HEIGHT, number, node)


class _Tiles:
    """The tiles that are kept, compared with the nodes that they should hold."""

    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows
        self._newest = {level: number for level, _, number, _ in rows.tile_levels()}
        self._read: dict[int, tuple[int, list[bytes]]] = {}  # of each level the tile read last
        self._found: set[tuple[int, int]] = set()

    def compare(self, level: int, index: int, node: bytes) -> Iterator[Finding]:
        """Compare the hash at an index of a level; one difference a tile is found."""
        number, at = divmod(index, WIDTH)
        newest = self._newest.get(level, -1)
        if number > newest or (level, number) in self._found:
            return
        if level not in self._read or self._read[level][0] != number:
            self._read[level] = number, merkle.split(self._rows.tile(level, number))
        [kept] = self._read[level][1][at : at + 1] or [b""]
        if kept != node and (kept or number < newest):  # the last tile is still being filled
            self._found.add((level, number))
            width = WIDTH**level
            events = f"{index * width + 1} to {(index + 1) * width}"
            what, expected = f"tile {level}/{number}", f"the hash of events {events}"
            yield Finding(Kind.TREE, None, what, expected, "another, or none")


def check_levels(rows: StoredRows, end: int) -> Iterator[Finding]:
    """Find levels of tiles that do not fit on each other, or hold more than there are events."""
    below, levels = end >> HEIGHT, rows.tile_levels()
    for at, (level, hashes, number, tiles) in enumerate(levels, 1):
        fits = hashes <= below if level == 1 else hashes == below
        if level != at or not fits or tiles != number + 1:
            what, found = f"tiles of level {level}", f"{hashes:,} hashes in {tiles:,} tiles"
            yield Finding(Kind.TREE, None, what, f"{below:,} hashes", found)
        below = hashes >> HEIGHT
    if levels and below:
        what = f"tiles of level {len(levels) + 1}"
        yield Finding(Kind.TREE, None, what, f"{below:,} hashes", "none")
