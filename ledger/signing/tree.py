"""The Merkle tree over a ledger's events; nothing is said of it that was not proved.

The store keeps inner hashes in tiles. Whoever can write to its file can change them, so they are
never believed. What is known is the tree's edge: of each level the hashes of the last tile, which
is not full. Kept hashes that give the root of a signed head are those that were signed over;
where they do not, all events are hashed again. From there the edge grows with the headers of the
events that follow. Every tile before it must give its hash in the tile above, up to the edge; one
that does not is hashed again from its events.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from ledger import merkle
from ledger.contract import (
    Ledger,
    LedgerError,
    LedgerUnavailable,
    Progress,
    no_progress,
)
from ledger.signing.note import TreeHead
from ledger.signing.tiles import HEIGHT, WIDTH, TileName, node_of

STRETCH = 16 * WIDTH  # events whose headers are read at once
TOGETHER = 32  # tiles that are kept in one transaction

Place = tuple[int, int]  # the level and the number of a tile


class Source(Protocol):
    """What a tree is made from: the headers of events, and what is kept of its tiles."""

    def headers(self, first: int, last: int) -> list[bytes]: ...
    def tile(self, level: int, number: int) -> bytes: ...


class EventsChanged(LedgerUnavailable):
    """Events are not those that were signed over: they were hashed again before this is said."""

    def __init__(self, says: str, first: int = 1, last: int = 0) -> None:
        """`first` and `last` are the positions among which the change is."""
        super().__init__(
            f"{says}; nothing is signed or proved over others. `scim-ledger verify` says more",
            reason="events were changed",
        )
        self.first = first
        self.last = last


class Edge:
    """The right edge of a tree: of each level, the hashes of its last tile, which is not full."""

    def __init__(self, rows: Iterable[Sequence[bytes]] = ()) -> None:
        """`rows` are the hashes, the leaves first."""
        self._rows = [list(row) for row in rows]

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return sum(len(row) << HEIGHT * level for level, row in enumerate(self._rows))

    @property
    def root(self) -> bytes:
        return merkle.root(self.size, node_of(self._hashes))

    def _hashes(self, level: int, first: int, count: int) -> list[bytes]:
        return self.row(level)[first % WIDTH :][:count]

    def row(self, level: int) -> list[bytes]:
        """Return the hashes of the last tile of a level."""
        return self._rows[level] if level < len(self._rows) else []

    def full(self, level: int) -> int:
        """Return how many full tiles a level has: the number of the last one."""
        return self.size >> HEIGHT * (level + 1)

    def copy(self) -> "Edge":
        return Edge(self._rows)

    def add(self, hashes: Sequence[bytes], level: int = 0) -> dict[Place, bytes]:
        """Add hashes of a level, leaves by default; return the tiles that are full now."""
        if level == len(self._rows):
            self._rows.append([])
        full, at = dict[Place, bytes](), 0
        while at < len(hashes):
            row, number = self._rows[level], self.full(level)
            part = hashes[at : at + WIDTH - len(row)]
            row += part
            at += len(part)
            if len(row) == WIDTH:
                full[level, number] = b"".join(row)
                self._rows[level] = []
                full |= self.add([merkle.tree_hash(row)], level + 1)
        return full

    def begun(self) -> dict[Place, bytes]:
        """Return the tiles of the edge as they are kept: those above the leaves."""
        levels = range(1, len(self._rows))
        return {(n, self.full(n)): b"".join(self._rows[n]) for n in levels if self._rows[n]}


def kept_edge(source: Source, size: int) -> Edge | None:
    """Return the edge of a size as its tiles were kept, whatever is in them; None without them."""
    rows = list[list[bytes]]()
    while whole := size >> HEIGHT * len(rows):
        level, width = len(rows), whole % WIDTH
        if level:
            row = merkle.split(source.tile(level, whole // WIDTH))[:width] if width else []
        else:
            row = _leaves(source, size - width + 1, size)
        if [len(each) for each in row] != [merkle.HASH_SIZE] * width:
            return None
        rows.append(row)
    return Edge(rows)


def hashed(
    source: Source, first: int, last: int, edge: Edge, progress: Progress = no_progress
) -> dict[Place, bytes]:
    """Add the events from one position to another to an edge; return the tiles, but no leaves."""
    made = dict[Place, bytes]()
    for start in range(first, last + 1, STRETCH):
        end = min(start + STRETCH - 1, last)
        full = edge.add(_leaves(source, start, end))
        made |= {place: hashes for place, hashes in full.items() if place[0]}
        progress(end - first + 1, last - first + 1)
    return made


def _leaves(source: Source, first: int, last: int) -> list[bytes]:
    return [merkle.leaf_hash(header) for header in source.headers(first, last)]


class Proved:
    """A tree up to its edge, each hash of it proved by the edge. For one thread, and not for long.

    Raises EventsChanged where events are not those that the edge is over.
    """

    def __init__(self, source: Source, edge: Edge, made: dict[Place, bytes]) -> None:
        """`made` are tiles hashed from events; what has to be hashed again is added to them."""
        self._source = source
        self._edge = edge
        self._made = made
        self._read = dict[Place, list[bytes]]()
        self._node = node_of(self._hashes)

    def root_at(self, size: int) -> bytes:
        return merkle.root(size, self._node)

    def leaf(self, position: int) -> bytes:
        return self._hashes(0, position - 1, 1)[0]

    def inclusion(self, position: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(position - 1, size, self._node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(old, new, self._node)

    def nodes(self, places: Iterable[tuple[int, int]]) -> list[bytes]:
        return [self._node(height, number) for height, number in places]

    def _hashes(self, level: int, first: int, count: int) -> list[bytes]:
        number, at = divmod(first, WIDTH)
        return self.tile(level, number)[at : at + count]

    def tile(self, level: int, number: int) -> list[bytes]:
        """Return the hashes of a tile, as many as there are up to the edge."""
        if number == self._edge.full(level):
            return self._edge.row(level)
        place = level, number
        if place not in self._read:
            expected = self.tile(level + 1, number // WIDTH)[number % WIDTH]
            found = self._kept(level, number)
            if len(found) != WIDTH or merkle.tree_hash(found) != expected:
                found = self._again(level, number, expected)
            self._read[place] = found
        return self._read[place]

    def _kept(self, level: int, number: int) -> list[bytes]:
        if level == 0:
            return _leaves(self._source, number * WIDTH + 1, (number + 1) * WIDTH)
        made = self._made.get((level, number))
        kept = self._source.tile(level, number) if made is None else made
        return merkle.split(kept[: WIDTH * merkle.HASH_SIZE])

    def _again(self, level: int, number: int, expected: bytes) -> list[bytes]:
        """Hash a tile again from its events; raises EventsChanged if that gives another hash."""
        first, last = (n * WIDTH << HEIGHT * level for n in (number, number + 1))
        part = Edge()
        made = hashed(self._source, first + 1, last, part) if level else {}
        if part.row(level + 1) != [expected]:
            says = f"events among positions {first + 1:,} to {last:,} were changed"
            raise EventsChanged(says, first + 1, last)
        made = {(n, (number << HEIGHT * (level - n)) + at): each for (n, at), each in made.items()}
        self._made |= made
        return merkle.split(made[level, number])


class Tree:
    """The tree of a ledger in use; ValueError where it has too few events."""

    def __init__(
        self, ledger: Ledger, newest: Callable[[], TreeHead | None] = lambda: None
    ) -> None:
        """`newest` returns the ledger's newest head, if its key signed it under its origin."""
        self._ledger = ledger
        self._newest = newest
        self._growing, self._keeping = threading.Lock(), threading.Lock()
        self._edge: Edge | None = None
        self._origin = ""  # the ledger's, when the edge was made
        self._anew = False  # the edge was made from all events, and from no tile
        self._contradicted = False  # they are not those of the newest head
        self._made = dict[Place, bytes]()  # tiles hashed from events, and not kept yet

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` events."""
        with self._proved(size) as tree:
            return tree.root_at(size)

    def agrees(self, head: TreeHead) -> bool:
        """Return whether the events are those that a head was signed over.

        Before it says no, everything has been hashed again from the events.
        """
        if head.size > self._ledger.last_position():
            return False
        with suppress(EventsChanged):
            if self.root_at(head.size) == head.root:
                return True
        if not self._anew:
            with self._growing:
                self._begin_anew(self._ledger.last_position())
            return self.root_at(head.size) == head.root
        return False

    def inclusion(self, position: int, size: int) -> tuple[bytes, list[bytes]]:
        """Return the leaf of an event, and the proof that it is among the first `size`."""
        with self._proved(size) as tree:
            return tree.leaf(position), tree.inclusion(position, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the first `new` events begin with the first `old`."""
        with self._proved(new) as tree:
            return tree.consistency(old, new)

    def nodes(self, size: int, places: Iterable[tuple[int, int]]) -> list[bytes]:
        """Return hashes of full parts of the first `size` events; see merkle.Node."""
        with self._proved(size) as tree:
            return tree.nodes(places)

    def tile(self, name: TileName) -> bytes:
        """Return the hashes of a tile, or the headers of a bundle, each after its length."""
        with self._proved(name.reach) as tree:
            hashes = tree.tile(name.level or 0, name.number)[: name.width]
        if name.level is not None:
            return b"".join(hashes)
        first = name.number * WIDTH + 1
        headers = self._ledger.headers(first, first + name.width - 1)
        if [merkle.leaf_hash(header) for header in headers] != hashes:
            last = first + name.width - 1
            raise EventsChanged(f"events among {first:,} to {last:,} were changed", first, last)
        return b"".join(len(header).to_bytes(2, "big") + header for header in headers)

    def rebuild(self, progress: Progress = no_progress) -> int:
        """Replace all tiles by others, made from the events; return the position reached.

        Raises EventsChanged where the events are not those of the newest head, and keeps the
        tiles, which show where.
        """
        end = self._ledger.last_position()
        with self._growing:
            self._begin_anew(end, progress)
        if self._contradicted:
            raise EventsChanged(f"{self._ledger.path} is not as its newest tree head says")
        self._ledger.drop_tiles()
        self._keep()
        return end

    @contextmanager
    def _proved(self, size: int) -> Iterator[Proved]:
        """Give the tree up to some size at the least, and keep what it had to be hashed for."""
        with self._growing:
            edge = self._reaching(size)
        yield Proved(self._ledger, edge, self._made)
        if self._made and not self._contradicted:
            with suppress(LedgerError):  # next time, then: they are made of what is kept
                self._keep()

    def _reaching(self, size: int) -> Edge:
        end = self._ledger.last_position()
        if size > end:
            raise ValueError(f"the ledger has {end:,} events, not {size:,}")
        if self._edge is None or self._origin != self._ledger.origin:
            self._begin(end)
        if (edge := self._edge) is None or edge.size < size:
            edge = self._grown(edge or Edge(), size)
            self._edge = edge
        return edge

    def _begin(self, end: int) -> None:
        """Make the edge from the tiles, if they prove the newest head; from all events if not."""
        head = self._newest()
        if head and head.size <= end:
            edge = kept_edge(self._ledger, head.size)
            if edge and edge.root == head.root:
                self._edge, self._origin = edge, self._ledger.origin
                self._anew = self._contradicted = False
                return
        self._begin_anew(end)

    def _begin_anew(self, end: int, progress: Progress = no_progress) -> None:
        """Make the edge from all events."""
        origin, head = self._ledger.origin, self._newest()
        self._made.clear()
        self._edge = edge = self._grown(Edge(), end, progress)
        self._origin, self._anew = origin, True
        root_at = Proved(self._ledger, edge, self._made).root_at
        self._contradicted = head is not None and (
            head.size > end or root_at(head.size) != head.root
        )

    def _grown(self, edge: Edge, size: int, progress: Progress = no_progress) -> Edge:
        """Return an edge with the events after it; all else reads the one before meanwhile."""
        grown = edge.copy()
        self._made |= hashed(self._ledger, edge.size + 1, size, grown, progress)
        begun, before = grown.begun(), edge.begun()
        self._made |= {each: begun[each] for each in begun if begun[each] != before.get(each)}
        return grown

    def _keep(self) -> None:
        """Keep tiles that are not kept yet; one thread at a time, the others go on."""
        if not self._keeping.acquire(blocking=False):
            return
        try:
            made = list(self._made.items())
            others = {each: new for each, new in made if not self._is_kept(each, new)}
            places = list(others)
            for at in range(0, len(places), TOGETHER):
                self._ledger.put_tiles({each: others[each] for each in places[at : at + TOGETHER]})
            for place, hashes in made:
                if self._made.get(place) == hashes:
                    del self._made[place]
        finally:
            self._keeping.release()

    def _is_kept(self, place: Place, hashes: bytes) -> bool:
        return self._ledger.tile(*place).startswith(hashes)
