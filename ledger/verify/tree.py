"""The tree built again from the ranges: its roots, and whether the tiles that are kept agree."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from ledger import merkle
from ledger.contract import Progress, StoredRows
from ledger.findings import Finding, Kind
from ledger.signing.tiles import HEIGHT, WIDTH
from ledger.verify.ranges import MAX_FINDINGS, SPAN, Outcome


class TreeCheck:
    """Takes the outcomes of ranges in any order and joins them in theirs.

    `roots` are those of the sizes that the ranges were asked for, as far as no event is missing;
    `differing` are the tiles that do not agree.
    """

    def __init__(self, rows: StoredRows) -> None:
        self.roots: dict[int, bytes] = {}
        self.size = 0
        self.whole = True
        self.differing: list[Differing] = []
        self._tiles = _Tiles(rows)
        self._tree = merkle.TreeBuilder()
        self._waiting: dict[int, Outcome] = {}
        self._next = 0

    def add(self, number: int, outcome: Outcome) -> None:
        """Take the outcome of the range of a number, from 0."""
        self._waiting[number] = outcome
        while self._next in self._waiting:
            self._join(self._waiting.pop(self._next))
            self._next += 1

    def _join(self, outcome: Outcome) -> None:
        gap = self.size % SPAN != 0  # only the last range may be shorter
        if gap or not outcome.whole or outcome.read != self.size + outcome.events:
            self.whole = False
        if not self.whole:
            return
        self.roots |= {size: self._tree.root(root) for size, root in outcome.roots.items()}
        self.size += outcome.events
        for tile in outcome.tiles:
            found = self._tiles.below(self._tree.add(tile, HEIGHT))
            self.differing += islice(found, MAX_FINDINGS - len(self.differing))


class Differing(NamedTuple):
    """A kept hash that is not that of the events: its level and number, and their positions."""

    level: int
    number: int
    first: int
    last: int

    @property
    def wrong(self) -> Finding:
        """What is found where the events are right."""
        what, expected = f"tile {self.level}/{self.number}", "the hash of events"
        expected += f" {self.first} to {self.last}"
        return Finding(Kind.TILES, None, what, expected, "another, or none")

    def others(self, first: int) -> Finding:
        """Return what is found where the tile is right: events from a position on are others."""
        expected = f"those that were signed, whose hash is in tile {self.level}/{self.number}"
        return Finding(Kind.ROOT, first, "events", expected, "others", self.last)


class _Tiles:
    """The tiles that are kept, compared with the nodes that they should hold."""

    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows
        self._newest = {level: number for level, _, number, _ in rows.tile_levels()}
        self._read: dict[int, tuple[int, list[bytes]]] = {}  # of each level the tile read last
        self._found: set[tuple[int, int]] = set()

    def below(self, full: Iterable[tuple[int, int, bytes]]) -> Iterator[Differing]:
        """Compare parts of the tree that are full now, by height, number and hash."""
        for height, number, node in full:
            if height % HEIGHT == 0 and self._differs(height // HEIGHT, number, node):
                width = 1 << height
                first, last = number * width + 1, (number + 1) * width
                yield Differing(height // HEIGHT, number // WIDTH, first, last)

    def _differs(self, level: int, index: int, node: bytes) -> bool:
        """Return whether the hash at an index of a level is another; one a tile is found."""
        number, at = divmod(index, WIDTH)
        newest = self._newest.get(level, -1)
        if number > newest or (level, number) in self._found:
            return False
        if level not in self._read or self._read[level][0] != number:
            self._read[level] = number, merkle.split(self._rows.tile(level, number))
        [kept] = self._read[level][1][at : at + 1] or [b""]
        if kept == node or not (kept or number < newest):  # the last tile is still being filled
            return False
        self._found.add((level, number))
        return True


def check_tiles(rows: StoredRows, end: int, progress: Progress) -> Iterator[Finding]:
    """Find tiles that are not those of the events up to an end, which are read for it."""
    yield from (each for each in rows.check_tables() if each.kind is Kind.TILES)
    tiles, tree = _Tiles(rows), merkle.TreeBuilder()
    for first in range(1, end - WIDTH + 2, WIDTH):
        leaves = [merkle.leaf_hash(each) for each in rows.headers(first, first + WIDTH - 1)]
        for each in tiles.below(tree.add(merkle.tree_hash(leaves), HEIGHT)):
            yield each.wrong
        progress(first + WIDTH - 1, end)
    yield from check_levels(rows, end)


def check_levels(rows: StoredRows, end: int) -> Iterator[Finding]:
    """Find levels of tiles that do not fit on each other, or hold more than there are events."""
    below, levels = end >> HEIGHT, rows.tile_levels()
    for at, (level, hashes, number, tiles) in enumerate(levels, 1):
        fits = hashes <= below if level == 1 else hashes == below
        if level != at or not fits or tiles != number + 1:
            what, found = f"tiles of level {level}", f"{hashes:,} hashes in {tiles:,} tiles"
            yield Finding(Kind.TILES, None, what, f"{below:,} hashes", found)
        below = hashes >> HEIGHT
    if levels and below:
        what = f"tiles of level {len(levels) + 1}"
        yield Finding(Kind.TILES, None, what, f"{below:,} hashes", "none")
