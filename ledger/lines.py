"""Events as they lie in the ledger's file: header text, leaf hash, salt, payload."""

from collections.abc import Sequence
from typing import NamedTuple

from ledger.database import json_list
from ledger.sqlite import SQLiteLedger

_SELECT = (
    "SELECT position, header, leaf_hash, salt, body FROM event LEFT JOIN payload USING (position)"
)


class Line(NamedTuple):
    """One event, byte for byte; salt and body are None once it is erased."""

    position: int
    header: bytes
    leaf_hash: bytes
    salt: bytes | None
    body: bytes | None


def lines_at(ledger: SQLiteLedger, positions: Sequence[int]) -> list[Line]:
    """Return the events at some positions, in that order, in one short read."""
    with ledger.reading() as connection:
        rows = connection.execute(
            f"{_SELECT} WHERE position IN (SELECT value FROM json_each(?))",
            (json_list(positions),),
        ).fetchall()
    found = {row[0]: Line(*row) for row in rows}
    return [found[position] for position in positions if position in found]
