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

import hashlib
from collections.abc import Callable, Sequence

Node = Callable[[int, int], bytes]

EMPTY = hashlib.sha256(b"").digest()  # the root of no leaves at all


def leaf_hash(entry: bytes) -> bytes:
    """Return the leaf of an entry; the prefix keeps a leaf from ever passing for a node."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash above two hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaves that are all at hand."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    middle = _split(0, len(leaves))
    return node_hash(tree_hash(leaves[:middle]), tree_hash(leaves[middle:]))


def root(size: int, node: Node) -> bytes:
    """Return the root of the first `size` leaves."""
    return _part(0, size, node) if size else EMPTY


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Return what proves that a leaf is in the tree of a size, from the leaf upwards."""
    return [_part(begin, end, node) for begin, end in _beside_leaf(index, size)]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Return what proves that the tree of size `new` begins with that of size `old`."""
    begin, beside = _beside_size(old, new)
    parts = [(begin, old), *beside] if begin else beside
    return [_part(*part, node) for part in parts]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Return whether a proof leads from a leaf to a root."""
    if not 0 <= index < size:
        return False
    beside = _beside_leaf(index, size)
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
    begin, beside = _beside_size(old, new)
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


class Frontier:
    """A tree that grows at its right edge: of all its leaves it keeps only the full parts' hashes.

    There are as many of them as the size has ones in binary, each as large as its digit counts.
    """

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []  # the largest first

    def add(self, leaf: bytes) -> None:
        """Add a leaf; two parts of one size become one, as ones carry when one counts."""
        size, found = self.size, leaf
        while size & 1:
            found = node_hash(self._parts.pop(), found)
            size >>= 1
        self._parts.append(found)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the leaves added so far."""
        return _joined(self._parts) if self._parts else EMPTY


def _split(begin: int, end: int) -> int:
    """Return where the leaves from `begin` to before `end` are divided."""
    exponent = (end - begin - 1).bit_length() - 1  # of the largest power of two below the size
    return begin + (1 << exponent)


def _beside_leaf(index: int, size: int) -> list[tuple[int, int]]:
    """Return the parts beside the way from a leaf to the root: where each begins and ends."""
    begin, end = 0, size
    parts = []
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((begin, middle))
            begin = middle
    return parts[::-1]


def _beside_size(old: int, new: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the parts beside the way from the smaller tree's right edge to the larger's root.

    The way begins at the largest part that both trees have and that ends where the smaller one
    ends; the first value is where that part begins (0: it is the whole smaller tree).
    """
    begin, end = 0, new
    parts = []
    while end != old:
        middle = _split(begin, end)
        if old <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((begin, middle))
            begin = middle
    return begin, parts[::-1]


def _part(begin: int, end: int, node: Node) -> bytes:
    """Return the hash of a part from those of its full parts, told by the ones of its size."""
    size = end - begin
    full = []
    for height in range(size.bit_length() - 1, -1, -1):
        if size & 2**height:  # a full part of that height is in it
            full.append(node(height, begin >> height))
            begin += 2**height
    return _joined(full)


def _joined(parts: Sequence[bytes]) -> bytes:
    """Return the hash above full parts, the largest first."""
    *others, found = parts
    for part in reversed(others):
        found = node_hash(part, found)
    return found
