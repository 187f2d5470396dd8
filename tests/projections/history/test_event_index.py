"""The index of events: filters, pages, indexes used, erased events."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger import events
from ledger.events import Recorded
from ledger.sqlite.connection import temporary
from projections.history.contents import NOTHING
from projections.history.event_index import EventIndex, EventQuery, bounds
from projections.history.projector import HistoryProjector
from projections.query.comparison import fold
from projections.query.matching import matches
from projections.query.model import Filter
from scim_api.audit.event_filters import EVENT
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.schema.resource_types import KINDS

PROPERTY = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Document = dict[str, Any]

TYPES = ["Created", "Updated", "Deactivated"]
STREAMS = ["User-1", "User-2", "Users-1", "Group-1", "Use"]
NAMES = ["Ada", "ada", "Straße", ""]
CLIENTS = ["Okta", "Entra", None]
UUID = "0192aeb1-7c1e-7000-8000-00000000abcd"
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]


def at(day: str) -> str:
    return f"{day}T12:00:00.000000Z"


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.sampled_from(DAYS).map(at),
            "type": st.sampled_from(TYPES),
            "stream": st.sampled_from(STREAMS),
            "actor": st.sampled_from(["a", "b"]),
            "via": st.sampled_from(["scim.put", "cli"]),
            "txn": st.sampled_from(["t", UUID]),
            "client": st.sampled_from(CLIENTS),
            "requestId": st.sampled_from(["r", UUID, UUID.upper(), None]),
            "operator": st.sampled_from(["root", None]),
            "userName": st.sampled_from(NAMES),
        }
    ),
    max_size=8,
).map(
    lambda rows: [
        {**row, "position": n} | ({} if is_of_user(row) else {"userName": None})
        for n, row in enumerate(in_time(rows), 1)
    ]
)


def is_of_user(row: Document) -> bool:
    return bool(row["stream"].startswith("User-"))


def in_time(rows: list[Document]) -> list[Document]:
    return sorted(rows, key=lambda row: str(row["at"]))


VALUES = {
    "type": TYPES,
    "stream": STREAMS,
    "resourceType": ["User", "Group", "Use"],
    "actor": ["a", "b"],
    "client": ["Okta"],
    "requestId": ["r", UUID, UUID.upper(), UUID[:9]],
    "txn": ["t", UUID, UUID[-4:]],
    "operator": ["root"],
    "userName": ["ADA", "STRASSE", ""],
    "at": [*DAYS, *map(at, DAYS), "2026-01-01T13:00:00+01:00", "2030-01-01"],
}
WORDS = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.builds(
        '{} {} "{}"'.format,
        st.just(name),
        st.sampled_from("eq ne co sw ew gt ge lt le".split()),
        st.sampled_from(VALUES[name]),
    )
)
NUMBERS = st.builds(
    "position {} {}".format, st.sampled_from("eq ne gt ge lt le".split()), st.integers(-1, 9)
)
PRESENT = st.sampled_from([f"{name} {rest}" for name in VALUES for rest in ("pr", "eq null")])
FILTERS = st.recursive(
    WORDS | NUMBERS | PRESENT,
    lambda inner: (
        st.builds("not ({})".format, inner)
        | st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
    ),
    max_leaves=4,
).map(lambda text: parse_filter(text, EVENT))


@pytest.fixture(scope="module")
def database() -> Any:
    connection = temporary()
    history = HistoryProjector(KINDS)
    history.create_tables(connection)
    history.prepare(connection)
    yield connection
    connection.close()


def fill(database: Any, documents: list[Document]) -> EventIndex:
    """Fill the index; each event of a user sets the user's name."""
    for table in HistoryProjector.tables:
        database.execute(f"DELETE FROM {table}")
    entries, streams = EventIndex(), dict[str, int]()
    entries.begin(database)
    for version, document in enumerate(documents, 1):
        position, stream = document["position"], document["stream"]
        number = streams.setdefault(stream, position)
        entries.add(event_of(document, version), number, stream.partition("-")[0], NOTHING)
        if document["userName"] is not None:
            name(database, number, position, fold(document["userName"]))
    entries.write(database)
    return entries


def event_of(document: Document, version: int) -> Recorded:
    request = {"client": "client", "id": "requestId", "operator": "operator"}
    payload = {f"request.{name}": document[key] for name, key in request.items()}
    return recorded(
        **{name: document[name] for name in ("position", "at", "type", "stream")},
        **{name: document[name] for name in ("actor", "via", "txn")},
        version=version,
        payload={key: value for key, value in payload.items() if value is not None},
    )


def name(database: Any, stream: int, since: int, key: str) -> None:
    """Give the user of a stream a name from a position on."""
    if stream == since:
        database.execute(
            "INSERT INTO life VALUES (?, ?, ?, 'User', 99)", (stream, stream, str(stream))
        )
    database.execute("INSERT INTO life_name VALUES (?, ?, ?, '')", (stream, since, key))
    row = key, stream, since
    database.execute("INSERT INTO resource_key VALUES ('name', ?, ?, ?, 99)", row)


def whole(document: Document) -> Document:
    return {**document, "resourceType": document["stream"].partition("-")[0]}


@PROPERTY
@given(ROWS, FILTERS)
@example([], parse_filter('not (at ge "2026-01-02")', EVENT))
def test_a_filter_over_entries_means_the_same_as_in_memory(
    database: Any, documents: list[Document], filter: Filter
) -> None:
    entries = fill(database, documents)

    found = entries.page(database, EventQuery(filter=filter, newest_first=False))

    assert found.positions == [d["position"] for d in documents if matches(filter, whole(d))]
    assert (found.older, found.newer) == (False, False)


@PROPERTY
@given(ROWS, FILTERS, st.booleans(), st.integers(1, 3), st.integers(0, 9))
def test_pages_in_either_direction_come_to_the_whole_and_back(
    database: Any,
    documents: list[Document],
    filter: Filter,
    newest_first: bool,
    count: int,
    upto: int,
) -> None:
    entries = fill(database, documents)

    def page(**bounds: int) -> Any:
        query = EventQuery(filter=filter, newest_first=newest_first, count=count, **bounds)
        return entries.page(database, query, upto)

    def following(found: Any) -> Any:
        last = found.positions[-1]
        return page(before=last) if newest_first else page(after=last)

    def preceding(found: Any) -> Any:
        first = found.positions[0]
        return page(after=first) if newest_first else page(before=first)

    pages = [page()]
    while pages[-1].older if newest_first else pages[-1].newer:
        pages.append(following(pages[-1]))
    back = [pages[-1]]
    while back[-1].newer if newest_first else back[-1].older:
        back.append(preceding(back[-1]))

    expected = [
        d["position"] for d in documents if d["position"] <= upto and matches(filter, whole(d))
    ]
    assert [p for each in pages for p in each.positions] == (
        expected[::-1] if newest_first else expected
    )
    assert sorted(p for each in back for p in each.positions) == expected


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"after": 4, "before": 7}, ([6, 5], False, False)),
        ({"after": 2, "before": 9}, ([8, 7], True, False)),
        ({"after": 8}, ([9], True, False)),
        ({"after": 9}, ([], True, False)),
        ({"after": 99}, ([], True, False)),
        ({"before": 1}, ([], False, True)),
        ({"before": 0}, ([], False, True)),
        ({"before": 99}, ([9, 8], True, False)),
    ],
    ids=str,
)
def test_bounds_are_exclusive(database: Any, bounds: Any, expected: Any) -> None:
    entries = fill(database, [sample(position) for position in range(1, 10)])

    assert entries.page(database, EventQuery(count=2, **bounds)) == expected


BOUNDS = st.none() | st.integers(0, 12)


@PROPERTY
@given(BOUNDS, BOUNDS, st.booleans(), st.integers(1, 4), st.integers(0, 9))
def test_without_a_filter_no_table_is_needed(
    database: Any, after: Any, before: Any, newest_first: bool, count: int, upto: int
) -> None:
    asked = {"after": after, "before": before, "newest_first": newest_first, "count": count}
    entries = fill(database, [sample(position) for position in range(1, 10)])

    query = EventQuery(**asked)
    assert query.every(upto) == entries.page(database, query, upto)


def sample(position: int, **changes: Any) -> Document:
    defaults = dict.fromkeys(("client", "requestId", "operator", "userName"))
    return {
        "position": position,
        "at": at("2026-01-01"),
        "type": "Updated",
        "stream": f"User-{position}",
        "actor": "a",
        "via": "cli",
        "txn": "t",
        **defaults,
        **changes,
    }


@pytest.mark.parametrize(
    "asked",
    [
        'stream eq "x"',
        'type eq "x"',
        'resourceType eq "x"',
        'actor eq "x"',
        'txn eq "x"',
        'requestId eq "x"',
        'userName eq "x"',
        'type eq "x" and at ge "2026-01-02"',
    ],
)
def test_an_index_finds_equal_values_in_order(database: Any, asked: str) -> None:
    entries = fill(database, [sample(1)])
    traced: list[str] = []
    database.set_trace_callback(traced.append)

    entries.page(database, EventQuery(filter=parse_filter(asked, EVENT)))

    database.set_trace_callback(None)
    [query] = [text for text in traced if "LIMIT" in text]
    plan = " ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "USING" in plan and "INDEX entry_" in plan
    assert "TEMP B-TREE" not in plan or asked.startswith("userName")  # of few events


def test_the_index_of_few_events_is_used_before_that_of_many(database: Any) -> None:
    entries = fill(database, [sample(1)])
    traced: list[str] = []
    database.set_trace_callback(traced.append)

    entries.page(
        database, EventQuery(filter=parse_filter('type eq "Updated" and stream eq "User-1"', EVENT))
    )

    database.set_trace_callback(None)
    [query] = [text for text in traced if "LIMIT" in text]
    plan = " ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "entry_stream" in plan and "entry_type" not in plan


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("position ge 4 and position lt 9", range(4, 9)),
        ("position gt 4 and (position le 9 and type pr)", range(5, 10)),
        ("position eq 4", range(4, 5)),
        ("position eq 4 or position eq 9", range(4, 10)),
        ("position eq 4 or type pr", range(1, 21)),
        ("not (position eq 4)", range(1, 21)),
        ("position lt 0 or position gt 50", range(0)),
        ("position ne 4", range(1, 21)),
    ],
)
def test_only_the_positions_that_a_filter_leaves_are_searched(asked: str, expected: range) -> None:
    assert bounds(parse_filter(asked, EVENT), range(1, 21)) == expected


def recorded(**changes: Any) -> Recorded:
    fields = {
        "position": 7,
        "id": "e",
        "stream": "User-1",
        "version": 1,
        "type": events.UPDATED,
        "revision": 1,
        "at": at("2026-01-01"),
        "txn": "t",
        "actor": "a",
        "via": "scim.put",
        "payload": {
            "title": "x",
            "request.client": "Okta SCIM Client 1.0.0",
            "request.id": "r",
            "request.operator": "root",
        },
    }
    return Recorded(**(fields | changes))


def test_an_unknown_client_family_has_no_events(database: Any) -> None:
    entries = fill(database, [sample(1, client="unknown"), sample(2, client="Okta SCIM Client 1")])

    assert entries.page(
        database, EventQuery(filter=parse_filter("client pr", EVENT))
    ).positions == [2]


def test_an_erased_user_is_not_found_by_personal_data(database: Any) -> None:
    entries = fill(
        database,
        [
            sample(1, client="Okta", requestId="r", operator="o", userName="Ada"),
            sample(2, client="Okta", requestId="r", operator="o", userName="Ada"),
        ],
    )

    entries.forget(database, 1, 3)

    for asked in ('client eq "Okta"', 'requestId eq "r"', 'operator eq "o"'):
        assert entries.page(database, EventQuery(filter=parse_filter(asked, EVENT))).positions == [
            2
        ]
    assert entries.page(
        database, EventQuery(filter=parse_filter('type eq "Updated"', EVENT))
    ).positions == [2, 1]
