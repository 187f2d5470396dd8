"""Database files rewritten, so that nothing is left in them of what was deleted.

`secure_delete` overwrites what is deleted, but SQLite leaves copies of cells, whole or half
overwritten, in the unused middle of pages that it balanced. VACUUM writes every page again and
leaves none.
"""

import shutil
import time
from contextlib import closing
from pathlib import Path

from ledger.contract import LedgerBusy, RewriteFailed
from ledger.sqlite.connection import Connection, connect, execute_when_free, translate_errors

PAUSE = 0.1  # seconds between two attempts to empty a log: writers go on in between
GRACE = 10.0  # seconds at the least for readers to leave the state before a rewrite


def prepare(path: Path, deadline: float) -> None:
    """Find early what would make `rewrite` fail in the end; raises as that does."""
    with translate_errors(path), closing(connect(path)) as connection:
        _empty_log(path, connection, deadline)
    needed, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if free < needed:
        raise RewriteFailed(
            f"{path.name} cannot be rewritten: that takes {needed / 2**20:,.0f} MiB under"
            f" {path.parent}, where {free / 2**20:,.0f} MiB are free"
        )


def rewrite(path: Path, deadline: float) -> None:
    """Rewrite a database file and empty its log; reads go on, writers wait or get LedgerBusy.

    It takes as much memory, and as much room for the log, as the file has. Raises LedgerBusy where
    somebody writes, or reads an earlier state, until `deadline` (monotonic seconds), RewriteFailed
    where the disk has too little space.
    """
    prepare(path, deadline)
    with translate_errors(path), closing(connect(path)) as connection:
        connection.execute("PRAGMA busy_timeout=0")
        execute_when_free(connection, "VACUUM", deadline)
        _empty_log(path, connection, max(deadline, time.monotonic() + GRACE))


def _empty_log(path: Path, connection: Connection, deadline: float) -> None:
    """Copy a file's log into it and cut the log to nothing; raises LedgerBusy at the deadline."""
    connection.execute("PRAGMA busy_timeout=100")
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise LedgerBusy(f"{path.name} is being read as it was before")
        time.sleep(PAUSE)
