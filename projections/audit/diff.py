"""What differs between two positions: of one resource, and of all that a ledger tells of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ledger import events
from ledger.contract import Ledger
from ledger.sqlite.connection import Connection, json_list
from projections.audit.archive import Archive, Changes, changes_between
from projections.audit.membership_diff import Span, Turnover, Turnovers
from projections.history.past_tables import PastTables
from projections.state import Resource, is_active, laid_over, resource_of

NAMED = 1000  # members of one resource that are named; all are counted
NAMED_IN_ROWS = 100
CHUNK = 500  # resources looked at at once
MOST_READ = 20_000  # resources looked at for a page

JOINED, LEFT, CHANGED, REACTIVATED, PASSED, UNDONE = KINDS = (
    "joined",
    "left",
    "changed",
    "reactivated",
    "passed",
    "undone",
)

_WOKE = events.CREATED, events.REACTIVATED


@dataclass(frozen=True, slots=True)
class Difference:
    """A resource at two positions, None where it was not there, and what happened in between."""

    type: str
    id: str
    before: Resource | None
    after: Resource | None
    passed: Resource | None  # what it was last, where it came and went in between
    flickered: bool  # inactive on both sides, it was active in between
    versions: range  # those that its own events in between made
    last_own: int  # the position of the last of them, 0 if there is none
    idle: bool = False  # its own events in between set nothing but what was there
    moved: Sequence[int] = ()  # the positions at which a user joined and left groups, in order
    turnover: Turnover = field(default_factory=Turnover)  # of a group's members, or a user's groups

    @property
    def changes(self) -> Changes:
        """The attributes that differ; a resource that is not there has none."""
        before = self.before.attributes if self.before else {}
        return changes_between(before, self.after.attributes if self.after else {})

    @property
    def events(self) -> int:
        """How many events in between were about it."""
        return len(self.versions) + len(self.moved)

    @property
    def last(self) -> int:
        """The position of the last of them, 0 if there is none."""
        return max((self.last_own, *self.moved[-1:]))

    @property
    def kind(self) -> str | None:
        """What became of the resource; None if nothing did."""
        before, after = _activity(self.before), _activity(self.after)
        if before is None:
            return JOINED if after is not None else PASSED if self.passed else None
        if after is None or (before and not after):
            return LEFT
        if self.flickered:
            return PASSED
        if after and not before:
            return REACTIVATED
        if self.changes or self.turnover:
            return CHANGED
        return UNDONE if self.moved or (self.versions and not self.idle) else None

    @property
    def how(self) -> str:
        """The same in a word more."""
        if self.kind == LEFT and self.after is None:
            return "deleted" if _activity(self.before) else "deleted while inactive"
        if self.kind == JOINED:
            return "created" if _activity(self.after) else "created, inactive"
        if self.kind == PASSED:
            return "reactivated and deactivated" if self.flickered else "created and deleted"
        if self.kind == UNDONE:
            return "changed and changed back"
        return "deactivated" if self.kind == LEFT else self.kind or "unchanged"

    @property
    def shown(self) -> Resource | None:
        """The newest that is known of it."""
        return self.after or self.before or self.passed

    @property
    def activity(self) -> dict[str, bool | None]:
        """Whether it was active, None where it was not there."""
        return {"before": _activity(self.before), "after": _activity(self.after)}


def _activity(resource: Resource | None) -> bool | None:
    return None if resource is None else is_active(resource.attributes)


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page; `next` is what the page behind it begins after, None for the last.

    A page may be short, even empty, and not be the last: it looks at no more than MOST_READ.
    """

    rows: Sequence[Difference]
    next: int | None


class Differences:
    """The differences between two positions, each at the cost of what happened in between."""

    def __init__(self, archive: Archive, span: Span) -> None:
        self._archive = archive
        self._span = span

    # One resource

    def of(self, type_: str, id_: str) -> Difference:
        """Return what differs of a resource, with who came and went in it; raises HistoryBehind."""
        self._archive.end()
        stream = f"{type_}-{id_}"
        first = self._archive.ledger.version_at(stream, self._span.start) + 1
        [found] = self._compare([(stream, first)])
        turnovers = Turnovers(self._archive, self._span, NAMED)
        relation = self._archive.kinds[type_].relation
        if relation == "members":
            return replace(found, turnover=turnovers.of_group(id_))
        if relation is None:
            return found
        return replace(found, turnover=turnovers.of_user(id_), moved=self._moved(id_))

    def _moved(self, id_: str) -> list[int]:
        """Return the positions in between at which a user joined and left groups directly."""
        ends = {at for stay in self._archive.stays(id_) for at in (stay.since, stay.until)}
        return sorted(at for at in ends if self._span.start < at <= self._span.end)

    # All resources

    def page(self, after: int, count: int, *, types: Sequence[str], kind: str | None) -> Page:
        """Return the resources that differ, in the order of what happened to them first.

        `after` is the position of what happened first to the last one of the page before. Raises
        HistoryBehind.
        """
        self._archive.end()
        rows: list[Difference] = []
        for read, (position, found) in enumerate(self._rows(after, types, count + 1)):
            if found and kind in (None, found.kind):
                if len(rows) == count:
                    return Page(rows, after)
                rows.append(found)
            after = position
            if read == MOST_READ:
                return Page(rows, after)
        return Page(rows, None)

    def _rows(
        self, after: int, types: Sequence[str], wanted: int
    ) -> Iterator[tuple[int, Difference | None]]:
        """Yield the resources that something happened to, with the position of what did first.

        Instead of one that does not differ, None.
        """
        turnovers = Turnovers(self._archive, self._span, NAMED_IN_ROWS)
        for firsts in self._firsts(max(after, self._span.start), types, min(wanted, CHUNK)):
            compared = self._compare([(stream, version) for _, stream, version in firsts])
            for (position, *_), found in zip(firsts, compared, strict=True):
                if self._archive.kinds[found.type].relation == "members":
                    found = replace(found, turnover=turnovers.of_group(found.id))
                yield position, found if found.kind else None

    def _firsts(
        self, after: int, types: Sequence[str], chunk: int
    ) -> Iterator[list[tuple[int, str, int]]]:
        """Yield, in chunks, the first event of each stream in the span: position, stream, version.

        It is one before which the stream's last event lies outside.
        """
        while True:
            rows = self._archive.ledger.streams_between(
                after, self._span.end, types, chunk, start=self._span.start
            )
            if rows:
                yield rows
                after = rows[-1][0]
            if len(rows) < chunk:
                return

    def _compare(self, firsts: Sequence[tuple[str, int]]) -> list[Difference]:
        """Compare resources, each given by its stream and the first version that is in the span."""
        ids = [stream.partition("-")[2] for stream, _ in firsts]
        with self._archive.history.file.reading() as connection:
            before = _resources(connection, ids, self._span.start)
            after = _resources(connection, ids, self._span.end)
            passed = self._passed(connection, ids)
        found = []
        ledger = self._archive.ledger
        for id_, (stream, first) in zip(ids, firsts, strict=True):
            version, position = self._last(stream)
            sides = before.get(id_), after.get(id_)
            found.append(
                Difference(
                    stream.partition("-")[0],
                    id_,
                    *sides,
                    passed.get(id_),
                    _both_inactive(*sides)
                    and any(ledger.walk_stream(stream, first, version, types=_WOKE)),
                    range(first, version + 1),
                    position if version >= first else 0,
                    _is_idle(ledger, stream, first, version, sides),
                )
            )
        return found

    def _passed(self, connection: Connection, ids: Sequence[str]) -> dict[str, Resource]:
        """Return those of the resources that came and went in between, as they were last."""
        rows = connection.execute(
            "SELECT max(position), document FROM life JOIN resource_version USING (born)"
            " WHERE id IN (SELECT value FROM json_each(?)) AND born > ? AND died <= ?"
            " GROUP BY id",
            (json_list(ids), self._span.start, self._span.end),
        )
        resources = (resource_of(document) for _, document in rows)
        return {resource.id: resource for resource in resources}

    def _last(self, stream: str) -> tuple[int, int]:
        """Return version and position of a stream's last event up to the span's end."""
        ledger = self._archive.ledger
        version = ledger.version_at(stream, self._span.end)
        return version, ledger.position_of(stream, version) or 0


def _both_inactive(before: Resource | None, after: Resource | None) -> bool:
    return _activity(before) is False and _activity(after) is False


def _is_idle(
    ledger: Ledger, stream: str, first: int, last: int, sides: Sequence[Resource | None]
) -> bool:
    """Return whether events set nothing but what was there, as one that unassigned `active` did."""
    before, after = sides
    if before is None or after is None or before.attributes != after.attributes:
        return False
    if any(ledger.walk_stream(stream, first, last, without=[events.UPDATED])):
        return False
    return all(
        laid_over(before.attributes, recorded.effects, before.type) == before.attributes
        for recorded in ledger.walk_stream(stream, first, last)
    )


def _resources(connection: Connection, ids: Sequence[str], at: int) -> dict[str, Resource]:
    """Return those of some resources that were there at a position, by id."""
    rows = connection.execute(
        f"SELECT id, document FROM {PastTables(at=at).resource}"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (json_list(ids),),
    )
    return {id_: resource_of(document) for id_, document in rows}
