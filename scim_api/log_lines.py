"""Lines on stderr that stop nothing: one that cannot be written is dropped and counted."""

import logging
import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

PATIENCE = 100  # milliseconds for a full pipe to be read from; once it was not, none at all

Outlet = Callable[[bytes], int]  # takes as many bytes as can be written, and tells how many


class Descriptor:
    """An outlet into an open file that never blocks for long and never raises OSError."""

    def __init__(self, descriptor: int) -> None:
        """Open a pipe again where that can be done: other processes share the flags of this one."""
        self._descriptor = descriptor
        with suppress(OSError):
            if _is_pipe(descriptor):
                again = f"/proc/self/fd/{descriptor}"
                self._descriptor = os.open(again, os.O_WRONLY | os.O_NONBLOCK)
        self._ready = select.poll()
        self._ready.register(self._descriptor, select.POLLOUT)
        self._working = True

    def __call__(self, data: bytes) -> int:
        """Write; return how many bytes were."""
        written = 0
        with suppress(OSError):
            while written < len(data) and self._ready.poll(PATIENCE if self._working else 0):
                written += os.write(self._descriptor, data[written:])
        self._working = written == len(data)
        return written


def _is_pipe(descriptor: int) -> bool:
    return os.fstat(descriptor).st_mode & 0o170000 == 0o010000


def outlet(stream: TextIO | None) -> Outlet:
    """Return what writes to a stream; to one that was closed before the start, nothing can be."""
    if stream is None:
        return lambda data: 0
    try:
        return Descriptor(stream.fileno())
    except (OSError, ValueError):  # no file: a stream in memory
        return lambda data: len(data) if stream.write(data.decode()) else 0


class LineHandler(logging.Handler):
    """Writes each record as one line, whole or not at all."""

    def __init__(self, stream: TextIO | None) -> None:
        """`stream` is where lines go, as a rule stderr."""
        super().__init__()
        self.stream_written = stream
        self.dropped = 0  # lines since one could be written last
        self._outlet = outlet(stream)
        self._torn = False  # a line was cut off by what stopped it
        self._turn = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line; one that cannot be made is dropped and counted, too."""
        try:
            line = self.format(record)
        except Exception:
            with self._turn:
                self.dropped += 1
        else:
            self.write(line)

    def write(self, line: str) -> None:
        """Write a line; the first after some that were dropped comes with their number."""
        with self._turn:
            told = self._put(self._notice() + line + "\n")
            self.dropped = 0 if told else self.dropped + 1

    def _notice(self) -> str:
        if not self.dropped:
            return ""
        record = logging.makeLogRecord(
            {
                "levelname": "WARNING",
                "msg": "log lines dropped",
                "fields": {"dropped": self.dropped},
            }
        )
        return f"{self.format(record)}\n"

    def _put(self, text: str) -> bool:
        data = f"\n{text}".encode() if self._torn else text.encode()
        written = self._outlet(data)
        if written:
            self._torn = not data[:written].endswith(b"\n")
        return written == len(data)


_latest: list[LineHandler] = []


def stderr_handler() -> LineHandler:
    """Return what writes to stderr, one for all loggers of a process."""
    if not _latest or _latest[0].stream_written is not sys.stderr:
        _latest[:] = [LineHandler(sys.stderr)]
    return _latest[0]


def dropped() -> int:
    """Return how many lines were dropped since one could be written last, in this process."""
    return _latest[0].dropped if _latest else 0


def hold_standard_streams() -> None:
    """Occupy stdin, stdout and stderr where they are closed: no other file may be opened there."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest that is free; to write there fails
