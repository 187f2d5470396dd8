"""Filters and sorts over the resource table: SQL that reads JSON documents, and their indexes.

The common look-ups become index seeks. Every JSON path is a bound parameter. No document holds
U+0000 (a request with it is refused): text given to SQL functions would end there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from projections.query import joins
from projections.query.comparison import SUBSTRING, by_instant, comparable, fold, missing
from projections.query.model import (
    START,
    And,
    AnyValue,
    Compare,
    Filter,
    Mark,
    Operator,
    Path,
    Query,
    Type,
)
from projections.query.sql import TESTS, Sql, compiled
from projections.tables import Tables

LIVE = Tables()

_BY_ID = "id = ?"

# The values of one multi-valued attribute, as rows v, of JSON that has it. An integer key says that
# it is an array; `object` keeps JSON functions from reading a plain text value as JSON.
_VALUES = (
    "(SELECT key, value, type, CASE type WHEN 'object' THEN value END AS object"
    " FROM json_each({}, ?) WHERE typeof(key) = 'integer') AS v"
)
_WHOLE_VALUE = "CASE WHEN v.type IN ('object', 'array') THEN v.value ELSE json_array(v.value) END"

# Any non-empty value at or under a path; false is a value.
_SOMETHING = "EXISTS (SELECT 1 FROM json_tree({}) WHERE atom IS NOT NULL AND atom <> '')"


class _Value(NamedTuple):
    """SQL that reads one value and its JSON type; each takes the parameters once."""

    sql: str
    type: str
    parameters: list[Any]


@dataclass(frozen=True, slots=True)
class Documents:
    """The rows of the resource table, called `resource` in statements.

    `unique_name` is the attribute whose folded value is `name_key`; None for several types at once.
    `indexes` are numbers of attributes that the operator had indexed for the one type that is read.
    """

    tables: Tables = LIVE
    unique_name: str | None = "userName"
    indexes: Mapping[Path, int] = field(default_factory=dict)

    def where(self, filter: Filter) -> Sql:
        return compiled(filter, self)

    def compare(self, compare: Compare) -> Sql:
        indexed = self.indexed(compare) or self._by_index(compare)
        if indexed:
            return indexed
        path, test = compare.path, _test(compare, self._value(compare.path))
        if not path.many:
            return test
        exists, parameters = self._exists(path, test)
        if compare.value is None and compare.operator is Operator.EQ:
            rows, row_parameters = self._rows(path)
            absent = f"NOT EXISTS (SELECT 1 FROM {rows})"
            return f"({absent} OR {exists})", [*row_parameters, *parameters]
        return exists, parameters

    def is_sought(self, query: Query) -> bool:
        """Return whether a query is a look-up by an index that every ledger has."""
        return self._sought(query) is not None

    def finds_one(self, query: Query) -> bool:
        """Return whether a query is a look-up of the one resource with an id or a unique name."""
        sought = self._sought(query)
        return sought is not None and sought[0] in (_BY_ID, self.tables.by_name)

    def _sought(self, query: Query) -> Sql | None:
        if query.sort_by is not None or not isinstance(query.filter, Compare):
            return None
        return self.indexed(query.filter)

    def present(self, path: Path) -> Sql:
        if path.many and path.steps and joins.is_joined(path) and path.sub is None:
            return f"EXISTS (SELECT 1 FROM {joins.rows(path, self.tables)})", []
        if path.steps and (path.sub is None or not path.many):
            json, at = self._place(path)
            test = _SOMETHING.format(f"{json}, ?")
            if not path.many:
                return test, at
            return f"(json_type({json}, ?) IS 'array' AND {test})", at * 2
        if path.sub is None:
            return _SOMETHING.format(_WHOLE_VALUE), []
        here: Sql = _SOMETHING.format("v.object, ?"), [_json_path((path.sub,))]
        return self._exists(path, here) if path.steps else here

    def any_value(self, filter: AnyValue) -> Sql:
        exists, parameters = self._exists(filter.path, self.where(filter.filter))
        value = _implied_value(filter.filter)
        seek = self._seek(filter.path, value) if value else None
        if not seek:
            return exists, parameters
        return f"({seek[0]} AND {exists})", [*seek[1], *parameters]

    def _exists(self, path: Path, test: Sql) -> Sql:
        """Return a condition that one of an attribute's values passes a test."""
        rows, parameters = self._rows(path)
        return f"EXISTS (SELECT 1 FROM {rows} WHERE {test[0]})", [*parameters, *test[1]]

    def _rows(self, path: Path) -> Sql:
        """Return the rows v of an attribute's values: from the document, or of memberships."""
        if joins.is_joined(path):
            return joins.rows(path, self.tables), []
        json, at = self._place(path)
        return _VALUES.format(json), at

    def _place(self, path: Path) -> Sql:
        """Return SQL for the JSON that has an attribute; its last parameter is the path there.

        That is the document, or a part of it where the tables have one: less to read.
        """
        part = () if path.many or path.sub is None else (path.sub,)
        found = self.tables.part(path.key, path.sub) if _is_under_its_key(path) else None
        if found is None:
            return "document", [_json_path((*path.steps, *part))]
        json, parameters = found
        return json, [*parameters, _json_path((path.key, *part))]

    def _value(self, path: Path) -> _Value:
        if path.steps and not path.many:
            json, at = self._place(path)
            return _Value(f"json_extract({json}, ?)", f"json_type({json}, ?)", at)
        if path.sub is None:
            return _Value("v.value", "v.type", [])
        at = [_json_path((path.sub,))]
        return _Value("json_extract(v.object, ?)", "json_type(v.object, ?)", at)

    def indexed(self, compare: Compare) -> Sql | None:
        """Use a column where it says exactly the same as the document."""
        path, value = compare.path, compare.value
        if compare.operator is not Operator.EQ or not isinstance(value, str):
            return None
        if path.sub == "value" and path.steps and (value or joins.is_joined(path)):
            return self._seek(path, value)
        if path.case_exact:
            if _is_core(path, "id"):
                return _BY_ID, [value]
            if _is_core(path, "externalId"):
                return self.tables.by_external_id, [value]
        elif _is_core(path, self.unique_name):
            return self.tables.by_name, [fold(value)]
        return None

    def _seek(self, path: Path, value: str) -> Sql | None:
        """Find by an index the resources with a value of a multi-valued attribute."""
        if joins.is_joined(path):
            return joins.seek(path, self.tables), [value]
        if path.key == "emails" and path.steps == ("emails",):
            by_key = f"SELECT position FROM {self.tables.email} WHERE email_key = ?"
            return f"position IN ({by_key})", [fold(value)]
        return None

    def _by_index(self, compare: Compare) -> Sql | None:
        """Find resources by the index of an attribute: its keys compare as the values do."""
        path, operator = compare.path, compare.operator
        number = self.indexes.get(path)
        is_by_part = operator in SUBSTRING and by_instant(path, Operator.EQ)
        if number is None or compare.value is None or is_by_part:
            return None
        wanted = comparable(path, operator, compare.value)
        if wanted is None:
            return "0", []
        test, bounds = TESTS[operator].format("value_key"), [wanted]
        if operator is Operator.SW and isinstance(wanted, str):
            test, bounds = f"{test} AND value_key >= ?", [*bounds, wanted]
            if end := after_prefix(wanted):
                test, bounds = f"{test} AND value_key < ?", [*bounds, end]
        if operator is not Operator.EQ:
            test += " AND value_key < x''"  # which stands for no value, and is larger than any
        found = f"SELECT position FROM {self.tables.attribute_value} WHERE number = ? AND {test}"
        return f"position IN ({found})", [number, *bounds]

    # The order of lists

    def sort_key(self, path: Path | None) -> Sql:
        """Return the key that a resource is sorted by; NULL where it has no value."""
        if path is None:
            return "NULL", []
        if _is_core(path, self.unique_name) and not path.case_exact:
            return "name_key", []
        value, parameters = _sort_value(path, self._value(path))
        if not path.many:
            return value, parameters
        rows, row_parameters = self._rows(path)
        preferred = (
            f"(SELECT {value} FROM {rows}"
            " ORDER BY json_type(v.object, '$.primary') IS 'true' DESC, v.key LIMIT 1)"
        )
        return preferred, [*parameters, *row_parameters]

    def sorting_index(self, query: Query) -> int | None:
        """Return the number of an index that has a whole list in the order of a query."""
        path = query.sort_by
        if query.filter is not None or path is None or path.many:
            return None
        return self.indexes.get(path)

    def order_by(self, query: Query) -> Sql:
        """Return the terms of ORDER BY and their parameters; ties are in order of position.

        Resources without a value come last ascending and first descending (RFC 7644 §3.4.2.3).
        """
        if query.sort_by is None:
            return "position", []
        key, parameters = self.sort_key(query.sort_by)
        if key == "name_key":  # never NULL: the index serves the order
            return f"name_key {'DESC' if query.descending else 'ASC'}, position", []
        direction = "DESC NULLS FIRST" if query.descending else "ASC NULLS LAST"
        return f"{key} {direction}, position", parameters

    def after_mark(self, mark: Mark, query: Query) -> Sql:
        """Return the condition that a row comes after a mark in the query's order."""
        if mark == START:
            return "1", []
        if query.sort_by is None:
            return "position > ?", [mark.position]
        key, parameters = self.sort_key(query.sort_by)
        further = f"{key} {'<' if query.descending else '>'} ?"
        if key == "name_key":  # unique and never NULL: the index is sought
            return further, [mark.key]
        if mark.key is None:
            nulls = f"({key} IS NULL AND position > ?)"
            others = f" OR {key} IS NOT NULL" if query.descending else ""
            more = parameters if query.descending else []
            return f"({nulls}{others})", [*parameters, mark.position, *more]
        tie = f"({key} = ? AND position > ?)"
        values = [*parameters, mark.key, *parameters, mark.key, mark.position]
        if query.descending:
            return f"({further} OR {tie})", values
        return f"({further} OR {tie} OR {key} IS NULL)", [*values, *parameters]


def after_in_index(query: Query) -> Sql:
    """Return the condition that a row of an index comes after the query's mark."""
    mark = query.after
    if mark is None or mark == START:
        return "1", []
    further = "<" if query.descending else ">"
    key = b"" if mark.key is None else mark.key
    return (
        f"value_key {further}= ? AND (value_key {further} ? OR position > ?)",
        [key, key, mark.position],
    )


def after_prefix(prefix: str) -> str | None:
    """Return the first text, by code points, after all that begin with a prefix; None if none."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)  # no surrogate is text


def _is_core(path: Path, key: str | None) -> bool:
    return path.key == key and path.sub is None and path.steps == (key,)


def _json_path(steps: Sequence[str]) -> str:
    """Quote every step: URNs hold dots and colons (and no name holds a quotation mark)."""
    return "$" + "".join(f'."{step}"' for step in steps)


def _is_under_its_key(path: Path) -> bool:
    """Return whether a path leads to one attribute: `schemas` are made of the names of all."""
    return ":".join(path.steps) == path.key and path.key != "schemas"


def _test(compare: Compare, value: _Value) -> Sql:
    """Test one value. The JSON type is tested last: it costs another reading of the JSON."""
    path, operator = compare.path, compare.operator
    if compare.value is None:
        return (f"{value.sql} IS NULL", value.parameters) if operator is Operator.EQ else ("0", [])
    wanted = comparable(path, operator, compare.value)
    if wanted is None:
        return "0", []
    if path.type is Type.BOOLEAN:
        kind = f"coalesce({value.type}, 'null')"
        test = f"{kind} IN (?, 'null')" if wanted is missing(path) else f"{kind} = ?"
        return test, [*value.parameters, "true" if wanted else "false"]
    test = TESTS[operator].format(_form_of(path, operator, value))
    text = f"(({test} AND {value.type} IN {_json_types(path)}) IS TRUE)"
    return text, [*value.parameters, wanted, *value.parameters]


def _form_of(path: Path, operator: Operator, value: _Value) -> str:
    """Return SQL for the form in which a value compares: `comparison.comparable` in SQL."""
    if path.type is Type.DECIMAL:
        return f"scim_number({value.sql})"
    if path.type is Type.INTEGER:
        return value.sql
    if by_instant(path, operator):
        return f"scim_instant({value.sql})"
    return value.sql if path.case_exact else f"scim_fold({value.sql})"


def _json_types(path: Path) -> str:
    if path.type is Type.DECIMAL:
        return "('integer', 'real', 'text')"
    return "('integer', 'real')" if path.type is Type.INTEGER else "('text')"


def _sort_value(path: Path, value: _Value) -> Sql:
    if path.type is Type.BOOLEAN:
        return f"CASE {value.type} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END", value.parameters
    form = _form_of(path, Operator.EQ, value)
    text = f"CASE WHEN {value.type} IN {_json_types(path)} THEN {form} END"
    return text, value.parameters * 2


def _implied_value(filter: Filter) -> str | None:
    """Return the `value` that any value satisfying the filter must have, if it says so."""
    match filter:
        case Compare(Path(sub="value"), Operator.EQ, str(value)):
            return value
        case And(terms):
            return next((found for found in map(_implied_value, terms) if found), None)
    return None
