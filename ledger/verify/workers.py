"""The pieces a verification is cut into, and what checks them: this process, or one for each core.

Pieces come to a process on stdin, outcomes leave on stdout, and it ends where stdin does. One that
`multiprocessing` spawns would first import the whole program, which takes as long as checking some
ten thousand events.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from ledger.contract import (
    OUT_OF_REACH,
    LedgerBusy,
    LedgerError,
    LedgerUnavailable,
    StoredRows,
)
from ledger.findings import Finding, Kind
from ledger.sqlite.stored_rows import SQLiteRows
from ledger.verify.heads import Signatures
from ledger.verify.ranges import Integrity, Leaves, Outcome, Range, Versions

Piece = Range | Leaves | Signatures | Versions | Integrity

FEW = 20_000  # events that are read before a process has started

_PROGRAM = "import sys, pathlib, ledger.verify.workers as w; w.serve(pathlib.Path(sys.argv[1]))"


def open_rows(path: Path) -> StoredRows:
    """Open a ledger's rows: the one place that knows the store. Raises LedgerUnavailable."""
    return SQLiteRows(path)


def unreadable(position: int | None, error: LedgerError) -> Finding:
    """Return what is found where reading stopped; raises an error that has another cause.

    A file that is busy, or that this process may not read, says nothing about what is in it.
    """
    damage = isinstance(error, LedgerUnavailable) and error.reason not in OUT_OF_REACH
    if isinstance(error, LedgerBusy) or not damage:
        raise error
    return Finding(Kind.STORE, position, "database page", "readable", str(error))


def _check(rows: StoredRows, piece: Piece) -> Outcome:
    """Check a piece in a snapshot of its own: no reader stays in the way of an erasure for long."""
    outcome = Outcome()
    try:
        with rows.snapshot():
            piece.check(rows, outcome)
    except LedgerError as error:
        position = None
        if isinstance(piece, Range | Leaves):
            position = max(outcome.read + 1, piece.first)
        outcome.findings.append(unreadable(position, error))
        outcome.whole = False
    return outcome


def cores() -> int:
    """Return how many processes can run at once."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_all(
    path: Path, pieces: Sequence[Piece], processes: int
) -> Generator[tuple[Piece, Outcome], None, None]:
    """Check pieces and yield each with its outcome as it is done; raises LedgerError.

    With one process it is this one that checks them. Otherwise each process has a piece at a time,
    and a thread waits for each.
    """
    if processes < 2:
        with closing(open_rows(path)) as rows:
            for piece in pieces:
                yield piece, _check(rows, piece)
        return
    waiting: SimpleQueue[Piece] = SimpleQueue()
    done: SimpleQueue[tuple[Piece, Outcome | LedgerError]] = SimpleQueue()
    for piece in pieces:
        waiting.put(piece)
    with ExitStack() as stack:
        for _ in range(processes):
            stack.enter_context(_worker(path, waiting, done))
        for _ in pieces:
            piece, result = done.get()
            if isinstance(result, LedgerError):
                raise result
            yield piece, result


def _feed(process: Any, waiting: "SimpleQueue[Piece]", done: "SimpleQueue[Any]") -> None:
    """Hand pieces to a process until there are no more."""
    while True:
        try:
            piece = waiting.get_nowait()
        except Empty:
            return
        try:
            pickle.dump(piece, process.stdin)
            process.stdin.flush()
            done.put((piece, pickle.load(process.stdout)))
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            why = LedgerError("a process that verified a part ended before it was done")
            done.put((piece, why))
            return


@contextmanager
def _worker(path: Path, waiting: "SimpleQueue[Piece]", done: "SimpleQueue[Any]") -> Iterator[None]:
    command = [sys.executable, "-P", "-c", _PROGRAM, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    thread = Thread(target=_feed, args=(process, waiting, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        process.kill()
        thread.join()
        process.communicate()


def serve(path: Path) -> None:
    """Check the pieces that come in until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's; who started this one ends it
    with closing(open_rows(path)) as rows:
        while True:
            try:
                piece = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            try:
                result: Outcome | LedgerError = _check(rows, piece)
            except LedgerError as error:
                result = error
            pickle.dump(result, sys.stdout.buffer)
            sys.stdout.buffer.flush()
