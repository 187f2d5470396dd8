"""One event: are its bytes those that `codec` makes of its columns and its payload?

There is one definition of a correct event, codec's: the header is made again and compared as a
whole. Only where it differs are its parts compared, to say in words what is wrong.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from ledger import codec
from ledger.contract import StoredEvent, StoredRows
from ledger.events import ERASABLE, ERASED, NO_RESOURCES, REVISIONS, STREAMS
from ledger.findings import Finding, Kind, short
from ledger.merkle import leaf_hash
from ledger.signing.identity import IDENTITY_TYPES

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")

_NO_COPIES = ("ledger", "v")  # the origin in force, and this format
_COLUMNS = "position id stream version type revision at txn actor ledger v".split()


class EventCheck:
    """Checks events in order; remembers what the next one must follow."""

    def __init__(self, rows: StoredRows, origin: str, position: int = 0, time: str = "") -> None:
        """`position` and `time` are those of the event before the first one checked."""
        self.origin = origin
        self._rows = rows
        self._position = position
        self._time = time if is_time(time) else ""

    def check(self, row: StoredEvent) -> tuple[bytes, list[Finding]]:
        """Return the leaf of the next event, and what is wrong with it."""
        leaf = leaf_hash(_bytes(row.header))
        try:
            findings = self._findings(row, leaf)
        except (TypeError, ValueError, AttributeError) as error:  # a column of another type
            findings = [_finding(row, "row", "readable", type(error).__name__)]
        self._position = row.position
        return leaf, findings

    def _findings(self, row: StoredEvent, leaf: bytes) -> list[Finding]:
        payload: list[Finding] = []
        hashed, header = self._hashed(row, payload), dict[str, Any]()
        made = codec.header_of(row, self.origin, *hashed, _last(row.header)) if hashed else b""
        if made != row.header:  # parsed only where that says more
            parsed = _parsed(row.header)
            if parsed is None:
                found = _finding(row, "header", "a JSON object", short(row.header))
                return [*self._check_place(row), *_check_leaf(row, leaf, as_made=False), found]
            header = parsed
            hashed = hashed or (header.get("attributes"), header.get("commitment"))
            made = codec.header_of(row, self.origin, *hashed, header.get("via"))
        findings: list[Finding] = []
        if row.position != self._position + 1:
            findings += self._check_place(row)
        if leaf != row.leaf_hash:
            findings += _check_leaf(row, leaf, as_made=made == row.header)
        if made != row.header:
            findings += _compare_headers(row, header, orjson.loads(made))
        if row.revision > REVISIONS.get(row.type, 0):
            known = "one this program knows"
            findings.append(_finding(row, "event type", known, f"{row.type} {row.revision}"))
        begins = STREAMS.get(row.type)
        if not row.stream.startswith(begins) if begins else row.stream.startswith(NO_RESOURCES):
            expected = f"one that begins with {' or '.join(begins)}" if begins else "a resource's"
            findings.append(_finding(row, f"stream of {row.type}", expected, short(row.stream)))
        elif row.type in IDENTITY_TYPES:
            findings += self._check_stream(row)
        if row.at != self._time:
            findings += self._check_time(row)
        findings += payload
        if made != row.header and hashed:
            findings += _compare_hashed(row, header, *hashed)
        return findings

    def _check_place(self, row: StoredEvent) -> Iterator[Finding]:
        after = self._position + 1
        if row.position > after:
            found = f"none; the next is at position {row.position}"
            yield Finding(Kind.MISSING, after, "event", "one", found, row.position - 1)
        elif row.position != after:
            yield _finding(row, "position", str(after), short(row.position))

    def _check_stream(self, row: StoredEvent) -> Iterator[Finding]:
        """Find that an event about the ledger's keys stands in a stream that is not its own."""
        opening = self._rows.type_and_stream(1)
        if opening and opening[1] != row.stream:
            yield _finding(row, f"stream of {row.type}", short(opening[1]), short(row.stream))

    def _check_time(self, row: StoredEvent) -> Iterator[Finding]:
        if not is_time(row.at):  # nothing is compared with it
            yield _finding(row, "time", "RFC 3339 with six decimals", row.at)
        elif row.at < self._time:
            yield _finding(row, "time", f"not before {self._time}", row.at)
        else:
            self._time = row.at

    def _hashed(self, row: StoredEvent, findings: list[Finding]) -> tuple[Any, Any] | None:
        """Return how many entries the payload has, and its commitment.

        None where it was erased or cannot be read: only the header says so then.
        """
        if row.payload_position is None:
            findings.append(_finding(row, "payload", "a row", "none"))
        elif row.body is None and row.salt is None:
            if not self._was_erased(row):
                expected = "erased by a later Erased event of its stream, a user's"
                findings.append(_finding(row, "payload", expected, "gone without one"))
        elif row.body is None or row.salt is None or row.erased_by is not None:
            findings.append(_finding(row, "payload", "all of it or none", "half of an erasure"))
        elif (payload := _parsed(row.body)) is None:
            findings.append(_finding(row, "payload", "a JSON object", short(row.body)))
        else:
            if codec.canonical(payload) != row.body:
                findings.append(_finding(row, "payload form", "canonical JSON", "other bytes"))
            return len(payload), codec.commitment(payload, row.salt).hex()
        return None

    def _was_erased(self, row: StoredEvent) -> bool:
        by = row.erased_by or 0
        return (
            by > row.position
            and row.stream.startswith(ERASABLE)
            and self._rows.type_and_stream(by) == (ERASED, row.stream)
        )


def _last(header: object) -> str:
    """Return what a header says of `via`, which no column has and which stands last in it.

    It need not be read right: the header that is made with it is compared as a whole.
    """
    return _bytes(header).rpartition(b'"via":"')[2][:-2].decode(errors="replace")


def _check_leaf(row: StoredEvent, leaf: bytes, *, as_made: bool) -> Iterator[Finding]:
    """Compare the leaf with the one that was stored: expected unless the header is as it was."""
    stored = _bytes(row.leaf_hash)
    if leaf != row.leaf_hash:
        expected, found = (leaf, stored) if as_made else (stored, leaf)
        yield _finding(row, "leaf hash", expected.hex(), found.hex())


def _bytes(value: object) -> bytes:
    """Return a column's bytes, none where it holds something else."""
    return value if isinstance(value, bytes) else b""


def is_time(text: str) -> bool:
    """Return whether a timestamp has the one form there is, and is in the calendar."""
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _compare_headers(
    row: StoredEvent, header: dict[str, Any], made: dict[str, Any]
) -> Iterator[Finding]:
    """Say in words how a header differs from the one made of the columns.

    The columns are copies: where the header is as it was hashed, a column is what is wrong.
    """
    as_hashed = leaf_hash(_bytes(row.header)) == row.leaf_hash
    if codec.canonical(header) != row.header:
        yield _finding(row, "header form", "canonical JSON", "other bytes")
    if header.keys() != made.keys():
        yield _finding(row, "header names", short(sorted(made)), short(sorted(header)))
    for name in _COLUMNS:
        copy, hashed = made[name], header.get(name)
        if not _differ(copy, hashed):
            continue
        if as_hashed and name not in _NO_COPIES:
            yield _finding(row, f"column {name}", short(hashed), short(copy))
        else:
            yield _finding(row, f"header's {name}", short(copy), short(hashed))


def _compare_hashed(
    row: StoredEvent, header: dict[str, Any], size: object, commitment: object
) -> Iterator[Finding]:
    """Say in words how a payload differs from what the header says of it."""
    for what, stated, found in (
        ("payload entries", header.get("attributes"), size),
        ("commitment", header.get("commitment"), commitment),
    ):
        if _differ(stated, found):
            yield _finding(row, what, short(stated), short(found))


def _differ(one: object, other: object) -> bool:
    return one != other or type(one) is not type(other)  # 1 == 1.0 == True


def _finding(row: StoredEvent, what: str, expected: str, found: str) -> Finding:
    return Finding(Kind.EVENT, row.position, what, expected, found)


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
