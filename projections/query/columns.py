"""Filters as SQL over plain columns: the same meaning as `matching` on a flat document.

For tables of records that are no resources, such as events and requests. Every condition yields 0
or 1, never NULL, so that NOT means what it says; what a client wrote is a bound parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from projections.query.comparison import comparable
from projections.query.model import And, Compare, Filter, Not, Operator, Or, Path, Present, Type
from projections.query.sql import TESTS, Sql


@dataclass(frozen=True, slots=True)
class Column:
    """Where a table keeps an attribute: text, a number, or 0 and 1 for false and true.

    A `folded` column holds comparison.fold(value) and compares whatever the case, any other as it
    stands. A dateTime is kept as comparison.instant gives it. `nullable=False` spares a test.
    """

    sql: str
    nullable: bool = True
    folded: bool = False


def compile_columns(filter: Filter, columns: Mapping[str, Column]) -> Sql:
    """Return a condition on a table's rows and its parameters.

    `columns` are found by the key of an attribute's path; all are of one value. `eq` is a plain
    comparison with the column, so that an index serves it. A connection for reading needs
    sql.register.
    """
    match filter:
        case Compare(path, Operator.NE, value):
            return compile_columns(Not(Compare(path, Operator.EQ, value)), columns)
        case Compare():
            return _compare(filter, columns[filter.path.key])
        case Present(path):
            return _present(path, columns[path.key])
        case Not(term):
            text, parameters = compile_columns(term, columns)
            return f"NOT ({text})", parameters
        case And(terms):
            return _joined(" AND ", terms, columns)
        case Or(terms):
            return _joined(" OR ", terms, columns)
    raise ValueError(f"{filter.path.key} has one value: it takes no brackets")


def _joined(word: str, terms: tuple[Filter, ...], columns: Mapping[str, Column]) -> Sql:
    compiled = [compile_columns(term, columns) for term in terms]
    parameters = [value for _, values in compiled for value in values]
    return f"({word.join(text for text, _ in compiled)})", parameters


def _compare(compare: Compare, column: Column) -> Sql:
    path, operator, value = compare.path, compare.operator, compare.value
    if value is None:
        is_null = operator is Operator.EQ and column.nullable
        return (f"{column.sql} IS NULL" if is_null else "0"), []
    wanted: Any = comparable(replace(path, case_exact=not column.folded), operator, value)
    if wanted is None:
        return "0", []
    return _not_null(column, TESTS[operator].format(column.sql)), [wanted]


def _present(path: Path, column: Column) -> Sql:
    if path.type in (Type.BOOLEAN, Type.INTEGER, Type.DECIMAL):
        return _not_null(column, "1"), []
    return _not_null(column, f"{column.sql} <> ''"), []


def _not_null(column: Column, test: str) -> str:
    return f"({column.sql} IS NOT NULL AND {test})" if column.nullable else test
