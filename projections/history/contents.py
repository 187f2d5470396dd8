"""What resources were: the attributes that each event set, and all of them now and then.

A version costs what its event changed. Every sixteenth has all attributes, so a version of any
resource is made of sixteen rows at the most, and to follow an event costs no look at its resource.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from ledger.contract import Connection
from ledger.events import REQUEST_PREFIX
from projections.kinds import ResourceKind
from projections.state import MEMBER, Attributes, Resource, document_of, laid_over

_NO_ATTRIBUTES = (REQUEST_PREFIX, MEMBER)

EVERY = 16  # versions of a stream, the first of which has all attributes

Version = tuple[int, str | None]  # its number, and the JSON of what its event set


def has_all(version: int) -> bool:
    """Return whether a version of a stream has all attributes; so has a first one of a life."""
    return version % EVERY == 1


def effects_of(payload: Attributes) -> dict[str, Any]:
    """Return the attributes that an event sets, without members: they are rows, no attributes."""
    return {key: value for key, value in payload.items() if not key.startswith(_NO_ATTRIBUTES)}


def content_of(attributes: Attributes) -> str | None:
    """Return attributes as they are stored, None for none."""
    if not attributes:
        return None
    return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS).decode()


def attributes_of(type_: str, newest_first: Iterable[Version]) -> Attributes:
    """Return the attributes after the versions of a life: of all, or of enough of them."""
    changes = list[dict[str, Any]]()
    for version, content in newest_first:
        if content is not None:
            changes.append(orjson.loads(content))
        if has_all(version):
            break
    merged: dict[str, Any] = {}
    for change in reversed(changes):
        merged |= change
    return laid_over({}, merged, type_)


# The events of a life up to a position, newest first.
_SEEN = (
    "FROM entry{s} WHERE stream = life.stream"
    " AND position BETWEEN life.born AND min({at}, life.died - 1) ORDER BY position DESC LIMIT "
)


def version_at(at: int | str) -> str:
    """Return SQL for the version of a row of `life` at a position."""
    return f"(SELECT version {_SEEN.format(s='', at=at)} 1)"


def document_at(at: int | str) -> str:
    """Return SQL for the document of a row of `life` at a position, for `register`."""
    line = "version || ' ' || at || coalesce(' ' || content, '')"
    lines = f"(SELECT {line} AS line {_SEEN.format(s='', at=at)} {EVERY})"
    return (
        "scim_document(life.type, life.id, (SELECT at FROM entry WHERE position = life.born),"
        f" (SELECT group_concat(line, char(10)) FROM {lines}))"
    )


def versions(connection: Connection, suffix: str, stream: int, born: int) -> Iterable[Version]:
    """Return the newest versions of a life that has not ended, as far as they are needed."""
    found: Iterable[Version] = connection.execute(
        f"SELECT version, content FROM entry{suffix} WHERE stream = ? AND position >= ?"
        f" ORDER BY position DESC LIMIT {EVERY}",
        (stream, born),
    ).fetchall()
    return found


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
    newest = seen[0]
    changes = ((int(version), rest[0] if rest else None) for version, _, *rest in seen)
    attributes = attributes_of(kind.type, changes)
    resource = Resource(kind.type, id_, int(newest[0]), created, newest[1], attributes)
    return document_of(resource, kind.schema, kind.endpoint)
