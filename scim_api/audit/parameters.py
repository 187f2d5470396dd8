"""The parameters of the ledger's own API; reading each raises InvalidValue."""

import re
from collections.abc import Iterable

from projections.audit import diff
from projections.audit.blame import BEGINNING, Place
from projections.audit.timeline import Window
from projections.history.projector import NEVER
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.list_query import DEFAULT_COUNT, Parameters, descending, whole_number
from scim_api.protocol.schema.resource_types import KINDS, RESOURCE_TYPES

MOST = 1000  # rows on a page

_PLACE = re.compile(r"(?:(members|groups):(.{1,256})|([0-9]{1,16}))", re.ASCII)


def number(given: Parameters, name: str) -> int | None:
    """Read a whole number, None where it is not given."""
    return whole_number(given, name, 42) if given.get(name, "").strip() else None


def count(given: Parameters) -> int:
    """Read how many rows a page has at most."""
    found = whole_number(given, "count", DEFAULT_COUNT)
    if found < 1:
        raise InvalidValue(
            "parameter.page_size", "count must be a whole number from 1 to {most}.", most=MOST
        )
    return min(found, MOST)


def position(given: Parameters, name: str) -> int | None:
    """Read a position, None where it is not given."""
    found = number(given, name)
    if found is not None and found < 0:
        raise InvalidValue(
            "parameter.position", "{name} must be a position of the ledger, such as 42.", name=name
        )
    return found


def window(given: Parameters) -> Window:
    """Read which entries of a timeline are asked for."""
    before = position(given, "before")
    return Window(
        after=position(given, "after") or 0,
        before=NEVER if before is None else before,
        count=count(given),
        newest_first=descending(given.get("sortOrder")),
    )


def place(given: Parameters, type_: str) -> Place:
    """Read where a page of the blame of a resource begins."""
    text = given.get("after", "")
    if not text:
        return BEGINNING
    found = _PLACE.fullmatch(text)
    relation, key, values = found.groups() if found else (None, None, None)
    if values:
        return Place(int(values))
    if relation is None or relation != KINDS[type_].relation:
        raise InvalidValue(
            "parameter.page", "after must be left out, or taken from next of the page before."
        )
    if relation == "members":
        return Place(relation=key)
    return Place(relation=whole_number({"after": key or ""}, "after", 42))


def place_text(begin: Place) -> str:
    """Return what `place` reads."""
    if begin.relation is None:
        return str(begin.values)
    return f"{'members' if isinstance(begin.relation, str) else 'groups'}:{begin.relation}"


def kind(given: Parameters) -> str | None:
    """Read which kind of difference is asked for, None for all."""
    return _one_of(given, "kind", diff.KINDS)


def types(given: Parameters) -> list[str]:
    """Read which resource types are asked for: one, or all."""
    names = [resource_type.name for resource_type in RESOURCE_TYPES]
    name = _one_of(given, "resourceType", names)
    return names if name is None else [name]


def _one_of(given: Parameters, name: str, words: Iterable[str]) -> str | None:
    word = given.get(name)
    if word is not None and word not in words:
        template, known = "{name} must be one of: {words}.", ", ".join(words)
        raise InvalidValue("parameter.word", template, name=name, words=known)
    return word
