"""Structured logs: one JSON object a line on stderr, without personal data and without tokens."""

import logging
import os
import select
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import orjson

from ledger import clock
from ledger.background import Job

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


LOGGER = logging.getLogger("scim_ledger")


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, message, and the fields given as `extra={"fields": ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line. Of an error only type and place are told: its text may hold values."""
        line: dict[str, Any] = {
            "time": clock.timestamp(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["where"] = _where(record.exc_info[2])
        return orjson.dumps(line, default=str).decode()


def _where(trace: TracebackType | None) -> list[str]:
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]


def configure(level: str) -> None:
    """Send this program's log to stderr."""
    handler = stderr_handler()
    handler.setFormatter(JsonFormatter())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


def log_request(line: dict[str, Any]) -> None:
    """Write the line of a request, without the detour through a log record."""
    if LOGGER.isEnabledFor(logging.INFO):
        text = orjson.dumps(
            {"time": clock.timestamp(), "level": "info", "message": "request", **line}
        ).decode()
        for handler in LOGGER.handlers:
            if isinstance(handler, LineHandler):
                handler.write(text)


def warn(sentence: str) -> None:
    """Log a sentence of ours for the operator; on the command line it goes to stderr as it is."""
    LOGGER.warning(sentence)


class JobLog:
    """Logs what fails in the background: each thing once, till it works again."""

    def __init__(self) -> None:
        self._failing: dict[tuple[str, Path], str] = {}

    def __call__(self, job: Job, trouble: Exception | None) -> None:
        """Take note of how a job went."""
        place, says = (type(job).__name__, job.path), str(trouble) if trouble else None
        if says and self._failing.get(place) != says:
            fields = {"chore": place[0], "ledger": job.path.parent.name, "says": says}
            LOGGER.warning("background work failed", extra={"fields": fields})
        if says:
            self._failing[place] = says
        else:
            self._failing.pop(place, None)


def gunicorn_logging(level: str) -> dict[str, Any]:
    """Return the logging configuration under which gunicorn speaks JSON too.

    Never to the point of debugging: gunicorn then repeats requests that broke off, tokens and all.
    """
    level = "info" if level == "debug" else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "scim_api.logs.JsonFormatter"}},
        "handlers": {"stderr": {"()": stderr_handler, "formatter": "json"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {
                "level": level.upper(),
                "handlers": ["stderr"],
                "propagate": False,
                "qualname": "gunicorn.error",
            },
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }
