"""The history projection: every version of every resource and membership, by position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ledger.events import CREATED, ERASED, Recorded
from ledger.sqlite.connection import Connection
from projections.current.lists import BLOCK
from projections.current.resources import email_keys
from projections.current.uniqueness import name_key
from projections.history.event_index import Entries, Entry, entry_of
from projections.history.intervals import NEVER, Intervals
from projections.kinds import ResourceKind
from projections.query import sql
from projections.state import MEMBER, Resource, document_of, evolve, resource_of
from projections.tables import create_tables

USER = "User"
_KNOWN = 20_000  # resources kept in memory between chunks


@dataclass(frozen=True, slots=True)
class Living:
    """A resource that lives, and the position of its Created event."""

    born: int
    resource: Resource


class Chronicle:
    """The projector of the history; it follows chunks of events, each in one transaction."""

    name = "history"
    revision = 2
    tables: Mapping[str, str] = {
        "life": "born",
        "resource_version": "position",
        "resource_key": "kind, key, born, since",
        "membership": "group_born, member_id, since",
        "life_census": "type, block, position",
        "census_block": "type, block",
        **Entries.tables,
    }

    def __init__(self, kinds: Mapping[str, ResourceKind], suffix: str = "") -> None:
        """`kinds` by resource type; `suffix` names tables other than the live ones."""
        self._kinds = kinds
        self._suffix = suffix
        self._known: dict[str, Living | None] = {}

    def beside(self, suffix: str) -> "Chronicle":
        """Return the same projection with tables of its own."""
        return Chronicle(self._kinds, suffix)

    def create_tables(self, connection: Connection) -> None:
        """Make the tables, empty."""
        create_tables(connection, "history/history.sql", self._suffix)
        Entries(self._suffix).create_tables(connection)

    def prepare(self, connection: Connection) -> None:
        """Give a connection the functions that filters compile to."""
        sql.register(connection)

    def forget(self) -> None:
        """Forget what is in memory: somebody else wrote, or a transaction was undone."""
        self._known.clear()

    def project(self, connection: Connection, recorded: Recorded) -> None:
        """Follow one event."""
        self.project_all(connection, [recorded])

    def project_all(self, connection: Connection, events: Sequence[Recorded]) -> None:
        """Follow events; faster the more there are at once."""
        if len(self._known) > _KNOWN:
            self._known.clear()
        chunk = _Chunk(connection, self._kinds, self._suffix, self._known)
        for recorded in events:
            chunk.take(recorded)
        chunk.write()


class _Chunk:
    """What a chunk of events changes: gathered, then written table by table."""

    def __init__(
        self,
        connection: Connection,
        kinds: Mapping[str, ResourceKind],
        suffix: str,
        known: dict[str, Living | None],
    ) -> None:
        self._connection = connection
        self._kinds = kinds
        self._s = suffix
        self._known = known
        self._versions: list[tuple[Any, ...]] = []
        self._lives: dict[int, list[Any]] = {}
        self._deaths: list[tuple[int, int]] = []
        self._keys = Intervals(f"resource_key{suffix}", ("kind", "key", "born"))
        self._members = Intervals(f"membership{suffix}", ("group_born", "member_id"), 1)
        self._live: dict[tuple[str, int], int] = {}
        self._census: list[tuple[str, int, int, int]] = []
        self._index = Entries(suffix)
        self._entries: list[Entry] = []

    def take(self, recorded: Recorded) -> None:
        """Follow one event."""
        resource = self._follow(recorded)
        user_name = resource.attributes["userName"] if resource and resource.type == USER else None
        self._entries.append(entry_of(recorded, user_name))
        if recorded.type == ERASED:
            self._erase(recorded)

    def _follow(self, recorded: Recorded) -> Resource | None:
        """Return the resource that an event is about, as it is then, or was before it was deleted.

        An event whose payload was forgotten says nothing: the Erased event of its stream does.
        """
        kind = self._kinds.get(recorded.category)
        if kind is None or recorded.payload is None or recorded.type == ERASED:
            return None
        old = None if recorded.type == CREATED else self._living(recorded.subject)
        attributes = _without_members(recorded) if kind.relation == "members" else recorded
        new = evolve(old.resource if old else None, attributes)
        if new:
            self._change(kind, recorded, old, new)
        elif old:
            self._die(kind, recorded, old)
        return new or (old.resource if old else None)

    def _living(self, id_: str) -> Living | None:
        if id_ not in self._known:
            row = self._connection.execute(
                f"SELECT born, (SELECT document FROM resource_version{self._s} AS seen"
                " WHERE seen.born = life.born ORDER BY position DESC LIMIT 1)"
                f" FROM life{self._s} AS life WHERE id = ? AND died = {NEVER}",
                (id_,),
            ).fetchone()
            self._known[id_] = Living(row[0], resource_of(row[1])) if row else None
        return self._known[id_]

    def _change(
        self, kind: ResourceKind, recorded: Recorded, old: Living | None, new: Resource
    ) -> None:
        born = old.born if old else recorded.position
        if old is None:
            self._lives[born] = [born, new.id, new.type, NEVER]
            self._count(new.type, born, recorded.position, +1)
        document = document_of(new, kind.schema, kind.endpoint)
        name, display = name_key(kind, new.attributes), kind.display(new.attributes)
        row = (recorded.position, born, new.version, name, display, document)
        self._versions.append(row)
        self._known[new.id] = Living(born, new)
        if old is None or not (recorded.payload or {}).keys().isdisjoint(kind.keys):
            self._change_keys(kind, recorded.position, old, Living(born, new))
        if kind.relation == "members":
            self._change_members(born, recorded)

    def _change_keys(self, kind: ResourceKind, at: int, old: Living | None, new: Living) -> None:
        before = _keys_of(kind, old.resource) if old else set()
        after = _keys_of(kind, new.resource)
        for key in before - after:
            self._keys.end((*key, new.born), at)
        for key in after - before:
            self._keys.begin((*key, new.born), at)

    def _change_members(self, born: int, recorded: Recorded) -> None:
        for path, value in (recorded.payload or {}).items():
            if path.startswith(MEMBER):
                member = (born, path.removeprefix(MEMBER))
                self._members.end(member, recorded.position)
                if value is not None:
                    self._members.begin(member, recorded.position, value["type"])

    def _die(self, kind: ResourceKind, recorded: Recorded, old: Living) -> None:
        at, born = recorded.position, old.born
        if born in self._lives:
            self._lives[born][-1] = at
        else:
            self._deaths.append((at, born))
        for key in _keys_of(kind, old.resource):
            self._keys.end((*key, born), at)
        self._members.end((born,), at)
        self._count(kind.type, born, at, -1)
        self._known[recorded.subject] = None  # the row does not say so yet

    def _count(self, type_: str, born: int, at: int, change: int) -> None:
        place = type_, born // BLOCK
        if place not in self._live:
            row = self._connection.execute(
                f"SELECT live FROM life_census{self._s} WHERE type = ? AND block = ?"
                " ORDER BY position DESC LIMIT 1",
                place,
            ).fetchone()
            self._live[place] = row[0] if row else 0
        self._live[place] += change
        self._census.append((*place, at, self._live[place]))

    def write(self) -> None:
        """Write what was gathered."""
        many, s = self._connection.executemany, self._s
        many(f"UPDATE life{s} SET died = ? WHERE born = ?", self._deaths)
        many(f"INSERT INTO life{s} VALUES (?, ?, ?, ?)", list(self._lives.values()))
        many(f"INSERT INTO resource_version{s} VALUES (?, ?, ?, ?, ?, ?)", self._versions)
        many(f"INSERT INTO life_census{s} VALUES (?, ?, ?, ?)", self._census)
        many(f"INSERT OR IGNORE INTO census_block{s} VALUES (?, ?)", list(self._live))
        self._index.add(self._connection, self._entries)
        self._keys.write(self._connection)
        self._members.write(self._connection)
        for gathered in (
            self._deaths,
            self._lives,
            self._versions,
            self._census,
            self._live,
            self._entries,
        ):
            gathered.clear()

    def _erase(self, recorded: Recorded) -> None:
        """Let a resource never have been: at no instant is it found, counted or a member."""
        id_ = recorded.subject
        self.write()
        self._index.forget(self._connection, recorded.stream, recorded.position)
        self._known.pop(id_, None)
        execute, s = self._connection.execute, self._s
        lives = execute(f"SELECT born, type, died FROM life{s} WHERE id = ?", (id_,)).fetchall()
        for born, type_, died in lives:
            for table in ("life", "resource_version", "resource_key"):
                execute(f"DELETE FROM {table}{s} WHERE born = ?", (born,))
            execute(f"DELETE FROM membership{s} WHERE group_born = ?", (born,))
            place = type_, born // BLOCK
            execute(
                f"DELETE FROM life_census{s} WHERE type = ? AND block = ? AND position IN (?, ?)",
                (*place, born, died),
            )
            execute(
                f"UPDATE life_census{s} SET live = live - 1"
                " WHERE type = ? AND block = ? AND position > ? AND position < ?",
                (*place, born, died),
            )
            execute(
                f"DELETE FROM census_block{s} WHERE type = ? AND block = ? AND NOT EXISTS"
                f" (SELECT 1 FROM life_census{s} WHERE type = ? AND block = ?)",
                (*place, *place),
            )
        execute(f"DELETE FROM membership{s} WHERE member_id = ?", (id_,))


def _without_members(recorded: Recorded) -> Recorded:
    """Return an event without what it says of members: they are rows, no attributes."""
    payload = recorded.payload or {}
    if not any(path.startswith(MEMBER) for path in payload):
        return recorded
    kept = {path: value for path, value in payload.items() if not path.startswith(MEMBER)}
    return replace(recorded, payload=kept)


def _keys_of(kind: ResourceKind, resource: Resource) -> set[tuple[str, str]]:
    """Return what a resource is looked up by: kind and key."""
    external = resource.attributes.get("externalId")
    keys = {("email", key) for key in email_keys(resource.attributes)}
    keys.add(("name", name_key(kind, resource.attributes)))
    return keys | {("external", external)} if external else keys
