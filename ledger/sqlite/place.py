"""Whether the files that were opened are still those at their path.

SQLite goes on with a file that was moved, removed or replaced: what it writes then is in no ledger
that is opened later. A log that was taken away is the same, for what is in it is not in the file.
"""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ledger.contract import LedgerUnavailable

MISSING = "file missing"
REPLACED = "file replaced"

_BESIDE = ("-wal", "-shm")  # the same ones for as long as any connection is open
ALL = ("", *_BESIDE)
AFTER_A_WRITE = ("",)

_Identity = tuple[int, int]  # device and inode


def lend_rights(path: Path) -> None:
    """Make the log next to a file writable for its owner, if it was made while the file was not.

    SQLite gives the log the file's rights, and nothing would give them back with the file's.
    """
    for name in _BESIDE:
        with suppress(OSError):
            mode = stat.S_IMODE(os.stat(f"{path}{name}").st_mode)
            if not mode & stat.S_IWUSR:
                os.chmod(f"{path}{name}", mode | stat.S_IWUSR)


class Place:
    """The path of a file in use, and which file was found there when it was opened."""

    def __init__(self, path: Path) -> None:
        """Begin without a file: `take` notes it."""
        self._path = path
        self._names = {name: f"{path}{name}" for name in ALL}
        self._taken: dict[str, _Identity] = {}

    def take(self) -> None:
        """Note which file was opened, and its log, unless known; raises as `check` does."""
        self.check()
        self._taken[""] = self._identity("")
        for name in _BESIDE:
            with suppress(LedgerUnavailable):  # a file that is only read may have none
                self._taken[name] = self._identity(name)

    def leave(self) -> None:
        """Let the log be another next: no connection is open any more."""
        for name in _BESIDE:
            self._taken.pop(name, None)

    def forget(self) -> None:
        """Let any file be opened next."""
        self._taken.clear()

    def check(self, names: Sequence[str] = ALL) -> None:
        """Raise LedgerUnavailable unless file and log are those that were opened."""
        for name in names:
            taken = self._taken.get(name)
            if taken is not None and self._identity(name) != taken:
                raise self._unavailable(name, REPLACED, "is not the file that this process opened")

    def _identity(self, name: str) -> _Identity:
        try:
            found = os.stat(self._names[name])
        except OSError as error:
            raise self._unavailable(name, MISSING, f"is not there ({error.strerror})") from None
        return found.st_dev, found.st_ino

    def _unavailable(self, name: str, reason: str, says: str) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"{self._names[name]} {says}; nothing more is written. Put the file and its log back as"
            " they were, or stop the service, put the ledger in its place and start it",
            reason=reason,
        )
