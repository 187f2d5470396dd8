"""The index of events: pages of those that satisfy a filter, in either direction."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from ledger.contract import Connection
from ledger.events import REQUEST_PREFIX, Recorded
from ledger.user_agents import UNKNOWN, family
from projections.history.contents import Content
from projections.query.comparison import SUBSTRING, fold
from projections.query.effort import bounded
from projections.query.model import (
    And,
    Compare,
    Connective,
    Filter,
    Leaf,
    Not,
    Operator,
    Path,
    Type,
    mapped,
    reduce,
)
from projections.query.sql import Column, Columns, Sql, compiled
from projections.state import Attributes


def _word(column: str) -> str:
    return f"(SELECT text FROM word WHERE word.id = entry.{column})"


_USER_NAME = (  # of the user it is about, in force after it, or last before its deletion
    "(SELECT name_key FROM life JOIN life_name USING (born) WHERE life.stream = entry.stream"
    " AND life.type = 'User' AND since <= entry.position ORDER BY since DESC LIMIT 1)"
)

# The attributes of an event, by the name that filters know.
COLUMNS = {
    "position": Column("position", nullable=False),
    "at": Column("at", nullable=False),
    "stream": Column("(SELECT name FROM stream WHERE number = entry.stream)", nullable=False),
    "type": Column(_word("type"), nullable=False),
    "resourceType": Column(_word("category"), nullable=False),
    "actor": Column(_word("actor"), nullable=False),
    "via": Column(_word("via"), nullable=False),
    "txn": Column("scim_unpacked(txn)", nullable=False),
    "client": Column("client"),
    "requestId": Column("scim_unpacked(request_id)"),
    "operator": Column("operator"),
    "userName": Column(_USER_NAME, folded=True),
}

# Where few events have a value, SQLite, which keeps no statistics here, must use that index and
# not one of the wide ones (measured at a million events: 1 ms instead of 150): {} is + then.
_IS_WORD = "{}{column} = coalesce((SELECT id FROM word WHERE text = ?), 0)"
_INDEXED = {  # by an index: the condition for eq
    "type": _IS_WORD.replace("{column}", "type"),
    "resourceType": _IS_WORD.replace("{column}", "category"),
    "actor": _IS_WORD.replace("{column}", "actor"),
    "stream": "stream = coalesce((SELECT number FROM stream WHERE name = ?), 0)",
    "txn": "txn = ?",
    "requestId": "(request_id IS NOT NULL AND request_id = ?)",
}
_NAMED = (
    "stream IN (SELECT stream FROM resource_key JOIN life USING (born)"
    " WHERE kind = 'name' AND key = ? AND life.type = 'User')"
)


@dataclass(frozen=True, slots=True)
class EventColumns(Columns):
    """The columns of entries; `sparing` the wide indexes where another finds few events."""

    sparing: bool = False

    def compare(self, compare: Compare) -> Sql:
        key, value = compare.path.key, compare.value
        if compare.operator is Operator.EQ and isinstance(value, str):
            if key in _INDEXED:
                stored = packed(value) if key in ("txn", "requestId") else value
                return _INDEXED[key].format("+" if self.sparing else ""), [stored]
            if key == "userName":
                test, values = Columns.compare(self, compare)
                return f"({_NAMED} AND {test})", [fold(value), *values]
        return Columns.compare(self, compare)


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


def packed(text: str) -> str | bytes:
    """Return an id as it is stored: a UUID in 16 bytes."""
    return bytes.fromhex(text.replace("-", "")) if _UUID.fullmatch(text) else text


def unpacked(value: str | bytes | None) -> str | None:
    return str(UUID(bytes=value)) if isinstance(value, bytes) else value


def register(connection: Any) -> None:
    """Register the function that filters over events call."""
    connection.create_function("scim_unpacked", 1, unpacked, deterministic=True)


POSITION = Path("position", ("position",), None, Type.INTEGER, many=False, case_exact=False)

# Few events share a value of these.
FEW = frozenset({"position", "stream", "txn", "requestId", "userName"})

FirstAt = Callable[[str, bool], int]

Positions = Callable[[range, int], Sequence[int]]  # the first few of a span, as it is searched


class Found(NamedTuple):
    """The positions of a page, and whether older and newer events satisfy the filter too."""

    positions: list[int]
    older: bool
    newer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """The events of one page.

    With `after` alone the page begins right after that position, with `before` alone it ends right
    before it, whichever way it is sorted; with both, or neither, it begins at the end of the span
    that the order begins with.
    """

    filter: Filter | None = None
    newest_first: bool = True
    count: int = 100
    after: int | None = None
    before: int | None = None

    @property
    def descending(self) -> bool:
        """Whether the page is searched from its newest event: from its one bound, if any."""
        if (self.after is None) == (self.before is None):
            return self.newest_first
        return self.after is None

    def paged(self, positions: Positions, end: int) -> Found:
        """Return the page, of a ledger up to `end`; `positions` finds those of a span."""
        low = 1 if self.after is None else self.after + 1
        high = end + 1 if self.before is None else min(self.before, end + 1)
        passed = range(0)  # on the other side of the one bound
        if self.before is None and self.after is not None:
            passed = range(1, min(low, end + 1))
        elif self.after is None and self.before is not None:
            passed = range(max(self.before, 1), end + 1)
        found = positions(range(low, high), self.count + 1)
        more, others = len(found) > self.count, bool(passed) and bool(positions(passed, 1))
        older, newer = (more, others) if self.descending else (others, more)
        return Found(sorted(found[: self.count], reverse=self.newest_first), older, newer)

    def every(self, end: int) -> Found:
        """Return the page without a filter: positions are dense."""

        def positions(span: range, limit: int) -> Sequence[int]:
            return (span[::-1] if self.descending else span)[:limit]

        return self.paged(positions, end)


def _known_family(client: str) -> str | None:
    known = family(client)
    return None if known == UNKNOWN else known


class EventIndex:
    """The table of entries; writing them is one chunk's work."""

    tables: Mapping[str, str] = {"word": "id", "stream": "number", "entry": "position"}

    def __init__(self, suffix: str = "") -> None:
        self._suffix = suffix
        self._table = f"entry{suffix}"

    def begin(self, connection: Connection) -> None:
        """Begin a chunk of events: know the words there are."""
        words = connection.execute(f"SELECT text, id FROM word{self._suffix}")
        self._words: dict[str, int] = dict(words)
        self._known = len(self._words)
        self._streams: list[tuple[int, str]] = []
        self._rows: list[tuple[Any, ...]] = []

    def add(self, recorded: Recorded, stream: int, category: str, content: Content) -> None:
        """Take an event, of a stream by its number; positions stay dense from 1."""
        payload = recorded.payload or {}
        client = payload.get(f"{REQUEST_PREFIX}client")
        request_id = payload.get(f"{REQUEST_PREFIX}id")
        if stream == recorded.position:
            self._streams.append((stream, recorded.stream))
        word = self._words
        self._rows.append(
            (
                recorded.position,
                recorded.at,
                stream,
                recorded.version,
                word.get(category) or self._new(category),
                word.get(recorded.type) or self._new(recorded.type),
                word.get(recorded.actor) or self._new(recorded.actor),
                word.get(recorded.via) or self._new(recorded.via),
                packed(recorded.txn),
                None if request_id is None else packed(request_id),
                None if client is None else _known_family(client),
                payload.get(f"{REQUEST_PREFIX}operator"),
                *content,
            )
        )

    def _new(self, word: str) -> int:
        return self._words.setdefault(word, len(self._words) + 1)

    def write(self, connection: Connection) -> None:
        """Write what was taken since the chunk began, or was written before."""
        many, s = connection.executemany, self._suffix
        words = list(self._words.items())[self._known :]
        many(f"INSERT INTO word{s} (text, id) VALUES (?, ?)", words)
        many(f"INSERT INTO stream{s} VALUES (?, ?)", self._streams)
        marks = ", ".join("?" * 14)
        many(f"INSERT INTO {self._table} VALUES ({marks})", self._rows)
        self._known = len(self._words)
        self._streams, self._rows = [], []

    def contents(self, connection: Connection, stream: int) -> list[Attributes]:
        """Return what the events of a stream ever set."""
        rows = connection.execute(
            f"SELECT content FROM {self._table} WHERE stream = ? AND content IS NOT NULL", (stream,)
        )
        return [orjson.loads(content) for (content,) in rows]

    def forget(self, connection: Connection, stream: int, before: int) -> None:
        """Clear what an erasure takes from a stream's events before a position."""
        connection.execute(
            f"UPDATE {self._table} SET client = NULL, request_id = NULL, operator = NULL,"
            " content = NULL, whole = 0 WHERE stream = ? AND position < ?",
            (stream, before),
        )

    def last_position(self, connection: Connection) -> int:
        """Return the position of the newest entry, 0 when there is none."""
        row = connection.execute(f"SELECT max(position) FROM {self._table}").fetchone()
        return row[0] or 0

    def page(self, connection: Connection, query: EventQuery, upto: int | None = None) -> Found:
        """Return the positions of a page; nothing beyond `upto`. Raises as effort.bounded does."""
        last = self.last_position(connection)
        end = last if upto is None else min(upto, last)

        def first_at(moment: str, beyond: bool) -> int:
            return self._first_at(connection, moment, beyond, end)

        with bounded(connection):
            filter = query.filter and by_position(query.filter, first_at)
            where, parameters = "1", list[Any]()
            if filter:  # as SQL such that the best index serves it
                columns = EventColumns(COLUMNS, sparing=finds_few(filter))
                where, parameters = compiled(filter, columns)

            def positions(span: range, limit: int) -> list[int]:
                span = bounds(filter, span) if filter else span
                rows = connection.execute(
                    f"SELECT position FROM {self._table}"
                    f" WHERE position >= ? AND position < ? AND {where}"
                    f" ORDER BY position {'DESC' if query.descending else 'ASC'} LIMIT ?",
                    (span.start, span.stop, *parameters, limit),
                )
                return [position for (position,) in rows]

            return query.paged(positions, end)

    def _first_at(self, connection: Connection, moment: str, beyond: bool, end: int) -> int:
        """Return the first position recorded at a moment or later; `beyond` is later only."""
        statement = f"SELECT at FROM {self._table} WHERE position = ?"

        def recorded(position: int) -> str:
            at: str = connection.execute(statement, (position,)).fetchone()[0]
            return at

        bisect = bisect_right if beyond else bisect_left
        return 1 + bisect(range(1, end + 1), moment, key=recorded)


def finds_few(filter: Filter) -> bool:
    """Return whether an index of values that few events share finds all that a filter finds."""

    def leaf(leaf: Leaf) -> bool:
        match leaf:
            case Compare(path, Operator.EQ, value):
                return path.key in FEW and value is not None
        return False

    def join(connective: Connective, found: Iterator[bool]) -> bool:
        return any(found) if connective is And else all(found)

    return reduce(filter, leaf, negate=lambda _: False, join=join)


def by_position(filter: Filter, first_at: FirstAt) -> Filter:
    """Replace the times that a filter compares with by positions: both grow together."""

    def leaf(leaf: Leaf) -> Filter:
        match leaf:
            case Compare(path, operator, str(moment)) if path.key == "at":
                return leaf if operator in SUBSTRING else _timed(operator, moment, first_at)
        return leaf

    return mapped(filter, leaf)


_POSITIONS = {  # of a time: the same comparison with a position, that of later times or not
    Operator.GE: (Operator.GE, False),
    Operator.LT: (Operator.LT, False),
    Operator.GT: (Operator.GE, True),
    Operator.LE: (Operator.LT, True),
}


def _timed(operator: Operator, moment: str, first_at: FirstAt) -> Filter:
    if operator is Operator.NE:
        return Not(_timed(Operator.EQ, moment, first_at))
    if operator is Operator.EQ:
        parts = (_timed(each, moment, first_at) for each in (Operator.GE, Operator.LE))
        return And(tuple(parts))
    by, beyond = _POSITIONS[operator]
    return Compare(POSITION, by, first_at(moment, beyond))


def bounds(filter: Filter, span: range) -> range:
    """Return the part of a span of positions outside which a filter finds nothing.

    SQLite uses only one bound of two; without this the events of one day cost those of all.
    """

    def leaf(leaf: Leaf) -> range:
        match leaf:
            case Compare(path, operator, int(position)) if path.key == POSITION.key:
                return _bounded(operator, position, span)
        return span

    def join(connective: Connective, parts: Iterator[range]) -> range:
        found = list(parts)
        if connective is And:
            return range(max(part.start for part in found), min(part.stop for part in found))
        found = [part for part in found if part] or [range(span.start, span.start)]
        return range(min(part.start for part in found), max(part.stop for part in found))

    return reduce(filter, leaf, negate=lambda _: span, join=join)


def _bounded(operator: Operator, position: int, span: range) -> range:
    lows = {Operator.EQ: position, Operator.GE: position, Operator.GT: position + 1}
    highs = {Operator.EQ: position + 1, Operator.LE: position + 1, Operator.LT: position}
    low, high = lows.get(operator, span.start), highs.get(operator, span.stop)
    return range(max(low, span.start), min(high, span.stop))
