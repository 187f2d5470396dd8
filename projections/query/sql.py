"""Filters and sorts as SQL over the `resource` table: the same meaning as `matching`, faster.

Every condition yields 0 or 1, never NULL, so that NOT means what it says. What a client wrote,
and every JSON path, is a bound parameter. The common look-ups become index seeks. No document
holds U+0000 (the tolerances refuses it): text given to SQL functions would end there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.sqlite.connection import Connection
from projections.query import kinship
from projections.query.comparison import by_instant, comparable, fold, instant, missing, number_key
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
from projections.tables import Tables

Sql = tuple[str, list[Any]]

LIVE = Tables()

# The values of one multi-valued attribute, as rows v. An integer key says that it is an array;
# `object` keeps JSON functions from reading a plain text value as JSON.
_VALUES = (
    "(SELECT key, value, type, CASE type WHEN 'object' THEN value END AS object"
    " FROM json_each(document, ?) WHERE typeof(key) = 'integer') AS v"
)

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


def register(connection: Connection) -> None:
    """Give a connection the functions that compiled conditions call."""
    connection.create_function("scim_fold", 1, _sql_fold, deterministic=True)
    connection.create_function("scim_instant", 1, _sql_instant, deterministic=True)
    connection.create_function("scim_number", 1, number_key, deterministic=True)
    connection.create_function("scim_ends_with", 2, _sql_ends_with, deterministic=True)


def _sql_fold(value: Any) -> str | None:
    return fold(value) if isinstance(value, str) else None


def _sql_instant(value: Any) -> str | None:
    return instant(value) if isinstance(value, str) else None


def _sql_ends_with(value: Any, end: str) -> bool:
    return isinstance(value, str) and value.endswith(end)


def compile_filter(
    filter: Filter, tables: Tables = LIVE, *, unique_name: str | None = "userName"
) -> Sql:
    """Return a condition on rows of the resource table, called `resource`, and its parameters.

    `unique_name` is the attribute whose folded value is `name_key`; None where rows of several
    types are meant.
    """
    return _Compiler(tables, unique_name).condition(filter)


def rows_of(path: Path, tables: Tables) -> Sql:
    """Return the rows v of a multi-valued attribute's values: from the document, or from members.

    Members and groups do not stand in documents.
    """
    if kinship.is_apart(path):
        return kinship.rows(path, tables), []
    return _VALUES, [json_path(path.steps)]


@dataclass(frozen=True, slots=True)
class Leaf:
    """SQL that reads one value and its JSON type; each takes the parameters once."""

    value: str
    type: str
    parameters: list[Any]


def leaf_of(path: Path) -> Leaf:
    """Read the value a path leads to: from the document, or from a row of values."""
    if path.steps and not path.many:
        steps = (*path.steps, path.sub) if path.sub else path.steps
        return Leaf("json_extract(document, ?)", "json_type(document, ?)", [json_path(steps)])
    if path.sub is None:
        return Leaf("v.value", "v.type", [])
    return Leaf("json_extract(v.object, ?)", "json_type(v.object, ?)", [json_path((path.sub,))])


def json_path(steps: Sequence[str]) -> str:
    """Quote every step: URNs hold dots and colons (and no name holds a quotation mark)."""
    return "$" + "".join(f'."{step}"' for step in steps)


def json_types(path: Path) -> str:
    if path.type is Type.DECIMAL:
        return "('integer', 'real', 'text')"
    return "('integer', 'real')" if path.type is Type.INTEGER else "('text')"


def form_of(path: Path, operator: Operator, leaf: Leaf) -> str:
    """Return SQL for the form in which a value compares: `comparison.comparable` in SQL."""
    if path.type is Type.DECIMAL:
        return f"scim_number({leaf.value})"
    if path.type is Type.INTEGER:
        return leaf.value
    if by_instant(path, operator):
        return f"scim_instant({leaf.value})"
    return leaf.value if path.case_exact else f"scim_fold({leaf.value})"


def is_core(path: Path, key: str | None, sub: str | None = None) -> bool:
    return path.key == key and path.sub == sub and path.steps == (key,)


@dataclass(frozen=True, slots=True)
class _Compiler:
    tables: Tables
    unique_name: str | None

    def condition(self, filter: Filter) -> Sql:
        match filter:
            case Compare(path, Operator.NE, value):
                return self.condition(Not(Compare(path, Operator.EQ, value)))
            case Compare():
                return self._indexed(filter) or self._compare(filter)
            case Present(path):
                return self._present(path)
            case Not(term):
                text, parameters = self.condition(term)
                return f"NOT ({text})", parameters
            case And(terms):
                return self._joined(" AND ", terms)
            case Or(terms):
                return self._joined(" OR ", terms)
        return self._any_value(filter)

    def _joined(self, word: str, terms: Sequence[Filter]) -> Sql:
        compiled = [self.condition(term) for term in terms]
        parameters = [value for _, values in compiled for value in values]
        return f"({word.join(text for text, _ in compiled)})", parameters

    def _any_value(self, filter: AnyValue) -> Sql:
        inner, parameters = self.condition(filter.filter)
        rows, row_parameters = rows_of(filter.path, self.tables)
        text = f"EXISTS (SELECT 1 FROM {rows} WHERE {inner})"
        parameters = [*row_parameters, *parameters]
        value = _implied_value(filter.filter)
        seek = self._seek(filter.path, value) if value else None
        if not seek:
            return text, parameters
        return f"({seek[0]} AND {text})", [*seek[1], *parameters]

    def _seek(self, path: Path, value: str) -> Sql | None:
        """Find by an index the resources that have a value of an attribute."""
        if kinship.is_apart(path):
            return kinship.seek(path, self.tables), [value]
        if is_core(path, "emails"):
            return self._by_email(value)
        return None

    def _by_email(self, value: str) -> Sql:
        table = self.tables.email
        return f"position IN (SELECT position FROM {table} WHERE email_key = ?)", [fold(value)]

    def _indexed(self, compare: Compare) -> Sql | None:
        """Use a column where it says exactly the same as the document."""
        path, value = compare.path, compare.value
        if compare.operator is not Operator.EQ or not isinstance(value, str):
            return None
        if path.sub == "value" and path.steps and kinship.is_apart(path):
            return kinship.seek(path, self.tables), [value]
        if path.case_exact:
            if is_core(path, "id"):
                return "id = ?", [value]
            if is_core(path, "externalId"):
                return self.tables.by_external_id, [value]
        elif is_core(path, self.unique_name):
            return self.tables.by_name, [fold(value)]
        elif value and is_core(path, "emails", "value"):
            return self._by_email(value)
        return None

    def _compare(self, compare: Compare) -> Sql:
        path, leaf = compare.path, leaf_of(compare.path)
        test, parameters = _test(compare, leaf)
        if not path.many:
            return test, parameters
        rows, row_parameters = rows_of(path, self.tables)
        exists = f"EXISTS (SELECT 1 FROM {rows} WHERE {test})"
        if compare.value is None and compare.operator is Operator.EQ:
            absent = f"NOT EXISTS (SELECT 1 FROM {rows})"
            return f"({absent} OR {exists})", [*row_parameters, *row_parameters, *parameters]
        return exists, [*row_parameters, *parameters]

    def _present(self, path: Path) -> Sql:
        """Look for any non-empty value at or under the path; False is a value."""
        leaf = "EXISTS (SELECT 1 FROM json_tree({}) WHERE atom IS NOT NULL AND atom <> '')"
        if path.many and path.steps and kinship.is_apart(path) and path.sub is None:
            return f"EXISTS (SELECT 1 FROM {rows_of(path, self.tables)[0]})", []
        if path.steps and (path.sub is None or not path.many):
            return _present_in_document(path, leaf.format("document, ?"))
        if path.sub is None:
            return leaf.format(_WHOLE_VALUE), []
        here, parameters = leaf.format("v.object, ?"), [json_path((path.sub,))]
        if not path.steps:
            return here, parameters
        rows, row_parameters = rows_of(path, self.tables)
        return f"EXISTS (SELECT 1 FROM {rows} WHERE {here})", [*row_parameters, *parameters]


_WHOLE_VALUE = "CASE WHEN v.type IN ('object', 'array') THEN v.value ELSE json_array(v.value) END"


def _implied_value(filter: Filter) -> str | None:
    """Return the `value` that any value satisfying the filter must have, if it says so."""
    match filter:
        case Compare(Path(sub="value"), Operator.EQ, str(value)):
            return value
        case And(terms):
            return next((found for found in map(_implied_value, terms) if found), None)
    return None


def _test(compare: Compare, leaf: Leaf) -> Sql:
    """Test one value. The JSON type is looked at last: it costs another reading of the JSON."""
    path, operator = compare.path, compare.operator
    if compare.value is None:
        return (f"{leaf.value} IS NULL", leaf.parameters) if operator is Operator.EQ else ("0", [])
    wanted = comparable(path, operator, compare.value)
    if wanted is None:
        return "0", []
    if path.type is Type.BOOLEAN:
        kind = f"coalesce({leaf.type}, 'null')"
        test = f"{kind} IN (?, 'null')" if wanted is missing(path) else f"{kind} = ?"
        return test, [*leaf.parameters, "true" if wanted else "false"]
    test = TESTS[operator].format(form_of(path, operator, leaf))
    text = f"(({test} AND {leaf.type} IN {json_types(path)}) IS TRUE)"
    return text, [*leaf.parameters, wanted, *leaf.parameters]


def _present_in_document(path: Path, test: str) -> Sql:
    at = json_path((*path.steps, path.sub) if path.sub else path.steps)
    if not path.many:
        return test, [at]
    return f"(json_type(document, ?) IS 'array' AND {test})", [at, at]
