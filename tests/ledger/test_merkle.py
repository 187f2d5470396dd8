"""The tree: published roots, and proofs against a tree built literally as the RFC says."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle

# The inputs of the reference implementation of RFC 6962, and the roots over the first n of them.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [merkle.leaf_hash(bytes([n % 256, n // 256])) for n in range(300)]


def node(height: int, number: int) -> bytes:
    return merkle.tree_hash(LEAVES[number << height : (number + 1) << height])


# RFC 6962 §2.1, §2.1.1 and §2.1.2 as they stand there.


def mth(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = largest_power_of_two_below(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = largest_power_of_two_below(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], known: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = largest_power_of_two_below(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def largest_power_of_two_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_roots_are_the_published_ones(size: int) -> None:
    leaves = [merkle.leaf_hash(entry) for entry in ENTRIES[:size]]

    assert merkle.tree_hash(leaves).hex() == ROOTS[size]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_a_tree_that_grows_has_the_same_roots(size: int) -> None:
    tree = merkle.TreeBuilder()
    for entry in ENTRIES[:size]:
        tree.add(merkle.leaf_hash(entry))

    assert (tree.size, tree.root().hex()) == (size, ROOTS[size])


@given(st.integers(0, 18), st.integers(0, 16))
def test_a_tree_that_grows_by_full_parts_is_that_of_its_leaves(parts: int, rest: int) -> None:
    tree, size, full = merkle.TreeBuilder(), parts * 16, {}
    for number in range(parts):
        for height, at, part in tree.add(node(4, number), 4):
            full[height, at] = part

    behind = [merkle.tree_hash(LEAVES[size : min(size + rest, len(LEAVES))])] if rest else []
    assert tree.root(*behind) == mth(LEAVES[: size + rest])
    assert full == {(h, n): node(h, n) for h in range(4, 9) for n in range(size >> h)}


@given(st.integers(0, len(LEAVES)))
def test_the_hash_over_leaves_is_that_of_the_rfc(size: int) -> None:
    assert merkle.tree_hash(LEAVES[:size]) == mth(LEAVES[:size])


@given(st.integers(1, len(LEAVES)))
def test_full_parts_are_by_height_and_number(size: int) -> None:
    levels = merkle.levels(LEAVES[:size])

    assert merkle.root(size, lambda height, number: levels[height][number]) == mth(LEAVES[:size])


@given(st.integers(0, len(LEAVES)))
def test_a_root_from_full_parts_is_the_root(size: int) -> None:
    assert merkle.root(size, node) == mth(LEAVES[:size])


def test_a_leaf_never_passes_for_a_node() -> None:
    left, right = LEAVES[:2]

    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


sizes_and_indexes = st.integers(1, len(LEAVES)).flatmap(
    lambda size: st.tuples(st.integers(0, size - 1), st.just(size))
)
two_sizes = st.integers(1, len(LEAVES)).flatmap(
    lambda new: st.tuples(st.integers(1, new), st.just(new))
)


@given(sizes_and_indexes)
def test_an_inclusion_proof_is_that_of_the_rfc_and_holds(place: tuple[int, int]) -> None:
    index, size = place

    proof = merkle.inclusion_proof(index, size, node)

    assert proof == path(index, LEAVES[:size])
    assert merkle.verify_inclusion(LEAVES[index], index, size, proof, mth(LEAVES[:size]))


@given(two_sizes)
def test_a_consistency_proof_is_that_of_the_rfc_and_holds(sizes: tuple[int, int]) -> None:
    old, new = sizes

    proof = merkle.consistency_proof(old, new, node)

    assert proof == subproof(old, LEAVES[:new], True)
    assert merkle.verify_consistency(old, new, mth(LEAVES[:old]), mth(LEAVES[:new]), proof)


def test_everything_begins_with_nothing() -> None:
    assert merkle.verify_consistency(0, 3, merkle.EMPTY, mth(LEAVES[:3]), [])
    assert not merkle.verify_consistency(0, 3, LEAVES[0], mth(LEAVES[:3]), [])


def mutations(proof: list[bytes]) -> list[list[bytes]]:
    """Return proofs that are not this one: a hash changed, dropped, doubled, swapped, added."""
    changed = [
        [*proof[:i], bytes([each[0] ^ 1]) + each[1:], *proof[i + 1 :]]
        for i, each in enumerate(proof)
    ]
    dropped = [[*proof[:i], *proof[i + 1 :]] for i in range(len(proof))]
    swapped = [proof[::-1]] if len(proof) > 1 else []
    return [*changed, *dropped, *swapped, [*proof, LEAVES[0]], [LEAVES[0], *proof]]


@given(sizes_and_indexes)
def test_no_other_proof_leads_from_the_leaf_to_the_root(place: tuple[int, int]) -> None:
    index, size = place
    proof, root = merkle.inclusion_proof(index, size, node), mth(LEAVES[:size])

    for wrong in mutations(proof):
        assert not merkle.verify_inclusion(LEAVES[index], index, size, wrong, root)


@given(sizes_and_indexes, st.integers(-1, 301), st.integers(-1, 301))
def test_a_proof_holds_at_its_place_alone(place: tuple[int, int], index: int, size: int) -> None:
    proof, root = merkle.inclusion_proof(*place, node), mth(LEAVES[: place[1]])

    if index != place[0]:
        assert not merkle.verify_inclusion(LEAVES[place[0]], index, place[1], proof, root)
    if not 0 <= place[0] < size:
        assert not merkle.verify_inclusion(LEAVES[place[0]], place[0], size, proof, root)


@given(two_sizes)
def test_no_other_proof_leads_to_both_roots(sizes: tuple[int, int]) -> None:
    old, new = sizes
    proof = merkle.consistency_proof(old, new, node)
    roots = mth(LEAVES[:old]), mth(LEAVES[:new])

    for wrong in mutations(proof):
        assert not merkle.verify_consistency(old, new, *roots, wrong)


@given(two_sizes, st.data())
def test_a_tree_in_which_an_old_leaf_was_changed_is_not_consistent(
    sizes: tuple[int, int], data: st.DataObject
) -> None:
    old, new = sizes
    place = data.draw(st.integers(0, old - 1))
    changed = [*LEAVES[:place], merkle.leaf_hash(b"another"), *LEAVES[place + 1 :]]
    proof = merkle.consistency_proof(
        old, new, lambda h, n: merkle.tree_hash(changed[n << h : (n + 1) << h])
    )

    roots = mth(LEAVES[:old]), mth(changed[:new])
    assert not merkle.verify_consistency(old, new, *roots, proof)


def test_a_larger_tree_does_not_come_before_a_smaller_one() -> None:
    assert not merkle.verify_consistency(3, 2, mth(LEAVES[:3]), mth(LEAVES[:2]), [])
