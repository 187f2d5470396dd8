"""The order of lists as SQL: sort keys, and what stands behind a mark in a walk by cursor."""

from typing import Any

from projections.query.model import START, Operator, Path, Query, Type
from projections.query.sql import LIVE, Sql, form_of, is_core, json_types, leaf_of, rows_of
from projections.tables import Tables


def order_by(
    path: Path, descending: bool, tables: Tables = LIVE, *, unique_name: str | None = "userName"
) -> Sql:
    """Return the terms of ORDER BY and their parameters; ties stand by position.

    Resources without a value come last ascending and first descending (RFC 7644 §3.4.2.3).
    """
    key, parameters = sort_key(path, tables, unique_name=unique_name)
    if key == "name_key":  # never NULL: the index serves the order
        return f"name_key {'DESC' if descending else 'ASC'}, position", []
    return f"{key} {'DESC NULLS FIRST' if descending else 'ASC NULLS LAST'}, position", parameters


def sort_key(path: Path, tables: Tables = LIVE, *, unique_name: str | None = "userName") -> Sql:
    """Return what a resource is sorted by; NULL where it has no value."""
    if is_core(path, unique_name) and not path.case_exact:
        return "name_key", []
    value, parameters = _sort_value(path)
    if not path.many:
        return value, parameters
    rows, row_parameters = rows_of(path, tables)
    preferred = (
        f"(SELECT {value} FROM {rows}"
        " ORDER BY json_type(v.object, '$.primary') IS 'true' DESC, v.key LIMIT 1)"
    )
    return preferred, [*parameters, *row_parameters]


def behind(key: str, parameters: list[Any], query: Query) -> Sql:
    """Return the condition that a row stands behind the query's mark in the query's order."""
    mark = query.after
    if mark is None or mark == START:
        return "1", []
    if query.sort_by is None:
        return "position > ?", [mark.position]
    if key == "name_key":  # unique and never NULL: the index is sought
        return f"name_key {'<' if query.descending else '>'} ?", [mark.key]
    if mark.key is None:
        nulls = f"({key} IS NULL AND position > ?)"
        others = f" OR {key} IS NOT NULL" if query.descending else ""
        more = parameters if query.descending else []
        return f"({nulls}{others})", [*parameters, mark.position, *more]
    further = f"{key} {'<' if query.descending else '>'} ?"
    tie = f"({key} = ? AND position > ?)"
    values = [*parameters, mark.key, *parameters, mark.key, mark.position]
    if query.descending:
        return f"({further} OR {tie})", values
    return f"({further} OR {tie} OR {key} IS NULL)", [*values, *parameters]


def _sort_value(path: Path) -> Sql:
    leaf = leaf_of(path)
    if path.type is Type.BOOLEAN:
        return f"CASE {leaf.type} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END", leaf.parameters
    form = form_of(path, Operator.EQ, leaf)
    text = f"CASE WHEN {leaf.type} IN {json_types(path)} THEN {form} END"
    return text, leaf.parameters * 2
