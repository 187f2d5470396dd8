"""The current-state projection: totals, pages and lists, without HTTP."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

import app
from ledger.clock import uuid7
from ledger.contract import Append
from ledger.events import CREATED, DELETED, Event, Metadata
from projections.current import reader, rows
from projections.history import projector
from projections.query import effort
from projections.query.model import START, Query
from projections.state import resource_of
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.schema.resource_types import USER

METADATA = Metadata("operator", "cli", "test")


@pytest.fixture
def tenant(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIM_DATA_DIR", str(tmp_path))
    made = app.console().create("default")
    yield made
    made.close()


def add_users(tenant, count: int) -> list[str]:
    ids = [uuid7() for _ in range(count)]
    users = [
        Append(f"User-{id_}", 0, [Event(CREATED, {"userName": f"user{id_}", "active": True})])
        for id_ in ids
    ]
    tenant.ledger.append(users, METADATA)
    return ids


def delete(tenant, id_: str) -> None:
    tenant.ledger.append([Append(f"User-{id_}", 1, [Event(DELETED)])], METADATA)


def page_ids(tenant, **query) -> list[str]:
    with tenant.ledger.reading() as connection:
        page = tenant.resources.search(connection, "User", Query(**query))
    return [resource_of(document).id for document in page.documents]


def test_pages_are_the_same_as_slices_of_the_whole_list_across_blocks_and_gaps(
    tenant, monkeypatch
) -> None:
    for module in (rows, reader, projector):
        monkeypatch.setattr(module, "LARGE_BLOCK", 2048)
    ids = add_users(tenant, 3000)
    for id_ in ids[100:1200:7]:
        delete(tenant, id_)
    left = [id_ for id_ in ids if id_ not in set(ids[100:1200:7])]

    for start in (1, 2, 90, 700, 900, 1024, 2000, len(left) - 5, len(left), len(left) + 1):
        query = Query(start_index=start, count=60)
        with tenant.ledger.reading() as now, tenant.history.caught_up() as then:
            past = tenant.history.at(tenant.ledger.last_position()).search(then, "User", query)
            assert past == tenant.resources.search(now, "User", query)
        assert [resource_of(each).id for each in past.documents] == left[start - 1 : start + 59]
        assert past.total == len(left)


def test_the_total_counts_existing_resources(tenant) -> None:
    ids = add_users(tenant, 10)
    delete(tenant, ids[3])

    with tenant.ledger.reading() as connection:
        assert tenant.resources.total(connection, "User") == 9


def test_an_import_by_pages_misses_and_doubles_nobody_while_users_arrive(tenant) -> None:
    before = add_users(tenant, 250)
    seen = []
    for start in (1, 101, 201):
        seen += page_ids(tenant, start_index=start, count=100)
        add_users(tenant, 20)

    assert seen[:250] == before


def test_a_list_that_takes_too_long_is_aborted(tenant, monkeypatch) -> None:
    add_users(tenant, 500)
    monkeypatch.setattr(effort, "PATIENCE", -1.0)
    costly = parse_filter(" or ".join(['title co "x"'] * 100), USER)

    with pytest.raises(effort.TooCostly):
        page_ids(tenant, filter=costly)


def test_a_connection_can_read_after_an_aborted_list(tenant, monkeypatch) -> None:
    ids = add_users(tenant, 500)
    with monkeypatch.context() as patience:
        patience.setattr(effort, "PATIENCE", -1.0)
        with pytest.raises(effort.TooCostly):
            page_ids(tenant, filter=parse_filter(" or ".join(['title co "x"'] * 100), USER))

    assert page_ids(tenant, filter=parse_filter("not (title pr)", USER), count=500) == ids


COSTLY = parse_filter(" or ".join(['title co "x"'] * 100), USER)


@pytest.fixture
def one_place(tenant, monkeypatch):
    """Make all reads count as long, with one place for them and two threads."""
    add_users(tenant, 500)
    monkeypatch.setattr(effort, "SHORT", -1.0)
    monkeypatch.setattr(effort, "LONG", 60.0)
    places = effort.Places(1, threads=2)
    monkeypatch.setattr(effort, "_places", places)
    return places


def test_a_read_that_takes_very_long_takes_a_place_and_gives_it_back(
    tenant, one_place, monkeypatch
) -> None:
    monkeypatch.setattr(effort, "LONG", -1.0)

    with one_place:
        assert page_ids(tenant, filter=COSTLY) == page_ids(tenant, filter=COSTLY) == []
        assert one_place.take()
        with pytest.raises(effort.TooManyCostly):
            page_ids(tenant, filter=COSTLY)


def test_a_long_read_is_aborted_when_others_have_no_thread(tenant, one_place) -> None:
    assert one_place.take()

    with one_place, pytest.raises(effort.TooManyCostly):
        page_ids(tenant, filter=COSTLY)


@pytest.mark.parametrize("free", ["place", "thread"])
def test_a_read_that_takes_long_goes_on_while_a_place_or_a_thread_is_free(
    tenant, one_place, free
) -> None:
    with one_place if free == "place" else nullcontext():
        assert free == "place" or one_place.take()

        assert page_ids(tenant, filter=COSTLY) == []


def test_a_read_that_ends_soon_needs_no_place(tenant, monkeypatch) -> None:
    ids = add_users(tenant, 3)
    places = effort.Places(1, threads=1)
    monkeypatch.setattr(effort, "_places", places)

    assert places.take()
    assert page_ids(tenant, sort_by=parse_sort("title", USER)) == ids


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_page_ends_where_its_documents_are_many_bytes_and_none_is_missed(
    tenant, monkeypatch, count
) -> None:
    ids = add_users(tenant, 4)
    monkeypatch.setattr(reader, "MOST_BYTES", 1)  # each page has one
    everyone = parse_filter("userName pr", USER)

    for filter_ in (None, everyone):
        pages = [page_ids(tenant, filter=filter_, start_index=n, count=count) for n in (1, 2, 3, 4)]
        assert [id_ for page in pages for id_ in page] == ids
        query = Query(filter=filter_, count=count, after=START)
        seen = []
        while query.after:
            with tenant.ledger.reading() as connection:
                page = tenant.resources.search(connection, "User", query)
            assert page.total == 4
            seen += page.rows
            query = replace(query, after=page.next)
        assert len(seen) == 4
