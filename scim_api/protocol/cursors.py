"""Lists read by cursor (RFC 9865); cursors are sealed, so that nobody can read or make one."""

import hashlib
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ledger import clock
from projections.query.model import START, Mark, Page, Query
from scim_api.protocol.errors import (
    ExpiredCursor,
    InvalidCount,
    InvalidCursor,
    InvalidValue,
    Quoted,
)
from scim_api.protocol.list_query import Parameters

TIMEOUT = 3600  # seconds for which a cursor can be used

_PURPOSE = b"scim-ledger cursor 2"  # another form of cursor gets another number
_NONCE = 12  # bytes
_LONGEST = 1000  # characters of a sort key: a cursor must fit into a URL
_BOUND = ("filter", "sortBy", "sortOrder")


def is_walk(parameters: Parameters) -> bool:
    """Return whether a list is read by cursor."""
    return "cursor" in parameters


def resumed(query: Query, parameters: Parameters, about: str, key: bytes) -> Query:
    """Return the query of the page that a cursor asks for; an empty one asks for the first.

    `about` names what is listed, `key` is the client's own. Raises InvalidCursor, ExpiredCursor,
    InvalidCount, or InvalidValue for a startIndex next to the cursor.
    """
    if parameters.get("startIndex"):
        raise InvalidValue(
            "parameter.cursor_and_index", "A list is read by cursor or by startIndex, not by both."
        )
    text = parameters["cursor"]
    if not text:
        return replace(query, after=START)
    count = query.count if parameters.get("count") else None
    mark, count = open_cursor(text, _fingerprint(parameters, about), count, key)
    return replace(query, after=Mark(*mark), count=count)


def following(
    page: Page, query: Query, parameters: Parameters, about: str, key: bytes
) -> str | None:
    """Return the cursor of the next page; None on the last one."""
    if page.next is None:
        return None
    if isinstance(page.next.key, str) and len(page.next.key) > _LONGEST:
        raise InvalidValue(
            "parameter.sort_length",
            "sortBy finds values too long for a cursor. Read the list by startIndex.",
        )
    position = [page.next.position, page.next.key]
    return seal_cursor(_fingerprint(parameters, about), query.count, position, key)


def _fingerprint(parameters: Parameters, about: str) -> str:
    """Return what binds a cursor to its query."""
    parts = "\0".join((about, *(parameters.get(name) or "" for name in _BOUND)))
    return hashlib.sha256(parts.encode()).hexdigest()


def seal_cursor(fingerprint: str, count: int, position: Any, key: bytes) -> str:
    """Return a cursor for a position, which can be any JSON; safe in a URL.

    `key` is the SHA-256 of the first secret of the client's credential: the same in every process,
    after a restart and with every later token of the credential, and of no use to another client.
    `fingerprint` stands for the query without count and cursor.
    """
    nonce = os.urandom(_NONCE)
    content = orjson.dumps([_seconds(), count, position])
    return _text(nonce + _cipher(key).encrypt(nonce, content, _bound(fingerprint)))


def open_cursor(cursor: str, fingerprint: str, count: int | None, key: bytes) -> tuple[Any, int]:
    """Return the position and the count in a cursor.

    Raises InvalidCursor, ExpiredCursor or InvalidCount.

    A `count` of None was not given: the list goes on with the count it was begun with.
    """
    try:
        sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        content = _cipher(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(fingerprint))
        if _text(sealed) != cursor:
            raise ValueError("another spelling")
    except (InvalidTag, ValueError):  # ValueError: no base 64, or shorter than a nonce
        raise InvalidCursor(
            "cursor.invalid",
            "The cursor is not one that this service gave to this client for this query: filter,"
            " sortBy and sortOrder must stay the same from page to page. Start the list again, with"
            " an empty cursor.",
        ) from None
    made_at, made_for, position = orjson.loads(content)
    if _seconds() - made_at > TIMEOUT:
        raise ExpiredCursor(
            "cursor.expired",
            "The cursor is older than {seconds} seconds. Start the list again, with an empty"
            " cursor.",
            seconds=TIMEOUT,
        )
    if count not in (None, made_for):
        raise InvalidCount(
            "cursor.count",
            "The cursor was made for count={count}. Send the same count or none, or start the list"
            " again, with an empty cursor.",
            count=Quoted(str(made_for)),
        )
    return position, made_for


def _seconds() -> int:
    return int(clock.now().timestamp())


@lru_cache(maxsize=256)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(key))


def _bound(fingerprint: str) -> bytes:
    return _PURPOSE + b"\0" + fingerprint.encode()


def _text(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()
