"""Turns at writing: the threads of a process queue, and the first can do the work of others too."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ledger.contract import LedgerBusy
from ledger.sqlite.connection import Connection

Work = Callable[[Connection], Any]  # what is done in a transaction, without beginning or ending it


class Turn:
    """One thread's turn."""

    def __init__(self) -> None:
        self.is_held = self.is_done = False
        self._called = threading.Lock()
        self._called.acquire()

    def wait(self, seconds: float = -1) -> bool:
        """Wait until this turn has come or is done; return whether it has or is."""
        return self._called.acquire(timeout=seconds)

    def call(self) -> None:
        """Wake the thread that waits for this turn."""
        self._called.release()


class SharedTurn(Turn):
    """A turn whose work another thread may do in its own turn.

    Then `result` is what the work returned, or `error` what it failed with.
    """

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None


class Queue:
    """The threads that want to write, first come, first served; one has its turn at a time."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[Turn] = deque()
        self._is_busy = False

    def enter(self, turn: Turn, seconds: float) -> bool:
        """Wait for a turn; return whether it has come, or else another thread did the work.

        Raises LedgerBusy: then the work was not done, and will not be. Whoever has a turn passes
        it on.
        """
        if self.enter_at_once(turn, or_wait=True):
            return True
        try:
            if turn.wait(seconds):
                return not turn.is_done
            if not self._withdraw(turn):  # it has just come, or is just being done
                turn.wait()
                return not turn.is_done
        except BaseException:
            if not self._withdraw(turn) and turn.is_held:
                self.pass_on()
            raise
        raise LedgerBusy("no turn to write came in time")

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Have a turn for something that only this thread can do; raises LedgerBusy."""
        self.enter(Turn(), seconds)
        try:
            yield
        finally:
            self.pass_on()

    def enter_at_once(self, turn: Turn, *, or_wait: bool = False) -> bool:
        """Take a turn if nobody has one; return whether it has come."""
        with self._mutex:
            if not self._is_busy:
                self._is_busy = turn.is_held = True
            elif or_wait:
                self._waiting.append(turn)
            return turn.is_held

    def next_shared(self) -> SharedTurn | None:
        """Return the next turn, for its work to be done now; None if the next shares none.

        Only the thread whose turn it is may ask; it sees to it that the other is called.
        """
        with self._mutex:
            turn = self._waiting[0] if self._waiting else None
            if not isinstance(turn, SharedTurn):
                return None
            self._waiting.popleft()
        return turn

    def pass_on(self, done: Iterable[SharedTurn] = ()) -> None:
        """End a turn: the next one has come, and those are called whose works were done in it."""
        with self._mutex:
            self._is_busy = bool(self._waiting)
            if self._waiting:
                turn = self._waiting.popleft()
                turn.is_held = True
                turn.call()
        for each in done:
            each.is_done = True
            each.call()

    def _withdraw(self, turn: Turn) -> bool:
        """Give up waiting; return False if it is too late for that."""
        with self._mutex:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return True
        return False
