"""What a ledger's file says: events, streams, times, the tree and its heads; nothing is changed."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from threading import Condition
from typing import Any

from ledger import codec
from ledger.contract import LedgerUnavailable, RawEvent, StoredHead
from ledger.events import ERASABLE, Change, Recorded
from ledger.sqlite.connection import Connection, driver, json_list
from ledger.sqlite.database import DatabaseFile
from ledger.sqlite.schema import has_tiles

CHUNK = 1000  # events read at once
TICK = 0.1  # seconds between two looks at the end, however many wait for it
MOST_BYTES = 2**20  # of payloads read at once: an event can name a thousand members
FEW = 100  # events that are looked at to keep what was noted before them
BELIEVED = 1.0  # seconds for which an end counts while the files' times stay the same

RAW = "SELECT position, header, leaf_hash, salt, body FROM event LEFT JOIN payload USING (position)"
HEADERS = "SELECT header FROM event WHERE position BETWEEN ? AND ? ORDER BY position"
TILE = "SELECT hashes FROM tile WHERE level = ? AND number = ?"
HEAD = "SELECT number, size, signed_at, note FROM tree_head"
_EVENT = "SELECT header, body FROM event LEFT JOIN payload USING (position)"
_CHANGES = (
    "SELECT position, stream, version, type, revision, recorded_at, body"
    " FROM event LEFT JOIN payload USING (position)"
    " WHERE (stream, version) > (?, ?) AND stream < ? AND +position <= ?"
    " ORDER BY stream, version LIMIT ?"
)
_SINCE = (
    "SELECT (SELECT max(position) FROM event), min(stream), max(stream)"
    " FROM event WHERE position > ? AND position <= ?"
)
_AFTER_USERS = "User."  # the first text after all streams of users
_POSITION = "SELECT position FROM event WHERE stream = ? AND version = ?"
AT_POSITIONS = "position IN (SELECT value FROM json_each(?))"


Row = tuple[Any, ...]


class LedgerReads(DatabaseFile):
    """The reading half of contract.Ledger."""

    def __init__(self, *arguments: Any) -> None:
        """See DatabaseFile."""
        super().__init__(*arguments)
        self._grown = Condition()
        self._seen = 0  # the end at the last look of the thread that watches
        self._watched = False
        self._looked: tuple[object, int, float] = (None, 0, 0.0)  # stamp, end, monotonic seconds

    @staticmethod
    def _still_holds(connection: Connection, mark: Any) -> tuple[bool, Any]:
        """Return whether a few events about users were recorded since a position, and nothing else.

        The mark is the position. A commit without an event may have changed anything.
        """
        after = mark or 0
        newest, first, last = connection.execute(_SINCE, (after, after + FEW)).fetchone()
        few = mark is not None and newest is not None and after < newest <= after + FEW
        return few and first >= ERASABLE and last < _AFTER_USERS, newest

    def _rows(self, statement: str, *parameters: object) -> list[Any]:
        with self.reading() as connection:
            rows: list[Any] = connection.execute(statement, parameters).fetchall()
        return rows

    def end(self) -> tuple[int, str]:
        with self.reading() as connection:
            return end(connection)

    def last_position(self) -> int:
        return self.end()[0]

    def time_of(self, position: int) -> str:
        with self.reading() as connection:
            return _time_of(connection, position)

    def position_before(self, at: str) -> int:
        return self._bisected(bisect_left, at)

    def position_at(self, at: str) -> int:
        return self._bisected(bisect_right, at)

    def _bisected(self, bisect: Callable[..., int], at: str) -> int:
        """Return how many events are before a time: times never go back, positions have no gaps."""
        with self.reading() as connection:
            positions = range(1, end(connection)[0] + 1)
            return bisect(positions, at, key=lambda position: _time_of(connection, position))

    def _events(self, where: str, *parameters: object) -> list[Recorded]:
        rows = self._rows(f"{_EVENT} WHERE {where}", *parameters)
        return [codec.decode(header, body) for header, body in rows]

    def read_chunk(self, after: int, upto: int) -> list[Recorded]:
        return self._events("position > ? AND position <= ? ORDER BY position", after, upto)

    def read_all(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        last = self.last_position() if upto is None else upto
        while after < last:
            chunk = self.read_chunk(after, min(after + CHUNK, last))
            if not chunk:
                return
            yield from chunk
            after = chunk[-1].position

    def read_at(self, positions: Iterable[int]) -> dict[int, Recorded]:
        found = self._events(AT_POSITIONS, json_list(positions))
        return {recorded.position: recorded for recorded in found}

    def read_stream(self, stream: str) -> list[Recorded]:
        return list(self.walk_stream(stream))

    def walk_stream(
        self,
        stream: str,
        first: int = 1,
        last: int | None = None,
        *,
        types: Collection[str] | None = None,
        without: Collection[str] = (),
        newest_first: bool = False,
    ) -> Iterator[Recorded]:
        parameters: list[Any] = [stream, first]
        where = "stream = ? AND version >= ?"
        if last is not None:
            where, parameters = f"{where} AND version <= ?", [*parameters, last]
        for word, wanted in (("IN", types), ("NOT IN", without or None)):
            if wanted is not None:
                where += f" AND type {word} (SELECT value FROM json_each(?))"
                parameters.append(json_list(wanted))
        statement = f"{_EVENT} WHERE {where} ORDER BY version {'DESC' if newest_first else 'ASC'}"
        with self.reading() as connection:
            for header, body in connection.execute(statement, parameters):
                yield codec.decode(header, body)

    def read_category(self, category: str) -> list[Recorded]:
        where = "stream > ? AND stream < ? ORDER BY position"  # by the index of streams
        return self._events(where, f"{category}-", f"{category}.")

    def read_changes(
        self, category: str, upto: int, *, after: tuple[str, int] | None = None, count: int
    ) -> list[Change]:
        stream, version = after or (f"{category}-", 0)
        parameters = stream, version, f"{category}.", upto, count
        with self.reading() as connection:
            rows = list(_up_to(MOST_BYTES, connection.execute(_CHANGES, parameters)))
        return [
            Change(position, stream, version, type_, at, codec.payload_from(type_, revision, body))
            for position, stream, version, type_, revision, at, body in rows
        ]

    def version(self, stream: str) -> int:
        with self.reading() as connection:
            return version_of(connection, stream)

    def version_at(self, stream: str, position: int) -> int:
        """See contract.Ledger; it costs as many look-ups as the version has binary digits."""
        with self.reading() as connection:

            def recorded(version: int) -> int:
                found: int = connection.execute(_POSITION, (stream, version)).fetchone()[0]
                return found

            newest = version_of(connection, stream)
            if newest == 0 or recorded(newest) <= position:  # the most frequent question
                return newest
            return bisect_right(range(1, newest), position, key=recorded)

    def position_of(self, stream: str, version: int) -> int | None:
        rows = self._rows(_POSITION, stream, version)
        return rows[0][0] if rows else None

    def streams_between(
        self, after: int, upto: int, categories: Collection[str], count: int, *, start: int
    ) -> list[tuple[int, str, int]]:
        return self._rows(
            "SELECT position, stream, version FROM event WHERE position > ? AND position <= ?"
            " AND substr(stream, 1, instr(stream, '-') - 1) IN (SELECT value FROM json_each(?))"
            " AND NOT EXISTS (SELECT 1 FROM event AS earlier WHERE earlier.stream = event.stream"
            " AND earlier.version = event.version - 1 AND earlier.position > ?)"
            " ORDER BY position LIMIT ?",
            *(after, upto, json_list(categories), start, count),
        )

    def wait_beyond(self, position: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with self._grown:
            while self._seen <= position and (left := deadline - time.monotonic()) > 0:
                if self._watched:
                    self._grown.wait(left)
                else:
                    self._watch(position, deadline)
            return self._seen > position

    def _watch(self, position: int, deadline: float) -> None:
        """Look at the end, for all threads that wait, until this one need not wait any longer."""
        self._watched = True
        self._grown.release()
        try:
            while (end := self._end_now()) <= position and time.monotonic() < deadline:
                time.sleep(TICK)
                if end > self._seen:
                    with self._grown:
                        self._seen = end
                        self._grown.notify_all()
            self.leave()
        finally:
            self._grown.acquire()
            self._watched = False
            self._grown.notify_all()  # another thread watches from now on
        self._seen = max(self._seen, end)

    def _end_now(self) -> int:
        """Return the last position; while the files' times stay the same, one read a second.

        A commit changes the log's time before readers see it, by as long as the disk takes; and
        that time is coarse. So an unchanged time is no proof, and many ledgers may be watched.
        """
        stamp, now = self.stamp(), time.monotonic()
        seen, end, until = self._looked
        if stamp is None or stamp != seen or now > until:
            end = self.last_position()
            self._looked = stamp, end, now + BELIEVED if stamp == seen else now
        return end

    # Events as stored

    def raw_events(self, first: int, last: int) -> Iterator[RawEvent]:
        while first <= last:
            where = "position BETWEEN ? AND ? ORDER BY position LIMIT ?"
            rows = self._rows(f"{RAW} WHERE {where}", first, last, CHUNK // 2)
            for row in rows or [(None,)]:
                if row[0] != first:
                    raise self._missing(first)
                yield RawEvent._make(row)
                first += 1

    def _missing(self, position: int) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"{self.path} has no event at position {position}; `scim-ledger verify` says what is"
            " wrong",
            reason="damaged file",
        )

    def raw_events_at(self, positions: Sequence[int]) -> list[RawEvent]:
        rows = self._rows(f"{RAW} WHERE {AT_POSITIONS}", json_list(positions))
        found = {row[0]: RawEvent(*row) for row in rows}
        return [found[position] for position in positions if position in found]

    def fitting(self, positions: Sequence[int], most: int) -> int:
        lengths = f"SELECT position, length(body) FROM payload WHERE {AT_POSITIONS}"
        sizes: dict[int, int | None] = dict(self._rows(lengths, json_list(positions)))
        totals = accumulate(sizes.get(position) or 0 for position in positions)
        return max(min(1, len(positions)), sum(total <= most for total in totals))

    def headers(self, first: int, last: int) -> list[bytes]:
        rows = self._rows(HEADERS, first, last)
        if len(rows) <= last - first:  # one is missing: which one is asked for only now
            positions = "SELECT position FROM event WHERE position BETWEEN ? AND ?"
            there = {position for (position,) in self._rows(positions, first, last)}
            raise self._missing(next(n for n in range(first, last + 1) if n not in there))
        return [header for (header,) in rows]

    def leaf_hash(self, position: int) -> bytes | None:
        rows = self._rows("SELECT leaf_hash FROM event WHERE position = ?", position)
        return rows[0][0] if rows else None

    # The tree and its heads

    def tile(self, level: int, number: int) -> bytes:
        with self.reading() as connection:
            return tile(connection, level, number)

    def newest_head(self) -> StoredHead | None:
        with self.reading() as connection:
            return newest_head(connection)

    def heads(self, after: int = 0, count: int = 1000) -> list[StoredHead]:
        rows = self._rows(f"{HEAD} WHERE number > ? ORDER BY number LIMIT ?", after, count)
        return [StoredHead(*row) for row in rows]

    def unfinished_erasures(self) -> dict[int, str]:
        return dict(self._rows("SELECT position, stream FROM purge JOIN event USING (position)"))

    def erased_since(self, at: str) -> dict[str, str]:
        erased = (
            "SELECT stream, recorded_at FROM event INDEXED BY event_erased"
            " WHERE type = 'Erased' AND position > ?"
        )
        return dict(self._rows(erased, self.position_at(at)))


def _up_to(most: int, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows, whose last column is a payload, until the payloads have so many bytes."""
    size = 0
    for row in rows:
        yield row
        size += len(row[-1] or b"")
        if size > most:
            return


def end(connection: Connection) -> tuple[int, str]:
    """Return position and time of the newest event, 0 and "" in an empty file."""
    row = connection.execute(
        "SELECT position, recorded_at FROM event ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return row or (0, "")


def version_of(connection: Connection, stream: str) -> int:
    """Return the version of a stream, NO_STREAM where there is none."""
    version: int = connection.execute(
        "SELECT coalesce(max(version), 0) FROM event WHERE stream = ?", (stream,)
    ).fetchone()[0]  # of the index alone
    return version


def _time_of(connection: Connection, position: int) -> str:
    statement = "SELECT recorded_at FROM event WHERE position = ?"
    at: str = connection.execute(statement, (position,)).fetchone()[0]
    return at


def tile(connection: Connection, level: int, number: int) -> bytes:
    """Return what is kept of a tile, none where that is no hashes at all, or the table is gone."""
    try:
        row = connection.execute(TILE, (level, number)).fetchone()
    except driver.OperationalError:
        if has_tiles(connection):
            raise
        return b""
    return row[0] if row and isinstance(row[0], bytes) else b""


def newest_head(connection: Connection) -> StoredHead | None:
    """Return the tree head of the highest number."""
    row = connection.execute(f"{HEAD} ORDER BY number DESC LIMIT 1").fetchone()
    return StoredHead(*row) if row else None
