"""Stored documents -> answers: attributes and excludedAttributes, lists (RFC 7644 §3.9, §3.4.2)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from projections.current.memberships import Relation
from projections.state import located
from scim_api.protocol import numbers
from scim_api.protocol.schema.attributes import Attribute, AttributeAt, ResourceType, Returned
from scim_api.protocol.schema.resource_types import kind_of

LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


@dataclass(frozen=True)
class Selection:
    """Which attributes an answer shows: payload key -> sub-attributes, None for all of them.

    `specified` are those that the request wrote: its answer shows them even where they are
    returned on request only (RFC 7643 §7).
    """

    only: Mapping[str, set[str] | None] | None
    without: Mapping[str, set[str] | None]
    specified: frozenset[str] = frozenset()

    def shows(self, key: str) -> bool:
        """Return whether anything of an attribute, returned by default, is shown."""
        named = self.only is None or key in self.only
        return named and self.without.get(key, ()) is not None

    def parts(self, declared: AttributeAt) -> frozenset[str]:
        """Return the names of the sub-attributes that are shown of an attribute."""
        named = (self.only or {}).get(declared.key)
        always = declared.attribute.returned is Returned.ALWAYS
        dropped = () if always else self.without.get(declared.key) or ()
        written = declared.key in self.specified

        def shows(sub: Attribute) -> bool:
            if sub.returned in (Returned.ALWAYS, Returned.NEVER):
                return sub.returned is Returned.ALWAYS
            default = written or sub.returned is Returned.DEFAULT
            return (default if named is None else sub.name in named) and sub.name not in dropped

        return frozenset(sub.name for sub in declared.attribute.sub_attributes if shows(sub))

    def apply(self, document: bytes, resource_type: ResourceType) -> bytes:
        """Return a document that shows what was asked for."""
        body = orjson.loads(document)
        answer: dict[str, Any] = {}
        for declared in resource_type.declared.values():
            value = _at(body, declared.steps)
            shown = None if value is None else self._shown(declared, value)
            if shown is not None and shown != {}:
                _put(answer, declared.steps, shown)
        return orjson.dumps(answer)

    def _shown(self, declared: AttributeAt, value: Any) -> Any:
        """Return what is shown of an attribute's value; None for nothing."""
        key, attribute = declared.key, declared.attribute
        if attribute.returned is Returned.NEVER:
            return None
        always = attribute.returned is Returned.ALWAYS
        if not always:
            asked = key in self.specified or attribute.returned is not Returned.REQUEST
            named = asked if self.only is None else key in self.only
            if not named or self.without.get(key, ()) is None:
                return None
        without = not always and self.without.get(key)
        if attribute.uneven or without or (self.only or {}).get(key):
            value = _with(value, self.parts(declared))
        return numbers.shown(attribute, value) if attribute.has_decimals else value


DEFAULT = Selection(None, {})


def selection(
    attributes: str | Iterable[str] | None,
    excluded: str | Iterable[str] | None,
    resource_type: ResourceType,
) -> Selection | None:
    """Read the two parameters; None when the default set is asked for. Unknown names do nothing."""
    only = _only(_named(attributes, resource_type), resource_type) if attributes else None
    dropped = _named(excluded, resource_type) if excluded else {}
    without = {key: None if None in parts else _subs(parts) for key, parts in dropped.items()}
    chosen = only is not None or without or resource_type.reshaped
    return Selection(only, without) if chosen else None


def _named(names: str | Iterable[str], resource_type: ResourceType) -> dict[str, set[str | None]]:
    """Return the sub-attributes named of each attribute, None among them for the attribute."""
    named: dict[str, set[str | None]] = {}
    for name in names.split(",") if isinstance(names, str) else names:
        for declared, sub in _found(name.strip().partition("[")[0], resource_type):
            named.setdefault(declared.key, set()).add(sub.name if sub else None)
    return named


def _only(
    named: Mapping[str, set[str | None]], resource_type: ResourceType
) -> dict[str, set[str] | None]:
    """Return what is shown: an attribute named with a part of it is shown with that part, too."""
    only: dict[str, set[str] | None] = {}
    for key, parts in named.items():
        own = _subs(parts)
        if own and None in parts:
            subs = resource_type.declared[key].attribute.sub_attributes
            own |= {sub.name for sub in subs if sub.returned is Returned.DEFAULT}
        only[key] = own or None
    return only


def _subs(parts: set[str | None]) -> set[str]:
    return {name for name in parts if name is not None}


def _found(name: str, resource_type: ResourceType) -> list[tuple[AttributeAt, Attribute | None]]:
    """Return the attributes that a name means; a schema's URN means all of its attributes."""
    schema = resource_type.find_schema(name)
    if schema:
        keys = [f"{schema.id}:{attribute.name}" for attribute in schema.attributes]
        return [(known, None) for key in keys if (known := resource_type.find(key))]
    found = resource_type.find_path(name)
    return [found] if found else []


def _at(body: Mapping[str, Any], steps: tuple[str, ...]) -> Any:
    value: Any = body
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _put(answer: dict[str, Any], steps: tuple[str, ...], value: Any) -> None:
    for step in steps[:-1]:
        answer = answer.setdefault(step, {})
    answer[steps[-1]] = value


def _with(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [kept for item in value if (kept := _with(item, names))] or None
    return {name: item for name, item in value.items() if name in names}


def answer(
    document: bytes,
    base_url: bytes,
    resource_type: ResourceType,
    chosen: Selection | None,
    more: bytes = b"",
) -> bytes:
    """Return the answer's bytes for one resource; `more` is what `related` returned for it."""
    if chosen is None:
        return located(document, base_url, more)
    shown = chosen.apply(located(document, base_url), resource_type)
    return b"".join((shown[:-1], more, b"}")) if more else shown


_default_parts = lru_cache(maxsize=64)(DEFAULT.parts)


def names_members(chosen: Selection | None) -> bool:
    """Return whether members are shown with their names, which cost a lookup each."""
    return chosen is not None and "display" in ((chosen.only or {}).get("members") or ())


def relation_of(resource_type: ResourceType, chosen: Selection | None) -> str | None:
    """Return the relation that an answer shows: `members`, `groups`, or None for neither.

    What is not shown is not read: a group may have 100,000 members.
    """
    name = kind_of(resource_type).relation
    return name if name and (chosen is None or chosen.shows(name)) else None


def related(
    resource_type: ResourceType,
    chosen: Selection | None,
    relations: Sequence[Relation],
    base_url: bytes,
) -> bytes:
    """Return members or groups as they stand at the end of an answer, with the parts shown.

    A group without members says so: a client that finds no list takes it for one not shown.
    """
    name = kind_of(resource_type).relation or ""
    declared = resource_type.declared[name]
    parts = chosen.parts(declared) if chosen else _default_parts(declared)
    shown = _known_groups if name == "groups" else _values
    values = shown(tuple(relations), base_url.decode(), parts)
    empty = name == "members" and not relations
    if not values and not empty:  # no part of any is shown
        return b""
    return b"".join((f',"{name}":['.encode(), values, b"]"))


@lru_cache(maxsize=1024)
def _known_groups(groups: tuple[Relation, ...], base: str, parts: frozenset[str]) -> bytes:
    """Return the values of groups: many users are in the same ones."""
    return _values(groups, base, parts)


def _values(relations: Iterable[Relation], base: str, parts: frozenset[str]) -> bytes:
    """Return the shown parts of each, without the brackets of the list.

    Written one by one, each would keep the four kilobytes that it was written into.
    """
    shown = (relation.shown(base) for relation in relations)
    each = ({part: text for part, text in one.items() if part in parts} for one in shown)
    return orjson.dumps([one for one in each if one])[1:-1]


def list_response(
    total: int,
    resources: Iterable[bytes],
    *,
    start_index: int | None = None,
    next_cursor: str | None = None,
) -> bytes:
    """Return a ListResponse of a page (RFC 7644 §3.4.2).

    One of a walk by cursor has no start index; without nextCursor it is the last (RFC 9865).
    """
    items = list(resources)
    place = "" if start_index is None else f'"startIndex":{start_index},'
    following = f'"nextCursor":"{next_cursor}",' if next_cursor else ""
    head = (
        f'{{"schemas":["{LIST_URN}"],"totalResults":{total},{place}{following}'
        f'"itemsPerPage":{len(items)},"Resources":['
    )
    return b"".join((head.encode(), b",".join(items), b"]}"))
