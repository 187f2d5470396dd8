"""Walks by cursor keep the list's order, whatever the sort and whatever others write."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger import events
from ledger.events import Event
from ledger.sqlite.connection import Connection
from projections.query.model import START, Mark, Page, Path, Query, Type
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.schema.attributes import AllTypes, ResourceType
from scim_api.protocol.schema.resource_types import GROUP, RESOURCE_TYPES, USER
from tests.projections.worlds import HISTORIES, POPULATED, Lived, Step

PROPERTY = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ALL = AllTypes.of(RESOURCE_TYPES)
SIZE = Path("size", ("size",), None, Type.DECIMAL, many=False, case_exact=False)

Person = dict[str, Any]
Walk = list[Page]


def listed(lived: Lived, type_: str | None, query: Query) -> list[str]:
    return ids(lived.resources.search(lived.connection, type_, query))


def ids(page: Page) -> list[str]:
    return [orjson.loads(document)["id"] for document in page.documents]


def walk(
    lived: Lived,
    type_: str | None,
    query: Query,
    meanwhile: Callable[[], object] = lambda: None,
) -> Walk:
    """Read page after page; between two of them something may happen."""
    pages, after = list[Page](), START
    while True:
        page = lived.resources.search(lived.connection, type_, replace(query, after=after))
        pages.append(page)
        assert len(pages) < 100, "the walk does not end"
        if page.next is None:
            return pages
        after = Mark(*orjson.loads(orjson.dumps([page.next.position, page.next.key])))
        meanwhile()


def seen(pages: Walk) -> list[str]:
    return [id_ for page in pages for id_ in ids(page)]


# People: few values, so that there are ties, and often none

WORDS = st.sampled_from(["a", "A", "b", "ß", "SS", "é", "", "z"])
EMAILS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"value": WORDS, "type": WORDS, "primary": st.sampled_from([True, False])}
    ),
    max_size=3,
)
PEOPLE = st.fixed_dictionaries(
    {},
    optional={
        "displayName": WORDS,
        "title": WORDS,
        "active": st.booleans(),
        "name": st.fixed_dictionaries({}, optional={"familyName": WORDS}),
        "emails": EMAILS,
        "size": st.sampled_from([0, -1, 1, 1.0, 0.1, 1e100, 2**53 - 1]),
        "externalId": WORDS,
    },
)
OWN_SORTS = st.sampled_from(
    [
        *("userName", "displayName", "title", "active", "name.familyName", "externalId", "id"),
        *("emails", "emails.type", "emails.primary", "meta.created", "size", None),
    ]
)
OWN_FILTERS = st.sampled_from(
    [None, "active eq true", "title pr", "not (emails pr)", 'userName sw "a"', 'title ge "b"']
)
SORTS = st.one_of(
    st.tuples(st.just(USER), OWN_SORTS | st.sampled_from(["groups.display", "groups.type"])),
    st.tuples(st.just(GROUP), st.sampled_from(["displayName", "members.display", None])),
    st.tuples(
        st.just(ALL),
        st.sampled_from(
            ["displayName", "userName", "meta.resourceType", "members.value", "groups", None]
        ),
    ),
)


def sort_of(text: str | None, resource_type: ResourceType) -> Path | None:
    if text == "size":
        return SIZE
    return parse_sort(text, resource_type) if text else None


def settle(lived: Lived, people: list[Person], prefix: str = "p") -> None:
    for n, person in enumerate(people):
        name = f"{'abAB'[n % 4]}{prefix}{n}"
        lived.record(f"User-{prefix}{n}", Event(events.CREATED, {"userName": name, **person}))


TIED: list[Person] = [{"title": "a"}, {}, {"title": "A"}, {"title": ""}, {}, {"title": "b"}]


@PROPERTY
@example([], TIED, (USER, "title"), None, True, 1)
@example([], TIED, (USER, "title"), None, False, 2)
@example([], TIED, (USER, "userName"), None, True, 1)
@given(
    HISTORIES,
    st.lists(PEOPLE, max_size=8),
    SORTS,
    st.sampled_from([None, "displayName pr", 'id ne "u0"', "groups pr", "not (members pr)"]),
    st.booleans(),
    st.integers(1, 5),
)
def test_a_walk_sees_the_list_in_its_order(
    database: Connection,
    history: list[Step],
    people: list[Person],
    sort: tuple[ResourceType, str | None],
    text: str | None,
    descending: bool,
    count: int,
) -> None:
    resource_type, sort_by = sort
    type_ = None if resource_type is ALL else resource_type.name
    lived = Lived(database, history)
    settle(lived, people)
    filter_ = parse_filter(text, ALL) if text else None
    query = Query(filter=filter_, sort_by=sort_of(sort_by, resource_type), descending=descending)

    whole = listed(lived, type_, query)
    pages = walk(lived, type_, replace(query, count=count))

    assert seen(pages) == whole
    assert {page.total for page in pages} == {len(whole)}
    assert [len(page.rows) for page in pages[:-1]] == [count] * (len(pages) - 1)
    assert (len(pages[-1].rows) > 0) == (len(whole) > 0)


CHANGES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["change", "change", "delete"]), PEOPLE),
    max_size=4,
)


class Others:
    """Four users who come, go and change between the pages of a walk."""

    def __init__(self, lived: Lived, changes: list[list[tuple[int, str, Person]]]) -> None:
        self._lived = lived
        self._changes = iter(changes)
        self._names = 0

    def live(self) -> None:
        for n, action, person in next(self._changes, ()):
            stream = f"User-other{n}"
            known = f"other{n}" in self._lived.known
            if known and action == "delete":
                self._lived.record(stream, Event(events.DELETED))
            else:
                self._names += 1
                name = {"userName": f"{'zaZA'[self._names % 4]}{self._names}"}
                type_ = events.UPDATED if known else events.CREATED
                self._lived.record(stream, Event(type_, {**name, **person}))


@PROPERTY
@given(
    st.lists(PEOPLE, max_size=8),
    st.lists(CHANGES, min_size=1, max_size=10),
    OWN_SORTS,
    OWN_FILTERS,
    st.booleans(),
    st.integers(1, 3),
)
def test_whoever_is_there_unchanged_throughout_is_seen_once_and_in_order(
    database: Connection,
    people: list[Person],
    changes: list[list[tuple[int, str, Person]]],
    sort_by: str | None,
    text: str | None,
    descending: bool,
    count: int,
) -> None:
    lived = Lived(database, [])
    others = Others(lived, changes)
    others.live()  # some are older
    settle(lived, people)
    others.live()
    filter_ = parse_filter(text, USER) if text else None
    query = Query(filter=filter_, sort_by=sort_of(sort_by, USER), descending=descending)

    unchanged = [id_ for id_ in listed(lived, "User", query) if id_.startswith("p")]
    pages = walk(lived, "User", replace(query, count=count), others.live)

    assert [id_ for id_ in seen(pages) if id_.startswith("p")] == unchanged


# Rule by rule


@pytest.fixture
def six(database: Connection) -> Lived:
    lived = Lived(database, [])
    settle(lived, TIED)
    return lived


def test_a_walk_continues_after_a_deleted_resource(six: Lived) -> None:
    query = Query(sort_by=parse_sort("title", USER), count=2)
    left = listed(six, "User", replace(query, count=100))
    gone = iter(left[1::2])

    pages = walk(
        six, "User", query, lambda: six.record(f"User-{next(gone)}", Event(events.DELETED))
    )

    assert seen(pages) == left


def test_a_resource_created_during_a_walk_by_age_comes_last(six: Lived) -> None:
    query = Query(count=5)

    pages = walk(six, "User", query, lambda: settle(six, [{}], "new"))

    assert seen(pages) == ["p0", "p1", "p2", "p3", "p4", "p5", "new0"]


def test_without_a_mark_there_is_no_next_page_to_walk_to(six: Lived) -> None:
    page = six.resources.search(six.connection, "User", Query(count=2))

    assert page.next is None


@pytest.mark.parametrize("sort_by", [None, "title"])
@pytest.mark.parametrize("text", [None, "title pr"])
def test_a_page_of_none_tells_the_total_and_ends_the_walk(
    six: Lived, sort_by: str | None, text: str | None
) -> None:
    query = Query(
        filter=parse_filter(text, USER) if text else None,
        sort_by=sort_of(sort_by, USER),
        count=0,
        after=START,
    )

    page = six.resources.search(six.connection, "User", query)

    assert (page.total, list(page.rows), page.next) == (3 if text else 6, [], None)


def test_the_last_full_page_has_no_next(six: Lived) -> None:
    pages = walk(six, "User", Query(count=3))

    assert [len(page.rows) for page in pages] == [3, 3]


def test_a_walk_across_all_types_sees_users_and_groups(database: Connection) -> None:
    lived = Lived(database, POPULATED)

    pages = walk(lived, None, Query(count=3))

    assert seen(pages) == [id_ for _, id_, _ in POPULATED]


def deep(lived: Lived, query: Query) -> list[str]:
    """Return the plan of the second page of a walk."""
    said: list[str] = []
    first = lived.resources.search(lived.connection, "User", query)
    lived.connection.set_trace_callback(said.append)
    lived.resources.search(lived.connection, "User", replace(query, after=first.next))
    lived.connection.set_trace_callback(None)
    [page] = [statement for statement in said if "document" in statement]
    plan = lived.connection.execute(f"EXPLAIN QUERY PLAN {page}")
    return [step for *_, step in plan]


def test_a_walk_by_age_seeks_its_place(six: Lived) -> None:
    plan = deep(six, Query(count=2, after=START))

    assert "SEARCH resource USING INDEX resource_type (type=? AND rowid>?)" in plan
