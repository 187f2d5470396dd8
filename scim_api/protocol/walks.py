"""Walks by cursor through a list (RFC 9865): where one goes on, and the cursor of what follows."""

import hashlib
from dataclasses import replace

from projections.query.model import START, Mark, Page, Query
from scim_api.protocol.cursors import open_cursor, seal_cursor
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.list_query import Parameters

_LONGEST = 1000  # characters of a sort key: a cursor must fit into a URL
_BOUND = ("filter", "sortBy", "sortOrder")


def is_walk(parameters: Parameters) -> bool:
    """Return whether a list is asked for by cursor."""
    return "cursor" in parameters


def resumed(query: Query, parameters: Parameters, about: str, key: bytes) -> Query:
    """Return the query behind its cursor; an empty one begins a walk.

    `about` names what is listed, `key` is the client's own. Raises InvalidCursor, ExpiredCursor,
    InvalidCount, or InvalidValue for a startIndex beside the cursor.
    """
    if parameters.get("startIndex"):
        raise InvalidValue("A list is read by cursor or by startIndex, not by both.")
    text = parameters["cursor"]
    if not text:
        return replace(query, after=START)
    count = query.count if parameters.get("count") else None
    opened = open_cursor(text, _fingerprint(parameters, about), count, key)
    position, sort_key = opened.position
    return replace(query, after=Mark(position, sort_key), count=opened.count)


def following(
    page: Page, query: Query, parameters: Parameters, about: str, key: bytes
) -> str | None:
    """Return the cursor of the next page; None on the last one."""
    if page.next is None:
        return None
    if isinstance(page.next.key, str) and len(page.next.key) > _LONGEST:
        raise InvalidValue("sortBy meets values too long for a cursor: page by startIndex.")
    position = [page.next.position, page.next.key]
    return seal_cursor(_fingerprint(parameters, about), query.count, position, key)


def _fingerprint(parameters: Parameters, about: str) -> str:
    """Return what binds a cursor to its query."""
    parts = "\0".join((about, *(parameters.get(name) or "" for name in _BOUND)))
    return hashlib.sha256(parts.encode()).hexdigest()
