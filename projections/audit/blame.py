"""Blame: for every value that a resource has at a position, the event that set it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from ledger.events import MEMBERS_ADDED, MEMBERS_REMOVED, Recorded
from ledger.sqlite.connection import Connection
from projections.audit.archive import Archive, Life
from projections.audit.cause import Cause
from projections.history.past_tables import PastTables
from projections.state import Attributes, evolve

Item = tuple[str, bytes]  # the name of a value, and the value as JSON


@dataclass(frozen=True, slots=True)
class Row:
    """One value and what set it: the event from which on it was there without a break."""

    attribute: str
    value: Any
    cause: Cause

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"attribute": self.attribute, "value": self.value, "cause": self.cause.document()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind so many values of attributes, or behind a member or group."""

    values: int = 0
    relation: str | int | None = None  # the id of a member, or the position of a group


BEGINNING = Place()


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page; `next` is where the page behind it begins, None for the last."""

    rows: Sequence[Row]
    next: Place | None


class _Found(NamedTuple):
    attribute: str
    value: Any
    position: int  # of the event that set it
    place: Place


class Blame:
    """The blame of one resource at one position.

    Attributes cost as many events as there were about them; members and groups those of the page.
    """

    def __init__(self, archive: Archive, type_: str, id_: str, position: int) -> None:
        self._archive = archive
        self._id = id_
        self._at = position
        self._stream = f"{type_}-{id_}"
        self._relation = archive.kinds[type_].relation
        lives = (life for life in archive.lives(id_) if life.born <= position < life.died)
        self._life: Life | None = next(lives, None)

    def exists(self) -> bool:
        """Return whether the resource was there then."""
        return self._life is not None

    def page(self, begin: Place, count: int) -> Page:
        """Return the rows of a page: attributes by name, then members or groups."""
        found = self._attributes(begin) if begin.relation is None else []
        found = found[: count + 1]
        if len(found) <= count and self._life:
            found += self._related(self._life, begin.relation, count + 1 - len(found))
        shown = found[:count]
        causes = self._archive.causes_at(each.position for each in shown)
        rows = [Row(each.attribute, each.value, causes[each.position]) for each in shown]
        return Page(rows, shown[-1].place if len(found) > count else None)

    def _attributes(self, begin: Place) -> list[_Found]:
        life = self._life
        if life is None:
            return []
        ledger = self._archive.ledger
        version = ledger.version_at(self._stream, self._at)
        about_members = (MEMBERS_ADDED, MEMBERS_REMOVED)
        events = ledger.walk_stream(self._stream, last=version, without=about_members)
        setters = blame(event for event in events if event.position >= life.born)
        return [
            _Found(name, orjson.loads(value), position, Place(number))
            for number, ((name, value), position) in enumerate(setters, 1)
            if number > begin.values
        ]

    def _related(self, life: Life, after: str | int | None, count: int) -> list[_Found]:
        with self._archive.history.file.reading() as connection:
            if self._relation == "members":
                return list(_members(connection, self._at, life.born, after or "", count))
            if self._relation == "groups":
                return list(_groups(connection, self._at, self._id, after or 0, count))
        return []


def blame(events: Iterable[Recorded]) -> list[tuple[Item, int]]:
    """Return every value that events add up to, with the position of the event that set it.

    Each event costs the attributes that it changed, not all that the resource has.
    """
    setters: dict[str, dict[Item, int]] = {}
    attributes: Attributes = {}
    resource = None
    for recorded in events:
        resource = evolve(resource, recorded)
        before, attributes = attributes, resource.attributes if resource else {}
        for name in before.keys() - attributes.keys():
            del setters[name]
        for name, value in attributes.items():
            if name not in before or before[name] is not value:
                known, at = setters.get(name, {}), recorded.position
                setters[name] = {item: known.get(item, at) for item in _items(name, value)}
    return [
        (item, setters[name][item])
        for name, value in sorted(attributes.items())
        for item in _items(name, value)
    ]


def _items(name: str, value: Any) -> Iterator[Item]:
    """Yield the values of an attribute, each on its own.

    A sub-attribute is named after its attribute; each of many values stands for itself.
    """
    if isinstance(value, list):
        yield from ((name, _json(each)) for each in value)
    elif isinstance(value, dict):
        yield from ((f"{name}.{sub}", _json(each)) for sub, each in sorted(value.items()))
    else:
        yield name, _json(value)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _members(
    connection: Connection, at: int, group: int, after: str | int, count: int
) -> Iterator[_Found]:
    rows = connection.execute(
        "SELECT member_id, member_type, display, since FROM membership"
        f" LEFT JOIN {PastTables(at=at).resource} ON id = member_id"
        " WHERE group_born = ? AND member_id > ? AND since <= ? AND until > ?"
        " ORDER BY member_id LIMIT ?",
        (group, after, at, at, count),
    )
    for id_, type_, display, since in rows:
        value = {"value": id_, "type": type_} | ({"display": display} if display else {})
        yield _Found("members", value, since, Place(relation=id_))


def _groups(
    connection: Connection, at: int, member: str, after: str | int, count: int
) -> Iterator[_Found]:
    rows = connection.execute(
        "SELECT group_born, id, display, since FROM membership"
        f" JOIN {PastTables(at=at).resource} ON position = group_born"
        " WHERE member_id = ? AND group_born > ? AND since <= ? AND until > ?"
        " ORDER BY group_born LIMIT ?",
        (member, after, at, at, count),
    )
    for group, id_, display, since in rows:
        value = {"value": id_, "display": display}
        yield _Found("groups", value, since, Place(relation=group))
