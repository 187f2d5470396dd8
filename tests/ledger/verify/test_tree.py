"""The tree that ranges are joined to, and the tiles that are compared with it."""

import os

import pytest

from ledger import merkle
from ledger.verify.ranges import SPAN, Outcome
from ledger.verify.tree import TreeCheck, check_levels

SIZE = 4 * SPAN + 300  # level 1 has a full tile and one hash more, level 2 has one hash
LEAVES = [os.urandom(32) for _ in range(SIZE)]
NODES = [merkle.tree_hash(LEAVES[at : at + 256]) for at in range(0, SIZE - 255, 256)]
TILES = {
    (1, 0): b"".join(NODES[:256]),
    (1, 1): NODES[256],
    (2, 0): merkle.tree_hash(NODES[:256]),
}


class Tiles:
    """The tiles of a store."""

    def __init__(self, tiles: dict[tuple[int, int], bytes]) -> None:
        self._tiles = tiles

    def tile(self, level: int, number: int) -> bytes:
        return self._tiles.get((level, number), b"")

    def tile_levels(self) -> list[tuple[int, int, int, int]]:
        found = []
        for level in sorted({level for level, _ in self._tiles}):
            numbers = [number for each, number in self._tiles if each == level]
            hashes = sum(len(self._tiles[level, number]) for number in numbers) // 32
            found.append((level, hashes, max(numbers), len(numbers)))
        return found


def ranges() -> list[Outcome]:
    outcomes = []
    for first in range(0, SIZE, SPAN):
        leaves = LEAVES[first : first + SPAN]
        outcome = Outcome(read=first + len(leaves), events=len(leaves))
        outcome.hash(leaves, first + 1, [first + 7, first + len(leaves)])
        outcomes.append(outcome)
    return outcomes


def joined(tiles: dict[tuple[int, int], bytes], order: list[int]) -> tuple[TreeCheck, list[str]]:
    tree, outcomes = TreeCheck(Tiles(tiles)), ranges()  # type: ignore[arg-type]
    for number in order:
        tree.add(number, outcomes[number])
    found = (each.wrong for each in tree.differing)
    return tree, [f"{finding.what}: {finding.expected}" for finding in found]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 3, 1, 0]], ids=str)
def test_ranges_are_joined_in_their_order_whatever_order_they_come_in(order: list[int]) -> None:
    tree, found = joined(TILES, order)

    assert found == []
    assert (tree.size, tree.whole) == (SIZE, True)
    sizes = [7, SPAN, SPAN + 7, 4 * SPAN, 4 * SPAN + 7, SIZE]
    assert {n: tree.roots[n] for n in sizes} == {n: merkle.tree_hash(LEAVES[:n]) for n in sizes}


def test_there_is_no_root_after_a_range_that_lacks_an_event() -> None:
    tree, outcomes = TreeCheck(Tiles({})), ranges()  # type: ignore[arg-type]
    outcomes[1].events -= 1
    for number, outcome in enumerate(outcomes):
        tree.add(number, outcome)

    assert (tree.size, tree.whole) == (SPAN, False)
    assert max(tree.roots) == SPAN


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({(1, 0): TILES[1, 0][:-1] + b"x"}, "tile 1/0: the hash of events 65281 to 65536"),
        ({(1, 0): bytes(64) + TILES[1, 0][64:]}, "tile 1/0: the hash of events 1 to 256"),
        ({(1, 0): TILES[1, 0][:64]}, "tile 1/0: the hash of events 513 to 768"),
        ({(1, 1): bytes(32)}, "tile 1/1: the hash of events 65537 to 65792"),
        ({(2, 0): bytes(32)}, "tile 2/0: the hash of events 1 to 65536"),
    ],
    ids=["its end", "its beginning", "cut off", "the last", "of the second level"],
)
def test_a_tile_that_is_not_the_trees_is_found_once(changed, what: str) -> None:
    _, found = joined(TILES | changed, [0, 1, 2, 3, 4])

    assert found == [what]


def test_tiles_that_are_not_made_yet_are_not_missed() -> None:
    last = {place: hashes for place, hashes in TILES.items() if place != (1, 1)}
    filling = {(1, 0): TILES[1, 0][: 32 * 100]}

    assert joined(last, [0, 1, 2, 3, 4])[1] == []
    assert joined(filling, [0, 1, 2, 3, 4])[1] == []


@pytest.mark.parametrize(
    ("tiles", "what"),
    [
        (TILES, []),
        ({}, []),
        ({(1, 0): TILES[1, 0]}, ["tiles of level 2"]),
        ({(2, 0): TILES[2, 0]}, ["tiles of level 2"]),
        ({(1, 1): TILES[1, 1]}, ["tiles of level 1"]),
        (TILES | {(1, 1): bytes(64)}, ["tiles of level 1"]),
    ],
    ids=[
        "whole",
        "none",
        "no second level",
        "no first level",
        "no first tile",
        "one hash too many",
    ],
)
def test_levels_must_fit_on_each_other_and_on_the_events(tiles, what: list[str]) -> None:
    found = check_levels(Tiles(tiles), SIZE)  # type: ignore[arg-type]

    assert [finding.what for finding in found] == what
