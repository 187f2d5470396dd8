"""The tree as it is kept: tiles follow the leaves and can be thrown away."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import merkle
from ledger.database import Connection
from ledger.sqlite import SQLiteLedger
from ledger.tree import NotThatFar, Tree


def plant(ledger: SQLiteLedger, leaves: int, foreign: Callable[[Path], Connection]) -> list[bytes]:
    """Put leaves into the ledger's file without the rest of their events; return all there are."""
    connection = foreign(ledger.path)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    first = connection.execute("SELECT max(position) FROM event").fetchone()[0]
    rows = [
        (n, str(n), "Note-1", n, "Created", 1, "", "", "", b"", merkle.leaf_hash(str(n).encode()))
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
        inclusion = tree.inclusion(old, new)
        assert merkle.verify_inclusion(leaves[old - 1], old - 1, new, inclusion, roots[1])


def test_tiles_grow_with_the_ledger_as_if_made_at_once(ledger: SQLiteLedger, foreign) -> None:
    for size in (300, 600, 5_000, 66_000):
        plant(ledger, size, foreign)
        Tree(ledger).follow()
    with ledger.reading() as connection:
        grown = connection.execute("SELECT * FROM tile ORDER BY level, number").fetchall()
    with ledger.writing() as connection:
        connection.execute("DELETE FROM tile")

    Tree(ledger).follow()

    with ledger.reading() as connection:
        assert connection.execute("SELECT * FROM tile ORDER BY level, number").fetchall() == grown


def test_tiles_that_were_thrown_away_are_made_anew(ledger: SQLiteLedger, foreign) -> None:
    leaves = plant(ledger, 600, foreign)
    tree = Tree(ledger)
    tree.root_at(600)
    with ledger.writing() as connection:
        connection.execute("DELETE FROM tile")

    assert tree.root_at(600) == merkle.tree_hash(leaves)


def test_there_is_no_tree_beyond_the_events(ledger: SQLiteLedger) -> None:
    with pytest.raises(NotThatFar, match="the ledger has 1 events, not 2"):
        Tree(ledger).root_at(2)


def test_two_that_make_the_same_tiles_at_once_make_them_once(
    ledger: SQLiteLedger, foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = plant(ledger, 600, foreign)
    writing = ledger.writing

    def overtaken():  # another process is quicker between hashing and writing
        monkeypatch.setattr(ledger, "writing", writing)
        Tree(ledger).follow()
        return writing()

    monkeypatch.setattr(ledger, "writing", overtaken)
    Tree(ledger).follow()

    assert tiles(ledger) == {(1, 0): 2}
    assert Tree(ledger).root_at(600) == merkle.tree_hash(leaves)
