"""The ledger's tree as it is kept: tiles of inner hashes, which follow the leaves.

Level 0, the leaves, stands with the events themselves. Each hash of a tile (a row of table `tile`)
is that of a full tile, 256 hashes, at the level below: the layout of C2SP tlog-tiles. Tiles are
made off the write path, when a head is signed or a proof asked for, and can be thrown away.
"""

from collections.abc import Iterable

from ledger import merkle
from ledger.signing.tile_paths import HEIGHT, WIDTH
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger, last_position

SIZE = 32  # bytes of a hash
STRETCH = 256  # tiles made between two looks at the ledger


class NotThatFar(ValueError):
    """The ledger has not as many events as a proof was asked for."""

    def __init__(self, size: int, end: int) -> None:
        super().__init__(f"the ledger has {end:,} events, not {size:,}")
        self.size = size
        self.end = end


class Tree:
    """The Merkle tree over the events of a ledger."""

    def __init__(self, ledger: SQLiteLedger) -> None:
        self._ledger = ledger

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` events; raises NotThatFar."""
        self._reach(size)
        with self._ledger.reading() as connection:
            return merkle.root(size, _Kept(connection).node)

    def inclusion(self, position: int, size: int) -> list[bytes]:
        """Return the proof that an event is among the first `size`; raises NotThatFar."""
        self._reach(size)
        with self._ledger.reading() as connection:
            return merkle.inclusion_proof(position - 1, size, _Kept(connection).node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the first `new` events begin with the first `old`; as above."""
        self._reach(new)
        with self._ledger.reading() as connection:
            return merkle.consistency_proof(old, new, _Kept(connection).node)

    def nodes(self, size: int, places: Iterable[tuple[int, int]]) -> list[bytes]:
        """Return hashes of full parts of the first `size` events; see merkle.Node, and as above."""
        self._reach(size)
        with self._ledger.reading() as connection:
            kept = _Kept(connection)
            return [kept.node(height, number) for height, number in places]

    def hashes(self, level: int, number: int, width: int) -> bytes:
        """Return the first hashes of a tile, one after the other; raises NotThatFar."""
        self._reach(number * WIDTH + width << HEIGHT * level)
        with self._ledger.reading() as connection:
            return b"".join(_Kept(connection).hashes(level, number * WIDTH, width))

    def entries(self, number: int, width: int) -> bytes:
        """Return headers below a tile of level 0, each after its length (C2SP tlog-tiles)."""
        first = number * WIDTH
        with self._ledger.reading() as connection:
            rows = connection.execute(
                "SELECT header FROM event WHERE position BETWEEN ? AND ? ORDER BY position",
                (first + 1, first + width),
            ).fetchall()
        return b"".join(len(header).to_bytes(2, "big") + header for (header,) in rows)

    def _reach(self, size: int) -> None:
        """Make sure that the ledger has so many events, and the tiles over them."""
        with self._ledger.reading() as connection:
            end, tiles = last_position(connection), _followed(connection)
        if size > end:
            raise NotThatFar(size, end)
        if tiles < size // WIDTH:
            self.follow(size // WIDTH)

    def follow(self, tiles: int | None = None) -> int:
        """Make the tiles over so many full tiles of leaves, or all; return how many there are.

        Hashing is done while others write; the write lock is held for a few rows at a time.
        """
        while True:
            with self._ledger.reading() as connection:
                first = _followed(connection)
                last = last_position(connection) // WIDTH if tiles is None else tiles
                last = min(last, first + STRETCH)
                kept = _Kept(connection)
                found = [
                    merkle.tree_hash(kept.hashes(0, n * WIDTH, WIDTH)) for n in range(first, last)
                ]
            if not found:
                return first
            with self._ledger.writing() as connection:
                if _followed(connection) == first:  # else somebody else made them
                    _append(connection, 1, first, found)


class _Kept:
    """The hashes that are kept, read with one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def node(self, height: int, number: int) -> bytes:
        """Return the hash of a full part; see merkle.Node."""
        level, rest = divmod(height, HEIGHT)
        return merkle.tree_hash(self.hashes(level, number << rest, 1 << rest))

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return hashes of a level that stand in one tile."""
        if level == 0:
            rows = self._connection.execute(
                "SELECT leaf_hash FROM event WHERE position BETWEEN ? AND ? ORDER BY position",
                (first + 1, first + count),
            )
            return [leaf for (leaf,) in rows]
        number, start = divmod(first, WIDTH)
        (found,) = self._connection.execute(
            "SELECT substr(hashes, ?, ?) FROM tile WHERE level = ? AND number = ?",
            (start * SIZE + 1, count * SIZE, level, number),
        ).fetchone()
        return [found[i : i + SIZE] for i in range(0, len(found), SIZE)]


def _followed(connection: Connection) -> int:
    """Return over how many full tiles of leaves there are hashes."""
    row = connection.execute(
        "SELECT number, length(hashes) FROM tile WHERE level = 1 ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return row[0] * WIDTH + row[1] // SIZE if row else 0


def _append(connection: Connection, level: int, first: int, hashes: list[bytes]) -> None:
    """Add hashes to a level, and the hash of each tile that they fill to the level above."""
    full = []
    while hashes:
        number, start = divmod(first, WIDTH)
        part, hashes = hashes[: WIDTH - start], hashes[WIDTH - start :]
        connection.execute(
            "INSERT INTO tile VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET hashes = CAST(hashes || excluded.hashes AS BLOB)",
            (level, number, b"".join(part)),
        )
        first += len(part)
        if first % WIDTH == 0:
            full.append(merkle.tree_hash(_Kept(connection).hashes(level, number * WIDTH, WIDTH)))
    if full:
        _append(connection, level + 1, first // WIDTH - len(full), full)
