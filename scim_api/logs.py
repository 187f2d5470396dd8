"""Structured logs: one JSON object a line on stderr, without personal data and without tokens."""

import logging
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from ledger import clock
from ledger.background import Chore
from scim_api.log_lines import LineHandler, stderr_handler

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


class ChoreLog:
    """Logs what fails in the background: each thing once, till it works again."""

    def __init__(self) -> None:
        self._failing: dict[tuple[str, Path], str] = {}

    def __call__(self, chore: Chore, trouble: Exception | None) -> None:
        """Take note of how a chore went."""
        place, says = (type(chore).__name__, chore.path), str(trouble) if trouble else None
        if says and self._failing.get(place) != says:
            fields = {"chore": place[0], "ledger": chore.path.parent.name, "says": says}
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
