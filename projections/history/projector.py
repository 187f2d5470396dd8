"""The history projector: the lives, names, keys, memberships and contents of every resource."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ledger.contract import Connection
from ledger.events import CREATED, DELETED, ERASED, Recorded
from projections.current.rows import email_keys
from projections.current.uniqueness import name_key
from projections.history import contents, event_index
from projections.history.contents import NEVER, NOTHING, Content
from projections.history.event_index import EventIndex
from projections.kinds import ResourceKind
from projections.query import sql
from projections.runner import STRANGE, CannotFollow, Projection
from projections.state import MEMBER, Attributes, laid_over, must_fit
from projections.tables import BLOCK, LARGE_BLOCK, json_list

SHOWN = "displayName"  # a name that is no key
MANY = 10_000  # changes of memberships, which are written before more are gathered

Key = tuple[str, str]  # kind and key
Block = tuple[str, int, int]  # type, size in positions, number

_OF_BLOCK = "type = ? AND size = ? AND block = ?"


class Stream:
    """A stream through a chunk: its number, and the resource that lives there, if any."""

    __slots__ = ("_read", "_set", "born", "category", "number", "subject")

    def __init__(self, name: str, number: int, born: int | None = None) -> None:
        self.category, _, self.subject = name.partition("-")
        self.number = number
        self.born = born
        self._read: Attributes | None = None
        self._set: dict[str, Any] = {}  # by events of this chunk, and not in `_read`

    def begin(self, born: int, attributes: Attributes) -> None:
        self.born, self._read, self._set = born, attributes, {}

    def end(self) -> None:
        self.born, self._read, self._set = None, None, {}

    def change(self, effects: Attributes) -> None:
        self._set |= effects

    def attributes(self, connection: Connection, suffix: str, type_: str) -> Attributes:
        """Return the attributes as of now; they are read when first needed."""
        if self._read is None and self.born is not None:
            found = contents.newest(connection, suffix, self.number)
            self._read = contents.attributes_of(type_, found)
        if self._set:
            self._read, self._set = laid_over(self._read or {}, self._set, type_), {}
        return self._read or {}


class HistoryProjector(Projection):
    """Follows chunks of events, each in one transaction; it remembers nothing between them."""

    name = "history"
    revision = 4
    scripts = ("history/history.sql", "history/event_index.sql")
    tables: Mapping[str, str] = {
        "life": "born",
        "life_name": "born, since",
        "resource_key": "kind, key, born, since",
        "membership": "group_born, member_id, since",
        "life_census": "type, size, block, position",
        "census_block": "type, size, block",
        **EventIndex.tables,
    }

    def __init__(self, kinds: Mapping[str, ResourceKind], suffix: str = "") -> None:
        super().__init__(suffix)
        self._kinds = kinds
        self._index = EventIndex(suffix)
        self._keys = Intervals(f"resource_key{suffix}", ("kind", "key", "born"))
        self._members = Intervals(f"membership{suffix}", ("group_born", "member_id"), 1)

    def twin(self, suffix: str) -> "HistoryProjector":
        return HistoryProjector(self._kinds, suffix)

    def prepare(self, connection: Connection) -> None:
        sql.register(connection)
        event_index.register(connection)
        contents.register(connection, self._kinds)

    def project(self, connection: Connection, recorded: Recorded, before: Any = None) -> None:
        self.project_all(connection, [recorded])

    def project_all(self, connection: Connection, events: Sequence[Recorded]) -> None:
        """Follow events; the more at once, the faster."""
        self._begin(connection, events)
        for recorded in events:
            try:
                stream = self._streams.get(recorded.stream)
                if stream is None:
                    stream = Stream(recorded.stream, recorded.position)
                    self._streams[recorded.stream] = stream
                content = self._follow(connection, recorded, stream)
                self._index.add(recorded, stream.number, stream.category, content)
            except STRANGE as error:
                raise CannotFollow(self.name, recorded, error) from error
            if recorded.type == ERASED:
                self._erase(connection, recorded, stream)
        self._write(connection)

    def _begin(self, connection: Connection, events: Sequence[Recorded]) -> None:
        """Begin a chunk: its changes are gathered here, then written table by table."""
        s = self._suffix
        rows = connection.execute(
            f"SELECT name, number, (SELECT max(born) FROM life{s} AS life"
            f" WHERE life.stream = number AND died = {NEVER})"
            f" FROM stream{s} WHERE name IN (SELECT value FROM json_each(?))",
            (json_list({recorded.stream for recorded in events}),),
        )
        self._streams = {name: Stream(name, number, born) for name, number, born in rows}
        self._live: dict[Block, int] = {}  # resources in each block, now
        self._index.begin(connection)
        self._clear()

    def _clear(self) -> None:
        self._lives: dict[int, list[Any]] = {}  # begun in this chunk
        self._deaths: list[tuple[int, int]] = []  # of those begun before
        self._names: list[tuple[Any, ...]] = []
        self._census: list[tuple[Any, ...]] = []
        self._new_blocks: list[Block] = []
        self._keys.clear()
        self._members.clear()

    def _follow(self, connection: Connection, recorded: Recorded, stream: Stream) -> Content:
        """Follow what an event says of a resource; return what it set.

        An event whose payload was forgotten changes nothing: the Erased event of its stream does.
        """
        kind = self._kinds.get(stream.category)
        if kind is None or recorded.payload is None or recorded.type == ERASED:
            return NOTHING
        if recorded.type == DELETED:
            self._delete(connection, kind, recorded.position, stream)
            return NOTHING
        must_fit(recorded, stream.born is not None)
        effects = contents.effects_of(recorded.payload)
        if recorded.type == CREATED:
            return self._create(connection, kind, recorded, stream, effects)
        if kind.relation == "members":
            self._change_members(connection, recorded, stream.born or 0)
        return self._change(connection, kind, recorded, stream, effects)

    def _create(
        self,
        connection: Connection,
        kind: ResourceKind,
        recorded: Recorded,
        stream: Stream,
        effects: Attributes,
    ) -> Content:
        born = recorded.position
        attributes = laid_over({}, effects, kind.type)
        self._name(kind, born, born, {}, attributes)
        stream.begin(born, attributes)
        self._lives[born] = [born, stream.number, stream.subject, kind.type, NEVER]
        self._count(connection, kind.type, born, born, +1)
        if kind.relation == "members":
            self._change_members(connection, recorded, born)
        return Content.of(attributes, whole=True)

    def _change(
        self,
        connection: Connection,
        kind: ResourceKind,
        recorded: Recorded,
        stream: Stream,
        effects: Attributes,
    ) -> Content:
        """Follow a change; only one of names and keys needs to know what there was before."""
        is_named = SHOWN in effects or not effects.keys().isdisjoint(kind.keys)
        whole = contents.has_all(recorded.version)
        before = stream.attributes(connection, self._suffix, kind.type) if is_named else {}
        stream.change(effects)
        if not (is_named or whole):
            return Content.of(effects)
        after = stream.attributes(connection, self._suffix, kind.type)
        if is_named:
            self._name(kind, stream.born or 0, recorded.position, before, after)
        return Content.of(after, whole=True) if whole else Content.of(effects)

    def _name(
        self, kind: ResourceKind, born: int, at: int, before: Attributes, after: Attributes
    ) -> None:
        """Follow a change of names and keys."""
        names = name_key(kind, after), kind.display(after)
        if not before or names != (name_key(kind, before), kind.display(before)):
            self._names.append((born, at, *names))
        had = _keys_of(kind, before) if before else set()
        has = _keys_of(kind, after)
        for key in had - has:
            self._keys.end((*key, born), at)
        for key in has - had:
            self._keys.begin((*key, born), at)

    def _change_members(self, connection: Connection, recorded: Recorded, group: int) -> None:
        """Follow what an event says of members; one may name a million."""
        for path, value in (recorded.payload or {}).items():
            if path.startswith(MEMBER):
                member = (group, path.removeprefix(MEMBER))
                self._members.end(member, recorded.position)
                if value is not None:
                    self._members.begin(member, recorded.position, value["type"])
                if self._members.gathered() >= MANY:
                    self._members.write(connection)

    def _delete(self, connection: Connection, kind: ResourceKind, at: int, stream: Stream) -> None:
        born = stream.born
        if born is None:
            return
        for key in _keys_of(kind, stream.attributes(connection, self._suffix, kind.type)):
            self._keys.end((*key, born), at)
        stream.end()
        if born in self._lives:
            self._lives[born][-1] = at
        else:
            self._deaths.append((at, born))
        self._members.end((born,), at)
        self._count(connection, kind.type, born, at, -1)

    def _count(self, connection: Connection, type_: str, born: int, at: int, change: int) -> None:
        for block in _blocks(type_, born):
            if block not in self._live:
                row = connection.execute(
                    f"SELECT live FROM life_census{self._suffix} WHERE {_OF_BLOCK}"
                    " ORDER BY position DESC LIMIT 1",
                    block,
                ).fetchone()
                self._live[block] = row[0] if row else 0
                self._new_blocks.append(block)
            self._live[block] += change
            self._census.append((*block, at, self._live[block]))

    def _write(self, connection: Connection) -> None:
        many, s = connection.executemany, self._suffix
        many(f"UPDATE life{s} SET died = ? WHERE born = ?", self._deaths)
        many(f"INSERT INTO life{s} VALUES (?, ?, ?, ?, ?)", list(self._lives.values()))
        many(f"INSERT INTO life_name{s} VALUES (?, ?, ?, ?)", self._names)
        many(f"INSERT INTO life_census{s} VALUES (?, ?, ?, ?, ?)", self._census)
        many(f"INSERT OR IGNORE INTO census_block{s} VALUES (?, ?, ?)", self._new_blocks)
        self._index.write(connection)
        self._keys.write(connection)
        self._members.write(connection)
        self._clear()

    def _erase(self, connection: Connection, recorded: Recorded, stream: Stream) -> None:
        """Remove every trace of a resource: at no instant is it found, counted or a member."""
        self._write(connection)
        execute, s, id_ = connection.execute, self._suffix, stream.subject
        kind = self._kinds[stream.category]
        lives = execute(f"SELECT born, type, died FROM life{s} WHERE id = ?", (id_,)).fetchall()
        changes = self._index.contents(connection, stream.number)
        keys = set[Key]().union(*(_keys_set(kind, each) for each in changes))
        for born, type_, died in lives:
            for table in ("life", "life_name"):
                execute(f"DELETE FROM {table}{s} WHERE born = ?", (born,))
            connection.executemany(
                f"DELETE FROM resource_key{s} WHERE kind = ? AND key = ? AND born = ?",
                [(*key, born) for key in keys],
            )
            execute(f"DELETE FROM membership{s} WHERE group_born = ?", (born,))
            for block in _blocks(type_, born):
                census = f"life_census{s} {{}} WHERE {_OF_BLOCK} AND position"
                execute(f"DELETE FROM {census.format('')} IN (?, ?)", (*block, born, died))
                execute(
                    f"UPDATE {census.format('SET live = live - 1')} > ? AND position < ?",
                    (*block, born, died),
                )
                execute(
                    f"DELETE FROM census_block{s} WHERE {_OF_BLOCK} AND NOT EXISTS"
                    f" (SELECT 1 FROM life_census{s} WHERE {_OF_BLOCK})",
                    (*block, *block),
                )
        execute(f"DELETE FROM membership{s} WHERE member_id = ?", (id_,))
        self._index.forget(connection, stream.number, recorded.position)
        stream.end()
        self._live.clear()


class Intervals:
    """The changes of one table whose last columns are `since` and `until`, through a chunk."""

    def __init__(self, table: str, keys: Sequence[str], others: int = 0) -> None:
        """`keys` are the columns of an interval's key; `others` columns follow them."""
        self._table = table
        self._keys = keys
        self._others = others
        self.clear()

    def clear(self) -> None:
        self._open: dict[tuple[Any, ...], tuple[Any, ...]] = {}  # begun in this chunk
        self._rows: list[tuple[Any, ...]] = []  # begun and ended in this chunk
        self._ended: list[tuple[Any, ...]] = []  # begun before: the position and the key

    def gathered(self) -> int:
        """Return how many changes are not written yet."""
        return len(self._open) + len(self._rows) + len(self._ended)

    def begin(self, key: tuple[Any, ...], at: int, *others: Any) -> None:
        self._open[key] = (*others, at)

    def end(self, key: tuple[Any, ...], at: int) -> None:
        """End an interval; a shorter key ends all that begin with it."""
        begun: Iterable[tuple[Any, ...]] = [key] if key in self._open else []
        if len(key) < len(self._keys):
            begun = [each for each in self._open if each[: len(key)] == key]
        for each in begun:
            self._rows.append((*each, *self._open.pop(each), at))
        if begun != [key]:
            self._ended.append((at, *key))

    def write(self, connection: Connection) -> None:
        for size in range(len(self._keys), 0, -1):
            where = " AND ".join(f"{column} = ?" for column in self._keys[:size])
            connection.executemany(
                f"UPDATE {self._table} SET until = ? WHERE {where} AND until = {NEVER}",
                [row for row in self._ended if len(row) == size + 1],
            )
        self._rows += [(*key, *begun, NEVER) for key, begun in self._open.items()]
        marks = ", ".join("?" * (len(self._keys) + self._others + 2))
        connection.executemany(f"INSERT INTO {self._table} VALUES ({marks})", self._rows)
        self.clear()


def _blocks(type_: str, born: int) -> list[Block]:
    return [(type_, size, born // size) for size in (BLOCK, LARGE_BLOCK)]


def _keys_of(kind: ResourceKind, attributes: Attributes) -> set[Key]:
    """Return the keys by which a resource is looked up; raises KeyError if it has no name."""
    keys = {("email", key) for key in email_keys(attributes)}
    keys.add(("name", name_key(kind, attributes)))
    if external := attributes.get("externalId"):
        keys.add(("external", external))
    return keys


def _keys_set(kind: ResourceKind, effects: Attributes) -> set[Key]:
    """Return the keys among the attributes that an event set."""
    given = {key: value for key, value in effects.items() if value is not None}
    return _keys_of(kind, {kind.name_attribute: "", **given})
