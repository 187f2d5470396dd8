"""Event by event: is everything that was hashed, and everything beside it, as it must be?

The bytes are made anew with the standard library, not with what wrote them.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

from ledger.events import ERASED, REVISIONS
from ledger.sqlite.connection import Connection
from ledger.verify.bytes import FORMAT, is_time, root_of

_HEADER_KEYS = (
    "actor at attributes commitment id ledger position revision stream txn type v version via"
).split()
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be; position is None when it concerns the whole file.

    With `last` it is somewhere from one position to another.
    """

    position: int | None
    what: str
    expected: str
    found: str
    last: int | None = None

    def __str__(self) -> str:
        place = "the file" if self.position is None else f"position {self.position}"
        place += f" to {self.last}" if self.last else ""
        return f"{place}: {self.what}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Row:
    """One event as it lies in the two tables."""

    position: int
    id: str
    stream: str
    version: int
    type: str
    revision: int
    recorded_at: str
    txn: str
    actor: str
    header: bytes
    leaf_hash: bytes
    payload_position: int | None
    salt: bytes | None
    body: bytes | None
    erased_by: int | None


class Reader:
    """Examines events in order and remembers what the next one must follow from."""

    def __init__(self, origin: str, position: int = 0, last_time: str = "") -> None:
        """`position` and `last_time` are those of the event before the first one read."""
        self.origin = origin
        self.position = position
        self.last_time = last_time

    def read(self, row: Row, connection: Connection) -> Iterator[Finding]:
        """Find what is wrong with an event; damage can give a column any type, JSON any depth."""
        try:
            yield from self._read(row, connection)
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            yield Finding(row.position, "row", "readable", type(error).__name__)

    def _read(self, row: Row, connection: Connection) -> Iterator[Finding]:
        def differs(what: str, expected: object, found: object) -> Iterator[Finding]:
            if expected != found or type(expected) is not type(found):  # 1 == 1.0 == True
                yield Finding(row.position, what, short(expected), short(found))

        expected, self.position = self.position + 1, row.position
        yield from differs("position", expected, row.position)
        yield from differs(
            "leaf hash", hashlib.sha256(b"\x00" + row.header).hexdigest(), row.leaf_hash.hex()
        )
        header = _parse(row.header)
        if header is None:
            yield Finding(row.position, "header", "a JSON object", short(row.header))
            return
        yield from self._check_header(row, header, differs)
        yield from self._check_time(row)
        yield from _check_payload(row, header, connection)

    def _check_header(self, row: Row, header: dict[str, Any], differs: Any) -> Iterator[Finding]:
        yield from differs("header form", _canonical(header), row.header)
        yield from differs("header names", _HEADER_KEYS, sorted(header))
        expected = {
            "position": row.position,
            "id": row.id,
            "stream": row.stream,
            "version": row.version,
            "type": row.type,
            "revision": row.revision,
            "at": row.recorded_at,
            "txn": row.txn,
            "actor": row.actor,
            "ledger": self.origin,
            "v": FORMAT,
        }
        for name, value in expected.items():
            yield from differs(f"header's {name}", value, header.get(name))
        if REVISIONS.get(row.type, 0) < row.revision:
            yield Finding(
                row.position, "event type", "one this program knows", f"{row.type} {row.revision}"
            )

    def _check_time(self, row: Row) -> Iterator[Finding]:
        if not is_time(row.recorded_at):  # nothing is compared with it
            yield Finding(row.position, "time", "RFC 3339 with six decimals", row.recorded_at)
            return
        if row.recorded_at < self.last_time:
            yield Finding(row.position, "time", f"not before {self.last_time}", row.recorded_at)
        self.last_time = max(self.last_time, row.recorded_at)


def _check_payload(row: Row, header: dict[str, Any], connection: Connection) -> Iterator[Finding]:
    if row.payload_position is None:
        yield Finding(row.position, "payload", "a row", "none")
    elif row.body is None and row.salt is None:
        yield from check_erasure(row.position, row.stream, row.erased_by, connection)
    elif row.body is None or row.salt is None or row.erased_by is not None:
        yield Finding(row.position, "payload", "all of it or none", "half of an erasure")
    else:
        yield from _check_commitment(row, header, row.body, row.salt)


def _check_commitment(
    row: Row, header: dict[str, Any], body: bytes, salt: bytes
) -> Iterator[Finding]:
    payload = _parse(body)
    if payload is None:
        yield Finding(row.position, "payload", "a JSON object", short(body))
        return
    if _canonical(payload) != body:
        yield Finding(row.position, "payload form", "canonical JSON", "other bytes")
    if header.get("attributes") != len(payload):
        yield Finding(
            row.position, "payload entries", short(header.get("attributes")), str(len(payload))
        )
    found = _commitment(payload, salt)
    if found != header.get("commitment"):
        yield Finding(row.position, "commitment", short(header.get("commitment")), found)


def check_erasure(
    position: int, stream: str, erased_by: int | None, connection: Connection
) -> Iterator[Finding]:
    """Find that a payload went without a later Erased event of its stream."""
    erasure = connection.execute(
        "SELECT type, stream FROM event WHERE position = ? AND position > ?", (erased_by, position)
    ).fetchone()
    if erasure != (ERASED, stream):
        expected = "erased by a later Erased event of its stream"
        yield Finding(position, "payload", expected, "gone without one")


def _commitment(payload: dict[str, Any], event_salt: bytes) -> str:
    salts = hashlib.shake_256(event_salt).digest(16 * len(payload))
    leaves = [
        hashlib.sha256(b"\x00" + salts[16 * i : 16 * i + 16] + _entry(path, payload[path])).digest()
        for i, path in enumerate(sorted(payload))
    ]
    return (root_of(leaves) if leaves else hashlib.sha256(b"").digest()).hex()


def _entry(path: str, value: Any) -> bytes:
    """Write one payload entry; most values are text, which needs no encoder of its own."""
    if isinstance(value, str):
        return f"[{encode_basestring(path)},{encode_basestring(value)}]".encode(
            errors="surrogatepass"
        )
    return _canonical([path, value])


def as_far_as_readable(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings; a damaged column of another type, which stops whoever looks, is one too."""
    try:
        yield from findings
    except (TypeError, ValueError, AttributeError) as error:
        yield Finding(None, "row", "readable", f"{type(error).__name__}: {short(error)}")


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _canonical(value: Any) -> bytes:
    """Write canonical JSON with the standard library, not with what wrote it."""
    return _ENCODER.encode(value).encode(errors="surrogatepass")


def short(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
