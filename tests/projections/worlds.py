"""Small worlds of users and groups: their events, and their state by plain sets and dicts."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from hypothesis import strategies as st

from ledger import events
from ledger.events import Event, Recorded
from ledger.sqlite.connection import Connection
from projections.current.memberships import Relation
from projections.current.resources import Resources
from projections.query.comparison import fold as folded
from projections.state import MEMBER, Resource, document_of, evolve
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, KINDS

NAMED_BY = {"User": "userName", "Group": "displayName"}

USERS = ["u0", "u1", "u2", "u'\"%"]
GROUPS = ["g0", "g1", "g2", "g3"]
STRANGERS = ["x0", "x1"]  # no resource has these ids
NAMES = ["Ada", "ada", "Béa", "bob", "Straße", "zoë"]

Step = tuple[str, str, Any]

_names = st.sampled_from(NAMES)
_resources = st.sampled_from(USERS + GROUPS)
_members = st.lists(st.sampled_from(USERS + GROUPS + STRANGERS), max_size=4, unique=True)
_shown = st.fixed_dictionaries(
    {},
    optional={
        "displayName": st.none() | _names | st.just(""),
        "active": st.none() | st.booleans(),
        "name": st.none() | st.fixed_dictionaries({}, optional={"givenName": _names}),
        "phoneNumbers": st.none() | st.lists(st.fixed_dictionaries({"value": _names}), max_size=2),
        f"{ENTERPRISE_URN}:department": st.none() | _names,
    },
)
STEPS = st.one_of(
    st.tuples(st.just("name"), _resources, st.tuples(_names, _shown)),
    st.tuples(st.just("join"), st.sampled_from(GROUPS), _members),
    st.tuples(st.just("join"), st.sampled_from(GROUPS), _members),
    st.tuples(st.just("leave"), st.sampled_from(GROUPS), _members),
    st.tuples(st.just("delete"), _resources, st.none()),
)
POPULATED: list[Step] = [
    ("name", id_, (f"{id_} {NAMES[n % len(NAMES)]}", {})) for n, id_ in enumerate(USERS + GROUPS)
]
HISTORIES = st.lists(STEPS, max_size=16) | st.lists(STEPS, max_size=12).map(
    lambda steps: POPULATED + steps
)


def type_of(id_: str) -> str | None:
    return {"u": "User", "g": "Group"}.get(id_[0])


def fold(recorded: Iterable[Recorded]) -> Resource | None:
    """Return what a stream's events add up to."""
    resource: Resource | None = None
    for event in recorded:
        resource = evolve(resource, event)
    return resource


class World:
    """Who there is and who is a member of what; `take` says what happens then, as events."""

    def __init__(self) -> None:
        self.present: dict[str, str] = {}  # id -> unique name
        self.members: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def take(self, step: Step) -> Iterator[tuple[str, list[Event]]]:
        """Take a step; yield each stream with its new events."""
        action, id_, detail = step
        yield from {
            "name": self._name,
            "join": self._join,
            "leave": self._leave,
            "delete": self._delete,
        }[action](id_, detail)

    def _name(self, id_: str, detail: Any) -> Iterator[tuple[str, list[Event]]]:
        name, shown = detail
        type_ = type_of(id_) or ""
        taken = {folded(n) for other, n in self.present.items() if other[0] == id_[0]}
        if folded(name) in taken:
            return
        effects = {**(shown if type_ == "User" else {}), NAMED_BY[type_]: name}
        known = id_ in self.present
        self.present[id_] = name
        yield f"{type_}-{id_}", [Event(events.UPDATED if known else events.CREATED, effects)]

    def _join(self, id_: str, ids: Sequence[str]) -> Iterator[tuple[str, list[Event]]]:
        joining = {m: (type_of(m) or "User") for m in ids if m not in self.members[id_]}
        if id_ in self.present and joining:
            self.members[id_].update(joining)
            effects = {f"{MEMBER}{m}": {"type": type_} for m, type_ in joining.items()}
            yield f"Group-{id_}", [Event(events.MEMBERS_ADDED, effects)]

    def _leave(self, id_: str, ids: Sequence[str]) -> Iterator[tuple[str, list[Event]]]:
        leaving = [m for m in ids if m in self.members[id_]]
        if leaving:
            for member in leaving:
                del self.members[id_][member]
            effects = dict.fromkeys(f"{MEMBER}{m}" for m in leaving)
            yield f"Group-{id_}", [Event(events.MEMBERS_REMOVED, effects)]

    def _delete(self, id_: str, _: None) -> Iterator[tuple[str, list[Event]]]:
        if id_ in self.present:
            for group in GROUPS:
                yield from self._leave(group, [id_])
            del self.present[id_]
            self.members.pop(id_, None)
            yield f"{type_of(id_)}-{id_}", [Event(events.DELETED)]

    # What it comes to

    def direct(self, id_: str) -> set[str]:
        return {group for group, members in self.members.items() if id_ in members}

    def all_groups(self, id_: str) -> set[str]:
        found, fresh = set[str](), self.direct(id_)
        while fresh:
            found |= fresh
            fresh = {outer for group in fresh for outer in self.direct(group)} - found
        return found

    def relations(self, id_: str, known: Mapping[str, Resource]) -> list[Relation]:
        """Return members of a group, by id; groups of a user, by age."""
        if type_of(id_) == "Group":
            return [
                Relation(member, type_, display(known.get(member)))
                for member, type_ in sorted(self.members[id_].items())
            ]
        return [
            Relation(group, "direct" if group in self.direct(id_) else "indirect", display(found))
            for group, found in known.items()
            if group in self.all_groups(id_)
        ]


def display(resource: Resource | None) -> str | None:
    if resource is None:
        return None
    attributes = resource.attributes
    return attributes.get("displayName") or attributes[NAMED_BY[resource.type]]


class Lived:
    """A world that a history happened to, with the tables that the projection made of it."""

    def __init__(self, connection: Connection, history: Sequence[Step]) -> None:
        self.connection = connection
        self.world = World()
        self.resources = Resources(KINDS)
        self.streams: defaultdict[str, list[Recorded]] = defaultdict(list)
        self._end = 0
        self._before: dict[str, Any] = {}
        for table in self.resources.tables:
            connection.execute(f"DELETE FROM {table}")
        for step in history:
            self.take(step)

    def take(self, step: Step) -> None:
        for stream, happened in self.world.take(step):
            for event in happened:
                self.record(stream, event)

    def record(self, stream: str, event: Event) -> Recorded:
        self._end += 1
        known = self.streams[stream]
        recorded = Recorded(
            position=self._end,
            id=f"event-{self._end}",
            stream=stream,
            version=len(known) + 1,
            type=event.type,
            revision=1,
            at=f"2026-11-24T08:00:00.{self._end:06}Z",
            txn="t",
            actor="a",
            via="test",
            payload={**event.effects, "request.method": "POST"},
        )
        before = self._before.pop(stream, None) if self._end % 2 else None  # or read again
        self._before[stream] = self.resources.project(self.connection, recorded, before)
        known.append(recorded)
        return recorded

    @property
    def known(self) -> dict[str, Resource]:
        """The resources there are, in the order of their creation, by folding their streams."""
        found = ((self.streams[stream], fold(self.streams[stream])) for stream in self.streams)
        living = [(_birth(recorded), resource) for recorded, resource in found if resource]
        return {resource.id: resource for _, resource in sorted(living, key=lambda one: one[0])}

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The resources as they are shown, with base URL empty."""
        known = self.known
        return [self._shown(resource, known) for resource in known.values()]

    def _shown(self, resource: Resource, known: Mapping[str, Resource]) -> dict[str, Any]:
        kind = KINDS[resource.type]
        document = orjson.loads(document_of(resource, kind.schema, kind.endpoint))
        values = [_value(one) for one in self.world.relations(resource.id, known)]
        return {**document, kind.relation: values} if values else document


def _value(relation: Relation) -> dict[str, Any]:
    type_ = type_of(relation.id)
    value = {"value": relation.id, "type": relation.type}
    if relation.display is None:
        return value
    return {**value, "$ref": f"/{type_}s/{relation.id}", "display": relation.display}


def _birth(recorded: Sequence[Recorded]) -> int:
    return max(event.position for event in recorded if event.type == events.CREATED)
