"""What a client sends of readOnly attributes: whether it is what it read."""

from collections.abc import Iterable, Mapping
from typing import Any

from projections.memberships import Relation


def groups_of(relations: Iterable[Relation]) -> list[dict[str, Any]]:
    """Return a user's `groups`, their URLs without the service's own."""
    return [
        {"value": each.id, "display": each.display, "type": each.type, "$ref": f"/Groups/{each.id}"}
        for each in relations
    ]


def is_as_read(given: Any, current: Any) -> bool:
    """Return whether a value is the one there is; it may lack some of its parts.

    `current` has the ends of URLs only. Nothing is as good as null or an empty list.
    """
    if isinstance(given, Mapping) and isinstance(current, Mapping):
        parts = {name.lower(): part for name, part in current.items()}
        return all(is_as_read(part, parts.get(name.lower())) for name, part in given.items())
    if isinstance(given, list) and isinstance(current, list):
        found = [any(is_as_read(one, other) for other in current) for one in given]
        return len(given) == len(current) and all(found)
    if isinstance(given, str) and isinstance(current, str) and current.startswith("/"):
        return given.endswith(current)
    return given == current or (not given and not current)
