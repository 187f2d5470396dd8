"""The small tables and the schema: are they as this program makes them, and as the events say?"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.events import ERASED, LEDGER_OPENED
from ledger.sqlite.connection import Connection
from ledger.sqlite.schema import schema_sql, steps
from ledger.verify.bytes import FORMAT
from ledger.verify.event import Finding, short
from ledger.verify.report import Report


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the ledger ended when the verification began."""

    end: int
    heads: int  # the number of the last tree head
    pages: int  # bytes of the file


def bounds_of(connection: Connection) -> Bounds:
    """Read where the ledger ends now."""

    def one(sql: str) -> int:
        value: int | None = connection.execute(sql).fetchone()[0]
        return value or 0

    pages = one("PRAGMA page_count") * one("PRAGMA page_size")
    last_head = one("SELECT max(number) FROM tree_head")
    return Bounds(one("SELECT max(position) FROM event"), last_head, pages)


def check_schema(connection: Connection) -> Iterator[Finding]:
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
    yield from _check_steps(connection)


def _check_steps(connection: Connection) -> Iterator[Finding]:
    """Find that other steps are remembered than those that make the schema."""
    known = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    ).fetchone()
    statement = "SELECT migration_set, name FROM _sqlite_migrations ORDER BY id"
    found = connection.execute(statement).fetchall() if known else []
    if found != steps():
        yield Finding(None, "table _sqlite_migrations", short(steps()), short(found))


def check_ledger_row(connection: Connection, report: Report) -> Iterator[Finding]:
    """Compare the ledger's own row with its first event."""
    rows = connection.execute("SELECT id, origin, opened_at, format FROM ledger").fetchall()
    first = connection.execute("SELECT type, recorded_at FROM event WHERE position = 1").fetchone()
    report.origin = str(rows[0][1]) if rows else ""
    expected = [(1, report.origin, first and first[1], FORMAT)]
    if rows != expected:
        yield Finding(None, "table ledger", short(expected), short(rows))
    if first is not None and first[0] != LEDGER_OPENED:
        yield Finding(1, "first event", LEDGER_OPENED, short(first[0]))


def check_checkpoints(connection: Connection, end: int) -> Iterator[Finding]:
    """Find projections that claim to stand where no event is."""
    rows = connection.execute("SELECT projector, revision, position FROM checkpoint").fetchall()
    for projector, revision, position in rows:
        if not isinstance(position, int) or not 0 <= position <= end:
            what = f"checkpoint of {short(projector)}"
            yield Finding(None, what, f"a position from 0 to {end}", short(position))
        if not isinstance(revision, int) or revision < 1:
            yield Finding(None, f"revision of {short(projector)}", "1 or more", short(revision))


def check_purges(connection: Connection) -> Iterator[Finding]:
    """Find rows that remind of an erasure that never was."""
    rows = connection.execute(
        "SELECT purge.position, type FROM purge LEFT JOIN event USING (position)"
    ).fetchall()
    for position, type_ in rows:
        if type_ != ERASED:
            yield Finding(position, "erasure to be finished", ERASED, short(type_ or "no event"))


def unfinished_erasures(connection: Connection) -> list[str]:
    """Say which erasures are recorded and not finished: no fault, and not forgotten yet either."""
    rows = connection.execute("SELECT position FROM purge ORDER BY position").fetchall()
    return [
        f"the erasure at position {position} is not finished: traces may be left in the files"
        for (position,) in rows
    ]
