"""A compiled filter finds what the filter means in memory, and sorts as memory sorts.

So it does by the indexes of attributes that an operator chose.
"""

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from projections.current.indexes import definition_of, keys_of, text_of
from projections.current.resources import Resources
from projections.query.comparison import fold
from projections.query.documents import Documents as Table
from projections.query.matching import matches
from projections.query.model import START, Compare, Filter, Mark, Operator, Path, Query, Type
from projections.state import Resource
from projections.tables import Tables
from scim_api.protocol.filter import parse_filter, parse_sort
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, KINDS, USER, USER_URN
from tests.projections.filters_drawn import combined
from tests.projections.sorting import sort_key

PROPERTY = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

RESOURCES = Resources(KINDS)

Documents = list[dict[str, Any]]


def store(database: Any, documents: Documents) -> None:
    database.execute("DELETE FROM resource")
    database.execute("DELETE FROM resource_email")
    database.execute("DELETE FROM attribute_value")
    for position, document in enumerate(documents, 1):
        database.executemany(
            "INSERT INTO attribute_value VALUES (?, ?, ?)",
            [
                (number, key, position)
                for path, number in INDEXED.items()
                for key in keys_of(path, stored(document))
            ],
        )
        database.execute(
            "INSERT INTO resource VALUES (?, ?, 'User', ?, ?, '', 1, 0, ?)",
            (
                position,
                document["id"],
                fold(document["userName"]),
                document.get("externalId"),
                orjson.dumps(document),
            ),
        )
        emails = document.get("emails")
        keys = {
            fold(email["value"])
            for email in (emails if isinstance(emails, list) else ())
            if isinstance(email, dict) and isinstance(email.get("value"), str) and email["value"]
        }
        database.executemany(
            "INSERT INTO resource_email VALUES (?, ?)", [(key, position) for key in keys]
        )


def stored(document: dict[str, Any]) -> Resource:
    """Return a document as a resource, however unsound its values are."""
    attributes = {key: value for key, value in document.items() if ":" not in key}
    for urn, extension in document.items():
        if ":" in urn and isinstance(extension, dict):
            attributes |= {f"{urn}:{name}": value for name, value in extension.items()}
    times = document.get("meta", {})
    return Resource(
        "User", document["id"], 1, times.get("created"), times.get("lastModified"), attributes
    )


def selected(database: Any, filter: Filter) -> list[int]:
    """Return what is found without the indexes that an operator chose; with them it is the same."""
    found = found_by(database, Table(), filter)
    assert found_by(database, Table(indexes=INDEXED), filter) == found
    return found


def found_by(database: Any, table: Table, filter: Filter) -> list[int]:
    where, parameters = table.where(filter)
    values = database.execute(f"SELECT DISTINCT {where} FROM resource", parameters).fetchall()
    assert {value for (value,) in values} <= {0, 1}
    rows = database.execute(
        f"SELECT position FROM resource WHERE type = 'User' AND {where} ORDER BY position",
        parameters,
    )
    return [position - 1 for (position,) in rows]


def expected(documents: Documents, filter: Filter) -> list[int]:
    return [at for at, document in enumerate(documents) if matches(filter, document)]


# Documents: few letters, so that values often are equal, or part of each other

# Letters whose case folds in odd ways, marks that combine, and signs that LIKE and JSON know:
# long s, I with and without a dot, sigmas
LETTERS = "abABßs\u017fİi\u0307\u0131éeE\u0301ς\u03c3Σ%_\"\\'.*😀"
TEXTS = st.one_of(
    st.sampled_from(["", "a", "A", "ab", "aB", "b", "work", "WORK", "ß", "SS", "ss"]),
    st.text(alphabet=LETTERS, max_size=4),
)
IDS = st.sampled_from(["a", "A", "b", "B", "c"])
INSTANTS = st.sampled_from(
    [
        "2026-01-31T10:00:00Z",
        "2026-01-31T10:00:00.000000Z",
        "2026-01-31T12:00:00+02:00",
        "2026-01-31T10:00:00.123456Z",
        "2026-01-30T10:00:00",
    ]
)
MAYBE_BOOLEAN = st.sampled_from([True, False, None])


def some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


VALUES = st.lists(some(value=TEXTS, type=TEXTS, primary=MAYBE_BOOLEAN, display=TEXTS), max_size=3)
SOUND = st.fixed_dictionaries(
    {
        "schemas": st.sampled_from([[USER_URN], [USER_URN, ENTERPRISE_URN]]),
        "id": IDS,
        "userName": TEXTS,
        "meta": st.fixed_dictionaries({"created": INSTANTS, "resourceType": st.just("User")}),
    },
    optional={
        "externalId": TEXTS,
        "title": st.none() | TEXTS,
        "active": st.booleans(),
        "name": some(familyName=TEXTS, givenName=st.none() | TEXTS),
        "emails": VALUES,
        "x509Certificates": st.lists(some(value=st.sampled_from(["YQ==", "yq=="])), max_size=2),
        ENTERPRISE_URN: some(department=TEXTS, manager=some(**{"value": TEXTS, "$ref": TEXTS})),
    },
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | TEXTS | INSTANTS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["value", "type", "familyName"]), inner, max_size=2)
    ),
    max_leaves=4,
)


INDEXED = {
    parse_sort(name, USER): number
    for number, name in enumerate(
        [
            *("title", "name.familyName", "emails.value", "emails.type", "active", "meta.created"),
            *("x509Certificates", f"{ENTERPRISE_URN}:department"),
            *(f"{ENTERPRISE_URN}:manager.value", f"{ENTERPRISE_URN}:manager.$ref"),
        ]
    )
}


def several(
    documents: st.SearchStrategy[dict[str, Any]], least: int = 1
) -> st.SearchStrategy[Documents]:
    unique = (lambda document: document["id"], lambda document: fold(document["userName"]))
    return st.lists(documents, min_size=least, max_size=4, unique_by=unique)


# What no schema would let in, but another revision of the schema may have
UNSOUND = st.fixed_dictionaries(
    {"id": IDS, "userName": TEXTS},
    optional={
        "title": ANYTHING,
        "active": ANYTHING,
        "name": ANYTHING,
        "emails": ANYTHING,
        "meta": some(created=ANYTHING),
        "schemas": ANYTHING,
        ENTERPRISE_URN: some(department=ANYTHING, manager=ANYTHING) | TEXTS,
    },
)


# Filters

LITERALS = TEXTS.map(json.dumps)
TEXT_TESTS = st.one_of(
    st.builds("{} {}".format, st.sampled_from(list(Operator)), LITERALS),
    st.sampled_from(["pr", "eq null", "ne null"]),
)
EQUALITIES = st.builds("{} {}".format, st.sampled_from(["eq", "ne"]), LITERALS)
BOOLEAN_TESTS = st.sampled_from(["eq true", "ne true", "eq false", "ne false", "eq null", "pr"])
ORDERINGS = ["eq", "ne", "gt", "ge", "lt", "le"]
INSTANT_TESTS = st.one_of(
    st.builds("{} {}".format, st.sampled_from(ORDERINGS), INSTANTS.map(json.dumps)),
    st.sampled_from(['sw "2026-01-31"', 'co "10:00"', 'ew "z"', "eq null", "pr"]),
)


def compared(attributes: list[str], tests: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{} {}".format, st.sampled_from(attributes), tests)


WITHIN = combined(
    st.one_of(
        compared(["value", "type", "display"], TEXT_TESTS),
        compared(["primary"], BOOLEAN_TESTS),
    )
)
TEXT_ATTRIBUTES = [
    *("userName", "externalId", "id", "title", "name.familyName", "name.givenName", "schemas"),
    *("emails", "emails.value", "emails.type"),
    f"{ENTERPRISE_URN}:department",
    f"{ENTERPRISE_URN}:manager.value",
    f"{ENTERPRISE_URN}:manager.$ref",
]
FILTERS = combined(
    st.one_of(
        compared(TEXT_ATTRIBUTES, TEXT_TESTS),
        compared(["active", "emails.primary"], BOOLEAN_TESTS),
        compared(["meta.created"], INSTANT_TESTS),
        compared(["x509Certificates"], EQUALITIES),
        compared(["name", f"{ENTERPRISE_URN}:manager", "addresses"], st.just("pr")),
        st.builds("emails[{}]".format, WITHIN),
        st.builds("emails[{}].value {}".format, WITHIN, TEXT_TESTS),
        st.builds("schemas[value {}]".format, TEXT_TESTS),
    )
)
SORTS = st.sampled_from(
    [*TEXT_ATTRIBUTES, "active", "emails.primary", "meta.created", "x509Certificates"]
)

FULL: dict[str, Any] = {
    "id": "a",
    "userName": "İ",
    "title": None,
    "emails": [{"value": "A%_", "type": "work"}, {"value": "", "primary": True}],
}


@PROPERTY
@example([FULL], 'userName eq "İ" and emails[value eq "a%_" and type eq "work"]')
@example([FULL], 'not (title eq "x") and not (externalId eq "x") and emails eq ""')
@given(several(SOUND), FILTERS)
def test_the_same_resources_are_found(database: Any, documents: Documents, text: str) -> None:
    filter = parse_filter(text, USER)

    store(database, documents)

    assert selected(database, filter) == expected(documents, filter)


@PROPERTY
@given(several(UNSOUND), FILTERS)
def test_values_of_wrong_types_are_treated_the_same(
    database: Any, documents: Documents, text: str
) -> None:
    filter = parse_filter(text, USER)

    store(database, documents)

    assert selected(database, filter) == expected(documents, filter)


@PROPERTY
@given(several(SOUND | UNSOUND, least=2), SORTS, st.booleans())
def test_resources_sort_the_same(
    database: Any, documents: Documents, text: str, descending: bool
) -> None:
    path = parse_sort(text, USER)
    query = Query(sort_by=path, descending=descending)
    order, parameters = Table().order_by(query)

    store(database, documents)
    rows = database.execute(f"SELECT position FROM resource ORDER BY {order}", parameters)

    by_key = sorted(
        range(len(documents)), key=lambda at: sort_key(path, documents[at]), reverse=descending
    )
    assert [position - 1 for (position,) in rows] == by_key
    with_indexes(database)
    for state in ("building", "ready"):
        database.execute("UPDATE attribute_index SET state = ?", (state,))
        assert walked(database, query) == by_key
        pages = [replace(query, start_index=n, count=2) for n in (1, 3)]
        found = (RESOURCES.search(database, "User", page).rows for page in pages)
        assert [row[0] - 1 for rows in found for row in rows] == by_key


def with_indexes(database: Any) -> None:
    database.execute("DELETE FROM attribute_index")
    database.executemany(
        "INSERT INTO attribute_index VALUES (?, 'User', ?, 'ready')",
        [(number, text_of(definition_of("User", path))) for path, number in INDEXED.items()],
    )


def walked(database: Any, query: Query) -> list[int]:
    """Return the places of what a walk by cursor finds."""
    found: list[int] = []
    after: Mark | None = START
    while after:
        page = RESOURCES.search(database, "User", replace(query, after=after, count=1))
        found += [row[0] - 1 for row in page.rows]
        after = page.next
    return found


@pytest.mark.parametrize("value", [True, 1, 1.5, 2, "one", None])
@pytest.mark.parametrize("type_", [Type.INTEGER, Type.DECIMAL])
@pytest.mark.parametrize("operator", list(Operator))
def test_numbers_compare_the_same(
    database: Any, value: Any, type_: Type, operator: Operator
) -> None:
    filter = Compare(Path("size", ("size",), None, type_, False, False), operator, 1)
    documents = [{"id": "a", "userName": "a", "size": value}]

    store(database, documents)

    if operator not in (Operator.CO, Operator.SW, Operator.EW):
        assert selected(database, filter) == expected(documents, filter)


@pytest.mark.parametrize("prefix", ["a", "\ud7ff", "\U0010ffff", "a\U0010ffff", "é", ""])
def test_what_begins_with_a_text_is_one_range_of_an_index(database: Any, prefix: str) -> None:
    texts = ["", prefix, prefix + "\U0010ffff\U0010ffff", prefix + "\ue000", "b", "\ue000", "😀"]
    documents = [{"id": str(n), "userName": str(n), "title": text} for n, text in enumerate(texts)]
    filter = Compare(parse_sort("title", USER), Operator.SW, prefix)

    store(database, documents)

    assert selected(database, filter) == expected(documents, filter)


@pytest.mark.parametrize("operator", list(Operator))
def test_a_value_that_no_value_can_equal_finds_the_same(database: Any, operator: Operator) -> None:
    filter = Compare(parse_sort("meta.created", USER), operator, "soon")
    documents = [{"id": "a", "userName": "a", "meta": {"created": "soon"}}]

    store(database, documents)

    assert selected(database, filter) == expected(documents, filter)


@pytest.mark.parametrize("operator", list(Operator))
def test_null_finds_the_same_with_every_operator(database: Any, operator: Operator) -> None:
    filter = Compare(parse_sort("title", USER), operator, None)
    documents = [{"id": "a", "userName": "a"}, {"id": "b", "userName": "b", "title": "x"}]

    store(database, documents)

    assert selected(database, filter) == expected(documents, filter)


def test_no_client_text_becomes_part_of_the_statement() -> None:
    text = """title eq "'; DROP TABLE resource; --" """

    statement, parameters = Table().where(parse_filter(text, USER))

    assert "DROP" not in statement
    assert "'; drop table resource; --" in parameters


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('userName eq "A"', "resource_name (type=? AND name_key=?)"),
        ('userName eq "A" and active eq true', "resource_name (type=? AND name_key=?)"),
        ('externalId eq "A"', "resource_external (external_id=?)"),
        ('externalId eq "A" and active eq true', "resource_external (external_id=?)"),
        ('id eq "A"', "resource_id (id=?)"),
        ('emails eq "A"', "rowid=?"),
        ('emails[type eq "work" and value eq "A"]', "rowid=?"),
        ('emails[type eq "work"].value eq "A"', "rowid=?"),
    ],
)
def test_common_look_ups_seek_an_index(database: Any, text: str, index: str) -> None:
    where, parameters = Table().where(parse_filter(text, USER))

    plan = database.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM resource WHERE type = 'User' AND {where}", parameters
    ).fetchall()

    assert any(index in step[3] for step in plan)


@pytest.mark.parametrize(
    "text", ['emails eq "A" and emails eq "B"', 'title eq "A" and active eq true']
)
def test_of_two_lists_of_positions_one_is_sought_and_the_other_asked(
    database: Any, text: str
) -> None:
    where, parameters = Table(indexes=INDEXED).where(parse_filter(text, USER))

    plan = database.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM resource WHERE type = 'User' AND {where}", parameters
    ).fetchall()

    assert "(type=? AND rowid=?)" in plan[0][3]


def test_the_tables_and_the_unique_name_are_the_callers_choice() -> None:
    emails, _ = Table(Tables("_2")).where(parse_filter('emails eq "a"', USER))
    name = Table(unique_name="title").where(parse_filter('title eq "A"', USER))

    assert "FROM resource_email_2 WHERE" in emails
    assert name == ("name_key = ?", ["a"])


@pytest.mark.parametrize("word", [" or ", " and "])
def test_the_longest_filter_runs(database: Any, word: str) -> None:
    filter = parse_filter(word.join(['emails[not (type eq "x")]'] * 200), USER)
    documents = [{"id": "a", "userName": "a", "emails": [{"type": "y"}]}]

    store(database, documents)

    assert selected(database, filter) == [0]


def test_the_deepest_filter_runs(database: Any) -> None:
    text = "userName pr"
    for _ in range(31):
        text = f"not (title pr or {text} and userName pr)"
    filter = parse_filter(f"emails pr or {text}", USER)
    documents = [{"id": "a", "userName": "a"}]

    store(database, documents)

    assert selected(database, filter) == expected(documents, filter)
