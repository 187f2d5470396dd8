"""A ledger's file as one whole that nobody has open: it can be replaced by another."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ledger.contract import LedgerBusy
from ledger.sqlite.connection import (
    Connection,
    connect_alone,
    roll_back,
    translate_errors,
)
from ledger.sqlite.reads import end


@contextmanager
def alone(path: Path) -> Iterator[int]:
    """Keep everybody out of a file, its log written back into it; yield its last position.

    A file that was renamed meanwhile keeps its log, which is empty: SQLite looks at its inode. A
    program that has it open would remove the log of the file that comes after it. Raises
    LedgerBusy if there is one, LedgerUnavailable for a file that cannot be read.
    """
    with translate_errors(path), closing(connect_alone(path)) as connection:
        _must_be_alone(connection, path)
        try:
            yield end(connection)[0]
        finally:
            roll_back(connection)


def _must_be_alone(connection: Connection, path: Path) -> None:
    """Lock a file as only who is alone can, its log empty; it stays in WAL mode throughout.

    Leaving WAL mode would make a journal, which undoes a change of whatever file has this name.
    """
    try:
        with translate_errors(path):
            connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
            [(busy, *_)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
    except LedgerBusy:
        busy = True
    log = Path(f"{path}-wal")
    if busy or (log.exists() and log.stat().st_size > 0):
        raise LedgerBusy(f"another program has {path} open (lsof and fuser find it): end it")
