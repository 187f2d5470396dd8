"""Reads everything, trusts nothing of the writer: every byte of the ledger against every other.

It shares only the tree hash with the writer, and reads with a connection that cannot write.
What no check on a file alone can show: a tail cut off whole, or an event or a ledger written anew,
header, leaf and payload together, by somebody who has the file; that takes a tree head that others
hold.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from ledger.codec import FORMAT, tree_hash
from ledger.database import UNREADABLE, UNWRITABLE, Connection, connect_read_only, driver, snapshot
from ledger.events import ERASED, LEDGER_OPENED, REVISIONS
from ledger.migrations import check_identity, schema_sql
from ledger.store import LedgerMissing, LedgerUnavailable

Progress = Callable[[int, int], None]

CHUNK = 2000
LOWEST, HIGHEST = -(2**63), 2**63 - 1  # the positions that a table can hold at all
MAX_FINDINGS = 100

_HEADER_KEYS = (
    "actor at attributes commitment id ledger position revision stream txn type v version via"
).split()
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_COLUMNS = (
    "position, event.id, stream, version, type, revision, recorded_at, txn, actor, header,"
    " leaf_hash, payload.position, salt, body, erased_by"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be; position is None when it concerns the whole file."""

    position: int | None
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        place = "the file" if self.position is None else f"position {self.position}"
        return f"{place}: {self.what}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Report:
    """What a verification read and found; `findings` are in order of position, cut at 100."""

    path: Path
    origin: str = ""
    events: int = 0
    payloads: int = 0
    erased: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.findings

    @property
    def first_bad_position(self) -> int | None:
        positions = [f.position for f in self.findings if f.position is not None]
        return min(positions, default=None)


def _ignore(done: int, total: int) -> None:
    pass


def verify(path: Path, progress: Progress = _ignore) -> Report:
    """Verify a ledger file; raises LedgerUnavailable when it cannot be opened. Writes nothing."""
    report = Report(path)
    try:
        connection = connect_read_only(path)
    except LedgerMissing:
        raise
    except LedgerUnavailable as trouble:
        if trouble.reason in (UNREADABLE, UNWRITABLE):  # says nothing about what is in it
            raise
        report.findings.append(Finding(None, "file", "a readable database", str(trouble)))
        return report
    connection.text_factory = _text
    try:
        with snapshot(connection):
            for finding in _check(connection, report, progress):
                report.findings.append(finding)
                if len(report.findings) >= MAX_FINDINGS:
                    break
    except (driver.DatabaseError, LedgerUnavailable, UnicodeDecodeError) as error:
        report.findings.append(_unreadable(report, error))
    finally:
        connection.close()
    report.findings.sort(key=lambda f: (f.position is None, f.position or 0))
    return report


def _text(raw: bytes) -> str:
    """Read damaged text too, as something that cannot equal what was hashed."""
    return raw.decode(errors="replace")


def _unreadable(report: Report, error: Exception) -> Finding:
    """Name the place reading stopped at: the event after the last one that could be read."""
    if isinstance(error, LedgerUnavailable):
        return Finding(None, "identity", "a ledger this program knows", str(error))
    return Finding(report.events + 1, "database page", "readable", str(error))


def _check(connection: Connection, report: Report, progress: Progress) -> Iterator[Finding]:
    check_identity(connection, report.path)
    yield from _check_schema(connection)
    yield from _check_ledger_row(connection, report)
    yield from _check_events(connection, report, progress)
    yield from _check_stray_payloads(connection)
    yield from _check_database(connection)


def _check_schema(connection: Connection) -> Iterator[Finding]:
    """Find tables and triggers that are missing, not as this program makes them, or not its own."""
    rows = connection.execute(
        "SELECT name, sql, type FROM sqlite_master WHERE sql IS NOT NULL"
    ).fetchall()
    found = {name: sql for name, sql, _ in rows}
    ours = schema_sql()
    for name, sql in ours.items():
        if found.get(name) != sql:
            state = "another definition" if name in found else "none"
            yield Finding(None, f"schema of {name}", "as this program makes it", state)
    for name, _, type_ in rows:
        if type_ == "trigger" and name not in ours:
            yield Finding(None, f"schema of {name}", "no such trigger", "a trigger")


def _check_ledger_row(connection: Connection, report: Report) -> Iterator[Finding]:
    """Compare the ledger's own row with its first event."""
    rows = connection.execute("SELECT id, origin, opened_at, format FROM ledger").fetchall()
    first = connection.execute("SELECT type, recorded_at FROM event WHERE position = 1").fetchone()
    report.origin = str(rows[0][1]) if rows else ""
    expected = [(1, report.origin, first and first[1], FORMAT)]
    if rows != expected:
        yield Finding(None, "table ledger", _short(expected), _short(rows))
    if first is not None and first[0] != LEDGER_OPENED:
        yield Finding(1, "first event", LEDGER_OPENED, _short(first[0]))


def _check_database(connection: Connection) -> Iterator[Finding]:
    """Report SQLite's own integrity check: pages, indexes, constraints."""
    for (line,) in connection.execute("PRAGMA integrity_check(10)").fetchall():
        if line != "ok":
            yield Finding(None, "SQLite integrity check", "ok", line.replace("\n", " "))
    for row in connection.execute("PRAGMA foreign_key_check").fetchall():
        yield Finding(None, "foreign keys", "ok", f"{row[0]} row {row[1]}")


def _check_stray_payloads(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        "SELECT position FROM payload WHERE position NOT IN (SELECT position FROM event)"
    )
    for (position,) in rows.fetchall():
        yield Finding(position, "payload", "an event it belongs to", "none")


def _check_events(connection: Connection, report: Report, progress: Progress) -> Iterator[Finding]:
    total = connection.execute("SELECT max(position) FROM event").fetchone()[0] or 0
    reader = _Reader(report.origin)
    if total == 0:
        yield Finding(1, "event", "LedgerOpened", "no event at all")
    for rows in _chunks(connection):
        for row in rows:
            yield from _read_row(reader, Row(*row), connection)
            report.events = reader.position
            report.payloads += row[13] is not None
            report.erased += row[13] is None and row[11] is not None
        progress(reader.position, total)


def _read_row(reader: "_Reader", row: "Row", connection: Connection) -> Iterator[Finding]:
    """Read one event; damage can give a column any type, and JSON any depth."""
    try:
        yield from reader.read(row, connection)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        yield Finding(row.position, "row", "readable", type(error).__name__)


def _chunks(connection: Connection) -> Iterator[list[tuple[Any, ...]]]:
    """Walk the table in key order; where a chunk cannot be read, up to the very row that cannot."""
    statement = (
        f"SELECT {_COLUMNS} FROM event LEFT JOIN payload USING (position)"
        " WHERE position >= ? ORDER BY position LIMIT ?"
    )
    start, size = LOWEST, CHUNK
    while start <= HIGHEST:
        try:
            rows = connection.execute(statement, (start, size)).fetchall()
        except driver.DatabaseError:
            if size == 1:
                raise
            size = 1
            continue
        if not rows:
            return
        yield rows
        start = rows[-1][0] + 1


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


class _Reader:
    """Reads events in order and remembers what the next one must follow from."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._versions: dict[str, int] = {}
        self._last_time = ""
        self.position = 0

    def read(self, row: Row, connection: Connection) -> Iterator[Finding]:
        def differs(what: str, expected: object, found: object) -> Iterator[Finding]:
            if expected != found or type(expected) is not type(found):  # 1 == 1.0 == True
                yield Finding(row.position, what, _short(expected), _short(found))

        expected, self.position = self.position + 1, row.position
        yield from differs("position", expected, row.position)
        yield from differs(
            "leaf hash", hashlib.sha256(b"\x00" + row.header).hexdigest(), row.leaf_hash.hex()
        )
        header = _parse(row.header)
        if header is None:
            yield Finding(row.position, "header", "a JSON object", _short(row.header))
            return
        yield from self._check_header(row, header, differs)
        yield from self._check_order(row, differs)
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
            "ledger": self._origin,
            "v": FORMAT,
        }
        for name, value in expected.items():
            yield from differs(f"header's {name}", value, header.get(name))
        if REVISIONS.get(row.type, 0) < row.revision:
            yield Finding(
                row.position, "event type", "one this program knows", f"{row.type} {row.revision}"
            )

    def _check_order(self, row: Row, differs: Any) -> Iterator[Finding]:
        version = self._versions.get(row.stream, 0) + 1
        yield from differs("version in its stream", version, row.version)
        self._versions[row.stream] = row.version
        if not _TIME.fullmatch(row.recorded_at):
            yield Finding(row.position, "time", "RFC 3339 with six decimals", row.recorded_at)
        if row.recorded_at < self._last_time:
            yield Finding(row.position, "time", f"not before {self._last_time}", row.recorded_at)
        self._last_time = max(self._last_time, row.recorded_at)


def _check_payload(row: Row, header: dict[str, Any], connection: Connection) -> Iterator[Finding]:
    if row.payload_position is None:
        yield Finding(row.position, "payload", "a row", "none")
    elif row.body is None and row.salt is None:
        yield from _check_erasure(row, connection)
    elif row.body is None or row.salt is None or row.erased_by is not None:
        yield Finding(row.position, "payload", "all of it or none", "half of an erasure")
    else:
        yield from _check_commitment(row, header, row.body, row.salt)


def _check_commitment(
    row: Row, header: dict[str, Any], body: bytes, salt: bytes
) -> Iterator[Finding]:
    payload = _parse(body)
    if payload is None:
        yield Finding(row.position, "payload", "a JSON object", _short(body))
        return
    if _canonical(payload) != body:
        yield Finding(row.position, "payload form", "canonical JSON", "other bytes")
    if header.get("attributes") != len(payload):
        yield Finding(
            row.position, "payload entries", _short(header.get("attributes")), str(len(payload))
        )
    found = _commitment(payload, salt)
    if found != header.get("commitment"):
        yield Finding(row.position, "commitment", _short(header.get("commitment")), found)


def _check_erasure(row: Row, connection: Connection) -> Iterator[Finding]:
    erasure = connection.execute(
        "SELECT type, stream FROM event WHERE position = ? AND position > ?",
        (row.erased_by, row.position),
    ).fetchone()
    if erasure != (ERASED, row.stream):
        expected = "erased by a later Erased event of its stream"
        yield Finding(row.position, "payload", expected, "gone without one")


def _commitment(payload: dict[str, Any], event_salt: bytes) -> str:
    salts = hashlib.shake_256(event_salt).digest(16 * len(payload))
    leaves = [
        hashlib.sha256(b"\x00" + salts[16 * i : 16 * i + 16] + _entry(path, payload[path])).digest()
        for i, path in enumerate(sorted(payload))
    ]
    return tree_hash(leaves).hex()


def _entry(path: str, value: Any) -> bytes:
    """Write one payload entry; most values are text, which needs no encoder of its own."""
    if isinstance(value, str):
        return f"[{encode_basestring(path)},{encode_basestring(value)}]".encode(
            errors="surrogatepass"
        )
    return _canonical([path, value])


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _canonical(value: Any) -> bytes:
    """Write canonical JSON with the standard library, not with what wrote it."""
    return _ENCODER.encode(value).encode(errors="surrogatepass")


def _short(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
