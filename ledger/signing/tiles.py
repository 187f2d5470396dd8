"""Tiles, in which the inner hashes of a tree are kept and served: their layout and their names.

Level 0 is the leaves. Each hash of a tile is that of a full tile, 256 hashes, at the level below:
the layout of C2SP tlog-tiles.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ledger import merkle

WIDTH = 256  # hashes of a full tile, entries of a full bundle
HEIGHT = 8  # of the tree that a full tile stands for
ENTRIES = "entries"

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
