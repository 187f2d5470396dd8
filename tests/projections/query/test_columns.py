"""A filter over plain columns finds what it means in memory on a flat document."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger.sqlite.connection import temporary
from projections.query.comparison import fold, instant
from projections.query.matching import matches
from projections.query.model import (
    And,
    AnyValue,
    Compare,
    Filter,
    Not,
    Operator,
    Or,
    Path,
    Present,
    Type,
)
from projections.query.sql import Column, Columns, compiled, register

PROPERTY = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def path(key: str, type_: Type = Type.STRING, *, case_exact: bool = True) -> Path:
    return Path(key, (key,), None, type_, many=False, case_exact=case_exact)


EXACT, FOLDED, SURE = path("exact"), path("folded", case_exact=False), path("sure")
AT, NUMBER, FLAG = (
    path("at", Type.DATE_TIME),
    path("number", Type.INTEGER),
    path("ok", Type.BOOLEAN),
)
TEXTUAL, PATHS = (EXACT, FOLDED, SURE), (EXACT, FOLDED, SURE, AT, NUMBER, FLAG)
COLUMNS = Columns(
    {
        "exact": Column("exact"),
        "folded": Column("folded", folded=True),
        "sure": Column("sure", nullable=False),
        "at": Column("at"),
        "number": Column("number"),
        "ok": Column("ok"),
    }
)
TABLE = (
    "CREATE TABLE record (exact TEXT, folded TEXT, sure TEXT NOT NULL, at TEXT, number INTEGER,"
    " ok INTEGER) STRICT"
)

TEXTS = st.sampled_from(["", "a", "A", "ab", "aB", "b", "ß", "SS", "%", "_"]) | st.text(
    alphabet="abABßs\u017fİi\u0307\u0131éeE\u0301ς\u03c3Σ%_\"\\'.*😀", max_size=4
)
MOMENTS = ["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.5Z", "2026-02-01T00:00:00Z"]
INSTANTS = st.sampled_from([instant(moment) for moment in MOMENTS])
VALUES = {
    "exact": TEXTS,
    "folded": TEXTS,
    "sure": TEXTS,
    "at": INSTANTS,
    "number": st.integers(-2, 2),
    "ok": st.booleans(),
}
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"sure": TEXTS}, optional={k: st.none() | v for k, v in VALUES.items() if k != "sure"}
    ),
    max_size=4,
)
EQUALITY = [Operator.EQ, Operator.NE]
ORDER = [*EQUALITY, Operator.GT, Operator.GE, Operator.LT, Operator.LE]
OPERATORS = {"number": ORDER, "ok": EQUALITY}


def comparisons(of: Path) -> st.SearchStrategy[Filter]:
    operators = st.sampled_from(OPERATORS.get(of.key, list(Operator)))
    null = st.builds(Compare, st.just(of), st.sampled_from(EQUALITY), st.none())
    return null | st.builds(Compare, st.just(of), operators, VALUES[of.key])


LEAVES = st.sampled_from(PATHS).flatmap(comparisons) | st.builds(Present, st.sampled_from(PATHS))
FILTERS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.tuples(inner, inner))
        | st.builds(Or, st.tuples(inner, inner))
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def database() -> Any:
    connection = temporary()
    register(connection)
    connection.execute(TABLE)
    yield connection
    connection.close()


def store(database: Any, records: list[dict[str, Any]]) -> None:
    database.execute("DELETE FROM record")
    for record in records:
        folded = record.get("folded")
        row = {**record, "folded": None if folded is None else fold(folded)}
        database.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
            [row.get(name) for name in COLUMNS.by_key],
        )


@PROPERTY
@given(RECORDS, FILTERS)
@example([{"sure": "a"}], Not(Compare(EXACT, Operator.CO, "a")))
@example([{"sure": "", "folded": "SS"}], Compare(FOLDED, Operator.EQ, "ß"))
@example([{"sure": "", "exact": ""}], Compare(EXACT, Operator.CO, ""))
def test_a_filter_on_columns_means_the_same_as_in_memory(
    database: Any, records: list[dict[str, Any]], filter: Filter
) -> None:
    store(database, records)

    where, parameters = compiled(filter, COLUMNS)
    found = database.execute(f"SELECT {where} FROM record ORDER BY rowid", parameters).fetchall()

    assert [value for (value,) in found] == [int(matches(filter, record)) for record in records]
    assert all(type(value) is int for (value,) in found)


@pytest.mark.parametrize("of", TEXTUAL, ids=lambda of: of.key)
def test_an_index_serves_equality(of: Path) -> None:
    connection = temporary()
    connection.execute(TABLE)
    connection.execute(f"CREATE INDEX by_it ON record ({of.key})")

    where, parameters = compiled(Compare(of, Operator.EQ, "a"), COLUMNS)
    plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT 1 FROM record WHERE {where}", parameters)

    assert "by_it" in plan.fetchone()[3]
    connection.close()


@PROPERTY
@given(FILTERS)
def test_no_client_text_becomes_sql(filter: Filter) -> None:
    where, _ = compiled(filter, COLUMNS)

    assert not set(where) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_ (),<>=?'01")


def test_columns_take_no_brackets() -> None:
    with pytest.raises(ValueError, match="exact has one value"):
        compiled(AnyValue(EXACT, Present(EXACT)), COLUMNS)
