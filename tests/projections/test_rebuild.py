"""Projections can be thrown away: a rebuild gives the same bytes, also while the service writes."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st

import app
from ledger import clock, events
from ledger.contract import NO_STREAM, Append, LedgerUnavailable
from ledger.events import Event, Metadata
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger
from projections import runner
from projections.current.resources import Resources
from projections.current.uniqueness import NotUnique
from projections.query import comparison
from projections.runner import StoredProjection
from projections.state import resource_of
from projections.tables import BLOCK, LARGE_BLOCK, SWEEP
from scim_api import wiring
from scim_api.protocol.schema.resource_types import KINDS
from scim_api.tenants.tenants import Tenant
from tests.projections.worlds import fold

PROCESSES = Path(__file__).parents[1] / "ledger" / "processes.py"
TABLES = ("resource", "resource_email", "resource_census", "credential")
METADATA = Metadata("operator", "test", "txn", {"method": "POST"})

Run = Callable[..., Result]


@pytest.fixture
def projected(history: Path) -> Iterator[Tenant]:
    """Open a copy of the template, a ledger of 30 mixed events."""
    tenant = wiring.open_tenant(history)
    yield tenant
    tenant.close()


def contents(ledger: SQLiteLedger) -> dict[str, list[tuple[Any, ...]]]:
    with ledger.reading() as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in TABLES
        }


def tables(ledger: SQLiteLedger) -> set[str]:
    with ledger.reading() as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}


def create(name: str, **attributes: Any) -> Append:
    effects = {"userName": name, "active": True, **attributes}
    return Append(f"User-{clock.uuid7()}", NO_STREAM, [Event(events.CREATED, effects)])


def faults(tenant: Tenant) -> list[runner.Difference | None]:
    return [p.check() for p in wiring.projections_of(tenant)]


# The same bytes


def test_a_rebuild_gives_the_same_bytes(projected: Tenant) -> None:
    before = contents(projected.ledger)

    for projection in wiring.projections_of(projected):
        projection.rebuild()

    assert contents(projected.ledger) == before
    assert all(before.values())


def test_a_rebuild_repairs_manual_edits(
    projected: Tenant, foreign: Callable[[Path], Connection]
) -> None:
    before = contents(projected.ledger)
    foreign(projected.ledger.path).execute("DELETE FROM resource")

    StoredProjection(projected.ledger, projected.resources).rebuild()

    assert contents(projected.ledger) == before


def test_a_rebuild_returns_the_position_it_reached(projected: Tenant) -> None:
    assert StoredProjection(projected.ledger, projected.resources).rebuild() == 30


def test_a_rebuild_leaves_no_tables_next_to_the_live_ones(projected: Tenant) -> None:
    before = tables(projected.ledger)

    StoredProjection(projected.ledger, projected.resources).rebuild()

    assert tables(projected.ledger) == before


def test_a_rebuilt_projection_goes_on_following(projected: Tenant) -> None:
    for _ in range(2):
        StoredProjection(projected.ledger, projected.resources).rebuild()

    projected.ledger.append([create("new@example.com")], METADATA)

    assert faults(projected) == [None, None, None, None]


def test_names_stay_unique_after_a_rebuild(projected: Tenant) -> None:
    StoredProjection(projected.ledger, projected.resources).rebuild()

    with pytest.raises(NotUnique):
        projected.ledger.append([create("USER1@example.com")], METADATA)


def test_progress_is_reported_once_per_chunk(tenant: Tenant) -> None:
    tenant.ledger.append([create(f"user{n}") for n in range(1200)], METADATA)
    told: list[tuple[int, int]] = []

    StoredProjection(tenant.ledger, tenant.resources).rebuild(
        lambda done, end: told.append((done, end))
    )

    assert told == [(1200, 1201)]  # the first event is of no resource
    assert faults(tenant) == [None, None, None, None]


# While others write


def test_a_threads_writes_during_a_rebuild_are_not_lost(tenant: Tenant) -> None:
    tenant.ledger.append([create(f"user{n}") for n in range(1200)], METADATA)
    enough = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not enough.is_set():
            user = create(f"meanwhile{len(written)}")
            written.append(tenant.ledger.append([user], METADATA)[0].position)

    def wait_for_a_write(done: int, end: int) -> None:
        before = len(written)
        while len(written) == before and writer.is_alive():
            pass

    writer = threading.Thread(target=write)
    writer.start()
    StoredProjection(tenant.ledger, tenant.resources).rebuild(wait_for_a_write)
    enough.set()
    writer.join()

    assert len(written) >= 2
    assert len(contents(tenant.ledger)["resource"]) == 1200 + len(written)
    assert faults(tenant) == [None, None, None, None]


@pytest.mark.slow
def test_another_processs_writes_during_a_rebuild_are_not_lost(tenant: Tenant) -> None:
    tenant.ledger.append([create(f"user{n}") for n in range(600)], METADATA)
    command = [sys.executable, str(PROCESSES), "append", str(tenant.ledger.path), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        writer.stdout.readline()

        while writer.poll() is None:
            StoredProjection(tenant.ledger, tenant.resources).rebuild()

    assert writer.returncode == 0
    assert len(contents(tenant.ledger)["resource"]) == 660
    assert faults(tenant) == [None, None, None, None]


def test_readers_see_the_live_tables_whole_throughout(projected: Tenant) -> None:
    before = contents(projected.ledger)
    enough = threading.Event()
    seen: list[object] = []

    def read() -> None:
        while not enough.is_set():
            try:
                seen.append(contents(projected.ledger))
            except LedgerUnavailable as error:
                seen.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(8):
        StoredProjection(projected.ledger, projected.resources).rebuild()
    enough.set()
    reader.join()

    assert [state for state in seen if state != before] == []


def test_a_check_during_writing_finds_no_difference(projected: Tenant) -> None:
    def write(done: int, end: int) -> None:
        projected.ledger.append([create(f"during{done}@example.com")], METADATA)

    projected.ledger.append([create(f"user{n}") for n in range(1000)], METADATA)

    assert StoredProjection(projected.ledger, projected.resources).check(write) is None


# Checking

EDITS = {
    "UPDATE resource SET version = 9 WHERE position = 4": (
        "table resource differs from a rebuild at position 4 (version)"
    ),
    "UPDATE resource SET name_key = 'x' || id, external_id = 'y' WHERE position IN (4, 6)": (
        "table resource differs from a rebuild at position 4 (name_key, external_id)"
    ),
    "DELETE FROM resource WHERE position = 5": (
        "table resource differs from a rebuild at position 5 (the whole row)"
    ),
    "INSERT INTO resource VALUES (99, 'i', 'User', 'n', NULL, 'n', 1, 0, x'7b7d')": (
        "table resource differs from a rebuild at position 99 (the whole row)"
    ),
    "INSERT INTO resource_email VALUES ('zoe@example.com', 4)": (
        "table resource_email differs from a rebuild at email_key zoe@example.com, position 4"
        " (the whole row)"
    ),
    "UPDATE resource_census SET live = 7": (
        "table resource_census differs from a rebuild at type User, size 1024, block 0 (live)"
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_check_names_the_first_row_that_was_edited(
    edit: str, projected: Tenant, foreign: Callable[[Path], Connection]
) -> None:
    foreign(projected.ledger.path).execute(edit)

    difference = StoredProjection(projected.ledger, projected.resources).check()

    assert str(difference) == f"projection resources: {EDITS[edit]}"


def test_a_check_changes_nothing(projected: Tenant, foreign: Callable[[Path], Connection]) -> None:
    foreign(projected.ledger.path).execute("UPDATE resource SET version = 9 WHERE position = 4")
    before = contents(projected.ledger)

    StoredProjection(projected.ledger, projected.resources).check()

    assert contents(projected.ledger) == before


def test_the_check_command_exits_with_3_and_names_the_row(
    history: Path, run: Run, foreign: Callable[[Path], Connection]
) -> None:
    foreign(history).execute("UPDATE resource SET version = 9 WHERE position = 4")

    result = run("projections", "check")

    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        "tree: not built yet",
        "credentials: the same rows as a rebuild gives",
        "configuration: the same rows as a rebuild gives",
        "projection resources: table resource differs from a rebuild at position 4 (version)",
        "indexes: the same rows as a rebuild gives",
        "history: not built yet",
    ]


# Revisions


class NextResources(Resources):
    """The projection as a later version of the program may have it."""

    revision = Resources.revision + 1

    def twin(self, suffix: str) -> Resources:
        return NextResources(KINDS, suffix)


def test_a_projection_of_another_revision_is_outdated(projected: Tenant) -> None:
    later = NextResources(KINDS)

    outdated = runner.outdated(projected.ledger, [projected.credentials, later])

    assert outdated == [later]


@pytest.mark.parametrize("command", ["list", "check"])
def test_an_outdated_projection_is_neither_counted_nor_checked(
    history: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(Resources, "revision", Resources.revision + 1)

    ended = run("projections", command)

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "run `scim-ledger migrate`" in ended.stderr


def test_a_rebuild_brings_the_revision_up_to_date(projected: Tenant) -> None:
    later = NextResources(KINDS)

    StoredProjection(projected.ledger, later).rebuild()

    assert runner.outdated(projected.ledger, [later]) == []


def test_a_ledger_with_an_outdated_projection_is_not_opened_before_it_is_migrated(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Resources, "revision", Resources.revision + 1)

    with pytest.raises(LedgerUnavailable, match="run `scim-ledger migrate`"):
        wiring.open_tenant(history)

    assert app.console().migrate("acme") == ["built projection resources"]
    wiring.open_tenant(history).close()


def test_projections_that_were_never_built_are_outdated(ledger: SQLiteLedger) -> None:
    resources = Resources(KINDS)

    assert runner.outdated(ledger, [resources]) == [resources]


def test_the_status_tells_revision_position_and_rows(projected: Tenant) -> None:
    [credentials, configuration, resources, indexes] = [
        each.status() for each in wiring.projections_of(projected)
    ]

    assert (credentials.name, credentials.rows) == (
        "credentials",
        {"credential": 3, "secret": 3},
    )
    assert (configuration.name, configuration.rows) == ("configuration", {"configuration": 0})
    assert (resources.revision, resources.position) == (Resources.revision, 30)
    assert {table: rows for table, rows in resources.rows.items() if rows} == {
        "resource": 5,
        "resource_email": 5,
        "resource_census": 2,
    }
    assert set(resources.rows) == set(Resources.tables)
    assert (indexes.name, set(indexes.rows.values())) == ("indexes", {0})


# What was cut off


def test_the_remains_of_a_rebuild_cut_off_are_swept(projected: Tenant) -> None:
    twin = projected.resources.twin("_building_0badcafe")
    with projected.ledger.writing() as connection:
        twin.create_tables(connection)
        connection.execute("CREATE TABLE resource_retired_building_0badcafe (position INTEGER)")
        connection.executemany(
            "INSERT INTO resource_email_building_0badcafe VALUES ('x', ?)",
            [(n,) for n in range(2 * SWEEP + 1)],
        )
    assert len([name for name in tables(projected.ledger) if "building" in name]) == 9

    StoredProjection(projected.ledger, projected.resources).rebuild()

    assert [name for name in tables(projected.ledger) if "building" in name] == []
    assert faults(projected) == [None, None, None, None]


def test_a_rebuild_leaves_other_projections_alone(projected: Tenant) -> None:
    with projected.ledger.writing() as connection:
        projected.resources.twin("_building_0badcafe").create_tables(connection)

    StoredProjection(projected.ledger, projected.credentials).rebuild()

    assert "resource_building_0badcafe" in tables(projected.ledger)


# Random histories

NAMES = st.sampled_from(["jane", "JANE", "Joe", "Zoë", "Straße", "STRASSE"])
EMAILS = st.lists(
    st.fixed_dictionaries({}, optional={"value": st.sampled_from(["", "a@x", "A@X", "b@x"])}),
    max_size=3,
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "userName": NAMES,
        "emails": st.none() | EMAILS,
        "externalId": st.none() | st.sampled_from(["1", "2"]),
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": st.none()
        | st.just("R&D"),
    },
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["update", "update", "deactivate", "reactivate", "delete"]),
        st.integers(0, 2),
        CHANGES,
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the closed file of a ledger without users."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIM_DATA_DIR", str(folder))
        app.console().create("acme").close()
    return folder / "acme" / "ledger.db"


def take(tenant: Tenant, step: tuple[str, int, dict[str, Any]]) -> None:
    """Take one step in the history of a user, who is created where there is none."""
    action, n, changes = step
    stream = f"User-{n}"
    known = tenant.ledger.read_stream(stream)
    if fold(known) is None:
        action = "create"
    event = {
        "create": Event(events.CREATED, {"userName": f"u{n}", "active": True, **changes}),
        "update": Event(events.UPDATED, changes),
        "deactivate": Event(events.DEACTIVATED, {"active": False}),
        "reactivate": Event(events.REACTIVATED, {"active": True}),
        "delete": Event(events.DELETED),
    }[action]
    try:
        tenant.ledger.append([Append(stream, len(known), [event])], METADATA)
    except NotUnique:
        assert len(tenant.ledger.read_stream(stream)) == len(known)


@pytest.mark.slow
@settings(max_examples=40)
@given(STEPS)
def test_whatever_happened_the_live_rows_are_those_of_a_rebuild(
    empty: Path, steps: list[tuple[str, int, dict[str, Any]]]
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(shutil.copy(empty, folder))
        tenant = wiring.open_tenant(path)
        for step in steps:
            take(tenant, step)
        live = contents(tenant.ledger)

        folded = [fold(tenant.ledger.read_stream(f"User-{n}")) for n in range(3)]
        StoredProjection(tenant.ledger, tenant.resources).rebuild()
        rebuilt = contents(tenant.ledger)
        tenant.close()

    assert rebuilt == live
    assert {r.id: r for r in folded if r} == {
        row[1]: resource_of(row[8]) for row in live["resource"]
    }
    assert what_the_documents_say(live["resource"]) == {
        "resource": [row[:7] for row in live["resource"]],
        "resource_email": live["resource_email"],
        "resource_census": live["resource_census"],
    }


def what_the_documents_say(rows: list[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the columns and tables that only serve look-ups, worked out from the documents."""
    found = [(position, resource_of(document)) for position, *_, document in rows]
    emails = {
        (comparison.fold(email["value"]), position)
        for position, resource in found
        for email in resource.attributes.get("emails", ())
        if email.get("value")
    }
    return {
        "resource": [
            (
                position,
                resource.id,
                "User",
                comparison.fold(resource.attributes["userName"]),
                resource.attributes.get("externalId"),
                resource.attributes["userName"],
                resource.version,
            )
            for position, resource in found
        ],
        "resource_email": sorted(emails),
        "resource_census": [
            ("User", size, 0, len(found)) for size in (BLOCK, LARGE_BLOCK) if found
        ],
    }
