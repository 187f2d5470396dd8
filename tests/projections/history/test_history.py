"""At every position the history gives the current state's answer of then."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from ledger.events import Event
from ledger.sqlite.connection import Connection
from projections.current.reader import ResourceReader
from projections.history import contents, projector
from projections.history.past_tables import PastTables
from projections.history.projector import HistoryProjector, Intervals
from projections.query.model import START, Query
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, KINDS, USER
from tests.projections.worlds import (
    GROUPS,
    HISTORIES,
    NAMES,
    STRANGERS,
    USERS,
    Lived,
    Step,
    type_of,
)

PROPERTY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FILTERS = [
    parse_filter(text, USER)
    for text in (
        'userName eq "ada"',
        'userName sw "b"',
        "displayName pr",
        'groups.value eq "g0"',
        'groups[value eq "g1" and type eq "direct"]',
        'meta.lastModified gt "2000-01-01T00:00:00Z"',
        'meta.version eq "W/\\"2\\"" or meta.created lt "2000-01-01T00:00:00Z"',
        'id ew "1" or schemas co "enterprise" or name pr',
        "active ne false and active pr",
        'name.givenName eq "ADA"',
        'phoneNumbers.value eq "bob"',
        "phoneNumbers pr",
        f'{ENTERPRISE_URN}:department gt "b"',
    )
]


def everything(connection: Connection, readings: ResourceReader) -> Any:
    """Return all that can be asked of the resources: rows, relations, lists, look-ups."""
    found: dict[Any, Any] = {}
    for id_ in (*USERS, *GROUPS, *STRANGERS):
        type_ = type_of(id_) or "User"
        row = readings.row(connection, type_, id_)
        found[id_] = row
        if row:
            found[id_, "relations"] = readings.relations(connection, type_, [row.place])
    for name in NAMES:
        found["named", name] = readings.find_by_name(connection, "User", name)
    for type_ in ("User", "Group"):
        found["total", type_] = readings.total(connection, type_)
        for query in queries(type_):
            found["page", type_, str(query)] = readings.search(connection, type_, query)
    found["all"] = readings.search(connection, None, Query())
    return found


def queries(type_: str) -> Iterator[Query]:
    yield Query()
    yield Query(start_index=2, count=2)
    yield Query(after=START, count=2)
    if type_ == "User":
        for filter_ in FILTERS:
            yield Query(filter=filter_)
        yield Query(sort_by=parse_sort("userName", USER))
        yield Query(sort_by=parse_sort("displayName", USER), descending=True, count=2)
        yield Query(sort_by=parse_sort("active", USER), after=START, count=2)
        yield Query(sort_by=parse_sort("phoneNumbers.value", USER))
        yield Query(sort_by=parse_sort("meta.lastModified", USER), descending=True)


class Followed(Lived):
    """A world of which also the events are kept, and what the current state was at each."""

    def __init__(self, connection: Connection, history: list[Step]) -> None:
        self.happened: list[Any] = []
        self.seen: dict[int, Any] = {}
        super().__init__(connection, history)

    def record(self, stream: str, event: Event) -> Any:
        recorded = super().record(stream, event)
        self.happened.append(recorded)
        return recorded

    def take(self, step: Step) -> None:
        super().take(step)
        self.seen[self._end] = everything(self.connection, self.resources)


@pytest.fixture(autouse=True)
def few_versions_between_whole_ones_and_few_changes_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contents, "EVERY", 3)
    monkeypatch.setattr(projector, "MANY", 3)


@pytest.fixture
def both(database: Connection) -> Connection:
    """Return one database with the tables of the current state and of the history."""
    history = HistoryProjector(KINDS)
    history.create_tables(database)
    history.prepare(database)
    return database


def follow(connection: Connection, happened: list[Any], sizes: int) -> None:
    """Make a new history follow events in chunks of a size."""
    chronicle = HistoryProjector(KINDS)
    for table in chronicle.tables:
        connection.execute(f"DELETE FROM {table}")
    for start in range(0, len(happened), sizes):
        chronicle.project_all(connection, happened[start : start + sizes])


def then(connection: Connection, position: int) -> Any:
    return everything(connection, ResourceReader(KINDS, PastTables(at=position)))


@PROPERTY
@given(history=HISTORIES)
@example(history=[("name", "u0", ("Ada", {})), ("name", "u0", ("bob", {"active": None}))])
def test_every_position_answers_as_it_answered_then(both: Connection, history: list[Step]) -> None:
    world = Followed(both, history)

    follow(both, world.happened, 1000)

    for position, seen in world.seen.items():
        assert then(both, position) == seen


@PROPERTY
@given(history=HISTORIES)
def test_the_rows_are_the_same_however_the_events_are_cut(
    both: Connection, history: list[Step]
) -> None:
    world = Followed(both, history)
    dumps = []
    for size in (1, 3, 1000):
        follow(both, world.happened, size)
        dumps.append([sorted(both.execute(f"SELECT * FROM {t}")) for t in HistoryProjector.tables])

    assert dumps[0] == dumps[1] == dumps[2]


def test_a_membership_that_ended_before_its_group_keeps_its_end(both: Connection) -> None:
    members = Intervals("membership", ("group_born", "member_id"), 1)
    for member in ("a", "b"):
        members.begin((1, member), 2, "User")
    members.write(both)

    members.end((1, "a"), 3)
    members.begin((1, "c"), 4, "User")
    members.end((1,), 5)
    members.write(both)

    rows = both.execute("SELECT member_id, since, until FROM membership WHERE group_born = 1")
    assert sorted(rows) == [("a", 2, 3), ("b", 2, 5), ("c", 4, 5)]
