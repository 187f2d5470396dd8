"""What proves that lines are a part of a tree: the hashes of what is left and right of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from ledger.signing.tiles import Tree


@dataclass(frozen=True, slots=True)
class Span:
    """The positions from `first` to `last` among the first `size` events of a ledger."""

    first: int
    last: int
    size: int

    @property
    def whole(self) -> bool:
        """Return whether it leaves out nothing, so that the lines alone give the root."""
        return (self.first, self.last) == (1, self.size)

    def proof(self, tree: Tree) -> bytes:
        """Return the hashes beside the lines, from left to right, as JSON (FILE.proof.json)."""
        left = tree.nodes(self.size, full_parts(0, self.first - 1))
        right = tree.nodes(self.size, full_parts(self.last, self.size))
        document = {
            "from": self.first,
            "to": self.last,
            "size": self.size,
            "left": [each.hex() for each in left],
            "right": [each.hex() for each in right],
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def full_parts(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the fewest full parts that cover leaves of a tree: height and number (merkle.Node)."""
    while begin < end:
        height = 0
        while begin >> height & 1 == 0 and begin + (2 << height) <= end:
            height += 1
        yield height, begin >> height
        begin += 1 << height
