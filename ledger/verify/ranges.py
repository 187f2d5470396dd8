"""One range of positions, read and checked by itself; and the versions of all streams.

Each is a piece of work for one process. A range holds an event at a time, and 32 bytes of each for
its part of the tree: memory does not grow with the ledger.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ledger.events import ERASED
from ledger.sqlite.connection import Connection, driver
from ledger.verify.bytes import (
    commitment_of,
    hashed_of,
    header_is_right,
    is_known,
    is_time,
    parents,
)
from ledger.verify.event import Finding, Reader, Row, check_erasure, short

SPAN_HEIGHT = 14
SPAN = 1 << SPAN_HEIGHT  # events of a range: each but the last is a whole subtree
TILE_HEIGHT = 8
LOWEST = -(2**63)  # the lowest position that a table can hold at all
MAX_FINDINGS = 100

_EVENTS = (
    "SELECT position, event.id, stream, version, type, revision, recorded_at, txn, actor, header,"
    " leaf_hash, payload.position, salt, body, erased_by"
    " FROM event LEFT JOIN payload USING (position)"
    " WHERE position BETWEEN ? AND ? ORDER BY position"
)


@dataclass(frozen=True, slots=True)
class Range:
    """Positions to read, and what must be known beforehand to judge them.

    `origins` are those in force, with the position from which on each is; `sizes` those of the
    tree at which its root is wanted, all of them in the range.
    """

    first: int
    last: int
    origins: tuple[tuple[int, str], ...]
    sizes: tuple[int, ...] = ()

    @property
    def start(self) -> int:
        """The first position that an event should have."""
        return max(self.first, 1)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Positions of which only the leaf hashes are read: the rest was verified before."""

    first: int
    last: int
    sizes: tuple[int, ...] = ()


@dataclass(slots=True)
class Outcome:
    """What became of a range: `tiles` are the nodes above 256 leaves each, `root` that of all.

    `roots` are those of its leaves up to each size that was asked for. `whole` is False where a
    page could not be read.
    """

    read: int = 0
    events: int = 0
    payloads: int = 0
    erased: int = 0
    erasures: int = 0
    findings: list[Finding] = field(default_factory=list)
    tiles: list[bytes] = field(default_factory=list)
    root: bytes = b""
    roots: dict[int, bytes] = field(default_factory=dict)
    whole: bool = True


def read_range(connection: Connection, task: Range, outcome: Outcome) -> None:
    """Read and check a range in the snapshot that is open; tell the outcome as far as it came."""
    _Reading(connection, task, outcome).read()


class _Reading:
    """Reads the events of a range in order: a quick look at each, a close one where it fails."""

    def __init__(self, connection: Connection, task: Range, outcome: Outcome) -> None:
        self._connection = connection
        self._task = task
        self._leaves: list[bytes] = []
        connection.text_factory = lenient
        position, last_time = _before(connection, task.first)
        self._reader = Reader(_in_force(task.origins, task.start), position, last_time)
        self._outcome = outcome
        outcome.read = position

    def read(self) -> None:
        """Read all of it, then hash what was read up to the roots that are asked for."""
        try:
            self._read(str)
        except driver.OperationalError as error:
            if "decode" not in str(error):
                raise
            self._read(lenient)  # what cannot be decoded is examined
        self._outcome.findings += self._strays()
        _climb(self._leaves, self._task.start, self._task.sizes, self._outcome)

    def _read(self, text_factory: Any) -> None:
        outcome, reader = self._outcome, self._reader
        self._connection.text_factory = text_factory
        first = self._task.first if not outcome.events else outcome.read + 1
        renewals = dict(self._task.origins)
        for row in self._connection.execute(_EVENTS, (first, self._task.last)):
            reader.origin = renewals.get(row[0], reader.origin)
            leaf = sha256(b"\x00" + _bytes(row[9])).digest()
            if not self._is_right(row, leaf) and len(outcome.findings) < MAX_FINDINGS:
                outcome.findings += reader.read(Row(*row), self._connection)
            self._leaves.append(leaf)
            outcome.read = reader.position = row[0]
            outcome.events += 1
            outcome.payloads += row[13] is not None
            outcome.erased += row[13] is None and row[11] is not None
            outcome.erasures += row[4] == ERASED

    def _is_right(self, row: Sequence[Any], leaf: bytes) -> bool:
        """Tell that an event is right in everything; where this cannot tell, it says no."""
        reader = self._reader
        try:
            hashed = self._hashed(row)
            right = (
                hashed is not None
                and row[0] == reader.position + 1
                and leaf == row[10]
                and (row[6] == reader.last_time or (is_time(row[6]) and row[6] > reader.last_time))
                and is_known(row[4], row[5])
                and header_is_right(row, reader.origin, *hashed)
            )
        except (TypeError, ValueError, AttributeError):
            return False
        if right:
            reader.last_time = row[6]
        return right

    def _hashed(self, row: Sequence[Any]) -> tuple[int, str] | None:
        salt, body, erased_by = row[12:]
        if body is not None and salt is not None and erased_by is None:
            return commitment_of(body, salt)
        if row[11] is not None and body is None and salt is None:
            gone = next(check_erasure(row[0], row[2], erased_by, self._connection), None)
            return hashed_of(row[9]) if gone is None else None
        return None

    def _strays(self) -> Iterator[Finding]:
        """Find payloads without an event; counting tells whether there is one to look for."""
        bounds = (self._task.first, self._task.last)
        where = "FROM payload WHERE position BETWEEN ? AND ?"
        [count] = self._connection.execute(f"SELECT count(*) {where}", bounds).fetchone()
        if count != self._outcome.payloads + self._outcome.erased:
            statement = f"SELECT position {where} AND position NOT IN (SELECT position FROM event)"
            for (position,) in self._connection.execute(statement, bounds).fetchmany(MAX_FINDINGS):
                yield stray(position)


def read_leaves(connection: Connection, task: Leaves, outcome: Outcome) -> None:
    """Read the leaf hashes of a range; the tree over them tells whether they are what they were."""
    rows = connection.execute(
        "SELECT position, leaf_hash FROM event WHERE position BETWEEN ? AND ? ORDER BY position",
        (task.first, task.last),
    ).fetchall()
    outcome.events = len(rows)
    outcome.read = rows[-1][0] if rows else 0
    _climb([_bytes(leaf) for _, leaf in rows], task.first, task.sizes, outcome)


def _climb(leaves: list[bytes], start: int, sizes: Sequence[int], outcome: Outcome) -> None:
    """Hash the leaves from a position on up to the roots that are asked for."""
    if not leaves:
        return
    levels = [leaves]
    while len(levels[-1]) > 1:
        levels.append(parents(levels[-1]))
    outcome.tiles = levels[TILE_HEIGHT] if len(levels) > TILE_HEIGHT else []
    outcome.root = _root(levels, len(leaves))
    for size in sizes:
        if size - start < len(leaves):
            outcome.roots[size] = _root(levels, size - start + 1)


def _root(levels: list[list[bytes]], size: int) -> bytes:
    """Return the root over so many leaves: whole subtrees, joined from the right."""
    root = b""
    for height, nodes in enumerate(levels):
        if size >> height & 1:
            node = nodes[(size >> height) - 1]
            root = sha256(b"\x01" + node + root).digest() if root else node
    return root


def lenient(raw: bytes) -> str:
    """Read damaged text too, as something that cannot equal what was hashed."""
    return raw.decode(errors="replace")


def stray(position: int) -> Finding:
    """Return what is found where a payload has no event."""
    return Finding(position, "payload", "an event it belongs to", "none")


def strays_behind(connection: Connection, end: int) -> Iterator[Finding]:
    """Find payloads without an event behind the end; there may be events by now."""
    rows = connection.execute(
        "SELECT position FROM payload WHERE position > ?"
        " AND position NOT IN (SELECT position FROM event WHERE position > ?)",
        (end, end),
    )
    for (position,) in rows.fetchmany(MAX_FINDINGS):
        yield stray(position)


def _bytes(header: object) -> bytes:
    return header if isinstance(header, bytes) else b""


def _in_force(origins: Sequence[tuple[int, str]], position: int) -> str:
    at = bisect_right(origins, position, key=lambda each: each[0])
    return origins[at - 1][1] if at else ""


def _before(connection: Connection, first: int) -> tuple[int, str]:
    """Return position and time of the event before a position, so that no gap is between ranges.

    A time that is none is left out: nothing can be compared with it.
    """
    row = connection.execute(
        "SELECT position, recorded_at FROM event WHERE position < ? ORDER BY position DESC LIMIT 1",
        (first,),
    ).fetchone()
    if row is None:
        return 0, ""
    return row[0], str(row[1]) if is_time(str(row[1])) else ""


def check_versions(connection: Connection, end: int) -> list[Finding]:
    """Find streams whose versions are not 1, 2, 3 in order of position, up to an end.

    The index has them stream by stream, so that nothing needs to be remembered; that it agrees
    with the table is SQLite's integrity check to say.
    """
    connection.text_factory = bytes
    findings: list[Finding] = []
    for stream in _uneven(connection, end):
        findings += _examine(connection, stream, end)
        if len(findings) >= MAX_FINDINGS:
            break
    return findings


def _uneven(connection: Connection, end: int) -> Iterator[bytes]:
    """Yield streams whose versions are not as they must be; an uneven one may come twice."""
    last, before, where = b"", 0, 0
    for stream, version, position in connection.execute(
        "SELECT stream, version, position FROM event WHERE +position <= ? ORDER BY stream, version",
        (end,),
    ):
        if stream != last:
            before, where = 0, LOWEST
        if version != before + 1 or position < where:
            yield stream
        last, before, where = stream, version, position


def _examine(connection: Connection, stream: bytes, end: int) -> Iterator[Finding]:
    rows = connection.execute(
        "SELECT position, version FROM event"
        " WHERE stream = CAST(? AS TEXT) AND +position <= ? ORDER BY position",
        (stream, end),
    ).fetchall()
    before = 0
    for position, version in rows:
        if version != before + 1 or type(version) is not int:
            yield Finding(position, "version in its stream", short(before + 1), short(version))
        before = version
