"""Memberships: the rows follow the events, and every query and change uses an index."""

import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
from ledger import events
from ledger.contract import Append
from ledger.events import Event, Metadata, Recorded
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger
from projections import runner
from projections.current.memberships import Relation, StillMember
from projections.current.resources import Resources
from projections.query.model import Query
from projections.runner import StoredProjection
from projections.state import MEMBER
from scim_api import wiring
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.schema.resource_types import GROUP, USER
from scim_api.tenants.tenants import Tenant
from tests.projections.worlds import (
    GROUPS,
    HISTORIES,
    POPULATED,
    STRANGERS,
    USERS,
    Lived,
    Step,
    World,
    fold,
)

METADATA = Metadata("operator", "test", "txn", {"method": "POST"})
PROPERTY = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EVERYONE = USERS + GROUPS + STRANGERS


def take(ledger: SQLiteLedger, world: World, step: Step) -> None:
    """Take a step in one transaction."""
    happened: dict[str, list[Event]] = {}
    for stream, more in world.take(step):
        happened[stream] = happened.pop(stream, []) + more
    appends = [
        Append(stream, len(ledger.read_stream(stream)), new) for stream, new in happened.items()
    ]
    if appends:
        ledger.append(appends, METADATA)


@pytest.fixture
def lives(tenant: Tenant) -> World:
    """Return a ledger with four users and four groups without members."""
    world = World()
    for step in POPULATED:
        take(tenant.ledger, world, step)
    return world


def test_what_is_handed_on_of_a_group_grows_with_no_member(tenant: Tenant) -> None:
    joins = [Event(events.MEMBERS_ADDED, {f"{MEMBER}{n}": {"type": "User"}}) for n in range(3)]
    created = Event(events.CREATED, {"displayName": "Staff"})

    written = tenant.ledger.append([Append("Group-1", 0, [created, *joins])], METADATA)

    assert written.rows["Group-1"].resource.attributes == {"displayName": "Staff"}


def rows(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    order = Resources.tables[table]
    return connection.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()


def members(tenant: Tenant, group: str) -> list[str]:
    with tenant.ledger.reading() as connection:
        return [one.id for one in members_of(tenant.resources, connection, group)]


def members_of(resources: Resources, connection: Connection, group: str) -> list[Relation]:
    row = resources.row(connection, "Group", group)
    return resources.memberships.members(connection, row.position) if row else []


def groups(tenant: Tenant, id_: str) -> list[tuple[str, str]]:
    with tenant.ledger.reading() as connection:
        found = groups_of(tenant.resources, connection, id_)
    return [(group, type_) for group, type_, _ in found]


def groups_of(resources: Resources, connection: Connection, id_: str) -> list[Relation]:
    row = resources.row(connection, "User", id_)
    found = resources.relations(connection, "User", [row.place]) if row else {}
    return list(found.get(row.position, ())) if row else []


def former(tenant: Tenant) -> list[str]:
    with tenant.ledger.reading() as connection:
        return [id_ for (id_,) in rows(connection, "former_member")]


def faults(tenant: Tenant) -> list[runner.Difference | None]:
    return [p.check() for p in wiring.projections_of(tenant)]


# What the events add up to


def folded_members(streams: dict[str, list[Recorded]]) -> list[tuple[int, str, str]]:
    """Return the rows of memberships as folding each stream gives them."""
    found = []
    for recorded in streams.values():
        group = fold(recorded)
        for key, value in group.attributes.items() if group else ():
            if key.startswith(MEMBER):
                born = max(e.position for e in recorded if e.type == events.CREATED)
                found.append((born, key.removeprefix(MEMBER), value["type"]))
    return sorted(found)


def folded_departures(streams: dict[str, list[Recorded]]) -> list[tuple[str]]:
    """Return who ever left a group and was not deleted since, event by event."""
    there: defaultdict[str, set[str]] = defaultdict(set)
    left: set[str] = set()
    every = sorted((e for recorded in streams.values() for e in recorded), key=_position)
    for event in every:
        named = {key.removeprefix(MEMBER) for key in event.effects if key.startswith(MEMBER)}
        if event.type == events.MEMBERS_ADDED:
            there[event.subject] |= named
        elif event.type == events.MEMBERS_REMOVED:
            there[event.subject] -= named
            left |= named
        elif event.type == events.DELETED:
            left = (left | there.pop(event.subject, set())) - {event.subject}
    return [(id_,) for id_ in sorted(left)]


def _position(recorded: Recorded) -> int:
    return recorded.position


@PROPERTY
@given(HISTORIES)
def test_the_membership_rows_equal_the_fold_of_the_streams(
    database: Connection, history: list[Step]
) -> None:
    lived = Lived(database, history)

    assert rows(database, "member") == folded_members(lived.streams)
    assert rows(database, "former_member") == folded_departures(lived.streams)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the closed file of a ledger without users."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIM_DATA_DIR", str(folder))
        app.console().create("acme").close()
    return folder / "acme" / "ledger.db"


@pytest.mark.slow
@settings(max_examples=25)
@given(HISTORIES)
def test_whatever_happened_a_rebuild_gives_the_same_rows(empty: Path, history: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        tenant = wiring.open_tenant(Path(shutil.copy(empty, folder)))
        world = World()
        for step in history:
            take(tenant.ledger, world, step)
        before = contents(tenant)

        checked = faults(tenant)
        StoredProjection(tenant.ledger, tenant.resources).rebuild()
        after = contents(tenant)
        tenant.close()

    assert after == before
    assert not any(checked)


def contents(tenant: Tenant) -> dict[str, list[tuple[Any, ...]]]:
    with tenant.ledger.reading() as connection:
        return {table: rows(connection, table) for table in Resources.tables}


# What can be asked


def test_a_group_deleted_since_a_user_was_read_is_left_out(tenant: Tenant) -> None:
    joins = Event(events.MEMBERS_ADDED, {f"{MEMBER}1": {"type": "User"}})
    nests = Event(events.MEMBERS_ADDED, {f"{MEMBER}2": {"type": "Group"}})
    named = Event(events.CREATED, {"userName": "jane"})
    tenant.ledger.append([Append("User-1", 0, [named])], METADATA)
    for stream, more in (("Group-2", [joins]), ("Group-3", [nests]), ("Group-4", [joins])):
        created = Event(events.CREATED, {"displayName": stream})
        tenant.ledger.append([Append(stream, 0, [created, *more])], METADATA)
    with tenant.ledger.reading() as connection:
        read = tenant.resources.row(connection, "User", "1")
    assert read

    for stream in ("Group-3", "Group-2"):
        tenant.ledger.append([Append(stream, 2, [Event(events.DELETED)])], METADATA)
    with tenant.ledger.reading() as connection:
        found = tenant.resources.relations(connection, "User", [read.place])

    assert [one.id for one in found[read.position]] == ["4"]


@PROPERTY
@given(HISTORIES)
def test_members_and_groups_are_those_of_the_world(
    database: Connection, history: list[Step]
) -> None:
    lived = Lived(database, history)
    known = lived.known

    for group in set(known) & set(GROUPS):
        found = members_of(lived.resources, database, group)
        assert found == lived.world.relations(group, known)
    users = [id_ for id_ in known if id_ in USERS]
    for id_ in users:
        assert groups_of(lived.resources, database, id_) == lived.world.relations(id_, known)


@PROPERTY
@given(HISTORIES, st.sampled_from(EVERYONE))
def test_membership_is_checked_without_reading_all_members(
    database: Connection, history: list[Step], id_: str
) -> None:
    lived = Lived(database, history)
    memberships, world = lived.resources.memberships, lived.world

    direct = {group for group, _ in memberships.direct_groups(database, id_)}

    assert direct == world.direct(id_)
    for group in set(lived.known) & set(GROUPS):
        row = lived.resources.row(database, "Group", group)
        assert row
        there = world.members[group]
        only = {id_: there[id_]} if id_ in there else {}
        assert memberships.among(database, row.position, EVERYONE) == there
        assert memberships.among(database, row.position, [id_]) == only
        for number in range(4):
            more = memberships.more_than(database, row.position, number)
            assert more is (len(there) > number)


def test_a_direct_group_comes_with_the_version_that_its_next_event_expects(
    tenant: Tenant, lives: World
) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0"]))
    take(tenant.ledger, lives, ("join", "g0", ["u1"]))

    with tenant.ledger.reading() as connection:
        found = tenant.resources.memberships.direct_groups(connection, "u0")

    assert found == [("g0", len(tenant.ledger.read_stream("Group-g0")))]


def test_groups_of_groups_are_indirect_groups_and_a_direct_one_stays_direct(
    tenant: Tenant, lives: World
) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0"]))
    take(tenant.ledger, lives, ("join", "g1", ["g0", "u0"]))
    take(tenant.ledger, lives, ("join", "g2", ["g1"]))

    assert groups(tenant, "u0") == [("g0", "direct"), ("g1", "direct"), ("g2", "indirect")]


def test_groups_that_are_members_of_each_other_end_the_search(tenant: Tenant, lives: World) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0", "g1", "g0"]))
    take(tenant.ledger, lives, ("join", "g1", ["g0"]))

    assert groups(tenant, "u0") == [("g0", "direct"), ("g1", "indirect")]


def test_a_member_without_a_resource_has_no_name(tenant: Tenant, lives: World) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0", "x0"]))

    with tenant.ledger.reading() as connection:
        found = members_of(tenant.resources, connection, "g0")

    assert found == [Relation("u0", "User", "u0 Ada"), Relation("x0", "User", None)]


def test_a_renamed_user_is_a_member_under_the_new_name(tenant: Tenant, lives: World) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0"]))
    take(tenant.ledger, lives, ("name", "u0", ("new", {"displayName": "Ada L."})))

    with tenant.ledger.reading() as connection:
        found = members_of(tenant.resources, connection, "g0")

    assert found == [Relation("u0", "User", "Ada L.")]


# Leaving


def test_the_deletion_of_a_resource_that_is_still_a_member_is_undone(
    tenant: Tenant, lives: World
) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0"]))
    before, end = contents(tenant), tenant.ledger.last_position()

    with pytest.raises(StillMember):
        tenant.ledger.append([Append("User-u0", 1, [Event(events.DELETED)])], METADATA)

    assert contents(tenant) == before
    assert tenant.ledger.last_position() == end


def test_a_deleted_user_is_in_no_group_and_leaves_no_row(tenant: Tenant, lives: World) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0", "u1"]))
    take(tenant.ledger, lives, ("join", "g1", ["u0"]))
    take(tenant.ledger, lives, ("delete", "u0", None))

    assert (members(tenant, "g0"), members(tenant, "g1")) == (["u1"], [])
    assert former(tenant) == []
    assert not any(faults(tenant))


def test_a_group_in_itself_can_be_deleted_once_it_left_itself(tenant: Tenant, lives: World) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["g0", "u0"]))
    take(tenant.ledger, lives, ("delete", "g0", None))

    with tenant.ledger.reading() as connection:
        assert rows(connection, "member") == []
    assert former(tenant) == ["u0"]


def test_everyone_leaves_a_group_that_is_deleted(tenant: Tenant, lives: World) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0", "g1", "x0"]))
    take(tenant.ledger, lives, ("join", "g1", ["u1"]))
    take(tenant.ledger, lives, ("delete", "g0", None))

    assert groups(tenant, "u0") == []
    assert groups(tenant, "u1") == [("g1", "direct")]
    assert former(tenant) == ["g1", "u0", "x0"]
    assert not any(faults(tenant))


def test_former_members_are_known_even_while_in_another_group(tenant: Tenant, lives: World) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0", "u1"]))
    take(tenant.ledger, lives, ("join", "g1", ["u0"]))
    take(tenant.ledger, lives, ("leave", "g0", ["u0"]))

    with tenant.ledger.reading() as connection:
        left = {u for u in USERS if tenant.resources.memberships.was_member(connection, u)}
    assert left == {"u0"}
    assert groups(tenant, "u0") == [("g1", "direct")]


def test_a_row_says_whether_its_resource_is_in_a_group(tenant: Tenant, lives: World) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0"]))

    with tenant.ledger.reading() as connection:
        stored = [tenant.resources.row(connection, "User", id_) for id_ in ("u0", "u1")]
        page = tenant.resources.search(connection, "User", Query(count=2))

    assert [bool(row.grouped) for row in stored if row] == [True, False]
    assert [bool(groups) for _, _, groups, _ in page.rows] == [True, False]


# What it costs

# Steps of plans that read all of something no larger than what is asked about.
SMALL = ("json_each", "belongs", "within", "v", "CONSTANT", "(subquery")

SEEKS = {
    "add a member": lambda t: ask_to_add(t, "User-new"),
    "members of": lambda t: members(t, "g0"),
    "groups of": lambda t: groups(t, "u0"),
    "direct groups": lambda t: reading(t, lambda m, c: m.direct_groups(c, "u0")),
    "among": lambda t: reading(t, lambda m, c: m.among(c, 2, ["u0", "u1"])),
    "more than": lambda t: reading(t, lambda m, c: m.more_than(c, 2, 1)),
    "was a member": lambda t: reading(t, lambda m, c: m.was_member(c, "u0")),
    "members.value eq": lambda t: search(t, GROUP, 'members.value eq "u0"'),
    "members[value eq]": lambda t: search(t, GROUP, 'members[value eq "u0" and type eq "User"]'),
    "groups.value eq": lambda t: search(t, USER, 'groups.value eq "g0"'),
    "groups[value eq]": lambda t: search(t, USER, 'groups[value eq "g0" and type eq "direct"]'),
    "all types": lambda t: search(t, None, 'members.value eq "u0"'),
}


def reading(tenant: Tenant, ask: Any) -> Any:
    with tenant.ledger.reading() as connection:
        return ask(tenant.resources.memberships, connection)


def search(tenant: Tenant, resource_type: Any, text: str) -> None:
    type_ = resource_type.name if resource_type else None
    query = Query(filter=parse_filter(text, resource_type or GROUP))
    with tenant.ledger.reading() as connection:
        assert tenant.resources.search(connection, type_, query).rows


def ask_to_add(tenant: Tenant, id_: str) -> None:
    version = len(tenant.ledger.read_stream("Group-g0"))
    joined = Event(events.MEMBERS_ADDED, {f"{MEMBER}{id_}": {"type": "User"}})
    tenant.ledger.append([Append("Group-g0", version, [joined])], METADATA)


def plans(statements: Sequence[str], connection: Connection) -> list[str]:
    """Return every step of the plans of statements about resources and members."""
    about = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b.*\b(resource|\w*member)\b", re.DOTALL)
    return [
        step
        for statement in statements
        if about.match(statement)
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    ]


@pytest.mark.parametrize("what", SEEKS)
def test_no_question_and_no_change_reads_a_whole_table(
    tenant: Tenant, lives: World, what: str
) -> None:
    take(tenant.ledger, lives, ("join", "g0", ["u0", "u1"]))
    said: list[str] = []
    with tenant.ledger.reading() as connection:
        connection.set_trace_callback(said.append)
    with tenant.ledger.writing() as writer:
        writer.set_trace_callback(said.append)

    SEEKS[what](tenant)

    connection.set_trace_callback(None)
    writer.set_trace_callback(None)
    steps = plans(said, connection)
    scanned = [step for step in steps if step.startswith("SCAN")]
    assert [step for step in scanned if re.split("[ -]", step)[1] not in SMALL] == []
    assert [step for step in steps if "(type=?)" in step] == []  # all resources of a type
    assert steps


def crowd(tenant: Tenant) -> None:
    """Add 100,000 members to g0."""
    with tenant.ledger.writing() as writer:
        row = tenant.resources.row(writer, "Group", "g0")
        assert row
        writer.executemany(
            "INSERT INTO member VALUES (?, ?, 'User')",
            [(row.position, f"m{n:06}") for n in range(100_000)],
        )


def grown(tenant: Tenant, connection: Connection, act: Any) -> tuple[int, int]:
    """Return how many rows an act changes, and how many pages it writes."""
    wal = Path(f"{tenant.ledger.path}-wal")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with tenant.ledger.writing() as writer:
        before = writer.total_changes
    act()
    frames = wal.stat().st_size // (24 + 4096)
    return writer.total_changes - before, frames


def test_a_new_member_costs_the_same_in_a_group_of_10_and_of_100000(
    tenant: Tenant, lives: World, foreign: Any
) -> None:
    connection = foreign(tenant.ledger.path)
    take(tenant.ledger, lives, ("join", "g0", ["u0", "u1"]))
    ask_to_add(tenant, "warm")
    small = grown(tenant, connection, lambda: ask_to_add(tenant, "one"))
    crowd(tenant)

    large = grown(tenant, connection, lambda: ask_to_add(tenant, "m050000x"))

    assert large[0] == small[0]
    assert 0 < large[1] <= small[1] + 4


def test_leaving_a_group_of_100000_changes_a_few_rows(
    tenant: Tenant, lives: World, foreign: Any
) -> None:
    connection = foreign(tenant.ledger.path)
    take(tenant.ledger, lives, ("join", "g0", ["u0"]))
    crowd(tenant)

    changes, pages = grown(
        tenant, connection, lambda: take(tenant.ledger, lives, ("leave", "g0", ["u0"]))
    )

    assert changes < 10
    assert 0 < pages < 20
