"""Background jobs. One worker process runs them for each ledger."""

import fcntl
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Protocol

from ledger import owners
from ledger.contract import Ledger, LedgerBusy, LedgerError

INTERVAL = 2.0  # seconds between two looks at the ledgers
RETRY = 0.05  # seconds between two attempts at a lock
PAUSE = 0.02  # seconds between two steps: requests of the same process go first
LOCK_FILE = "history.lock"  # an older program, too, holds it while it does the jobs


class Job(Protocol):
    """Something that is to be done for a ledger over and over, a step at a time."""

    @property
    def path(self) -> Path:
        """The ledger's file."""

    def step(self) -> bool:
        """Do a bit of it; return whether there is more to do now. May raise LedgerError."""

    def finish(self) -> None:
        """Do what is due when a process ends normally. May raise LedgerError."""


class Upkeep:
    """Reports what nobody would notice before it is too late; a job."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.path = ledger.path

    def step(self) -> bool:
        """Raise LedgerUnavailable if the files were replaced, LogStuck if the log only grows."""
        self._ledger.check_place()
        self._ledger.check_log()
        return False

    def finish(self) -> None:
        """Do nothing: the last connection that is closed writes the log back."""


class JobRunner:
    """A thread that runs the jobs of the open ledgers that no other process runs."""

    def __init__(
        self,
        jobs: Callable[[], Iterable[Job]],
        report: Callable[[Job, LedgerError | OSError | None], None] = lambda job, error: None,
        lock_file: str = LOCK_FILE,
    ) -> None:
        """`jobs` returns those of the ledgers open at the time; `report` is called after each step.

        `lock_file` is next to each ledger: the process that holds it runs the ledger's jobs.
        """
        self._jobs = jobs
        self._report = report
        self._lock_file = lock_file
        self._ended = threading.Event()
        self._locks: dict[Path, IO[bytes]] = {}
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop after the step in hand and finish, if it was ever started."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
            for job in self._jobs():
                self._try(job, job.finish)
        for lock in self._locks.values():
            lock.close()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            for job in self._jobs():
                if self._ended.is_set():
                    return
                more = self._has_turn(job)
                while more:
                    more = self._try(job, job.step) and not self._ended.wait(PAUSE)

    def _try(self, job: Job, work: Callable[[], bool | None]) -> bool:
        """Work; what fails is reported, and tried again at the next look."""
        try:
            more = bool(work())
        except (LedgerError, OSError) as error:
            self._report(job, error)
            return False
        self._report(job, None)
        return more

    def _has_turn(self, job: Job) -> bool:
        """Take the lock of a job's ledger, kept for as long as the process lives."""
        if job.path not in self._locks:
            try:
                lock = _lock(job.path.with_name(self._lock_file))
            except OSError as error:
                self._report(job, error)
                return False
            if lock:
                self._locks[job.path] = lock
        return job.path in self._locks


@contextmanager
def exclusive_lock(ledger: Path) -> Iterator[bool]:
    """Keep every service from doing a ledger's jobs; yield False if one does them now."""
    with _lock(ledger.with_name(LOCK_FILE)) or nullcontext() as lock:
        yield lock is not None


@contextmanager
def file_lock(folder: Path, *, timeout: float = math.inf) -> Iterator[None]:
    """Hold what only one process may do at a time: creating, migrating, rebuilding, rewriting.

    Raises LedgerBusy after `timeout` seconds.
    """
    lock = _lock(folder / "ledger.lock", timeout)
    if lock is None:
        raise LedgerBusy("a rebuild or a migration of the ledger is under way")
    with lock:
        yield


def _lock(path: Path, timeout: float = 0.0) -> IO[bytes] | None:
    """Take a file lock, held till it is closed; None if another process keeps it for too long."""
    deadline = time.monotonic() + timeout
    owners.create_missing(path)
    lock = open(path, "ab")  # noqa: SIM115 (the caller closes it)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() >= deadline:
                lock.close()
                return None
        time.sleep(RETRY)
