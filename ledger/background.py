"""What is done in the background, bit by bit: for each ledger in one of the serving processes."""

import fcntl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Protocol

from ledger.contract import LedgerError

Trouble = LedgerError | OSError

INTERVAL = 2.0  # seconds between two looks at the ledgers
PAUSE = 0.02  # seconds between two steps: requests of the same process go first
LOCK_FILE = "history.lock"


class Chore(Protocol):
    """Something that is to be done for a ledger over and over."""

    @property
    def path(self) -> Path:
        """The ledger's file."""
        ...

    def step(self) -> bool:
        """Do a bit of it; tell whether there is more to do at once. May raise LedgerError."""
        ...

    def finish(self) -> None:
        """Do what is due when a process ends in peace. May raise LedgerError."""
        ...


class Background:
    """A thread that does the chores of the ledgers of a process, where no other process does."""

    def __init__(
        self,
        chores: Callable[[], Iterable[Chore]],
        report: Callable[[Chore, Trouble | None], None] = lambda chore, error: None,
        lock_file: str = LOCK_FILE,
    ) -> None:
        """`chores` are those of the ledgers open at the time; `report` is told how each went.

        `lock_file` lies beside each ledger: who holds it does its chores.
        """
        self._chores = chores
        self._report = report
        self._lock_file = lock_file
        self._ended = threading.Event()
        self._locks: dict[Path, IO[bytes]] = {}
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop after the step in hand and finish, if it was ever begun."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
            for chore in self._chores():
                self._try(chore, chore.finish)
        for lock in self._locks.values():
            lock.close()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            for chore in self._chores():
                if self._ended.is_set():
                    return
                if self._has_turn(chore):
                    self._do(chore)

    def _do(self, chore: Chore) -> None:
        while self._try(chore, chore.step):
            if self._ended.wait(PAUSE):
                return

    def _try(self, chore: Chore, work: Callable[[], bool | None]) -> bool:
        """Work; what fails is reported, and tried again at the next look."""
        try:
            more = bool(work())
        except (LedgerError, OSError) as error:
            self._report(chore, error)
            return False
        self._report(chore, None)
        return more

    def _has_turn(self, chore: Chore) -> bool:
        """Take the lock of a chore's ledger, kept for as long as the process lives."""
        if chore.path not in self._locks:
            try:
                lock = _lock(chore.path, self._lock_file)
            except OSError as error:
                self._report(chore, error)
                return False
            if lock is None:
                return False
            self._locks[chore.path] = lock
        return True


class Alone:
    """While it is entered no service begins to do a ledger's chores; false if one does them."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._held: IO[bytes] | None = None

    def __enter__(self) -> bool:
        self._held = _lock(self._ledger)
        return self._held is not None

    def __exit__(self, *_: object) -> None:
        if self._held:
            self._held.close()


def _lock(ledger: Path, name: str = LOCK_FILE) -> IO[bytes] | None:
    """Take the lock beside a ledger's file, held till it is closed; None if another has it."""
    lock = open(ledger.with_name(name), "ab")  # noqa: SIM115 (closed by who takes it)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
