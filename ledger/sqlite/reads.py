"""Parts of the ledger: some events of one stream, or those at some positions, at their own cost."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from ledger.events import Recorded
from ledger.sqlite.connection import Connection, json_list
from ledger.sqlite.ledger import events_where, stream_version


def version_at(connection: Connection, stream: str, position: int) -> int:
    """Return the version that a stream had at a position, 0 before its first event.

    By bisection: positions rise with versions. It costs as many look-ups as a stream of 100,000
    events has binary digits.
    """
    statement = "SELECT position FROM event WHERE stream = ? AND version = ?"

    def recorded(version: int) -> int:
        found: int = connection.execute(statement, (stream, version)).fetchone()[0]
        return found

    versions = range(1, stream_version(connection, stream) + 1)
    return bisect_right(versions, position, key=recorded)


def stretch(
    connection: Connection, stream: str, first: int, last: int, *, newest_first: bool = False
) -> Iterator[Recorded]:
    """Yield the events of a stream from one version to another, read as they are asked for."""
    order = "DESC" if newest_first else "ASC"
    where = f"stream = ? AND version BETWEEN ? AND ? ORDER BY version {order}"
    return events_where(connection, where, (stream, first, last))


def stretch_but(
    connection: Connection, stream: str, last: int, types: Iterable[str]
) -> Iterator[Recorded]:
    """Yield the events of a stream up to a version, but for those of some types."""
    where = (
        "stream = ? AND version <= ? AND type NOT IN (SELECT value FROM json_each(?))"
        " ORDER BY version"
    )
    return events_where(connection, where, (stream, last, json_list(types)))


def events_at(connection: Connection, positions: Iterable[int]) -> dict[int, Recorded]:
    """Return the events at some positions, by position."""
    where = "position IN (SELECT value FROM json_each(?))"
    events = events_where(connection, where, (json_list(positions),))
    return {recorded.position: recorded for recorded in events}
