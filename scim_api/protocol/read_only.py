"""What a client sends of readOnly attributes: whether it is what it read."""

from collections.abc import Mapping
from typing import Any


def is_as_read(given: Any, current: Any) -> bool:
    """Return whether a value is the one there is; it may lack some of its parts.

    `current` has the ends of URLs only. Nothing is as good as null or an empty list. Lists may be
    in any order; their values are told apart by `value`.
    """
    if isinstance(given, Mapping) and isinstance(current, Mapping):
        parts = {name.lower(): part for name, part in current.items()}
        return all(is_as_read(part, parts.get(name.lower())) for name, part in given.items())
    if isinstance(given, list) and isinstance(current, list):
        if len(given) != len(current):
            return False
        return all(map(is_as_read, sorted(given, key=_name), sorted(current, key=_name)))
    if isinstance(given, str) and isinstance(current, str) and current.startswith("/"):
        return given.endswith(current)
    return given == current or (not given and not current)


def _name(value: Any) -> str:
    """Return the `value` that an entry of a list is recognised by."""
    parts = value if isinstance(value, Mapping) else {"value": value}
    return next((str(part) for name, part in parts.items() if name.lower() == "value"), "")
