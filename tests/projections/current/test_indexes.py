"""Indexes of chosen attributes: built while others write, followed, checked, rebuilt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app
from ledger.clock import uuid7
from ledger.contract import Append, no_progress
from ledger.events import CREATED, DELETED, UPDATED, Event, Metadata
from projections.current import stored_indexes
from projections.current.indexes import READY
from projections.current.stored_indexes import StoredIndexes
from projections.query.model import Query
from projections.state import resource_of
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER
from scim_api.tenants import indexing
from scim_api.tenants.tenants import Tenant

METADATA = Metadata("operator", "cli", "test")
DEPARTMENT = f"{ENTERPRISE_URN}:department"
NAMES = ("title", "name.familyName", DEPARTMENT, "emails.value", "meta.lastModified", "active")


@pytest.fixture
def tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    monkeypatch.setenv("SCIM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(stored_indexes, "CHUNK", 2)
    made = app.console().create("default")
    for number in range(5):
        add(made, str(number), title=f"Title {number % 2}", **{DEPARTMENT: "Sales"})
    yield made
    made.close()


def add(tenant: Tenant, id_: str, **attributes: Any) -> None:
    created = Event(CREATED, {"userName": id_, "active": True, **attributes})
    tenant.ledger.append([Append(f"User-{id_}", 0, [created])], METADATA)


def change(tenant: Tenant, id_: str, version: int, **attributes: Any) -> None:
    event = Event(UPDATED, attributes) if attributes else Event(DELETED)
    tenant.ledger.append([Append(f"User-{id_}", version, [event])], METADATA)


def index(tenant: Tenant, *names: str) -> list[str]:
    return indexing.index(tenant, names, "User", METADATA, no_progress)


def found(tenant: Tenant, filter_: str) -> list[str]:
    query = Query(filter=parse_filter(filter_, USER))
    with tenant.ledger.reading() as connection:
        page = tenant.resources.search(connection, "User", query)
    return [resource_of(document).id for document in page.documents]


def states(tenant: Tenant) -> list[tuple[Any, ...]]:
    return [tuple(each.values()) for each in indexing.indexes(tenant)]


def rows(tenant: Tenant) -> int:
    with tenant.ledger.reading() as connection:
        return int(connection.execute("SELECT count(*) FROM attribute_value").fetchone()[0])


def test_an_index_is_built_for_those_there_are_and_follows_every_change(tenant: Tenant) -> None:
    assert index(tenant, *NAMES) == list(NAMES)
    change(tenant, "0", 1, title="Boss", emails=[{"value": "a@x"}, {"value": "A@X"}])
    change(tenant, "1", 1, title=None, active=False, name={"familyName": "Ito"})
    change(tenant, "2", 1)
    add(tenant, "5", title="boss", **{DEPARTMENT: "sales"})

    assert StoredIndexes(tenant.ledger).check() is None
    assert found(tenant, 'title eq "BOSS"') == ["0", "5"]
    assert found(tenant, f'{DEPARTMENT} eq "sales" and active eq true') == ["0", "3", "4", "5"]
    assert found(tenant, 'emails.value sw "a@" or name.familyName pr') == ["0", "1"]


def test_whoever_is_written_while_an_index_is_built_is_in_it(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def write(done: int, total: int) -> None:
        if not written:
            assert states(tenant) == [("title", "User", "building")]
            assert found(tenant, 'title eq "title 1"') == ["1", "3"]
            written.append(uuid7())
            add(tenant, written[0], title="Title 1")
            change(tenant, "1", 1, title="Title 0")
            change(tenant, "3", 1)

    indexing.index(tenant, ["title"], "User", METADATA, write)

    assert states(tenant) == [("title", "User", READY)]
    assert found(tenant, 'title eq "title 1"') == written
    assert StoredIndexes(tenant.ledger).check() is None


def test_an_index_that_was_cut_off_is_not_used_and_is_finished_by_the_same_command(
    tenant: Tenant,
) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        indexing.index(tenant, ["title"], "User", METADATA, interrupt)

    assert found(tenant, 'title eq "title 1"') == ["1", "3"]
    assert StoredIndexes(tenant.ledger).check() is None
    assert index(tenant, "title") == []
    assert states(tenant) == [("title", "User", READY)]


def test_a_dropped_index_leaves_nothing(tenant: Tenant) -> None:
    index(tenant, "title", DEPARTMENT)

    gone = indexing.unindex(
        tenant, ["TITLE", DEPARTMENT, "nickName"], "User", METADATA, no_progress
    )

    assert sorted(gone) == ["title", DEPARTMENT]
    assert (states(tenant), rows(tenant)) == ([], 0)
    assert found(tenant, 'title eq "title 1"') == ["1", "3"]


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM attribute_value WHERE position = (SELECT max(position) FROM attribute_value)",
        "UPDATE attribute_value SET value_key = 'z' WHERE value_key = 'title 1'",
        "INSERT INTO attribute_value VALUES (1, 'a', 99)",
        "DELETE FROM attribute_index",
        "INSERT INTO attribute_index SELECT 7, type, definition, state FROM attribute_index",
    ],
)
def test_a_check_finds_what_was_edited_and_a_rebuild_repairs_it(
    tenant: Tenant, edit: str, foreign: Any
) -> None:
    index(tenant, "title")
    before = rows(tenant)
    foreign(tenant.ledger.path).execute(edit)

    stored = StoredIndexes(tenant.ledger)
    difference = stored.check()
    stored.rebuild()

    assert difference is not None
    assert stored.check() is None
    assert states(tenant) == [("title", "User", READY)]
    assert rows(tenant) == before


def test_the_first_row_that_differs_is_named(tenant: Tenant, foreign: Any) -> None:
    index(tenant, "title")
    foreign(tenant.ledger.path).execute("DELETE FROM attribute_value WHERE value_key = 'title 1'")

    difference = str(StoredIndexes(tenant.ledger).check())

    assert (
        "projection indexes: table attribute_value differs from a rebuild at number" in difference
    )
