"""The ledger's tree as it is kept: tiles of inner hashes, which follow the leaves.

Level 0, the leaves, stands with the events themselves. Each hash of a tile (a row of table `tile`)
is that of a full tile, 256 hashes, at the level below: the layout of C2SP tlog-tiles. Tiles are
made off the write path, when a head is signed or a proof asked for, and can be thrown away.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ledger import merkle
from ledger.contract import Ledger

WIDTH = 256  # hashes of a full tile, entries of a full bundle
HEIGHT = 8  # of the tree that a full tile stands for
ENTRIES = "entries"
STRETCH = 256  # tiles made between two looks at the ledger

_NAME = re.compile(
    r"(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)


def node_of(hashes: Callable[[int, int, int], list[bytes]]) -> merkle.Node:
    """Return a merkle.Node, given what reads hashes of a tile: by level, first index and count."""

    def node(height: int, number: int) -> bytes:
        level, rest = divmod(height, HEIGHT)
        return merkle.tree_hash(hashes(level, number << rest, 1 << rest))

    return node


@dataclass(frozen=True, slots=True)
class TileName:
    """A tile of a level, or the bundle of the entries below a tile of level 0 (level None)."""

    level: int | None
    number: int
    width: int = WIDTH

    @property
    def reach(self) -> int:
        """How many events a tree has at the least if it has this tile."""
        return self.number * WIDTH + self.width << HEIGHT * (self.level or 0)

    def __str__(self) -> str:
        level = ENTRIES if self.level is None else self.level
        *groups, last = (each.zfill(3) for each in f"{self.number:,}".split(","))
        number = "/".join([*(f"x{group}" for group in groups), last])
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{number}{partial}"

    @classmethod
    def parse(cls, text: str) -> "TileName | None":
        """Read what follows `tile/`; None if it is not the one form of a name."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        level, number, width = found.groups()
        name = cls(
            None if level == ENTRIES else int(level),
            int(number.replace("x", "").replace("/", "")),
            int(width or WIDTH),
        )
        return name if str(name) == f"tile/{text}" else None


def tile_in(size: int, level: int | None, number: int) -> TileName:
    """Return a tile as a tree of a size has it: full, or as wide as the tree reaches."""
    hashes = size >> HEIGHT * (level or 0)
    return TileName(level, number, min(WIDTH, hashes - number * WIDTH))


class Tree:
    """The Merkle tree over the events of a ledger; ValueError where it has too few."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._node = node_of(ledger.tree_hashes)

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` events."""
        self._reach(size)
        return merkle.root(size, self._node)

    def inclusion(self, position: int, size: int) -> list[bytes]:
        """Return the proof that an event is among the first `size`."""
        self._reach(size)
        return merkle.inclusion_proof(position - 1, size, self._node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the first `new` events begin with the first `old`."""
        self._reach(new)
        return merkle.consistency_proof(old, new, self._node)

    def nodes(self, size: int, places: Iterable[tuple[int, int]]) -> list[bytes]:
        """Return hashes of full parts of the first `size` events; see merkle.Node."""
        self._reach(size)
        return [self._node(height, number) for height, number in places]

    def tile(self, name: TileName) -> bytes:
        """Return the hashes of a tile, or the headers of a bundle, each after its length."""
        self._reach(name.reach)
        first = name.number * WIDTH
        if name.level is not None:
            return b"".join(self._ledger.tree_hashes(name.level, first, name.width))
        headers = [raw.header for raw in self._ledger.raw_events(first + 1, first + name.width)]
        return b"".join(len(header).to_bytes(2, "big") + header for header in headers)

    def _reach(self, size: int) -> None:
        """Make sure that the ledger has so many events, and the tiles over them.

        Hashing is done while others write; the write lock is held for a few rows at a time.
        """
        ledger, tiles = self._ledger, size // WIDTH
        end = ledger.last_position()
        if size > end:
            raise ValueError(f"the ledger has {end:,} events, not {size:,}")
        while (first := ledger.tiled()) < tiles:
            leaves = (
                ledger.tree_hashes(0, n * WIDTH, WIDTH)
                for n in range(first, min(tiles, first + STRETCH))
            )
            ledger.add_tree_hashes(first, [merkle.tree_hash(each) for each in leaves])
