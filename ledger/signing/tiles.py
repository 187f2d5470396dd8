"""The ledger's tree as it is kept: tiles of inner hashes, which follow the leaves.

Level 0, the leaves, stands with the events themselves. Each hash of a tile (a row of table `tile`)
is that of a full tile, 256 hashes, at the level below: the layout of C2SP tlog-tiles. Tiles are
made off the write path, when a head is signed or a proof asked for, and can be thrown away.
"""

from collections.abc import Callable, Iterable

from ledger import merkle
from ledger.contract import Ledger
from ledger.signing.tile_paths import HEIGHT, WIDTH

STRETCH = 256  # tiles made between two looks at the ledger


class NotThatFar(ValueError):
    """The ledger has not as many events as a proof was asked for."""

    def __init__(self, size: int, end: int) -> None:
        super().__init__(f"the ledger has {end:,} events, not {size:,}")
        self.size = size
        self.end = end


def node_of(hashes: Callable[[int, int, int], list[bytes]]) -> merkle.Node:
    """Return a merkle.Node, given what reads hashes of a tile: by level, first index and count."""

    def node(height: int, number: int) -> bytes:
        level, rest = divmod(height, HEIGHT)
        return merkle.tree_hash(hashes(level, number << rest, 1 << rest))

    return node


class Tree:
    """The Merkle tree over the events of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._node = node_of(ledger.tree_hashes)

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` events; raises NotThatFar."""
        self._reach(size)
        return merkle.root(size, self._node)

    def inclusion(self, position: int, size: int) -> list[bytes]:
        """Return the proof that an event is among the first `size`; raises NotThatFar."""
        self._reach(size)
        return merkle.inclusion_proof(position - 1, size, self._node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the first `new` events begin with the first `old`; as above."""
        self._reach(new)
        return merkle.consistency_proof(old, new, self._node)

    def nodes(self, size: int, places: Iterable[tuple[int, int]]) -> list[bytes]:
        """Return hashes of full parts of the first `size` events; see merkle.Node, and as above."""
        self._reach(size)
        return [self._node(height, number) for height, number in places]

    def hashes(self, level: int, number: int, width: int) -> bytes:
        """Return the first hashes of a tile, one after the other; raises NotThatFar."""
        self._reach(number * WIDTH + width << HEIGHT * level)
        return b"".join(self._ledger.tree_hashes(level, number * WIDTH, width))

    def entries(self, number: int, width: int) -> bytes:
        """Return headers below a tile of level 0, each after its length (C2SP tlog-tiles)."""
        first = number * WIDTH
        headers = [raw.header for raw in self._ledger.raw_events(first + 1, first + width)]
        return b"".join(len(header).to_bytes(2, "big") + header for header in headers)

    def _reach(self, size: int) -> None:
        """Make sure that the ledger has so many events, and the tiles over them."""
        end = self._ledger.last_position()
        if size > end:
            raise NotThatFar(size, end)
        if self._ledger.tiled() < size // WIDTH:
            self.follow(size // WIDTH)

    def follow(self, tiles: int | None = None) -> int:
        """Make the tiles over so many full tiles of leaves, or all; return how many there are.

        Hashing is done while others write; the write lock is held for a few rows at a time.
        """
        ledger = self._ledger
        while True:
            first = ledger.tiled()
            last = ledger.last_position() // WIDTH if tiles is None else tiles
            last = min(last, first + STRETCH)
            found = [
                merkle.tree_hash(ledger.tree_hashes(0, n * WIDTH, WIDTH))
                for n in range(first, last)
            ]
            if not found:
                return first
            ledger.add_tree_hashes(first, found)
