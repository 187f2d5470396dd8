"""Cursors of lists: sealed, so that nobody can read or make one (RFC 9865)."""

import binascii
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ledger import clock
from scim_api.protocol.errors import ExpiredCursor, InvalidCount, InvalidCursor
from scim_api.protocol.quotations import quoted

TIMEOUT = 3600  # seconds for which a cursor can be used

_PURPOSE = b"scim-ledger cursor 2"  # another form of cursor gets another number
_NONCE = 12  # bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """What a cursor holds: a position, any JSON, and the count the list was begun with."""

    position: Any
    count: int


def seal_cursor(fingerprint: str, count: int, position: Any, key: bytes) -> str:
    """Return a cursor for a position, which can be any JSON; safe in a URL.

    `key` is the SHA-256 of the client's token: the same in every process and after a restart, and
    of no use to another client. `fingerprint` stands for the query without count and cursor.
    """
    nonce = os.urandom(_NONCE)
    content = orjson.dumps([_seconds(), count, position])
    return _text(nonce + _cipher(key).encrypt(nonce, content, _bound(fingerprint)))


def open_cursor(cursor: str, fingerprint: str, count: int | None, key: bytes) -> Opened:
    """Return what a cursor holds; raises InvalidCursor, ExpiredCursor or InvalidCount.

    A `count` of None was not given: the list goes on with the count it was begun with.
    """
    sealed = _bytes(cursor)
    try:
        content = _cipher(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(fingerprint))
    except (InvalidTag, ValueError):  # ValueError: shorter than a nonce
        raise _invalid() from None
    made_at, made_for, position = orjson.loads(content)
    if _seconds() - made_at > TIMEOUT:
        raise ExpiredCursor(
            f"The cursor is older than {TIMEOUT} seconds. Begin the list anew, with an empty"
            " cursor."
        )
    if count not in (None, made_for):
        raise InvalidCount(
            f"The cursor was made for count={quoted(str(made_for))}. Send the same count with it or"
            " none, or begin the list anew, with an empty cursor."
        )
    return Opened(position, made_for)


def _seconds() -> int:
    return int(clock.now().timestamp())


@lru_cache(maxsize=256)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(key))


def _bound(fingerprint: str) -> bytes:
    """Return what a cursor is bound to without holding it."""
    return _PURPOSE + b"\0" + fingerprint.encode()


def _text(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _bytes(cursor: str) -> bytes:
    """Read a cursor's text, in its one spelling; raises InvalidCursor."""
    try:
        sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):  # not ASCII
        raise _invalid() from None
    if _text(sealed) != cursor:
        raise _invalid()
    return sealed


def _invalid() -> InvalidCursor:
    return InvalidCursor(
        "The cursor is not one that this service gave to this token for this query: filter,"
        " sortBy and sortOrder must stay the same from page to page. Begin the list anew, with"
        " an empty cursor."
    )
