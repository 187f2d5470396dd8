"""Event <-> bytes: canonical JSON, headers, payloads, commitments, leaves; and upcasters.

The bytes are those of docs/ledger-format.md. They can never change for format 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from hashlib import sha256, shake_256
from operator import itemgetter
from typing import Any

import orjson
from orjson import OPT_SORT_KEYS, dumps

from ledger.contract import LedgerNewer, LedgerUnavailable, StoredEvent
from ledger.events import (
    CREDENTIAL_ISSUED,
    ERASED,
    LEDGER_OPENED,
    REQUEST_PREFIX,
    RESTORED,
    REVISIONS,
    Event,
    Metadata,
    Payload,
    Recorded,
)
from ledger.merkle import tree_hash

FORMAT = 1
SALT_SIZE = 32

_of_header = itemgetter(*(each.name for each in fields(Recorded) if each.name != "payload"))

Upcaster = Callable[[Payload], Payload]


def _unchanged(payload: Payload) -> Payload:
    """Return a payload: its newer revision only has entries that older programs do not know."""
    return payload


# (type, revision) -> what turns its payload into that of the next revision. Never deleted.
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {
    (LEDGER_OPENED, 1): _unchanged,  # 2: `verifier_key`, that of the first tree heads
    (CREDENTIAL_ISSUED, 1): _unchanged,  # 2: `user` and `policy`
    (CREDENTIAL_ISSUED, 2): _unchanged,  # 3: `scopes`
    (CREDENTIAL_ISSUED, 3): _unchanged,  # 4: `networks`
    (ERASED, 1): _unchanged,  # 2: why, on which ticket, how many payloads were forgotten
    (RESTORED, 1): _unchanged,  # 2: `changes` and `agreed`: what of the lost history matters
}


class UnknownEvent(LedgerNewer):
    """An event of a type or revision newer than this program: reading on would guess."""

    def __init__(self, type_: str, revision: int) -> None:
        super().__init__(
            f"event type {type_!r} revision {revision} is newer than this program;"
            " install the version of scim-ledger that wrote this ledger, or a later one",
            reason="ledger newer than the program",
        )


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 form of a value without floats and integers of 2^53 and beyond."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def payload_of(event: Event, metadata: Metadata) -> dict[str, Any]:
    """Return the payload: the event's effects and the request that caused it."""
    request = {f"{REQUEST_PREFIX}{name}": value for name, value in metadata.request.items()}
    return {**event.effects, **request}


def entry_salts(event_salt: bytes, count: int) -> list[bytes]:
    """Return the salts of a payload's entries, 16 bytes each, in order of path."""
    salts = shake_256(event_salt).digest(16 * count)
    return [salts[at : at + 16] for at in range(0, len(salts), 16)]


def entry_leaves(payload: Payload, event_salt: bytes) -> list[bytes]:
    """Return the hashes of a payload's entries, each under its own salt, in order of path."""
    salts = shake_256(event_salt).digest(16 * len(payload))
    return [  # as `entry_salts` cuts them: this is the most frequent line of all
        sha256(
            b"\x00" + salts[at : at + 16] + dumps((path, payload[path]), option=OPT_SORT_KEYS)
        ).digest()
        for at, path in zip(range(0, len(salts), 16), sorted(payload), strict=True)
    ]


def commitment(payload: Payload, event_salt: bytes) -> bytes:
    """Bind a payload to its header: the RFC 9162 tree hash of its salted entries."""
    return tree_hash(entry_leaves(payload, event_salt))


def header_bytes(origin: str, recorded: Recorded, size: int, commitment_hex: str) -> bytes:
    """Return the header: the exact bytes that are hashed and kept."""
    return header_of(recorded, origin, size, commitment_hex, recorded.via)


def header_of(
    columns: Recorded | StoredEvent, origin: str, size: Any, commitment_hex: Any, via: Any
) -> bytes:
    """Return the header of an event whose columns are at hand; no column has its `via`."""
    return canonical(
        {
            "actor": columns.actor,
            "at": columns.at,
            "attributes": size,
            "commitment": commitment_hex,
            "id": columns.id,
            "ledger": origin,
            "position": columns.position,
            "revision": columns.revision,
            "stream": columns.stream,
            "txn": columns.txn,
            "type": columns.type,
            "v": FORMAT,
            "version": columns.version,
            "via": via,
        }
    )


def decode(header: bytes, body: bytes | None) -> Recorded:
    """Read an event back from its header and payload, upcast to the newest revision.

    Raises UnknownEvent, or LedgerUnavailable when the bytes are no event.
    """
    try:
        payload = None if body is None else orjson.loads(body)
        written = (*_of_header(orjson.loads(header)), payload)
        recorded = Recorded(*written)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged() from error
    revision, payload = upcast(recorded.type, recorded.revision, payload)
    if revision == recorded.revision:
        return recorded
    return replace(recorded, revision=revision, payload=payload)


def payload_from(type_: str, revision: int, body: bytes | None) -> Payload | None:
    """Read a payload back, upcast to the newest revision of its type; raises as `decode` does."""
    if body is None:
        return None
    try:
        payload: Payload = orjson.loads(body)
    except ValueError as error:
        raise _damaged() from error
    if REVISIONS.get(type_) == revision:  # nearly always
        return payload
    return upcast(type_, revision, payload)[1]


def _damaged() -> LedgerUnavailable:
    says = "an event is damaged; `scim-ledger verify` says what is wrong"
    return LedgerUnavailable(says, reason="damaged file")


def upcast(type_: str, revision: int, payload: Payload | None) -> tuple[int, Payload | None]:
    """Bring a payload to the newest revision of its type, one step at a time."""
    newest = REVISIONS.get(type_)
    if newest is None or revision > newest:
        raise UnknownEvent(type_, revision)
    while revision < newest:
        payload = None if payload is None else UPCASTERS[type_, revision](payload)
        revision += 1
    return revision, payload
