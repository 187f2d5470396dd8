"""All resources from all events: folded stream by stream in memory, each final row written once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.contract import Connection, Ledger, Progress
from ledger.events import DELETED, ERASED, Change
from projections.current.memberships import Memberships
from projections.current.rows import blocks_of, email_keys, resource_row
from projections.current.uniqueness import Uniqueness
from projections.kinds import ResourceKind
from projections.runner import STRANGE, OpenTables
from projections.state import ACTIVE, MEMBER, STANDING, Fold, Resource, document_of
from projections.tables import Tables

CHUNK = 2000  # events read at once; what they add up to is written in one transaction


class CannotFold(Exception):
    """The events of a stream add up to nothing that can be a row."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.stream = stream


@dataclass(slots=True)
class _Written:
    """What the streams of a chunk came to; those that ended in it."""

    resources: list[tuple[Any, ...]] = field(default_factory=list)
    emails: list[tuple[str, int]] = field(default_factory=list)
    census: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    unassigned: list[tuple[int, int]] = field(default_factory=list)
    values: list[tuple[int, Resource]] = field(default_factory=list)
    members: dict[tuple[int, str], str | None] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)  # when a member left a group last
    dissolved: list[tuple[int, int]] = field(default_factory=list)  # groups, and when
    gone: list[tuple[str, int]] = field(default_factory=list)  # who was deleted, and when


class Replay:
    """Fills empty tables of the current state; `run` does it up to a position."""

    def __init__(
        self,
        kinds: Mapping[str, ResourceKind],
        tables: Tables,
        uniqueness: Uniqueness,
        memberships: Memberships,
    ) -> None:
        self._kinds = kinds
        self._tables = tables
        self._uniqueness = uniqueness
        self._memberships = memberships
        self._left = f"{tables.former_member}_left"
        self._gone = f"{tables.former_member}_gone"
        self._now = _Written()
        self._fold: Fold | None = None
        self._unassigned: int | None = None  # the event that left the resource without `active`

    def run(self, opened: OpenTables, ledger: Ledger, end: int, progress: Progress) -> None:
        """Follow the events of all resources; raises CannotFold."""
        with opened() as connection:
            for table in (self._left, self._gone):
                connection.execute(
                    f"CREATE TABLE {table} (member_id TEXT PRIMARY KEY, position INTEGER NOT NULL)"
                    " STRICT, WITHOUT ROWID"
                )
        done = 0
        for kind in self._kinds.values():
            for changes in _chunks(ledger, kind.type, end):
                self._follow(kind, changes)
                with opened() as connection:
                    self._write(connection)
                done += len(changes)
                progress(done, end)
            self._finish(kind)
        with opened() as connection:
            self._write(connection)
            self._write_former(connection)
            self._memberships.count(connection)

    def _follow(self, kind: ResourceKind, changes: Sequence[Change]) -> None:
        fold = self._fold
        for change in changes:
            if fold is None or change.stream != fold.stream:
                self._finish(kind)
                fold = self._fold = Fold(change.stream)
            if change.payload is None:
                continue  # forgotten; the Erased event of its stream comes later
            try:
                self._follow_one(kind, fold, change, change.payload)
            except STRANGE as error:
                raise CannotFold(change.stream) from error

    def _follow_one(
        self, kind: ResourceKind, fold: Fold, change: Change, payload: Mapping[str, Any]
    ) -> None:
        born = fold.born
        if kind.relation == "members":
            payload = self._follow_members(born, change, payload)
        fold.follow(change, payload)
        if fold.born != born:  # begun or ended
            self._unassigned = None
        elif ACTIVE in payload:
            self._unassigned = change.position if payload[ACTIVE] is None else None
        if fold.born is None:
            if born is not None:
                self._now.dissolved.append((born, change.position))
            if born is not None or change.type == ERASED:
                self._now.gone.append((fold.id, change.position))

    def _follow_members(
        self, group: int | None, change: Change, payload: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Follow the members that an event of an existing group sets; return the other entries."""
        others, now, exists = {}, self._now, group is not None and change.type != DELETED
        for path, value in payload.items():
            if not path.startswith(MEMBER):
                others[path] = value
            elif group is not None and exists:
                id_ = path.removeprefix(MEMBER)
                now.members[group, id_] = value["type"] if value is not None else None
                if value is None:
                    now.left[id_] = max(change.position, now.left.get(id_, 0))
        return others

    def _finish(self, kind: ResourceKind) -> None:
        """Make the rows of the resource whose stream has ended."""
        fold, self._fold = self._fold, None
        if fold is None or fold.born is None:
            return
        now, position = self._now, fold.born
        try:
            resource = fold.resource()
            document = document_of(resource, kind.schema, kind.endpoint)
            now.resources.append(resource_row(kind, position, resource, document))
            now.emails += [(key, position) for key in email_keys(resource.attributes)]
        except STRANGE as error:
            raise CannotFold(fold.stream) from error
        now.census.update(blocks_of(kind.type, position))
        now.values.append((position, resource))
        if self._unassigned is not None and ACTIVE in STANDING.get(kind.type, {}):
            now.unassigned.append((position, self._unassigned))
        self._unassigned = None

    def _write(self, connection: Connection) -> None:
        now, self._now, many = self._now, _Written(), connection.executemany
        tables = self._tables
        many(f"INSERT INTO {tables.resource} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", now.resources)
        many(f"INSERT INTO {tables.email} VALUES (?, ?)", sorted(now.emails))
        many(
            f"INSERT INTO {tables.census} VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET live = live + excluded.live",
            [(*block, live) for block, live in now.census.items()],
        )
        many(f"INSERT INTO {tables.unassigned} VALUES (?, ?)", now.unassigned)
        self._uniqueness.claim_all(connection, now.values)
        self._memberships.write_all(connection, now.members)
        for table, rows in ((self._left, now.left.items()), (self._gone, now.gone)):
            many(
                f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT DO UPDATE"
                " SET position = max(position, excluded.position)",
                list(rows),
            )
        for group, position in now.dissolved:
            connection.execute(
                f"INSERT INTO {self._left} SELECT member_id, ? FROM {tables.member}"
                " WHERE group_position = ? ON CONFLICT DO UPDATE"
                " SET position = max(position, excluded.position)",
                (position, group),
            )
            self._memberships.clear(connection, group)

    def _write_former(self, connection: Connection) -> None:
        """Keep who left a group, but for those who were deleted afterwards."""
        connection.execute(
            f"INSERT INTO {self._tables.former_member} SELECT member_id FROM {self._left} AS seen"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self._gone} AS gone"
            " WHERE gone.member_id = seen.member_id AND gone.position > seen.position)"
        )
        for table in (self._left, self._gone):
            connection.execute(f"DROP TABLE {table}")


def _chunks(ledger: Ledger, category: str, end: int) -> Iterator[list[Change]]:
    changes = ledger.read_changes(category, end, count=CHUNK)
    while changes:
        yield changes
        after = changes[-1].stream, changes[-1].version
        changes = ledger.read_changes(category, end, after=after, count=CHUNK)
