"""The stored tree: tiles follow the leaves and can be thrown away."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import merkle
from ledger.signing.tree import Edge, Tree
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger


def plant(
    ledger: SQLiteLedger, leaves: int, foreign: Callable[[Path], Connection], first: int = 0
) -> list[bytes]:
    """Put leaves into the ledger's file without the rest of their events; return all there are.

    Those up to position `first` are left out, by default those that are there.
    """
    connection = foreign(ledger.path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    first = first or connection.execute("SELECT max(position) FROM event").fetchone()[0]
    rows = [
        (n, str(n), "Note-1", n, "Created", 1, "", "", "", b"%d" % n, merkle.leaf_hash(b"%d" % n))
        for n in range(first + 1, leaves + 1)
    ]
    connection.execute("BEGIN")
    connection.executemany(f"INSERT INTO event VALUES ({', '.join('?' * 11)})", rows)
    connection.execute("COMMIT")
    found = connection.execute("SELECT leaf_hash FROM event ORDER BY position").fetchall()
    connection.close()
    return [leaf for (leaf,) in found]


def tiles(ledger: SQLiteLedger) -> dict[tuple[int, int], int]:
    with ledger.reading() as connection:
        rows = connection.execute("SELECT level, number, length(hashes) / 32 FROM tile")
        return {(level, number): width for level, number, width in rows}


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 700])
def test_the_root_is_that_of_the_leaves(size: int, ledger: SQLiteLedger, foreign) -> None:
    leaves = plant(ledger, 700, foreign)

    assert Tree(ledger).root_at(size) == merkle.tree_hash(leaves[:size])


def test_tiles_are_those_of_the_specification(ledger: SQLiteLedger, foreign) -> None:
    plant(ledger, 70_000, foreign)

    Tree(ledger).root_at(70_000)

    assert tiles(ledger) == {(1, 0): 256, (1, 1): 17, (2, 0): 1}  # the example of tlog-tiles


def test_proofs_from_tiles_hold(ledger: SQLiteLedger, foreign) -> None:
    leaves, tree = plant(ledger, 66_000, foreign), Tree(ledger)

    for old, new in ((1, 66_000), (256, 257), (65_536, 65_537), (777, 65_999)):
        roots = merkle.tree_hash(leaves[:old]), merkle.tree_hash(leaves[:new])
        proof = tree.consistency(old, new)
        assert merkle.verify_consistency(old, new, *roots, proof)
        leaf, inclusion = tree.inclusion(old, new)
        assert leaf == leaves[old - 1]
        assert merkle.verify_inclusion(leaves[old - 1], old - 1, new, inclusion, roots[1])


def test_a_tree_with_more_than_one_hash_in_its_highest_tile_is_that_of_its_leaves(
    ledger: SQLiteLedger, foreign
) -> None:
    size, whole = 131_072 + 256 + 3, 131_072
    leaves, tree = plant(ledger, size, foreign), Tree(ledger)
    roots = {each: merkle.tree_hash(leaves[:each]) for each in (whole, size)}

    assert {each: tree.root_at(each) for each in roots} == roots
    assert tiles(ledger) == {(1, 0): 256, (1, 1): 256, (1, 2): 1, (2, 0): 2}
    consistency = tree.consistency(whole, size)
    assert merkle.verify_consistency(whole, size, roots[whole], roots[size], consistency)
    for position in (65_537, whole, size):
        leaf, inclusion = tree.inclusion(position, size)
        assert leaf == leaves[position - 1]
        assert merkle.verify_inclusion(leaf, position - 1, size, inclusion, roots[size])


def test_a_tile_that_is_filled_begins_one_a_level_higher_at_any_height() -> None:
    nodes = [merkle.leaf_hash(bytes([n])) for n in range(256)]
    edge = Edge([nodes[:255], nodes[:255], nodes[:255]])
    assert edge.size == 256**3 - 1

    full = edge.add(nodes[255:])

    first = merkle.tree_hash(nodes)
    second = merkle.tree_hash([*nodes[:255], first])
    assert list(full) == [(0, 65535), (1, 255), (2, 0)]
    assert edge.size == 256**3
    assert edge.root == merkle.tree_hash([*nodes[:255], second])
    assert edge.begun() == {(3, 0): edge.root}


def test_tiles_grow_with_the_ledger_as_if_made_at_once(ledger: SQLiteLedger, foreign) -> None:
    for size in (300, 600, 5_000, 66_000):
        plant(ledger, size, foreign)
        Tree(ledger).root_at(size)
    with ledger.reading() as connection:
        grown = connection.execute("SELECT * FROM tile ORDER BY level, number").fetchall()
    with ledger.writing() as connection:
        connection.execute("DELETE FROM tile")

    Tree(ledger).root_at(66_000)

    with ledger.reading() as connection:
        assert connection.execute("SELECT * FROM tile ORDER BY level, number").fetchall() == grown


def test_deleted_tiles_are_computed_again(ledger: SQLiteLedger, foreign) -> None:
    leaves = plant(ledger, 600, foreign)
    tree = Tree(ledger)
    tree.root_at(600)
    with ledger.writing() as connection:
        connection.execute("DELETE FROM tile")

    assert tree.root_at(600) == merkle.tree_hash(leaves)


def test_there_is_no_tree_beyond_the_events(ledger: SQLiteLedger) -> None:
    with pytest.raises(ValueError, match="the ledger has 1 events, not 2"):
        Tree(ledger).root_at(2)


def test_one_that_is_behind_leaves_longer_tiles_as_they_are(ledger: SQLiteLedger, foreign) -> None:
    leaves, ahead, behind = plant(ledger, 900, foreign), Tree(ledger), Tree(ledger)
    for size in (256, 512, 900):
        ahead.root_at(size)
        assert behind.root_at(256) == merkle.tree_hash(leaves[:256])

    assert tiles(ledger) == {(1, 0): 3}
