"""Structured logs: one JSON object a line on stderr, without personal data and without tokens.

With one exception: the line of a refused attempt to get in has the IP address that it came from, as
nothing else tells who has to be stopped. Such an address may be that of a person.
"""

import logging
import os
import select
import stat
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TextIO

import orjson

from ledger import clock, owners
from ledger.background import Job

PATIENCE = 100  # milliseconds to wait for a full pipe to be read; after one in vain, none
PAUSE = 0.05  # seconds in which lines of requests are gathered, to be written together
AT_ONCE = 4096  # bytes that go into a pipe without those of another process between them

Outlet = Callable[[bytes], int]  # writes as many bytes as it can, and returns how many


class Descriptor:
    """An outlet into an open file that never blocks for long and never raises OSError."""

    def __init__(self, descriptor: int) -> None:
        """Open a pipe again if possible: other processes share the flags of this descriptor."""
        self._descriptor = descriptor
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                again = f"/proc/self/fd/{descriptor}"
                self._descriptor = os.open(again, os.O_WRONLY | os.O_NONBLOCK)
        self._ready = select.poll()
        self._ready.register(self._descriptor, select.POLLOUT)
        self._working = True

    def __call__(self, data: bytes) -> int:
        written = 0
        with suppress(OSError):
            while written < len(data) and self._ready.poll(PATIENCE if self._working else 0):
                written += os.write(self._descriptor, data[written:])
        self._working = written == len(data)
        return written


def outlet(stream: TextIO | None) -> Outlet:
    """Return what writes to a stream; None is one that was closed before the start."""
    if stream is None:
        return lambda data: 0
    try:
        return Descriptor(stream.fileno())
    except (OSError, ValueError):
        return partial(_into_memory, stream)


def _into_memory(stream: TextIO, data: bytes) -> int:
    """Write to a stream that is no file; nothing, once it is closed."""
    with suppress(ValueError):
        return len(data) if stream.write(data.decode()) else 0
    return 0


class LineHandler(logging.Handler):
    """Writes each record as one line, whole or not at all; lines of requests some at a time."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self.dropped = 0  # lines since the last that could be written
        self._outlet = outlet(stream)
        self._torn = False  # a line was cut off by what stopped it
        self._turn = threading.Lock()
        self._gathered: deque[bytes] = deque()
        self._gathering = threading.Event()
        self._thread: threading.Thread | None = None
        self._wrote = -PAUSE  # monotonic seconds

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line at once; one that cannot be formatted counts as dropped too."""
        try:
            line = self.format(record).encode()
        except Exception:
            with self._turn:
                self.dropped += 1
        else:
            self.write(line)

    def write(self, line: bytes) -> None:
        """Write a line, and before it what is gathered."""
        self._gathered.append(line)
        self.flush()

    def gather(self, line: bytes) -> None:
        """Write a line: at once after a pause, else with those that come before the next one."""
        self._gathered.append(line)
        if self._gathering.is_set():
            return
        if time.monotonic() - self._wrote >= PAUSE or not self._can_wait():
            self.flush()
        else:
            self._gathering.set()

    def _can_wait(self) -> bool:
        """Return whether a thread writes what is gathered: none outlives a fork."""
        if not isinstance(self._outlet, Descriptor):
            return False
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can be started
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        while self._gathering.wait():
            time.sleep(PAUSE)
            self._gathering.clear()
            self.flush()

    def flush(self) -> None:
        """Write all gathered lines, as many at once as surely stay together."""
        with self._turn:
            lines = [self._gathered.popleft() for _ in range(len(self._gathered))]
            self._wrote = time.monotonic()
            for some in _parts(lines):
                self._write(some)

    def _write(self, lines: Sequence[bytes]) -> None:
        """Write lines; the first after dropped ones comes with a line that says how many."""
        dropped, whole = self.dropped, [*lines, b""]
        if dropped:
            told = json_line("warning", "log lines dropped", dropped=dropped).encode()
            whole = [told, *whole]
        if self._torn:
            whole = [b"", *whole]
        data = b"\n".join(whole)
        written = data[: self._outlet(data)]
        if written:
            self._torn = not written.endswith(b"\n")
        missing = data.count(b"\n") - written.count(b"\n")
        self.dropped = min(missing, len(lines)) + (dropped if missing > len(lines) else 0)

    def start_over(self) -> None:
        """Begin as after a fork: what was gathered, and the thread, stay with the other process."""
        self._turn, self._gathering, self._thread = threading.Lock(), threading.Event(), None
        self._gathered.clear()

    def turn_to(self, descriptor: int) -> None:
        """Write to another open file from now on."""
        with self._turn:
            self._outlet, self._torn = Descriptor(descriptor), False


def _parts(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield lines in parts of AT_ONCE bytes at most, or of one line that is longer."""
    part, size = list[bytes](), 0
    for line in lines:
        if part and size + len(line) >= AT_ONCE:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield part


_handler_of = lru_cache(maxsize=1)(LineHandler)


def stderr_handler() -> LineHandler:
    """Return what writes to stderr, one for all loggers of a process."""
    return _handler_of(sys.stderr)


def dropped() -> int:
    """Return how many lines this process dropped since the last that could be written."""
    return stderr_handler().dropped


def open_file(path: Path) -> int:
    """Open a log file to append to it, made where there is none; raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND
    try:
        return owners.create(path, 0o640, flags=flags)
    except FileExistsError:
        return os.open(path, flags | os.O_CREAT, 0o640)


def into_file(path: Path) -> None:
    """Send stderr to a file, opened by its name; again, after it was renamed. Raises OSError."""
    descriptor = open_file(path)
    flush()
    os.dup2(descriptor, 2)
    os.close(descriptor)
    stderr_handler().turn_to(2)


def hold_standard_streams() -> None:
    """Occupy stdin, stdout and stderr if they are closed: no other file may be opened there."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest that is free; to write there fails


LOGGER = logging.getLogger("scim_ledger")


def json_line(level: str, message: str, **fields: Any) -> str:
    """Return one line of the log."""
    line = {"time": clock.timestamp(), "level": level, "message": message, **fields}
    return orjson.dumps(line, default=str).decode()


def flush() -> None:
    """Write what is gathered of the log; at the end of a process logging does it too."""
    if _handler_of.cache_info().currsize:
        stderr_handler().flush()


def _after_fork() -> None:
    if _handler_of.cache_info().currsize:
        stderr_handler().start_over()


os.register_at_fork(after_in_child=_after_fork)


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, message, and the fields given as `extra={"fields": ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line. Of an error only type and place are logged: its text may hold values."""
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0]:
            trace = traceback.extract_tb(record.exc_info[2])
            fields["error"] = record.exc_info[0].__name__
            fields["where"] = [f"{each.filename}:{each.lineno} {each.name}" for each in trace]
            if record.exc_info[1] and (cause := record.exc_info[1].__cause__):
                last = traceback.extract_tb(cause.__traceback__)[-1]
                fields["cause"] = f"{type(cause).__name__} {last.filename}:{last.lineno}"
        return json_line(record.levelname.lower(), record.getMessage(), **fields)


def configure(level: str) -> None:
    """Send this program's log to stderr."""
    handler = stderr_handler()
    handler.setFormatter(JsonFormatter())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


def log_request(line: dict[str, Any]) -> None:
    """Write the line of a request directly, without a log record."""
    if LOGGER.isEnabledFor(logging.INFO):
        now = {"time": clock.timestamp(), "level": "info", "message": "request"}
        data = orjson.dumps(now | line)
        for handler in LOGGER.handlers:
            if isinstance(handler, LineHandler):
                handler.gather(data)


class JobLog:
    """Logs what fails in the background: each thing once, until it works again."""

    def __init__(self) -> None:
        self._failing: dict[tuple[str, Path], str] = {}

    def __call__(self, job: Job, trouble: Exception | None) -> None:
        place, says = (type(job).__name__, job.path), str(trouble) if trouble else ""
        if says and self._failing.get(place) != says:
            fields = {"chore": place[0], "ledger": job.path.parent.name, "says": says}
            LOGGER.warning("background work failed", extra={"fields": fields})
        self._failing[place] = says


def gunicorn_logging(level: str) -> dict[str, Any]:
    """Return the logging configuration that makes gunicorn log JSON too.

    Never at level debug: gunicorn would then log broken requests whole, with their tokens.
    """
    level = "INFO" if level == "debug" else level.upper()
    ours = {"level": level, "handlers": ["stderr"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"()": stderr_handler, "formatter": "json"}},
        "root": ours,
        "loggers": {
            "gunicorn.error": {**ours, "propagate": False, "qualname": "gunicorn.error"},
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }
