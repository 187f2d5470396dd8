"""What differs between two positions, of one resource or of all, and the events that did it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ledger import events
from ledger.events import Recorded
from projections.audit.archive import Archive, Changes, changes_between, values_set
from projections.audit.cause import Cause
from projections.audit.membership_diff import Span, Turnover, Turnovers
from projections.state import Resource, is_active, laid_over

NAMED = 1000  # members of one resource that are named; all are counted
NAMED_IN_ROWS = 100
CHUNK = 500  # resources compared at once
MOST_COMPARED = 20_000  # resources compared for a page
MOST_READ = 200  # events of one resource, the newest, read for causes

JOINED, LEFT, CHANGED, REACTIVATED, TRANSIENT, REVERTED = KINDS = (
    "joined",
    "left",
    "changed",
    "reactivated",
    "passed",
    "undone",
)

_CAME = (events.CREATED, events.REACTIVATED)
_WENT = (events.DEACTIVATED, events.DELETED)

# By kind: the types of events that make it so, and of those that make the contrary so.
_TURNS: Mapping[str | None, tuple[tuple[str, ...], tuple[str, ...]]] = {
    JOINED: ((events.CREATED,), (events.DELETED,)),
    REACTIVATED: (_CAME, _WENT),
    LEFT: (_WENT, _CAME),
    TRANSIENT: (_WENT, _CAME),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A resource at two positions, None where it does not exist, and the events in between."""

    type: str
    id: str
    before: Resource | None
    after: Resource | None
    transient: Resource | None  # its last version, where it was created and deleted in between
    versions: range  # those that its own events in between made
    briefly_active: bool = False  # inactive at both positions, active in between
    idle: bool = False  # its own events in between set only values that it had
    moved: Sequence[int] = ()  # the positions at which a user joined and left groups, in order
    turnover: Turnover = field(default_factory=Turnover)  # of a group's members, or a user's groups

    @property
    def stream(self) -> str:
        return f"{self.type}-{self.id}"

    @property
    def changes(self) -> Changes:
        """The attributes that differ; a resource that does not exist has none."""
        before = self.before.attributes if self.before else {}
        return changes_between(before, self.after.attributes if self.after else {})

    @property
    def events(self) -> int:
        """The number of events in between about it."""
        return len(self.versions) + len(self.moved)

    @property
    def kind(self) -> str | None:
        """What became of the resource; None if nothing did."""
        return self._verdict[0]

    @property
    def how(self) -> str:
        """The kind in more words."""
        return self._verdict[1]

    @property
    def _verdict(self) -> tuple[str | None, str]:
        before, after = self.activity.values()
        if before is None and after is None:
            return (TRANSIENT, "created and deleted") if self.transient else (None, "unchanged")
        if before is None:
            return JOINED, "created" if after else "created, inactive"
        if after is None:
            return LEFT, "deleted" if before else "deleted while inactive"
        if before and not after:
            return LEFT, "deactivated"
        if self.briefly_active:
            return TRANSIENT, "reactivated and deactivated"
        if after and not before:
            return REACTIVATED, "reactivated"
        if self.changes or self.turnover:
            return CHANGED, "changed"
        if self.moved or (self.versions and not self.idle):
            return REVERTED, "changed and changed back"
        return None, "unchanged"

    @property
    def shown(self) -> Resource | None:
        """The newest version that is known."""
        return self.after or self.before or self.transient

    @property
    def activity(self) -> dict[str, bool | None]:
        """Whether it was active, None where it does not exist."""
        return {
            name: None if resource is None else is_active(resource.attributes)
            for name, resource in (("before", self.before), ("after", self.after))
        }


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page; `next` is the `after` of the next page, None for the last.

    A page may be short, even empty, and not be the last: it compares at most MOST_COMPARED.
    """

    rows: Sequence[Difference]
    next: int | None


class Differences:
    """The differences between two positions, each at the cost of the events in between."""

    def __init__(self, archive: Archive, span: Span) -> None:
        self._archive = archive
        self._span = span

    def of(self, type_: str, id_: str) -> Difference:
        """Return the difference of one resource, with its turnover; raises HistoryBehind."""
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
        ends = {at for each in self._archive.lifetimes.memberships(id_) for at in each[1:]}
        moved = sorted(at for at in ends if self._span.start < at <= self._span.end)
        return replace(found, turnover=turnovers.of_user(id_), moved=moved)

    def page(self, after: int, count: int, *, types: Sequence[str], kind: str | None) -> Page:
        """Return the resources that differ, in the order of their first event in between.

        `after` is the position of that event of the last one of the page before. Raises
        HistoryBehind.
        """
        self._archive.end()
        rows: list[Difference] = []
        for compared, (position, found) in enumerate(self._rows(after, types, count + 1)):
            if found.kind and kind in (None, found.kind):
                if len(rows) == count:
                    return Page(rows, after)
                rows.append(found)
            after = position
            if compared == MOST_COMPARED:
                return Page(rows, after)
        return Page(rows, None)

    def _rows(
        self, after: int, types: Sequence[str], wanted: int
    ) -> Iterator[tuple[int, Difference]]:
        """Yield the resources with events in between, and the position of the first of them."""
        turnovers = Turnovers(self._archive, self._span, NAMED_IN_ROWS)
        span, chunk = self._span, min(wanted, CHUNK)
        after, more = max(after, span.start), True
        while more:
            firsts = self._archive.ledger.streams_between(
                after, span.end, types, chunk, start=span.start
            )
            compared = self._compare([(stream, version) for _, stream, version in firsts])
            for (after, *_), found in zip(firsts, compared, strict=True):
                if self._archive.kinds[found.type].relation == "members":
                    found = replace(found, turnover=turnovers.of_group(found.id))
                yield after, found
            more = len(firsts) == chunk

    def _compare(self, firsts: Sequence[tuple[str, int]]) -> Iterator[Difference]:
        """Yield the differences of resources, given by stream and first version in the span."""
        ids = [stream.partition("-")[2] for stream, _ in firsts]
        lifetimes, span = self._archive.lifetimes, self._span
        before = lifetimes.resources_at(ids, span.start)
        after = lifetimes.resources_at(ids, span.end)
        transient = lifetimes.transient(ids, span.start, span.end)
        for stream, first in firsts:
            type_, _, id_ = stream.partition("-")
            versions = range(first, self._archive.ledger.version_at(stream, span.end) + 1)
            sides = before.get(id_), after.get(id_), transient.get(id_)
            yield self._with_events(Difference(type_, id_, *sides, versions))

    def _with_events(self, found: Difference) -> Difference:
        """Read the events where the two states alone do not tell what became of a resource."""
        before, after, versions = found.before, found.after, found.versions
        if not versions or before is None or after is None:
            return found
        walk = partial(self._archive.ledger.walk_stream, found.stream, versions[0], versions[-1])
        if not is_active(before.attributes) and not is_active(after.attributes):
            found = replace(found, briefly_active=any(walk(types=_CAME)))
        if before.attributes != after.attributes or any(walk(without=[events.UPDATED])):
            return found
        # Events may set only values that are there, as unassigning `active` did.
        idle = all(
            laid_over(before.attributes, recorded.effects, before.type) == before.attributes
            for recorded in walk()
        )
        return replace(found, idle=idle)


@dataclass(frozen=True, slots=True)
class Reasons:
    """The causes of the events in between; of older ones nothing if not `complete`."""

    causes: Mapping[str, Cause]  # by attribute, members:<id> or groups:<id>: the last that set it
    every: Sequence[Cause]  # of each event read, oldest first
    made: Cause | None  # of the event that made the difference; None if that was not read
    complete: bool

    @property
    def last(self) -> Cause | None:
        return self.every[-1] if self.every else None

    @property
    def distinct(self) -> Sequence[Cause]:
        """The first cause of each credential or operator with each client, in order."""
        first = {(one.who, one.client): one for one in reversed(self.every)}
        return sorted(first.values(), key=lambda one: one.position)


def reasons_of(archive: Archive, found: Difference) -> Reasons:
    """Return why a resource differs, at the cost of at most MOST_READ events."""
    read = _events(archive, found)
    causes = archive.causes(read)
    setters = _setters(read, found)
    made = _made_at(archive, found, read, setters)
    if made and made not in causes:  # an older one
        causes |= archive.causes_at([made])
    return Reasons(
        {key: causes[at] for key, at in setters.items()},
        [causes[recorded.position] for recorded in read],
        causes[made] if made else None,
        found.events <= MOST_READ,
    )


def _events(archive: Archive, found: Difference) -> list[Recorded]:
    read = list(archive.ledger.read_at(found.moved[-MOST_READ:]).values()) if found.moved else []
    if versions := found.versions[-MOST_READ:]:
        read += archive.ledger.walk_stream(found.stream, versions[0], versions[-1])
    return sorted(read, key=lambda each: each.position)[-MOST_READ:]


def _setters(read: Sequence[Recorded], found: Difference) -> dict[str, int]:
    """Return the position of the last event that set each value, or removed it."""
    setters: dict[str, int] = {}
    for recorded in read:
        if recorded.subject != found.id:
            setters[f"groups:{recorded.subject}"] = recorded.position
        else:
            keys = found.changes if recorded.type == events.DELETED else values_set(recorded)
            setters |= dict.fromkeys(keys, recorded.position)
    return setters


def _made_at(
    archive: Archive, found: Difference, read: Sequence[Recorded], setters: Mapping[str, int]
) -> int | None:
    """Return the position of the event that made a difference what it is, None if not known.

    For one that came or went, the first such event after the last contrary one: a user who was
    deactivated and then deleted left with the deactivation. For a changed one, the last event that
    set a differing value. For one that was changed back, its last event.
    """
    if found.kind in _TURNS and found.versions:
        wanted, contrary = _TURNS[found.kind]
        versions, turn = found.versions, None
        for recorded in archive.ledger.walk_stream(
            found.stream, versions[0], versions[-1], types=wanted + contrary
        ):
            if recorded.type in contrary:
                turn = None
            elif turn is None:
                turn = recorded.position
        return turn
    if found.kind != CHANGED:
        return read[-1].position if read else None
    relation = f"{archive.kinds[found.type].relation}:"
    turnover = found.turnover
    named = [value["value"] for value in (*turnover.joined_values, *turnover.left_values)]
    differing = {*found.changes, *(f"{relation}{id_}" for id_ in named)}
    # Where not all members that joined or left are named, any of them.
    any_member = relation if len(named) < turnover.joined + turnover.left else None
    return max(
        (
            position
            for key, position in setters.items()
            if key in differing or (any_member and key.startswith(any_member))
        ),
        default=None,
    )
