"""Filters as SQL, with the same meaning as `matching`: the compiler, and tables of plain columns.

Every condition yields 0 or 1, never NULL, so that NOT means what it says. What a client wrote is
a bound parameter.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from projections.query.comparison import comparable, fold, instant, number_key
from projections.query.model import (
    And,
    AnyValue,
    Compare,
    Connective,
    Filter,
    Leaf,
    Operator,
    Path,
    Present,
    Type,
    reduce,
)

Sql = tuple[str, list[Any]]

TESTS = {
    Operator.EQ: "{} = ?",
    Operator.CO: "instr({}, ?) > 0",  # no LIKE: a client's % and _ are plain characters
    Operator.SW: "instr({}, ?) = 1",
    Operator.EW: "scim_ends_with({}, ?)",
    Operator.GT: "{} > ?",
    Operator.GE: "{} >= ?",
    Operator.LT: "{} < ?",
    Operator.LE: "{} <= ?",
}


class Source(Protocol):
    """SQL for the comparisons of a filter, by the columns of one table."""

    def compare(self, compare: Compare) -> Sql:
        """Return a condition for any operator but `ne`."""
        ...

    def present(self, path: Path) -> Sql:
        """Return a condition that there is a non-empty value at or under the path."""
        ...

    def any_value(self, filter: AnyValue) -> Sql:
        """Return a condition that one value satisfies the filter in the brackets."""
        ...


def compiled(filter: Filter, source: Source) -> Sql:
    """Return a condition on the rows of a table, and its parameters.

    The connection that runs it needs `register`.
    """

    def leaf(leaf: Leaf) -> Sql:
        match leaf:
            case Compare(operator=Operator.NE):
                return _negated(source.compare(replace(leaf, operator=Operator.EQ)))
            case Compare():
                return source.compare(leaf)
            case Present(path):
                return source.present(path)
        return source.any_value(leaf)

    return reduce(filter, leaf, negate=_negated, join=_joined)


def _negated(term: Sql) -> Sql:
    return f"NOT ({term[0]})", term[1]


def _joined(connective: Connective, terms: Iterator[Sql]) -> Sql:
    word = " AND " if connective is And else " OR "
    texts, parameters = zip(*terms, strict=True)
    return f"({word.join(texts)})", [value for values in parameters for value in values]


def register(connection: Any) -> None:
    """Register the functions that compiled conditions call."""

    def register(name: str, function: Callable[..., Any], arguments: int = 1) -> None:
        connection.create_function(name, arguments, function, deterministic=True)

    register("scim_fold", lambda value: fold(value) if isinstance(value, str) else None)
    register("scim_instant", lambda value: instant(value) if isinstance(value, str) else None)
    register("scim_number", number_key)
    register("scim_ends_with", lambda text, end: isinstance(text, str) and text.endswith(end), 2)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that holds an attribute: text, a number, or 0 and 1 for false and true.

    A `folded` column holds comparison.fold(value) and ignores case, any other compares as it is.
    A dateTime is stored as comparison.instant returns it. `nullable=False` spares a test.
    """

    sql: str
    nullable: bool = True
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """A table of records such as events and requests: one column an attribute, by its key.

    `eq` is a plain comparison with the column, so that an index serves it.
    """

    by_key: Mapping[str, Column]

    def compare(self, compare: Compare) -> Sql:
        path, operator = compare.path, compare.operator
        column = self.by_key[path.key]
        if compare.value is None:
            is_null = operator is Operator.EQ and column.nullable
            return (f"{column.sql} IS NULL" if is_null else "0"), []
        wanted: Any = comparable(
            replace(path, case_exact=not column.folded), operator, compare.value
        )
        if wanted is None:
            return "0", []
        return _not_null(column, TESTS[operator].format(column.sql)), [wanted]

    def present(self, path: Path) -> Sql:
        column = self.by_key[path.key]
        is_number = path.type in (Type.BOOLEAN, Type.INTEGER, Type.DECIMAL)
        return _not_null(column, "1" if is_number else f"{column.sql} <> ''"), []

    def any_value(self, filter: AnyValue) -> Sql:
        raise ValueError(f"{filter.path.key} has one value: it takes no brackets")


def _not_null(column: Column, test: str) -> str:
    return f"({column.sql} IS NOT NULL AND {test})" if column.nullable else test
