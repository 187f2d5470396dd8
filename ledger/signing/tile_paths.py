"""The names of tiles and entry bundles below a log's address (C2SP tlog-tiles)."""

import re
from dataclasses import dataclass

WIDTH = 256  # hashes of a full tile, entries of a full bundle
HEIGHT = 8  # of the tree that a full tile stands for
ENTRIES = "entries"

_NAME = re.compile(
    r"(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)


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
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{_groups(self.number)}{partial}"

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


def _groups(number: int) -> str:
    """Write a number in groups of three digits, all but the last with an x before them."""
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
