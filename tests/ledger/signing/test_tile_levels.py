"""Tiles of a tree with three levels, read by an independent client."""

import pytest

from ledger import clock
from ledger.merkle import leaf_hash
from ledger.signing.note import SigningKey
from ledger.signing.tiles import TileName
from ledger.signing.tree import Tree
from ledger.signing.tree_heads import TreeHead
from ledger.sqlite.ledger import SQLiteLedger
from tests.scim_api.tlog_client import Log

SIZE = 2 * 65_536 + 2 * 256 + 3


@pytest.fixture
def large(ledger: SQLiteLedger) -> SQLiteLedger:
    """Fill a ledger with rows that nobody decodes: a real append of each takes too long here."""
    at = clock.timestamp()
    begin = ledger.last_position() + 1
    rows = (
        (n, clock.uuid7(), "Note-1", n - begin + 1, "Updated", 1, at, "t", "a", header, leaf)
        for n in range(begin, SIZE + 1)
        for header in (b"%d" % n,)
        for leaf in (leaf_hash(header),)
    )
    with ledger.writing() as connection:
        connection.executemany("INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)
    return ledger


def test_a_log_of_three_levels_can_be_audited_whole(large: SQLiteLedger) -> None:
    tree = Tree(large)
    key = SigningKey("log", bytes(32))
    note = str(key.note(TreeHead("log", SIZE, tree.root_at(SIZE)).text))
    fetched = set()

    def fetch(path: str) -> bytes:
        if path == "checkpoint":
            return note.encode()
        fetched.add(path)
        name = TileName.parse(path.removeprefix("tile/"))
        assert name is not None
        return tree.tile(name)

    assert Log(fetch, str(key.verifier)).audit() == SIZE
    assert {"tile/2/000.p/2", "tile/1/002.p/2", "tile/0/514.p/3"} <= fetched
