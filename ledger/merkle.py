r"""The tree over a ledger's events, and short proofs about it (RFC 6962 §2.1, RFC 9162 §2.1).

Each event is a leaf: the hash of its header. Two neighbours are hashed into a node above them,
two nodes into one above those, up to a single hash, the root. Of seven events:

                root
              /      \
             *        *
           /   \     /  \
          *     *   *    |
         / \   / \  / \  |
        0   1 2   3 4  5 6

The root stands for all events in their order: change, drop, swap or add one, and it is another.
Somebody who remembers no more than a root and its size (the number of leaves) can be shown, with
as many hashes as the tree is high,

- that an event is among them (inclusion): the hash beside the way at each step from its leaf up
  to the root. For 3: leaf 2, the node over 0 and 1, the node over 4, 5 and 6;
- that a later tree begins with the same events (consistency), so that none of them was touched.
  From size 3 to 7: the leaves 2 and 3, the node over 0 and 1, the node over 4, 5 and 6. The first
  and the third give the root remembered, all together give the new one.

Leaves are counted from 0: an event's index is its position less one. A tree splits where its left
part is the largest power of two below its size; a part as large as a power of two is *full*: it
never changes again, so its hash can be kept. `node(height, number)` is given by whoever keeps
them: it returns the hash over the 2**height leaves from number * 2**height on.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

Node = Callable[[int, int], bytes]

HASH_SIZE = 32  # bytes
EMPTY = sha256(b"").digest()  # the root of no leaves at all


def leaf_hash(entry: bytes) -> bytes:
    """Return the leaf of an entry; the prefix keeps a leaf from ever passing for a node."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash above two hashes."""
    return sha256(b"\x01" + left + right).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaves that are all at hand."""
    if not leaves:
        return EMPTY
    while len(leaves) > 1:
        above = parents(leaves)
        if len(leaves) & 1:
            above.append(leaves[-1])  # it stands a level higher as it is
        leaves = above
    return leaves[0]


def parents(nodes: Sequence[bytes]) -> list[bytes]:
    """Return the hashes above pairs of nodes; one that is left over has none yet."""
    each = iter(nodes)
    return [
        sha256(b"\x01" + left + right).digest() for left, right in zip(each, each, strict=False)
    ]


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return the hashes of all full parts of a tree by height and number: level 0 is the leaves."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        levels.append(parents(levels[-1]))
    return levels


def split(hashes: bytes) -> list[bytes]:
    """Return hashes that stand one after the other."""
    return [hashes[i : i + HASH_SIZE] for i in range(0, len(hashes), HASH_SIZE)]


def root(size: int, node: Node) -> bytes:
    """Return the root of the first `size` leaves."""
    return _part(0, size, node) if size else EMPTY


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Return what proves that a leaf is in the tree of a size, from the leaf upwards."""
    return [_part(begin, end, node) for begin, end in _beside(index, size)[1]]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Return what proves that the tree of size `new` begins with that of size `old`."""
    begin, beside = _beside(old - 1, new, whole=True)
    parts = [(begin, old), *beside] if begin else beside
    return [_part(*part, node) for part in parts]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Return whether a proof leads from a leaf to a root."""
    if not 0 <= index < size:
        return False
    _, beside = _beside(index, size)
    if len(proof) != len(beside):
        return False
    found = leaf
    for sibling, (begin, _) in zip(proof, beside, strict=True):
        found = node_hash(sibling, found) if begin < index else node_hash(found, sibling)
    return found == root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether a proof leads to both roots: the larger tree begins with the smaller one."""
    if not 0 <= old <= new:
        return False
    if old == 0:  # everything begins with nothing
        return not proof and old_root == EMPTY
    begin, beside = _beside(old - 1, new, whole=True)
    if len(proof) != len(beside) + bool(begin):
        return False
    first, siblings = (proof[0], proof[1:]) if begin else (old_root, proof)
    before = after = first
    for sibling, (begins, _) in zip(siblings, beside, strict=True):
        if begins < old:  # on the left: in both trees
            before, after = node_hash(sibling, before), node_hash(sibling, after)
        else:
            after = node_hash(after, sibling)
    return before == old_root and after == new_root


class TreeBuilder:
    """A tree that grows at its right edge: it keeps only the hashes of the largest full parts.

    There are as many of them as the size has ones in binary, each as large as its digit counts.
    """

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []  # the largest first

    def add(self, part: bytes, height: int = 0) -> list[tuple[int, int, bytes]]:
        """Add a leaf, or a full part where one may begin; return the parts that are full now.

        Each is the height, number and hash of one. Two parts of one size become one, as ones
        carry when one counts.
        """
        number = self.size >> height
        self.size += 1 << height
        full = [(height, number, part)]
        while number & 1:
            part = node_hash(self._parts.pop(), part)
            height, number = height + 1, number >> 1
            full.append((height, number, part))
        self._parts.append(part)
        return full

    def root(self, *rest: bytes) -> bytes:
        """Return the root of the tree so far, or of it and a smaller part to its right."""
        parts = [*self._parts, *rest]
        return _joined(parts) if parts else EMPTY


def _beside(index: int, size: int, *, whole: bool = False) -> tuple[int, list[tuple[int, int]]]:
    """Return the parts next to the path from a leaf to the root: where each begins and ends.

    With `whole` the way begins at the largest part that ends with the leaf. The first value is
    where the part at which the way begins does.
    """
    begin, end = 0, size
    parts = []
    while end - begin > 1 and not (whole and end == index + 1):
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if index < middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((begin, middle))
            begin = middle
    return begin, parts[::-1]


def cover(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the fewest full parts that cover leaves from one up to before another.

    Each is given as `Node` takes it, by height and number, from left to right.
    """
    while begin < end:
        height = 0
        while begin >> height & 1 == 0 and begin + (2 << height) <= end:
            height += 1
        yield height, begin >> height
        begin += 1 << height


def _part(begin: int, end: int, node: Node) -> bytes:
    return _joined([node(height, number) for height, number in cover(begin, end)])


def _joined(parts: Sequence[bytes]) -> bytes:
    """Return the hash above full parts, the largest first."""
    *others, found = parts
    for part in reversed(others):
        found = node_hash(part, found)
    return found
