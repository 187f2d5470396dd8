"""Background jobs. One worker process runs them for each ledger."""

import fcntl
import hashlib
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

from ledger import byte_locks, clock, owners
from ledger.contract import Ledger, LedgerBusy, LedgerError
from ledger.open_files import OPEN

INTERVAL = 2.0  # seconds between two looks at the ledgers
AT_ONCE = 40  # ledgers that have their turn in one look
TURN = 5.0  # seconds that a job goes on while there is more to do, before others have their turn
RETRY = 0.05  # seconds between two attempts at a lock
PAUSE = 0.02  # seconds between two steps: requests of the same process go first
LOCK_FILE = "history.lock"  # in the data directory; earlier programs have one for each ledger


class Job(Protocol):
    """Something that is to be done for a ledger over and over, a step at a time."""

    @property
    def path(self) -> Path:
        """The ledger's file."""

    def step(self) -> bool:
        """Do a bit of it; return whether there is more to do now. May raise LedgerError."""

    def settled(self) -> bool:
        """Return whether nothing is due until the ledger changes or a day begins.

        It is asked after a step that left nothing to do now.
        """

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

    def settled(self) -> bool:
        return True

    def finish(self) -> None:
        """Do nothing: the last connection that is closed writes the log back."""


class Served(Protocol):
    """What jobs are done for: a ledger and what belongs to it."""

    @property
    def ledger(self) -> Ledger: ...


S = TypeVar("S", bound=Served)


@dataclass(slots=True)
class _Seen:
    """What a runner knows of a ledger: when it was last its turn, and how it was left."""

    at: float = -math.inf  # monotonic seconds
    state: tuple[object, str] | None = None  # the ledger's stamp and the day, before that turn
    settled: bool = False  # nothing is due while both stay the same


class JobRunner(Generic[S]):
    """A thread that does the jobs of the ledgers for which no other process does them.

    A ledger has its turn when it changed, when a day begins, and while something is due: of more
    ledgers than fit into one look, those that have waited longest. So a thousand idle ledgers
    cost a look at the times of their files.
    """

    def __init__(
        self,
        served: Callable[[], Iterable[S]],
        jobs_of: Callable[[S], Iterable[Job]],
        report: Callable[[Job, LedgerError | OSError | None], None] = lambda job, error: None,
        lock_file: str = LOCK_FILE,
    ) -> None:
        """Take what is served from `served` at each look, and call `report` after each step.

        `lock_file` is in the data directory: who holds a ledger's part of it does its jobs.
        """
        self._served = served
        self._jobs_of = jobs_of
        self._report = report
        self._locks = LedgerLocks(lock_file)
        self._ended = threading.Event()
        self._seen: dict[Path, _Seen] = defaultdict(_Seen)
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self, seconds: float = math.inf) -> None:
        """Stop after the step in hand; if it was ever started, finish, for some seconds at most.

        That is what this process recorded, and what is due for the ledgers whose jobs it does.
        """
        self._ended.set()
        deadline = time.monotonic() + seconds
        if self._thread.is_alive():
            self._thread.join()
            served = [each for each in self._served() if each.ledger.reached or self._is_mine(each)]
            for each in self._due(served):
                for job in self._jobs_of(each):
                    self._try(job, job.finish)
                OPEN.tidy(OPEN.share)
                if time.monotonic() > deadline:
                    break  # the next start goes on
        self._locks.close()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            mine = [each for each in self._served() if self._is_mine(each)]
            for each in self._due(mine)[:AT_ONCE]:
                if self._ended.is_set():
                    return
                self._give_turn(each)
                OPEN.tidy(OPEN.share)

    def _due(self, served: Iterable[S]) -> list[S]:
        """Return those for which something may be due, those first that waited longest."""
        due = [
            each
            for each in served
            if not (seen := self._seen[each.ledger.path]).settled or seen.state != _state_of(each)
        ]
        return sorted(due, key=lambda each: self._seen[each.ledger.path].at)

    def _give_turn(self, each: S) -> None:
        """Do the jobs of a ledger.

        It is settled once two turns found it at rest and the same: a file's time is coarse.
        """
        seen = self._seen[each.ledger.path]
        state, seen.at = _state_of(each), time.monotonic()
        at_rest = [self._work(job) for job in self._jobs_of(each)]
        seen.settled = all(at_rest) and state[0] is not None and state == seen.state
        seen.state = state

    def _work(self, job: Job) -> bool:
        """Do one job for a while; return whether it is at rest."""
        until = time.monotonic() + TURN
        while True:
            more = self._try(job, job.step)
            if more is None:
                return False
            if not more:
                return bool(self._try(job, job.settled))
            if time.monotonic() > until or self._ended.wait(PAUSE):
                return False

    def _try(self, job: Job, work: Callable[[], bool | None]) -> bool | None:
        """Work; what fails is reported, and tried again at a later turn: then return None."""
        try:
            more = bool(work())
        except (LedgerError, OSError) as error:
            self._report(job, error)
            return None
        self._report(job, None)
        return more

    def _is_mine(self, each: S) -> bool:
        """Take a ledger's lock, kept for as long as the process lives; return whether it is held.

        Commands see by it that a ledger is served.
        """
        try:
            return self._locks.take(each.ledger.path)
        except OSError as error:
            for job in self._jobs_of(each):
                self._report(job, error)
            return False


def _state_of(each: Served) -> tuple[object, str]:
    return each.ledger.stamp(), clock.timestamp()[:10]


class LedgerLocks:
    """The locks of many ledgers in one open file of the data directory: a byte for each.

    They belong to the open file, not to the process, and end with it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._files: dict[Path, IO[bytes]] = {}  # by data directory: in practice there is one
        self._taken: set[Path] = set()

    def take(self, ledger: Path) -> bool:
        """Take the lock of a ledger, unless another holds it; return whether it is held here."""
        if ledger in self._taken:
            return True
        folder = ledger.parent.parent
        if folder not in self._files:
            owners.create_missing(folder / self._name)
            self._files[folder] = open(folder / self._name, "ab")  # noqa: SIM115 (see close)
        file, place = self._files[folder], _place_of(ledger)
        if not byte_locks.take(file.fileno(), place):
            return False
        if _is_locked_by_earlier_program(ledger.with_name(self._name)):
            byte_locks.release(file.fileno(), place)
            return False
        self._taken.add(ledger)
        return True

    def close(self) -> None:
        """Give all locks back."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._taken.clear()


def _place_of(ledger: Path) -> int:
    digest = hashlib.sha256(ledger.parent.name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big")


def _is_locked_by_earlier_program(file: Path) -> bool:
    """Return whether an earlier program, with a lock file next to each ledger, does its jobs."""
    if not file.exists():
        return False
    lock = _lock(file)
    if lock:
        lock.close()
    return lock is None


@contextmanager
def exclusive_lock(ledger: Path, *, timeout: float = 0.0) -> Iterator[bool]:
    """Keep every service from doing a ledger's jobs; yield False if one does them all the time."""
    locks, deadline = LedgerLocks(LOCK_FILE), time.monotonic() + timeout
    try:
        while not (taken := locks.take(ledger)) and time.monotonic() < deadline:
            time.sleep(RETRY)
        yield taken
    finally:
        locks.close()


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
