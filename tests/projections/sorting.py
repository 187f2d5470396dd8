"""The meaning of sorts, in memory over one SCIM document."""

from collections.abc import Mapping
from typing import Any

from projections.query.comparison import Comparable, comparable
from projections.query.model import Operator, Path


def sort_key(path: Path, document: Mapping[str, Any]) -> tuple[bool, Comparable]:
    """Return the key that sorts a document; `reverse=True` is descending (RFC 7644 §3.4.2.3).

    Documents without a value come last ascending and first descending. Of many values the primary
    one counts, or else the first.
    """
    found: Any = document
    for step in path.steps:
        found = _part(found, step)
    if path.many:
        values = found if isinstance(found, list) else []
        primary = (value for value in values if _part(value, "primary") is True)
        found = next(primary, values[0] if values else None)
    key = comparable(path, Operator.EQ, _part(found, path.sub) if path.sub else found)
    return (True, "") if key is None else (False, key)


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
