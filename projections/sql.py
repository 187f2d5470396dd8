"""Filters and sorts as SQL over the `resource` table: the same meaning as `matching`, faster.

Every condition yields 0 or 1, never NULL, so that NOT means what it says. What a client wrote,
and every JSON path, is a bound parameter. The common look-ups become index seeks. No document
holds U+0000 (the door refuses it): text given to SQL functions would end there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.database import Connection
from projections.comparison import by_instant, comparable, fold, instant
from projections.query import And, AnyValue, Compare, Filter, Not, Operator, Or, Path, Present, Type

Sql = tuple[str, list[Any]]

# The values of one multi-valued attribute, as rows v. An integer key says that it is an array;
# `object` keeps JSON functions from reading a plain text value as JSON.
_VALUES = (
    "(SELECT key, value, type, CASE type WHEN 'object' THEN value END AS object"
    " FROM json_each(document, ?) WHERE typeof(key) = 'integer') AS v"
)

_TESTS = {
    Operator.EQ: "{} = ?",
    Operator.CO: "instr({}, ?) > 0",  # no LIKE: a client's % and _ are plain characters
    Operator.SW: "instr({}, ?) = 1",
    Operator.EW: "scim_ends_with({}, ?)",
    Operator.GT: "{} > ?",
    Operator.GE: "{} >= ?",
    Operator.LT: "{} < ?",
    Operator.LE: "{} <= ?",
}

_NUMBERS = (Type.INTEGER, Type.DECIMAL)


def register(connection: Connection) -> None:
    """Give a connection the functions that compiled conditions call."""
    connection.create_function("scim_fold", 1, _sql_fold, deterministic=True)
    connection.create_function("scim_instant", 1, _sql_instant, deterministic=True)
    connection.create_function("scim_ends_with", 2, _sql_ends_with, deterministic=True)


def _sql_fold(value: Any) -> str | None:
    return fold(value) if isinstance(value, str) else None


def _sql_instant(value: Any) -> str | None:
    return instant(value) if isinstance(value, str) else None


def _sql_ends_with(value: Any, end: str) -> bool:
    return isinstance(value, str) and value.endswith(end)


def compile_filter(
    filter: Filter, emails: str = "resource_email", *, unique_name: str = "userName"
) -> Sql:
    """Return a condition on rows of `resource` and its parameters.

    `emails` is the table of e-mail keys; `unique_name` the attribute whose folded value is
    `name_key`.
    """
    return _Compiler(emails, unique_name).condition(filter)


def order_by(path: Path, descending: bool, *, unique_name: str = "userName") -> Sql:
    """Return the terms of ORDER BY and their parameters; ties stand by position.

    Resources without a value come last ascending and first descending (RFC 7644 §3.4.2.3).
    """
    direction = "DESC NULLS FIRST" if descending else "ASC NULLS LAST"
    if _is_core(path, unique_name) and not path.case_exact:
        return f"name_key {direction.split()[0]}, position", []
    value, parameters = _sort_value(path)
    if not path.many:
        return f"{value} {direction}, position", parameters
    preferred = (
        f"(SELECT {value} FROM {_VALUES}"
        " ORDER BY json_type(v.object, '$.primary') IS 'true' DESC, v.key LIMIT 1)"
    )
    return f"{preferred} {direction}, position", [*parameters, _json_path(path.steps)]


def _sort_value(path: Path) -> Sql:
    leaf = _leaf(path)
    if path.type is Type.BOOLEAN:
        return f"CASE {leaf.type} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END", leaf.parameters
    form = _form(path, Operator.EQ, leaf)
    text = f"CASE WHEN {leaf.type} IN {_json_types(path)} THEN {form} END"
    return text, leaf.parameters * 2


@dataclass(frozen=True, slots=True)
class _Leaf:
    """SQL that reads one value and its JSON type; each takes the parameters once."""

    value: str
    type: str
    parameters: list[Any]


def _leaf(path: Path) -> _Leaf:
    """Read the value a path leads to: from the document, or from a row of values."""
    if path.steps and not path.many:
        steps = (*path.steps, path.sub) if path.sub else path.steps
        return _Leaf("json_extract(document, ?)", "json_type(document, ?)", [_json_path(steps)])
    if path.sub is None:
        return _Leaf("v.value", "v.type", [])
    return _Leaf("json_extract(v.object, ?)", "json_type(v.object, ?)", [_json_path((path.sub,))])


def _json_path(steps: Sequence[str]) -> str:
    """Quote every step: URNs hold dots and colons (and no name holds a quotation mark)."""
    return "$" + "".join(f'."{step}"' for step in steps)


def _json_types(path: Path) -> str:
    return "('integer', 'real')" if path.type in _NUMBERS else "('text')"


def _form(path: Path, operator: Operator, leaf: _Leaf) -> str:
    """Return SQL for the form in which a value compares: `comparison.comparable` in SQL."""
    if path.type in _NUMBERS:
        return leaf.value
    if by_instant(path, operator):
        return f"scim_instant({leaf.value})"
    return leaf.value if path.case_exact else f"scim_fold({leaf.value})"


def _is_core(path: Path, key: str, sub: str | None = None) -> bool:
    return path.key == key and path.sub == sub and path.steps == (key,)


@dataclass(frozen=True, slots=True)
class _Compiler:
    emails: str
    unique_name: str

    def condition(self, filter: Filter) -> Sql:
        match filter:
            case Compare(path, Operator.NE, value):
                return self.condition(Not(Compare(path, Operator.EQ, value)))
            case Compare():
                return self._indexed(filter) or _compare(filter)
            case Present(path):
                return _present(path)
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
        text = f"EXISTS (SELECT 1 FROM {_VALUES} WHERE {inner})"
        parameters = [_json_path(filter.path.steps), *parameters]
        address = _implied_value(filter.filter) if _is_core(filter.path, "emails") else None
        if not address:
            return text, parameters
        return f"({self._by_email()} AND {text})", [fold(address), *parameters]

    def _by_email(self) -> str:
        return f"position IN (SELECT position FROM {self.emails} WHERE email_key = ?)"

    def _indexed(self, compare: Compare) -> Sql | None:
        """Use a column where it says exactly the same as the document."""
        path, value = compare.path, compare.value
        if compare.operator is not Operator.EQ or not isinstance(value, str):
            return None
        if path.case_exact:
            if _is_core(path, "id"):
                return "id = ?", [value]
            if _is_core(path, "externalId"):
                return "(external_id IS NOT NULL AND external_id = ?)", [value]
        elif _is_core(path, self.unique_name):
            return "name_key = ?", [fold(value)]
        elif value and _is_core(path, "emails", "value"):
            return self._by_email(), [fold(value)]
        return None


def _implied_value(filter: Filter) -> str | None:
    """Return the `value` that any value satisfying the filter must have, if it says so."""
    match filter:
        case Compare(Path(sub="value", case_exact=False), Operator.EQ, str(value)):
            return value
        case And(terms):
            return next((found for found in map(_implied_value, terms) if found), None)
    return None


def _compare(compare: Compare) -> Sql:
    path, leaf = compare.path, _leaf(compare.path)
    test, parameters = _test(compare, leaf)
    if not path.many:
        return test, parameters
    values = _json_path(path.steps)
    exists = f"EXISTS (SELECT 1 FROM {_VALUES} WHERE {test})"
    if compare.value is None and compare.operator is Operator.EQ:
        absent = f"NOT EXISTS (SELECT 1 FROM {_VALUES})"
        return f"({absent} OR {exists})", [values, values, *parameters]
    return exists, [values, *parameters]


def _test(compare: Compare, leaf: _Leaf) -> Sql:
    """Test one value. The JSON type is looked at last: it costs another reading of the JSON."""
    path, operator = compare.path, compare.operator
    if compare.value is None:
        return (f"{leaf.value} IS NULL", leaf.parameters) if operator is Operator.EQ else ("0", [])
    wanted = comparable(path, operator, compare.value)
    if wanted is None:
        return "0", []
    if path.type is Type.BOOLEAN:
        return f"{leaf.type} IS ?", [*leaf.parameters, "true" if wanted else "false"]
    test = _TESTS[operator].format(_form(path, operator, leaf))
    text = f"(({test} AND {leaf.type} IN {_json_types(path)}) IS TRUE)"
    return text, [*leaf.parameters, wanted, *leaf.parameters]


def _present(path: Path) -> Sql:
    """Look for any non-empty value at or under the path; False is a value."""
    leaf = "EXISTS (SELECT 1 FROM json_tree({}) WHERE atom IS NOT NULL AND atom <> '')"
    if path.steps and (path.sub is None or not path.many):
        return _present_in_document(path, leaf.format("document, ?"))
    if path.sub is None:
        whole = "CASE WHEN v.type IN ('object', 'array') THEN v.value ELSE json_array(v.value) END"
        return leaf.format(whole), []
    here, parameters = leaf.format("v.object, ?"), [_json_path((path.sub,))]
    if not path.steps:
        return here, parameters
    exists = f"EXISTS (SELECT 1 FROM {_VALUES} WHERE {here})"
    return exists, [_json_path(path.steps), *parameters]


def _present_in_document(path: Path, test: str) -> Sql:
    at = _json_path((*path.steps, path.sub) if path.sub else path.steps)
    if not path.many:
        return test, [at]
    return f"(json_type(document, ?) IS 'array' AND {test})", [at, at]
