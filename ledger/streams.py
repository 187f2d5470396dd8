"""Parts of the ledger: some events of one stream, or those at some positions, at their own cost."""

from collections.abc import Iterable, Iterator

import orjson

from ledger import codec
from ledger.database import Connection
from ledger.events import Recorded
from ledger.sqlite import stream_version

_SELECT = "SELECT header, body FROM event LEFT JOIN payload USING (position)"


def version_at(connection: Connection, stream: str, position: int) -> int:
    """Return the version that a stream had at a position, 0 before its first event.

    By bisection: positions rise with versions. It costs as many look-ups as a stream of 100,000
    events has binary digits.
    """
    low, high = 0, stream_version(connection, stream)
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(
            "SELECT position FROM event WHERE stream = ? AND version = ?", (stream, middle)
        ).fetchone()
        low, high = (middle, high) if row[0] <= position else (low, middle - 1)
    return low


def stretch(
    connection: Connection, stream: str, first: int, last: int, *, newest_first: bool = False
) -> Iterator[Recorded]:
    """Yield the events of a stream from one version to another, read as they are asked for."""
    rows = connection.execute(
        f"{_SELECT} WHERE stream = ? AND version BETWEEN ? AND ?"
        f" ORDER BY version {'DESC' if newest_first else ''}",
        (stream, first, last),
    )
    return (codec.decode(header, body) for header, body in rows)


def stretch_but(
    connection: Connection, stream: str, last: int, types: Iterable[str]
) -> Iterator[Recorded]:
    """Yield the events of a stream up to a version, but for those of some types."""
    rows = connection.execute(
        f"{_SELECT} WHERE stream = ? AND version <= ?"
        " AND type NOT IN (SELECT value FROM json_each(?)) ORDER BY version",
        (stream, last, _listed(types)),
    )
    return (codec.decode(header, body) for header, body in rows)


def events_at(connection: Connection, positions: Iterable[int]) -> dict[int, Recorded]:
    """Return the events at some positions, by position."""
    rows = connection.execute(
        f"{_SELECT} WHERE position IN (SELECT value FROM json_each(?))", (_listed(positions),)
    )
    events = (codec.decode(header, body) for header, body in rows)
    return {recorded.position: recorded for recorded in events}


def time_of(connection: Connection, position: int) -> str:
    """Return when the event at a position was recorded."""
    at: str = connection.execute(
        "SELECT recorded_at FROM event WHERE position = ?", (position,)
    ).fetchone()[0]
    return at


def _listed(values: Iterable[str | int]) -> str:
    return orjson.dumps(list(values)).decode()
