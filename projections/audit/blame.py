"""Blame: for every value that a resource has at a position, the event that set it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from ledger.codec import canonical
from ledger.events import MEMBERS_ADDED, MEMBERS_REMOVED, Recorded
from projections.audit.archive import Archive, values_set
from projections.audit.cause import Cause
from projections.history.lifetimes import Lifetime

Item = tuple[str, bytes]  # the name of a value, and the value as JSON


@dataclass(frozen=True, slots=True)
class Row:
    """One value and its cause: the event since which it was there without a break."""

    attribute: str
    value: Any
    cause: Cause

    def document(self) -> dict[str, Any]:
        return {"attribute": self.attribute, "value": self.value, "cause": self.cause.document()}


@dataclass(frozen=True, slots=True)
class Place:
    """The beginning of a page: after so many values of attributes, or after a member or group."""

    values: int = 0
    relation: str | int | None = None  # the id of a member, or the position of a group


BEGINNING = Place()


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page; `next` is the beginning of the next page, None for the last."""

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
        self._life: Lifetime | None = next(lives, None)

    def exists(self) -> bool:
        return self._life is not None

    def page(self, begin: Place, count: int) -> Page:
        """Return the rows of a page: attributes by name, then members or groups."""
        found: list[_Found] = []
        if self._life and begin.relation is None:
            found = self._attributes(self._life, begin.values)[: count + 1]
        if self._life and len(found) <= count:
            found += self._related(self._life, begin.relation, count + 1 - len(found))
        shown = found[:count]
        causes = self._archive.causes_at(each.position for each in shown)
        rows = [Row(each.attribute, each.value, causes[each.position]) for each in shown]
        return Page(rows, shown[-1].place if len(found) > count else None)

    def _attributes(self, life: Lifetime, skip: int) -> list[_Found]:
        ledger, about_members = self._archive.ledger, (MEMBERS_ADDED, MEMBERS_REMOVED)
        last = ledger.version_at(self._stream, self._at)
        events = ledger.walk_stream(self._stream, last=last, without=about_members)
        setters = blame(event for event in events if event.position >= life.born)
        return [
            _Found(name, orjson.loads(value), position, Place(number))
            for number, ((name, value), position) in enumerate(setters, 1)
            if number > skip
        ]

    def _related(self, life: Lifetime, after: str | int | None, count: int) -> list[_Found]:
        lifetimes = self._archive.lifetimes
        if self._relation == "members":
            members = lifetimes.members(life.born, self._at, str(after or ""), count)
            return [
                _Found("members", _member(id_, type_, display), since, Place(relation=id_))
                for id_, type_, display, since in members
            ]
        if self._relation == "groups":
            groups = lifetimes.direct_groups(self._id, self._at, int(after or 0), count)
            return [
                _Found("groups", {"value": id_, "display": display}, since, Place(relation=born))
                for born, id_, display, since in groups
            ]
        return []


def _member(id_: str, type_: str, display: str | None) -> dict[str, str]:
    return {"value": id_, "type": type_} | ({"display": display} if display else {})


def blame(events: Iterable[Recorded]) -> list[tuple[Item, int]]:
    """Return every value after the events of a lifetime, with the position that it is there since.

    Each event costs the attributes that it changed, not all that the resource has.
    """
    setters: dict[str, list[tuple[Item, int]]] = {}
    for recorded in events:
        for name, value in values_set(recorded).items():
            known = dict(setters.get(name, ()))
            items = _items(name, value)
            setters[name] = [(item, known.get(item, recorded.position)) for item in items]
    return [each for name in sorted(setters) for each in setters[name]]


def _items(name: str, value: Any) -> Iterator[Item]:
    """Yield the single values of an attribute: sub-attributes by name, each of many values."""
    if isinstance(value, list):
        yield from ((name, canonical(each)) for each in value)
    elif isinstance(value, dict):
        yield from ((f"{name}.{sub}", canonical(each)) for sub, each in sorted(value.items()))
    elif value is not None:
        yield name, canonical(value)
