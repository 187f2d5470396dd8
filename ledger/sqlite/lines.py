"""Events as they lie in the ledger's file: header text, leaf hash, salt, payload."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ledger.contract import LedgerUnavailable
from ledger.sqlite.connection import json_list
from ledger.sqlite.ledger import SQLiteLedger

CHUNK = 500

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


def fitting(ledger: SQLiteLedger, positions: Sequence[int], most: int) -> int:
    """Return how many of the first of some events have at most so many bytes of payload; 1 or more.

    0 only where there are no positions.
    """
    with ledger.reading() as connection:
        sizes: dict[int, int | None] = dict(
            connection.execute(
                "SELECT position, length(body) FROM payload"
                " WHERE position IN (SELECT value FROM json_each(?))",
                (json_list(positions),),
            ).fetchall()
        )
    totals = accumulate(sizes.get(position) or 0 for position in positions)
    return max(min(1, len(positions)), sum(total <= most for total in totals))


def lines_between(ledger: SQLiteLedger, first: int, last: int) -> Iterator[Line]:
    """Yield the events from one position to another, each chunk its own read: none pins the log.

    Raises LedgerUnavailable where an event is missing.
    """
    while first <= last:
        with ledger.reading() as connection:
            rows = connection.execute(
                f"{_SELECT} WHERE position BETWEEN ? AND ? ORDER BY position LIMIT ?",
                (first, last, CHUNK),
            ).fetchall()
        for row in rows or [(None,)]:
            if row[0] != first:
                raise LedgerUnavailable(
                    f"{ledger.path} has no event at position {first}; `scim-ledger verify` says"
                    " what is wrong",
                    reason="damaged file",
                )
            yield Line(*row)
            first += 1
