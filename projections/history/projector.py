"""The history projector: every version of every resource and membership, by position."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ledger.contract import Connection
from ledger.events import CREATED, ERASED, Recorded
from projections.current.resources import email_keys
from projections.current.uniqueness import name_key
from projections.history.event_index import EventIndex, index_row
from projections.kinds import ResourceKind
from projections.query import sql
from projections.runner import STRANGE, CannotFollow, Projection
from projections.state import MEMBER, Attributes, Resource, document_of, evolve, resource_of
from projections.tables import BLOCK

NEVER = 2**63 - 1  # the end of a row that still holds
USER = "User"
_KNOWN = 20_000  # resources kept in memory between chunks


class ResourceVersion(NamedTuple):
    """The newest version of an existing resource, and the position of its Created event."""

    born: int
    resource: Resource


class HistoryProjector(Projection):
    """Follows chunks of events, each in one transaction."""

    name = "history"
    revision = 2
    scripts = ("history/history.sql", "history/event_index.sql")
    tables: Mapping[str, str] = {
        "life": "born",
        "resource_version": "position",
        "resource_key": "kind, key, born, since",
        "membership": "group_born, member_id, since",
        "life_census": "type, block, position",
        "census_block": "type, block",
        **EventIndex.tables,
    }

    def __init__(self, kinds: Mapping[str, ResourceKind], suffix: str = "") -> None:
        super().__init__(suffix)
        self._kinds = kinds
        self._index = EventIndex(suffix)
        self._keys = Intervals(f"resource_key{suffix}", ("kind", "key", "born"))
        self._members = Intervals(f"membership{suffix}", ("group_born", "member_id"), 1)
        self._known: dict[str, ResourceVersion | None] = {}  # by id; None: it does not exist
        self._clear()

    def _clear(self) -> None:
        """Begin a chunk: its changes are gathered here, then written table by table."""
        self._versions: list[tuple[Any, ...]] = []
        self._lives: dict[int, list[Any]] = {}  # begun in this chunk
        self._deaths: list[tuple[int, int]] = []  # of those begun before
        self._live: dict[tuple[str, int], int] = {}  # resources in each block, now
        self._census: list[tuple[str, int, int, int]] = []
        self._entries: list[tuple[Any, ...]] = []
        self._keys.clear()
        self._members.clear()

    def twin(self, suffix: str) -> "HistoryProjector":
        return HistoryProjector(self._kinds, suffix)

    def prepare(self, connection: Connection) -> None:
        sql.register(connection)

    def forget(self) -> None:
        """Clear the memory: another process wrote, or a transaction was undone."""
        self._known.clear()
        self._clear()

    def project(self, connection: Connection, recorded: Recorded, before: Any = None) -> None:
        self.project_all(connection, [recorded])

    def project_all(self, connection: Connection, events: Sequence[Recorded]) -> None:
        """Follow events; the more at once, the faster."""
        if len(self._known) > _KNOWN:
            self._known.clear()
        for recorded in events:
            try:
                resource = self._follow(connection, recorded)
                user = resource if resource and resource.type == USER else None
                user_name = user.attributes["userName"] if user else None
                self._entries.append(index_row(recorded, user_name))
            except STRANGE as error:
                raise CannotFollow(self.name, recorded, error) from error
            if recorded.type == ERASED:
                self._erase(connection, recorded)
        self._write(connection)

    def _follow(self, connection: Connection, recorded: Recorded) -> Resource | None:
        """Return the resource that an event is about, as it is then, or was before its deletion.

        An event whose payload was forgotten changes nothing: the Erased event of its stream does.
        """
        kind = self._kinds.get(recorded.category)
        if kind is None or recorded.payload is None or recorded.type == ERASED:
            return None
        old = None if recorded.type == CREATED else self._current(connection, recorded.subject)
        attributes = _without_members(recorded) if kind.relation == "members" else recorded
        new = evolve(old.resource if old else None, attributes)
        if new:
            self._change(connection, kind, recorded, old, new)
        elif old:
            self._delete(connection, kind, recorded, old)
        return new or (old.resource if old else None)

    def _current(self, connection: Connection, id_: str) -> ResourceVersion | None:
        if id_ not in self._known:
            row = connection.execute(
                f"SELECT born, (SELECT document FROM resource_version{self._suffix} AS seen"
                " WHERE seen.born = life.born ORDER BY position DESC LIMIT 1)"
                f" FROM life{self._suffix} AS life WHERE id = ? AND died = {NEVER}",
                (id_,),
            ).fetchone()
            self._known[id_] = ResourceVersion(row[0], resource_of(row[1])) if row else None
        return self._known[id_]

    def _change(
        self,
        connection: Connection,
        kind: ResourceKind,
        recorded: Recorded,
        old: ResourceVersion | None,
        new: Resource,
    ) -> None:
        at, payload = recorded.position, recorded.payload or {}
        born = old.born if old else at
        if old is None:
            self._lives[born] = [born, new.id, new.type, NEVER]
            self._count(connection, new.type, born, at, +1)
        name, display = name_key(kind, new.attributes), kind.display(new.attributes)
        document = document_of(new, kind.schema, kind.endpoint)
        self._versions.append((at, born, new.version, name, display, document))
        self._known[new.id] = ResourceVersion(born, new)
        if old is None or not payload.keys().isdisjoint(kind.keys):
            before = _keys_of(kind, old.resource.attributes) if old else set()
            after = _keys_of(kind, new.attributes)
            for key in before - after:
                self._keys.end((*key, born), at)
            for key in after - before:
                self._keys.begin((*key, born), at)
        if kind.relation == "members":
            for path, value in payload.items():
                if path.startswith(MEMBER):
                    member = (born, path.removeprefix(MEMBER))
                    self._members.end(member, at)
                    if value is not None:
                        self._members.begin(member, at, value["type"])

    def _delete(
        self, connection: Connection, kind: ResourceKind, recorded: Recorded, old: ResourceVersion
    ) -> None:
        at, born = recorded.position, old.born
        if born in self._lives:
            self._lives[born][-1] = at
        else:
            self._deaths.append((at, born))
        for key in _keys_of(kind, old.resource.attributes):
            self._keys.end((*key, born), at)
        self._members.end((born,), at)
        self._count(connection, kind.type, born, at, -1)
        self._known[recorded.subject] = None  # the row does not say so yet

    def _count(self, connection: Connection, type_: str, born: int, at: int, change: int) -> None:
        block = type_, born // BLOCK
        if block not in self._live:
            row = connection.execute(
                f"SELECT live FROM life_census{self._suffix} WHERE type = ? AND block = ?"
                " ORDER BY position DESC LIMIT 1",
                block,
            ).fetchone()
            self._live[block] = row[0] if row else 0
        self._live[block] += change
        self._census.append((*block, at, self._live[block]))

    def _write(self, connection: Connection) -> None:
        many, s = connection.executemany, self._suffix
        many(f"UPDATE life{s} SET died = ? WHERE born = ?", self._deaths)
        many(f"INSERT INTO life{s} VALUES (?, ?, ?, ?)", list(self._lives.values()))
        many(f"INSERT INTO resource_version{s} VALUES (?, ?, ?, ?, ?, ?)", self._versions)
        many(f"INSERT INTO life_census{s} VALUES (?, ?, ?, ?)", self._census)
        many(f"INSERT OR IGNORE INTO census_block{s} VALUES (?, ?)", list(self._live))
        self._index.add(connection, self._entries)
        self._keys.write(connection)
        self._members.write(connection)
        self._clear()

    def _erase(self, connection: Connection, recorded: Recorded) -> None:
        """Remove every trace of a resource: at no instant is it found, counted or a member."""
        id_ = recorded.subject
        self._write(connection)
        self._index.forget(connection, recorded.stream, recorded.position)
        self._known.pop(id_, None)
        execute, s = connection.execute, self._suffix
        lives = execute(f"SELECT born, type, died FROM life{s} WHERE id = ?", (id_,)).fetchall()
        for born, type_, died in lives:
            for table in ("life", "resource_version", "resource_key"):
                execute(f"DELETE FROM {table}{s} WHERE born = ?", (born,))
            execute(f"DELETE FROM membership{s} WHERE group_born = ?", (born,))
            block = type_, born // BLOCK
            execute(
                f"DELETE FROM life_census{s} WHERE type = ? AND block = ? AND position IN (?, ?)",
                (*block, born, died),
            )
            execute(
                f"UPDATE life_census{s} SET live = live - 1"
                " WHERE type = ? AND block = ? AND position > ? AND position < ?",
                (*block, born, died),
            )
            execute(
                f"DELETE FROM census_block{s} WHERE type = ? AND block = ? AND NOT EXISTS"
                f" (SELECT 1 FROM life_census{s} WHERE type = ? AND block = ?)",
                (*block, *block),
            )
        execute(f"DELETE FROM membership{s} WHERE member_id = ?", (id_,))


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


def _without_members(recorded: Recorded) -> Recorded:
    """Return an event without its members: they are rows, no attributes."""
    payload = recorded.payload or {}
    if not any(path.startswith(MEMBER) for path in payload):
        return recorded
    kept = {path: value for path, value in payload.items() if not path.startswith(MEMBER)}
    return replace(recorded, payload=kept)


def _keys_of(kind: ResourceKind, attributes: Attributes) -> set[tuple[str, str]]:
    """Return the keys by which a resource is looked up: kind and key."""
    keys = {("email", key) for key in email_keys(attributes)}
    keys.add(("name", name_key(kind, attributes)))
    external = attributes.get("externalId")
    return keys | {("external", external)} if external else keys
