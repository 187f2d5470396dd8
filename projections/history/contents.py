"""What resources were: the attributes that each event set, and all of them now and then.

A version costs what its event changed. Every eighth has all attributes, so a version of any
resource is made of eight rows at the most, and to follow an event costs no look at its resource.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from ledger.contract import Connection
from ledger.events import REQUEST_PREFIX
from projections.kinds import ResourceKind
from projections.state import MEMBER, STANDING, Attributes, Resource, document_of, laid_over

NEVER = 2**63 - 1  # the end of a row that still holds

_NO_ATTRIBUTES = (REQUEST_PREFIX, MEMBER)

EVERY = 8  # versions of a stream, the first of which has all attributes


def has_all(version: int) -> bool:
    """Return whether a version of a stream has all attributes; so has a first one of a life."""
    return version % EVERY == 1 % EVERY


def effects_of(payload: Attributes) -> dict[str, Any]:
    """Return the attributes that an event sets, without members: they are rows, no attributes."""
    return {key: value for key, value in payload.items() if not key.startswith(_NO_ATTRIBUTES)}


class Content(NamedTuple):
    """The attributes that an event set, as JSON, or all of them; None for no attribute."""

    json: str | None
    whole: bool

    @classmethod
    def of(cls, attributes: Attributes, *, whole: bool = False) -> "Content":
        json = (
            orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS).decode() if attributes else None
        )
        return cls(json, whole)


NOTHING = Content(None, whole=False)


def attributes_of(type_: str, newest_first: Sequence[str | None]) -> Attributes:
    """Return the attributes after contents, the last of which has all."""
    merged: dict[str, Any] = {}
    for content in reversed(newest_first):
        if content:
            merged |= orjson.loads(content)
    return laid_over({}, merged, type_)


# The events of a stream up to a position, newest first: the last one, or back to all attributes.
_LAST = "FROM entry{s} WHERE stream = {stream} AND position <= {at} ORDER BY position DESC LIMIT 1"
_BACK = (
    "FROM entry{s} WHERE stream = {stream} AND position <= {at} AND position >= (SELECT position"
    " FROM entry{s} WHERE stream = {stream} AND position <= {at} AND whole"
    " ORDER BY position DESC LIMIT 1) ORDER BY position DESC"
)


def _of_life(rows: str, at: int | str) -> str:
    """Return SQL for the events of a row of `life`; its last one, Deleted, made no version."""
    return rows.format(s="", stream="life.stream", at=f"min({at}, life.died - 1)")


def version_at(at: int | str) -> str:
    """Return SQL for the version of a row of `life` at a position, not before it began."""
    return f"(SELECT version {_of_life(_LAST, at)})"


def document_at(at: int | str) -> str:
    """Return SQL for the document of a row of `life` at such a position, for `register`."""
    line = "version || ' ' || at || ' ' || coalesce(content, '')"
    lines = f"(SELECT {line} AS line {_of_life(_BACK, at)})"
    return (
        "scim_document(life.type, life.id, (SELECT at FROM entry WHERE position = life.born),"
        f" (SELECT group_concat(line, char(10)) FROM {lines}))"
    )


def content_at(at: int, key: str) -> tuple[str, list[str]]:
    """Return SQL for what the last event set that set an attribute, or that has all.

    The events are those of a row of `resource`, up to a position. Where the event unassigned the
    attribute, a row of a type for which it then has a value has that one.
    """
    place = f'$."{key}"'
    content, parameters = "content", list[str]()
    for type_, values in STANDING.items():
        if key in values:
            standing = orjson.dumps({key: values[key]}).decode()
            content = (
                "CASE WHEN json_type(content, ?) IS 'null' AND resource.type = ? THEN ?"
                f" ELSE {content} END"
            )
            parameters = [place, type_, standing, *parameters]
    rows = _of_row(at, "(whole OR json_type(content, ?) IS NOT NULL)")
    return f"(SELECT {content} {rows})", [*parameters, place]


def last_time(at: int) -> str:
    """Return SQL for the time of the last event of a row of `resource`, up to a position."""
    return f"(SELECT at {_of_row(at, '1')})"


def _of_row(at: int, condition: str) -> str:
    return (
        "FROM entry WHERE stream = resource.stream"
        f" AND position <= min({at}, resource.died - 1) AND {condition}"
        " ORDER BY position DESC LIMIT 1"
    )


def newest(connection: Connection, suffix: str, stream: int) -> list[str | None]:
    """Return the contents of a stream back to one that has all attributes, newest first."""
    back = _BACK.format(s=suffix, stream="?1", at=NEVER)
    rows = connection.execute(f"SELECT content {back}", (stream,))
    return [content for (content,) in rows]


def register(connection: Any, kinds: Mapping[str, ResourceKind]) -> None:
    """Register the function that makes documents of lines; it keeps the last one.

    A condition on a document reads it several times.
    """
    last: tuple[tuple[str, ...] | None, bytes] = None, b""

    def document(*asked: str) -> bytes | None:
        nonlocal last
        if last[0] == asked:
            return last[1]
        type_, id_, created, lines = asked
        if lines is None:
            return None
        made = _document(kinds[type_], id_, created, lines)
        last = asked, made
        return made

    connection.create_function("scim_document", 4, document, deterministic=True)


def _document(kind: ResourceKind, id_: str, created: str, lines: str) -> bytes:
    seen = [line.split(" ", 2) for line in lines.split("\n")]
    version, at, _ = seen[0]
    attributes = attributes_of(kind.type, [content for _, _, content in seen])
    resource = Resource(kind.type, id_, int(version), created, at, attributes)
    return document_of(resource, kind.schema, kind.endpoint)
