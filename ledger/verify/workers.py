"""The pieces a verification is cut into, and what checks them: this process, or one for each core.

To a process of its own pieces come in on stdin, outcomes go out on stdout, and it ends where stdin
does.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ledger.contract import LedgerBusy, LedgerError, LedgerUnavailable
from ledger.findings import Finding, Kind
from ledger.sqlite.stored_rows import OUT_OF_REACH, StoredRows
from ledger.verify.heads import Signatures
from ledger.verify.ranges import Integrity, Leaves, Outcome, Range, Versions

Piece = Range | Leaves | Signatures | Versions | Integrity

FEW = 20_000  # events that are read before a process has started

_PROGRAM = "import sys, pathlib, ledger.verify.workers as w; w.serve(pathlib.Path(sys.argv[1]))"


def unreadable(position: int | None, error: LedgerError) -> Finding:
    """Return what is found where reading stopped; raises an error that has another cause.

    A file that is busy, or that this process may not read, says nothing about what is in it.
    """
    damage = isinstance(error, LedgerUnavailable) and error.reason not in OUT_OF_REACH
    if isinstance(error, LedgerBusy) or not damage:
        raise error
    return Finding(Kind.STORE, position, "database page", "readable", str(error))


def _check(rows: StoredRows, piece: Piece) -> Outcome | LedgerError:
    """Check a piece in a snapshot of its own: no reader stays in the way of an erasure for long."""
    outcome = Outcome()
    try:
        with rows.snapshot():
            piece.check(rows, outcome)
    except LedgerError as error:
        position = None
        if isinstance(piece, Range | Leaves):
            position = max(outcome.read + 1, piece.first)
        try:
            outcome.findings.append(unreadable(position, error))
        except LedgerError:
            return error
        outcome.whole = False
    return outcome


def cores() -> int:
    """Return how many processes can run at once."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


Outcomes = Generator[tuple[Piece, Outcome], None, None]


def check_all(path: Path, pieces: Sequence[Piece], processes: int) -> Outcomes:
    """Check pieces and yield each with its outcome as it is done; raises LedgerError.

    With one process it is this one that checks them.
    """
    with ExitStack() as stack:
        check = stack.enter_context(_here(path) if processes < 2 else _elsewhere(path, processes))
        for piece, result in check(pieces):
            if isinstance(result, LedgerError):
                raise result
            yield piece, result


Results = Iterator[tuple[Piece, Outcome | LedgerError]]


@contextmanager
def _here(path: Path) -> Iterator[Callable[[Sequence[Piece]], Results]]:
    with closing(StoredRows(path)) as rows:
        yield lambda pieces: ((piece, _check(rows, piece)) for piece in pieces)


@contextmanager
def _elsewhere(path: Path, processes: int) -> Iterator[Callable[[Sequence[Piece]], Results]]:
    """Give each process a piece at a time; a thread waits for each."""
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(processes)
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        idle: SimpleQueue[_Process] = SimpleQueue()
        for _ in range(processes):  # ended before the pool is, or it would wait for them
            idle.put(stack.enter_context(_started(path)))

        def on_one(piece: Piece) -> tuple[Piece, Outcome | LedgerError]:
            process = idle.get()
            try:
                return piece, process.check(piece)
            finally:
                idle.put(process)

        def on_all(pieces: Sequence[Piece]) -> Results:
            waiting = as_completed([pool.submit(on_one, piece) for piece in pieces])
            return (future.result() for future in waiting)

        yield on_all


class _Process:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._in: Any = process.stdin
        self._out: Any = process.stdout

    def check(self, piece: Piece) -> Outcome | LedgerError:
        try:
            pickle.dump(piece, self._in)
            self._in.flush()
            result: Outcome | LedgerError = pickle.load(self._out)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise LedgerError("a process that verified a part ended before it was done") from error
        return result


@contextmanager
def _started(path: Path) -> Iterator[_Process]:
    command = [sys.executable, "-P", "-c", _PROGRAM, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield _Process(process)
    finally:
        process.kill()
        process.communicate()


def serve(path: Path) -> None:
    """Check the pieces that come in until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's; who started this one ends it
    with closing(StoredRows(path)) as rows:
        while True:
            try:
                piece = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(_check(rows, piece), sys.stdout.buffer)
            sys.stdout.buffer.flush()
