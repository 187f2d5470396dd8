"""Names of tiles: the specification's examples, and one form only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.signing.tiles import TileName, tile_in


def tiles_of(size: int) -> list[str]:
    """Return all tiles of a tree, by level."""
    found = []
    for level in range(64):
        hashes = size >> 8 * level
        found += [str(tile_in(size, level, n)) for n in range(-(-hashes // 256))]
    return found


def test_the_example_of_the_specification() -> None:
    assert str(TileName(0, 1234067)) == "tile/0/x001/x234/067"


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    tiles = tiles_of(70_000)

    assert len([t for t in tiles if t.startswith("tile/0/") and ".p" not in t]) == 273
    assert [t for t in tiles if ".p/" in t] == [
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert "tile/1/000" in tiles
    assert len(tiles) == 273 + 1 + 1 + 1 + 1


def test_a_tree_of_256_has_a_full_tile_and_one_of_width_1() -> None:
    assert tiles_of(256) == ["tile/0/000", "tile/1/000.p/1"]


NAMES = st.builds(
    TileName,
    st.none() | st.integers(0, 63),
    st.integers(0, 10**18 - 1),
    st.integers(1, 256),
)


@given(NAMES)
def test_a_name_is_read_back_as_it_was_written(name: TileName) -> None:
    assert TileName.parse(str(name).removeprefix("tile/")) == name


@given(st.text("0123456789x/.pentris", max_size=24))
def test_reading_and_writing_a_tile_path_is_lossless(text: str) -> None:
    name = TileName.parse(text)

    assert name is None or str(name) == f"tile/{text}"


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000])
def test_a_tree_reaches_each_of_its_tiles_and_none_that_is_wider(size: int) -> None:
    for text in tiles_of(size):
        name = TileName.parse(text.removeprefix("tile/"))
        assert name is not None
        assert name.reach <= size
        wider = TileName(name.level, name.number, name.width + 1)
        assert wider.reach > size or name.width == 256
