"""The pieces a verification is cut into, and what does them: this process, or one for each core.

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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ledger.contract import LedgerBusy, LedgerError, LedgerUnavailable
from ledger.sqlite.connection import (
    UNREADABLE,
    UNWRITABLE,
    Connection,
    connect_read_only,
    driver,
    meaning_of,
    snapshot,
)
from ledger.verify.event import Finding
from ledger.verify.heads import Signatures, check_signatures
from ledger.verify.ranges import (
    Leaves,
    Outcome,
    Range,
    check_versions,
    lenient,
    read_leaves,
    read_range,
)

OUT_OF_REACH = (UNREADABLE, UNWRITABLE)
_PROGRAM = "import sys, pathlib, ledger.verify.workers as w; w.serve(pathlib.Path(sys.argv[1]))"
FEW = 20_000  # events that are read before a process has started


@dataclass(frozen=True, slots=True)
class Versions:
    """The piece that reads the versions of all streams up to an end."""

    end: int


@dataclass(frozen=True, slots=True)
class Integrity:
    """The piece that lets SQLite look at its pages, indexes and constraints."""


Piece = Range | Leaves | Signatures | Versions | Integrity


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a piece could not be done, where that says nothing about what is in the file."""

    busy: bool
    sentence: str
    reason: str = ""

    def raised(self) -> LedgerError:
        """Return the error to raise."""
        if self.busy:
            return LedgerBusy(self.sentence)
        return LedgerUnavailable(self.sentence, reason=self.reason)


def trouble_of(path: Path, error: Exception) -> Trouble | None:
    """Return what an error means that says nothing about what is in the file, else None."""
    meaning = error if isinstance(error, LedgerError) else meaning_of(path, error)
    if isinstance(meaning, LedgerBusy):
        return Trouble(True, str(meaning))
    if isinstance(meaning, LedgerUnavailable) and meaning.reason in OUT_OF_REACH:
        return Trouble(False, str(meaning), meaning.reason)
    return None


def _do(path: Path, connection: Connection, piece: Piece) -> Outcome | Trouble:
    """Do a piece in a snapshot of its own: no reader stays in the way of an erasure for long."""
    outcome = Outcome()
    try:
        with snapshot(connection):
            _fill(outcome, connection, piece)
    except (driver.DatabaseError, UnicodeDecodeError) as error:
        trouble = trouble_of(path, error)
        if trouble:
            return trouble
        position = None
        if isinstance(piece, Range | Leaves):
            position = max(outcome.read + 1, piece.first)
        outcome.findings.append(Finding(position, "database page", "readable", str(error)))
        outcome.whole = False
    return outcome


def _fill(outcome: Outcome, connection: Connection, piece: Piece) -> None:
    if isinstance(piece, Range):
        read_range(connection, piece, outcome)
    elif isinstance(piece, Leaves):
        read_leaves(connection, piece, outcome)
    elif isinstance(piece, Signatures):
        connection.text_factory = lenient
        outcome.findings += check_signatures(connection, piece)
    elif isinstance(piece, Versions):
        outcome.findings += check_versions(connection, piece.end)
    else:
        outcome.findings += check_database(connection)


def check_database(connection: Connection) -> Iterator[Finding]:
    """Report SQLite's own integrity check: pages, indexes, constraints."""
    connection.text_factory = str
    for (line,) in connection.execute("PRAGMA integrity_check(10)").fetchall():
        if line != "ok":
            yield Finding(None, "SQLite integrity check", "ok", line.replace("\n", " "))
    for row in connection.execute("PRAGMA foreign_key_check").fetchmany(100):
        yield Finding(None, "foreign keys", "ok", f"{row[0]} row {row[1]}")


def cores() -> int:
    """Return how many processes can run at once."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


Done = Generator[tuple[Piece, Outcome], None, None]


def done(path: Path, pieces: Sequence[Piece], processes: int) -> Done:
    """Do pieces and yield each with its outcome as it is done; raises LedgerError.

    With one process it is this one that does them.
    """
    with ExitStack() as stack:
        do = stack.enter_context(_here(path) if processes < 2 else _elsewhere(path, processes))
        for piece, result in do(pieces):
            if isinstance(result, Trouble):
                raise result.raised()
            yield piece, result


Doing = Callable[[Sequence[Piece]], Iterator[tuple[Piece, Outcome | Trouble]]]


@contextmanager
def _here(path: Path) -> Iterator[Doing]:
    connection = connect_read_only(path)
    try:
        yield lambda pieces: ((piece, _do(path, connection, piece)) for piece in pieces)
    finally:
        connection.close()


@contextmanager
def _elsewhere(path: Path, processes: int) -> Iterator[Doing]:
    """Give each process a piece at a time; a thread waits for each."""
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(processes)
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        idle: SimpleQueue[_Process] = SimpleQueue()
        for _ in range(processes):  # ended before the pool is, or it would wait for them
            idle.put(stack.enter_context(_started(path)))

        def on_one(piece: Piece) -> tuple[Piece, Outcome | Trouble]:
            process = idle.get()
            try:
                return piece, process.do(piece)
            finally:
                idle.put(process)

        def on_all(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Outcome | Trouble]]:
            waiting = as_completed([pool.submit(on_one, piece) for piece in pieces])
            return (future.result() for future in waiting)

        yield on_all


class _Process:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._in: Any = process.stdin
        self._out: Any = process.stdout

    def do(self, piece: Piece) -> Outcome | Trouble:
        try:
            pickle.dump(piece, self._in)
            self._in.flush()
            result: Outcome | Trouble = pickle.load(self._out)
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
    """Do the pieces that come in until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's; who started this one ends it
    connection = connect_read_only(path)
    while True:
        try:
            piece = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_do(path, connection, piece), sys.stdout.buffer)
        sys.stdout.buffer.flush()
