"""The files that this process may have open: the limit, its share for ledgers, and who closes.

A connection is closed by the thread that used it, between two requests or two jobs: so none is
ever closed under a reader, and nobody waits for another's turn.
"""

import errno
import os
import resource
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any

TOO_MANY = "too many open files"  # the reason for anyone

MOST = 1000  # files for ledgers, whatever the limit: each connection costs memory too
FOR_ONE = 14  # files that one request or job may open: of the ledger, its history, a side file
FOR_WAITER = 3  # files that a client who waits for events needs before it waits
_SPARE = 64  # for standard streams, listeners, locks and what a library opens
_PROBE = 4  # files that opening a database needs at once

_EXHAUSTED = (errno.EMFILE, errno.ENFILE)


References = dict[weakref.ref[Any], None]  # to what has a method `leave`


class _Used(threading.local):
    """What a thread has used and not left, longest ago first."""

    def __init__(self) -> None:
        self.files: References = {}


class OpenFiles:
    """How many files are open for ledgers, and how many may be."""

    def __init__(self) -> None:
        self.most = min(MOST, limit() // 2)
        self.open = 0
        self._used = _Used()
        self._lock = threading.Lock()

    def divide(self, threads: int, waiters: int) -> None:
        """Leave room for clients' connections and for what all threads may have in hand."""
        within = limit() - connections() - _SPARE - FOR_ONE * threads - FOR_WAITER * waiters
        self.most = max(limit() // 8, min(MOST, within))

    def count(self, change: int) -> None:
        """Note that so many more files, or fewer, are open."""
        with self._lock:
            self.open += change

    def touch(self, file: weakref.ref[Any]) -> None:
        """Note that this thread uses a file."""
        files = self._used.files
        files.pop(file, None)
        files[file] = None

    def drop(self, file: weakref.ref[Any]) -> None:
        """Note that this thread has left a file."""
        self._used.files.pop(file, None)

    def tidy(self, keep: int = sys.maxsize) -> None:
        """Leave what this thread used longest ago, while too many files are open.

        Of the rest it keeps `keep` at most. To be called where the thread uses none.
        """
        files = self._used.files
        while files and (self.open > self.most or len(files) > keep):
            reference = next(iter(files))
            del files[reference]
            if file := reference():
                file.leave()

    @property
    def share(self) -> int:
        """How many ledgers a thread that goes through all of them keeps open."""
        return max(2, self.most // 50)


def raise_limit() -> None:
    """Raise the soft limit on open files to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def connections() -> int:
    """Return how many connections of clients a worker process may have open."""
    return min(1000, limit() // 4)


def shortage() -> str | None:
    """Return why this process can open no more files, None if it can."""
    opened: list[int] = []
    try:
        for _ in range(_PROBE):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return shortage_of(error)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return None


def shortage_of(error: OSError) -> str | None:
    """Return what an error says about a limit on open files, None if it is another error."""
    if error.errno not in _EXHAUSTED:
        return None
    if error.errno == errno.ENFILE:
        return (
            "all programs of this machine together have as many files open as it allows: raise"
            " fs.file-max, or find the program that opens so many"
        )
    most = limit()
    return (
        f"this process has {min(_open_now() or most, most):,} files open, and its limit is"
        f" {most:,}: raise it with ulimit -n, or with LimitNOFILE= in its systemd unit"
    )


def _open_now() -> int | None:
    with suppress(OSError):  # to look takes a file, too
        return len(os.listdir("/proc/self/fd")) - 1
    return None


OPEN = OpenFiles()
