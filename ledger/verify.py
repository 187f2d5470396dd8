"""Reads everything, trusts nothing of the writer: every byte of the ledger against every other.

It shares only the tree hash with the writer, and reads with a connection that cannot write.
What no check on a file alone can show: a tail cut off whole, or an event or a ledger written anew,
header, leaf and payload together, by somebody who has the file; that takes a tree head that others
hold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.codec import FORMAT
from ledger.database import (
    UNREADABLE,
    UNWRITABLE,
    Connection,
    connect_read_only,
    driver,
    meaning_of,
    snapshot,
)
from ledger.events import LEDGER_OPENED
from ledger.migrations import check_identity, schema_sql
from ledger.store import LedgerBusy, LedgerMissing, LedgerUnavailable
from ledger.verify_events import Finding, Reader, Row, short

Progress = Callable[[int, int], None]

CHUNK = 2000
LOWEST, HIGHEST = -(2**63), 2**63 - 1  # the positions that a table can hold at all
MAX_FINDINGS = 100
OUT_OF_REACH = (UNREADABLE, UNWRITABLE)

_COLUMNS = (
    "position, event.id, stream, version, type, revision, recorded_at, txn, actor, header,"
    " leaf_hash, payload.position, salt, body, erased_by"
)


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
        if trouble.reason in OUT_OF_REACH:  # says nothing about what is in it
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
    """Name the place reading stopped at: the event after the last one that could be read.

    Raises LedgerBusy and LedgerUnavailable for what says nothing about what is in the file.
    """
    meaning = meaning_of(report.path, error)
    if isinstance(meaning, LedgerBusy) or (
        isinstance(meaning, LedgerUnavailable) and meaning.reason in OUT_OF_REACH
    ):
        raise meaning from error
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
        yield Finding(None, "table ledger", short(expected), short(rows))
    if first is not None and first[0] != LEDGER_OPENED:
        yield Finding(1, "first event", LEDGER_OPENED, short(first[0]))


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
    reader = Reader(report.origin)
    if total == 0:
        yield Finding(1, "event", "LedgerOpened", "no event at all")
    for rows in _chunks(connection):
        for row in rows:
            yield from _read_row(reader, Row(*row), connection)
            report.events = reader.position
            report.payloads += row[13] is not None
            report.erased += row[13] is None and row[11] is not None
        progress(reader.position, total)


def _read_row(reader: "Reader", row: "Row", connection: Connection) -> Iterator[Finding]:
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
