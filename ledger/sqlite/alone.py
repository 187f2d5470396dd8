"""A ledger's file as one whole that nobody has open: it can be replaced by another."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ledger.contract import LedgerBusy
from ledger.sqlite.connection import (
    LOG_FILES,
    Connection,
    connect_alone,
    roll_back,
    translate_errors,
)
from ledger.sqlite.reads import end


@contextmanager
def alone(path: Path) -> Iterator[int]:
    """Keep everybody out of a file, its log written back into it; yield its last position.

    A program that has it open would remove the log of the file that comes after it. Raises
    LedgerBusy if there is one, LedgerUnavailable for a file that cannot be read.
    """
    with translate_errors(path), closing(connect_alone(path)) as connection:
        _must_be_alone(connection, path)
        try:
            yield end(connection)[0]
        finally:
            roll_back(connection)


def _must_be_alone(connection: Connection, path: Path) -> None:
    """Take a file out of WAL mode, which only who is alone can, and keep others out of it."""
    try:
        with translate_errors(path):
            [(mode,)] = connection.execute("PRAGMA journal_mode=DELETE").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
    except LedgerBusy:
        mode = "busy"
    if mode != "delete" or any(os.path.exists(f"{path}{name}") for name in LOG_FILES):
        raise LedgerBusy(f"another program has {path} open (lsof and fuser find it): end it")
