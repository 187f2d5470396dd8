"""What somebody changed in the kept tree: never believed, never signed, never a dead end."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ledger import clock, merkle
from ledger.contract import LedgerUnavailable
from ledger.create import create
from ledger.events import Metadata
from ledger.signing.keys import Keys
from ledger.signing.known_heads import HeadSources, known
from ledger.signing.note import TreeHead
from ledger.signing.rollback import contradictions
from ledger.signing.tiles import TileName
from ledger.signing.tree import EventsChanged
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.connection import Connection, driver
from ledger.sqlite.ledger import SQLiteLedger
from tests.ledger.signed import sign_badly, tamper

SIZE = 65_536 + 2 * 256 + 50  # three levels of tiles
GROWTH = 300  # events that follow the newest head: they fill a tile


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a ledger of several levels, and a head over all but the last events."""
    path = tmp_path_factory.mktemp("large") / "acme" / "ledger.db"
    metadata = Metadata("operator", "test", clock.uuid7(), {})
    create(path, "acme", software="test", metadata=metadata)
    ledger = SQLiteLedger(path)
    _fill(ledger, SIZE)
    TreeHeads(ledger, Keys(path.parent)).sign()
    _fill(ledger, SIZE + GROWTH)
    ledger.close()
    return path.parent


def _fill(ledger: SQLiteLedger, size: int) -> None:
    """Put in rows that nobody decodes: a real append of each takes too long here."""
    at, begin = clock.timestamp(), ledger.last_position() + 1
    rows = (
        (n, clock.uuid7(), "Note-1", n - 1, "Updated", 1, at, "t", "a", header, leaf)
        for n in range(begin, size + 1)
        for header in (b"%d" % n,)
        for leaf in (merkle.leaf_hash(header),)
    )
    with ledger.writing() as connection:
        connection.executemany("INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)


@pytest.fixture(scope="module")
def leaves(large: Path) -> list[bytes]:
    ledger = SQLiteLedger(large / "ledger.db")
    headers = ledger.headers(1, SIZE + GROWTH)
    ledger.close()
    return [merkle.leaf_hash(header) for header in headers]


@pytest.fixture(scope="module")
def roots(leaves: list[bytes]) -> dict[int, bytes]:
    return {size: merkle.tree_hash(leaves[:size]) for size in (300, SIZE, SIZE + GROWTH)}


@pytest.fixture
def opened(large: Path, tmp_path: Path) -> Iterator[Callable[..., TreeHeads]]:
    """Return what opens a copy of the ledger whose file was changed, as a new process does."""
    ledgers, numbers = [], count()

    def open_one(*changes: str | Callable[[Connection], object]) -> TreeHeads:
        folder = tmp_path / str(next(numbers)) / "acme"
        shutil.copytree(large, folder)
        if changes:
            tamper(folder / "ledger.db", *changes)
        ledgers.append(SQLiteLedger(folder / "ledger.db"))
        return TreeHeads(ledgers[-1], Keys(folder))

    yield open_one
    for ledger in ledgers:
        ledger.close()


def others(heads: TreeHeads) -> list[str]:
    """Return what start-up says of the heads that it knows."""
    found = known(heads, HeadSources(), lambda _: None)
    return [str(each) for each in contradictions(heads, found)]


def put(level: int, number: int, hashes: bytes) -> Callable[[Connection], object]:
    row = level, number, hashes
    return lambda c: c.execute("REPLACE INTO tile VALUES (?, ?, ?)", row)


# Of a tree of three levels: (1, 0) is full, (1, 1) has 2 hashes, (2, 0) has 1.
TILES: dict[str, list[str | Callable[[Connection], object]]] = {
    "a bit flipped in a full tile": [
        "UPDATE tile SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB)"
        " WHERE (level, number) = (1, 0)"
    ],
    "a bit flipped at the edge": ["UPDATE tile SET hashes = zeroblob(64) WHERE number = 1"],
    "a bit flipped at the top": ["UPDATE tile SET hashes = zeroblob(32) WHERE level = 2"],
    "a full tile missing": ["DELETE FROM tile WHERE (level, number) = (1, 0)"],
    "the edge missing": ["DELETE FROM tile WHERE number = 1"],
    "the top missing": ["DELETE FROM tile WHERE level = 2"],
    "all missing": ["DELETE FROM tile"],
    "a short tile": [
        "UPDATE tile SET hashes = CAST(substr(hashes, 1, 40) AS BLOB) WHERE level = 1"
    ],
    "an empty tile": ["UPDATE tile SET hashes = x''"],
    "a long tile": ["UPDATE tile SET hashes = CAST(hashes || zeroblob(9000) AS BLOB)"],
    "a full tile where the edge is": [put(1, 1, bytes(8192))],
    "tiles beyond the events": [put(1, 9, bytes(64)), put(3, 0, bytes(32)), put(60, 5, bytes(32))],
    "tiles at places that none has": [put(-1, 0, bytes(32)), put(1, -5, bytes(32))],
    "a tile of another type": [
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE name = 'tile'",
        "PRAGMA writable_schema = RESET",
        "UPDATE tile SET hashes = 'text'",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = sql || ' STRICT' WHERE name = 'tile'",
        "PRAGMA writable_schema = RESET",
    ],
}


@pytest.mark.parametrize("name", TILES)
def test_whatever_tiles_hold_the_ledger_opens_signs_and_proves_what_the_events_say(
    name: str, opened: Callable[..., TreeHeads], leaves: list[bytes], roots: dict[int, bytes]
) -> None:
    heads = opened(*TILES[name])

    assert others(heads) == []
    size = SIZE + GROWTH
    assert TreeHead.parse(heads.sign().note).root == roots[size]
    newest = heads.newest()
    assert newest is not None and newest.size == size
    for position in (7, 300, SIZE, size):
        proof = heads.prove(position, newest)
        leaf = leaves[position - 1]
        assert merkle.verify_inclusion(leaf, position - 1, size, proof.hashes, roots[size])
    proof = heads.tree.consistency(300, SIZE)
    assert merkle.verify_consistency(300, SIZE, roots[300], roots[SIZE], proof)
    inner = [merkle.tree_hash(leaves[n : n + 256]) for n in range(0, 65_536, 256)]
    assert merkle.split(heads.tree.tile(TileName(1, 0))) == inner
    assert merkle.split(heads.ledger.tile(1, 0))[:256] == inner  # and is put right


@pytest.mark.parametrize("position", [7, 65_537, SIZE])
def test_a_changed_event_is_neither_signed_over_nor_proved(
    position: int, opened: Callable[..., TreeHeads], roots: dict[int, bytes]
) -> None:
    heads = opened(f"UPDATE event SET header = x'00' WHERE position = {position}")
    newest = heads.newest()
    assert newest is not None

    with pytest.raises(EventsChanged):
        heads.prove(position, newest)
    try:  # where the tiles prove the newest head, it is signed over what was there
        assert TreeHead.parse(heads.sign().note).root == roots[SIZE + GROWTH]
    except EventsChanged:
        assert others(heads) != []


def test_events_that_differ_are_named_as_narrowly_as_tiles_show(
    opened: Callable[..., TreeHeads],
) -> None:
    heads = opened("UPDATE event SET header = x'00' WHERE position = 300")
    newest = heads.newest()
    assert newest is not None

    with pytest.raises(EventsChanged) as raised:
        heads.prove(300, newest)

    assert (raised.value.first, raised.value.last) == (257, 512)


def test_tiles_are_kept_as_they_are_where_the_events_were_changed(
    opened: Callable[..., TreeHeads],
) -> None:
    heads = opened(f"UPDATE event SET header = x'00' WHERE position = {SIZE}")
    before = heads.ledger.tile(1, 1)

    assert others(heads) != []

    assert heads.ledger.tile(1, 1) == before
    with pytest.raises(EventsChanged):
        heads.tree.rebuild()
    assert heads.ledger.tile(1, 1) == before


def test_a_rebuild_replaces_all_tiles(opened: Callable[..., TreeHeads]) -> None:
    heads, right = opened(*TILES["tiles beyond the events"]), opened()

    assert heads.tree.rebuild() == right.tree.rebuild() == SIZE + GROWTH

    statement = "SELECT * FROM tile ORDER BY level, number"
    with heads.ledger.reading() as one, right.ledger.reading() as other:
        assert one.execute(statement).fetchall() == other.execute(statement).fetchall()


HEADS: dict[str, str | Callable[[Connection], object]] = {
    "of another size": f"UPDATE tree_head SET size = {SIZE + 1} WHERE size = {SIZE}",
    "no note": "UPDATE tree_head SET note = 'x'",
    "of no time": "UPDATE tree_head SET signed_at = 'x'",
    "signed badly": sign_badly(2),
    "of nobody": f"INSERT INTO tree_head SELECT 99, {SIZE + 9}, signed_at, note FROM tree_head"
    " WHERE size = 1",
}


@pytest.mark.parametrize("name", HEADS)
def test_nothing_is_signed_after_a_head_that_the_key_did_not_sign(
    name: str, opened: Callable[..., TreeHeads]
) -> None:
    heads = opened(HEADS[name])

    assert others(heads) == []  # it is served all the same
    for work in (heads.sign, heads.sign_if_due, heads.proved):
        with pytest.raises(LedgerUnavailable, match="is none that its key signed"):
            work()


def test_a_head_that_was_taken_out_is_put_back(
    opened: Callable[..., TreeHeads], roots: dict[int, bytes]
) -> None:
    heads = opened("DELETE FROM tree_head")

    heads.sign()

    assert [head.size for head in heads.every()] == [SIZE, SIZE + GROWTH]


CHANGES = st.one_of(
    st.tuples(
        st.just("UPDATE tile SET hashes = {} WHERE (level, number) = ({}, {})"),
        st.sampled_from(
            (
                "CAST(x'00' || substr(hashes, 2) AS BLOB)",
                "CAST(substr(hashes, 1, length(hashes) - 32) AS BLOB)",
                "CAST(substr(hashes, 1, length(hashes) - 1) || x'00' AS BLOB)",
                "CAST(hashes || zeroblob(32) AS BLOB)",
                "zeroblob(8192)",
            )
        ),
        st.sampled_from((1, 2)),
        st.sampled_from((0, 1)),
    ),
    st.tuples(
        st.just("DELETE FROM tile WHERE {} = {}"),
        st.sampled_from(("level", "number")),
        st.integers(0, 2),
    ),
    st.tuples(
        st.just("REPLACE INTO tile VALUES ({}, {}, zeroblob({}))"),
        st.integers(0, 4),
        st.integers(-1, 4),
        st.sampled_from((0, 31, 32, 64, 8192, 8224)),
    ),
    st.tuples(
        st.just("UPDATE tree_head SET {} = {}"),
        st.sampled_from(("size", "signed_at", "note", "number")),
        st.sampled_from(("1", f"{SIZE}", "''", "'x'", "note", "number + 1", "substr(note, 2)")),
    ),
    st.tuples(st.just("DELETE FROM tree_head WHERE number = {}"), st.integers(1, 2)),
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(CHANGES, min_size=1, max_size=3))
def test_no_change_of_tiles_and_heads_has_a_false_root_signed(
    opened: Callable[..., TreeHeads],
    leaves: list[bytes],
    roots: dict[int, bytes],
    changes: list[tuple[object, ...]],
) -> None:
    statements = [str(words).format(*values) for words, *values in changes]
    try:
        heads = opened(*(each.replace("UPDATE", "UPDATE OR IGNORE") for each in statements))
    except driver.IntegrityError:
        assume(False)  # a value of a type that no column of the table takes

    assert others(heads) == []
    try:
        signed = heads.sign()
    except LedgerUnavailable as error:
        assert error.reason == "tree head was changed"
        return
    size = SIZE + GROWTH
    assert TreeHead.parse(signed.note).root == roots[size]
    proof = heads.prove(300, signed)
    assert merkle.verify_inclusion(leaves[299], 299, size, proof.hashes, roots[size])
