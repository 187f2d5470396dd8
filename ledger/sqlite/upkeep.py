"""A look at a ledger's files now and then: are they in place, and is the log written back?"""

from pathlib import Path

from ledger.contract import LedgerError
from ledger.sqlite.ledger import SQLiteLedger

LARGE_LOG = 64 * 1024 * 1024  # bytes; SQLite cuts a log that was written back down to so many


class LogStuck(LedgerError):
    """The log of a ledger grows and cannot be written back."""


class Upkeep:
    """Says of one ledger what nobody would notice before it is too late: a chore."""

    def __init__(self, ledger: SQLiteLedger) -> None:
        self._ledger = ledger

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._ledger.path

    def step(self) -> bool:
        """Raise LedgerUnavailable where the files are others, LogStuck where the log only grows."""
        self._ledger.must_be_in_place()
        must_be_written_back(self._ledger)
        return False

    def finish(self) -> None:
        """Do nothing: the last connection that is closed writes the log back."""


def must_be_written_back(ledger: SQLiteLedger) -> None:
    """Raise LogStuck if the log is large and SQLite cannot write it back into the file."""
    if ledger.log_size() <= LARGE_LOG or ledger.write_back():
        return
    raise LogStuck(
        f"{ledger.path}-wal is larger than {LARGE_LOG // 2**20} MiB and cannot be written back,"
        " because some program has been reading an old state of the ledger all the time. The disk"
        " fills up: find who has the file open (lsof, fuser) and end it"
    )
