"""Is an event, byte for byte, what its columns and its payload make of it? Yes, or look closer.

What is accepted here is right; what is not is examined by `verify_events`, which says what is
wrong, or that nothing is: this knows only the forms that nearly all events have. Neither takes
anything from the program that writes.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from operator import lt
from typing import Any

from ledger.events import REVISIONS

FORMAT = 1

_TEXT = (
    rb'"[^"\\\x00-\x1f]*+'
    rb'(?:\\(?:["\\bfnrt]|u00(?:0[0-7be-f]|1[0-9a-f]))[^"\\\x00-\x1f]*+)*+"'
)


def _nested(depth: int) -> bytes:
    """Return a pattern for what stands in braces or brackets, so many deep."""
    inner = rb'[^"{}\[\]]++|' + _TEXT + (rb"|" + _nested(depth - 1) if depth else b"")
    return rb"[{\[](?:" + inner + rb")*+[}\]]"


# One entry of a payload in canonical form, as it stands behind a comma.
_ENTRY = re.compile(
    rb',("[#-\[\]-~]+"):(' + _TEXT + rb"|true|false|null|-?[1-9][0-9]{0,15}|0|" + _nested(3) + rb")"
)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_HASHED = re.compile(rb'"attributes":(0|[1-9][0-9]*),"commitment":"([0-9a-f]{64})"')
_VIA = re.compile(rb'[ !#-\[\]-~]*"\}')
_QUOTES = 45  # of a header up to the value of `via`: none is in a value

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def header_is_right(row: Sequence[Any], origin: str, size: int, commitment: str) -> bool:
    """Return whether a header is what the columns, and the payload's hash, make of it."""
    position, id_, stream, version, type_, revision, at, txn, actor, header = row[:10]
    if type(version) is not int or type(revision) is not int:
        return False
    text = (
        f'{{"actor":"{actor}","at":"{at}","attributes":{size},"commitment":"{commitment}",'
        f'"id":"{id_}","ledger":"{origin}","position":{position},"revision":{revision},'
        f'"stream":"{stream}","txn":"{txn}","type":"{type_}","v":{FORMAT},"version":{version},'
        '"via":"'
    )
    if not text.isascii() or not text.isprintable() or "\\" in text or text.count('"') != _QUOTES:
        return False
    start = text.encode()
    return header.startswith(start) and _VIA.fullmatch(header, len(start)) is not None


def is_known(type_: str, revision: int) -> bool:
    """Return whether this program knows a type and revision."""
    return revision <= REVISIONS.get(type_, 0)


def is_time(at: str) -> bool:
    """Return whether a timestamp has the one form there is, and is in the calendar."""
    if _TIME.fullmatch(at) is None:
        return False
    try:
        datetime.fromisoformat(at)
    except ValueError:
        return False
    return True


def hashed_of(header: bytes) -> tuple[int, str] | None:
    """Return what a header says of a payload that is gone: how many entries, and their hash."""
    match = _HASHED.search(header)
    return match and (int(match[1]), match[2].decode())


def commitment_of(body: bytes, salt: bytes) -> tuple[int, str] | None:
    """Return how many entries a canonical payload has, and their hash; None where it may not be."""
    if body == b"{}":
        return 0, sha256().hexdigest()
    entries = _entries(body)
    if entries is None or len(salt) != 32:
        return None
    paths, values = entries
    size = 16 * len(paths)
    salts = hashlib.shake_256(salt).digest(size)
    leaves = [
        sha256(b"\0%b[%b,%b]" % (salts[at : at + 16], path, value)).digest()
        for at, path, value in zip(range(0, size, 16), paths, values, strict=True)
    ]
    return len(paths), root_of(leaves).hex()


def _entries(body: bytes) -> tuple[list[bytes], list[bytes]] | None:
    """Cut a canonical payload into its paths and its values, each in its own bytes."""
    parts = _ENTRY.split(b"," + body[1:-1])  # what is between entries, path, value, and again
    paths, values = parts[1::3], parts[2::3]
    if not paths or any(parts[::3]) or body[:1] != b"{" or body[-1:] != b"}":
        return None
    if not all(map(lt, paths, paths[1:])):
        return None
    if not body.isascii():
        body.decode()  # or UnicodeDecodeError
    if body.find(b"{", 1) > 0 or b"[" in body:
        return (paths, values) if all(map(_nested_is_canonical, values)) else None
    return paths, values


def _nested_is_canonical(value: bytes) -> bool:
    if value[0] not in b"{[":
        return True
    return _known(value) if len(value) < 200 else _is_canonical(value)


def _is_canonical(value: bytes) -> bool:
    return _ENCODER.encode(json.loads(value)).encode() == value


_known = lru_cache(maxsize=4096)(_is_canonical)  # many a member is the same


def root_of(nodes: list[bytes]) -> bytes:
    """Return the tree hash over one node or more, level by level (RFC 9162 §2.1.1)."""
    while len(nodes) > 1:
        above = parents(nodes)
        if len(nodes) & 1:
            above.append(nodes[-1])
        nodes = above
    return nodes[0]


def parents(nodes: list[bytes]) -> list[bytes]:
    """Return the nodes above pairs of nodes; one that is left over has none yet."""
    each = iter(nodes)
    return [
        sha256(b"\x01" + left + right).digest() for left, right in zip(each, each, strict=False)
    ]
