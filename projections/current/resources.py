"""The current state of resources, projected in the append's transaction."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ledger.contract import Connection, Ledger, Progress
from ledger.events import CREATED, DELETED, ERASED, SETTINGS_CHANGED, Payload, Recorded
from projections.current.configuration import SETTINGS
from projections.current.indexes import AttributeIndexes
from projections.current.reader import ResourceReader
from projections.current.replay import CannotFold, Replay
from projections.current.rows import blocks_of, email_keys, resource_row
from projections.current.uniqueness import Uniqueness
from projections.kinds import ResourceKind
from projections.query import sql
from projections.query.model import Stored
from projections.runner import OpenTables, Projection
from projections.state import (
    ACTIVE,
    MEMBER,
    STANDING,
    Attributes,
    Resource,
    document_of,
    evolve,
    is_active,
    resource_of,
)
from projections.tables import Tables, statements_of


class Current(NamedTuple):
    """A resource as it is: its row, and what the row's document says."""

    row: Stored
    resource: Resource

    @classmethod
    def of(cls, row: Stored) -> "Current":
        """Read a row's document."""
        return cls(row, resource_of(row.document))


class Resources(ResourceReader, Projection):
    """The current-state projection; reads take a ledger's reading connection."""

    name = "resources"
    revision = 6
    scripts = ("current/resources.sql",)
    tables: Mapping[str, str] = {
        "resource": "position",
        "resource_email": "email_key, position",
        "resource_census": "type, size, block",
        "member": "group_position, member_id",
        "former_member": "member_id",
        "unique_attribute": "type, key",
        "unique_value": "type, key, value_key, position",
        "unassigned_active": "resource_position",
    }

    def __init__(
        self, kinds: Mapping[str, ResourceKind], suffix: str = "", *, replaying: bool = False
    ) -> None:
        """`kinds` by resource type; `suffix` names tables other than the live ones.

        With `replaying` no value of an operator's unique attribute is refused: the events are
        recorded already. Indexes are not followed then, but built when all is replayed.
        """
        ResourceReader.__init__(self, kinds, Tables(suffix))
        Projection.__init__(self, suffix)
        self.uniqueness = Uniqueness(self._tables, replaying=replaying)
        self._indexes = None if replaying else AttributeIndexes(self._tables)

    def twin(self, suffix: str) -> "Resources":
        return Resources(self._kinds, suffix, replaying=True)

    def build(self, opened: OpenTables, ledger: Ledger, end: int, progress: Progress) -> None:
        """See Projection.build; each row is written once, and the indexes are made of whole tables.

        Writers wait for an index of 1,000,000 resources about a second.
        """
        made = [each for script in self.scripts for each in statements_of(script, self._suffix)]
        indexes = [each for each in made if not each.startswith("CREATE TABLE")]
        with opened() as connection:
            for statement in made:
                if statement not in indexes:
                    connection.execute(statement)
            for recorded in ledger.read_category(SETTINGS):
                if recorded.position <= end:
                    self.project_all(connection, [recorded])
        replay = Replay(self._kinds, self._tables, self.uniqueness, self.memberships)
        try:
            replay.run(opened, ledger, end, progress)
        except CannotFold as error:
            self.blame(ledger, error.stream, end)
            raise
        for statement in indexes:
            with opened() as connection:
                connection.execute(statement)

    def prepare(self, connection: Connection) -> None:
        sql.register(connection)

    def project(
        self, connection: Connection, recorded: Recorded, before: Current | None = None
    ) -> Current | None:
        """Follow one event and return what was written; None where nothing is left of it.

        Raises NotUnique, or StillMember.
        """
        kind, written, more = self._kinds.get(recorded.category), None, 0
        if recorded.payload is None:
            return None  # forgotten; the Erased event of its stream comes later
        if kind is None:
            if recorded.type == SETTINGS_CHANGED:
                self.uniqueness.follow_settings(connection, recorded.effects)
                if self._indexes:
                    self._indexes.follow_settings(connection, recorded.effects)
            return None
        old = before
        if old is None and recorded.version > 1:
            old = self._current(connection, recorded.subject)
        new = evolve(old.resource if old else None, recorded)
        if new and kind.relation == "members":
            new = _without_members(new)
        if old and recorded.type != DELETED:
            more = self.memberships.change(connection, old.row.position, recorded.payload)
        if old and new:
            written = self._update(connection, kind, old, new, more)
            if recorded.type == CREATED or _touches_index(recorded.payload):
                self._index(
                    connection,
                    old.row.position,
                    new,
                    old.resource.attributes,
                    new.attributes,
                )
            self._follow_active(connection, old, recorded)
        elif new:
            written = self._insert(connection, kind, recorded.position, new)
        elif old:
            self._delete(connection, old)
        elif recorded.type == ERASED:  # deleted before, or unknown because of what was erased
            self.memberships.forget(connection, recorded.subject)
        if self._indexes:
            position = old.row.position if old else recorded.position
            self._indexes.follow(connection, position, old.resource if old else None, new)
        return written

    def _current(self, connection: Connection, id_: str) -> Current | None:
        row = connection.execute(
            f"SELECT position, id, type, version, NULL, document FROM {self._table} WHERE id = ?",
            (id_,),
        ).fetchone()
        return Current.of(Stored(*row)) if row else None

    def _insert(
        self, connection: Connection, kind: ResourceKind, position: int, resource: Resource
    ) -> Current:
        document = document_of(resource, kind.schema, kind.endpoint)
        self.uniqueness.claim_name(connection, kind, resource)
        connection.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            resource_row(kind, position, resource, document),
        )
        self._index(connection, position, resource, {}, resource.attributes)
        self._count(connection, resource.type, position, +1)
        row = Stored(position, resource.id, kind.type, resource.version, None, document)
        return Current(row, resource)

    def _update(
        self,
        connection: Connection,
        kind: ResourceKind,
        old: Current,
        new: Resource,
        more_members: int,
    ) -> Current:
        document = document_of(new, kind.schema, kind.endpoint)
        values: dict[str, Any] = {"version": new.version, "document": document}
        before, after = old.resource.attributes, new.attributes
        if before.get(kind.name_attribute) != after.get(kind.name_attribute):
            values["name_key"] = self.uniqueness.claim_name(connection, kind, new)
        if before.get("externalId") != after.get("externalId"):
            values["external_id"] = after.get("externalId")
        if (display := kind.display(after)) != kind.display(before):
            values["display"] = display
        columns = [f"{column} = ?" for column in values]
        if more_members:
            values["members"] = more_members
            columns.append("members = members + ?")
        connection.execute(
            f"UPDATE {self._table} SET {', '.join(columns)} WHERE position = ?",
            (*values.values(), old.row.position),
        )
        return Current(old.row._replace(version=new.version, document=document), new)

    def _delete(self, connection: Connection, old: Current) -> None:
        position, gone = old.row.position, old.resource
        self.memberships.forget(connection, gone.id)
        self.memberships.dissolve(connection, position)
        connection.execute(
            f"DELETE FROM {self._tables.unassigned} WHERE resource_position = ?", (position,)
        )
        self._index(connection, position, gone, gone.attributes, {})
        connection.execute(f"DELETE FROM {self._table} WHERE position = ?", (position,))
        self._count(connection, gone.type, position, -1)

    def _follow_active(self, connection: Connection, old: Current, recorded: Recorded) -> None:
        """Keep the event that unassigned the `active` of a user, until one sets it again."""
        payload = recorded.payload or {}
        if ACTIVE not in payload or ACTIVE not in STANDING.get(recorded.category, {}):
            return
        table, position = self._tables.unassigned, old.row.position
        if is_active(old.resource.attributes):  # as it is without `active`
            connection.execute(f"DELETE FROM {table} WHERE resource_position = ?", (position,))
        if payload[ACTIVE] is None:
            row = position, recorded.position
            connection.execute(f"INSERT INTO {table} VALUES (?, ?)", row)

    def _index(
        self,
        connection: Connection,
        position: int,
        resource: Resource,
        before: Attributes,
        after: Attributes,
    ) -> None:
        """Follow a change of unique values, and of e-mail addresses; raises NotUnique."""
        place = position, resource.id
        self.uniqueness.follow(connection, resource.type, place, before, after)
        if before.get("emails") == after.get("emails"):
            return
        old, new, table = email_keys(before), email_keys(after), self._tables.email
        if gone := [(key, position) for key in old - new]:
            connection.executemany(
                f"DELETE FROM {table} WHERE email_key = ? AND position = ?", gone
            )
        if come := [(key, position) for key in new - old]:
            connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", come)

    def _count(self, connection: Connection, type_: str, position: int, change: int) -> None:
        table = self._tables.census
        blocks = blocks_of(type_, position)
        connection.execute(
            f"INSERT INTO {table} VALUES (?, ?, ?, ?), (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET live = live + excluded.live",
            [value for block in blocks for value in (*block, change)],
        )
        if change < 0:  # an empty block is like one that never had a resource
            connection.executemany(
                f"DELETE FROM {table} WHERE type = ? AND size = ? AND block = ? AND live = 0",
                blocks,
            )

    def unassigned_active(
        self, connection: Connection, most: int
    ) -> tuple[int, list[tuple[Resource, int]]]:
        """Return how many users an event left without `active`, and the first with its position.

        They count as active, though PATCH once recorded a null for deactivated users too.
        """
        table = self._tables.unassigned
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        rows = connection.execute(
            f"SELECT document, event_position FROM {table}"
            f" JOIN {self._table} ON position = resource_position"
            " ORDER BY resource_position LIMIT ?",
            (most,),
        )
        return count, [(resource_of(document), position) for document, position in rows]


def _touches_index(payload: Payload) -> bool:
    """Return whether an event may change what has rows of its own: addresses, unique values."""
    return "emails" in payload or any(":" in key for key in payload)


def _without_members(group: Resource) -> Resource:
    """Return a group without the members that an event named: they are rows of their own."""
    own = {key: value for key, value in group.attributes.items() if not key.startswith(MEMBER)}
    return replace(group, attributes=own)
