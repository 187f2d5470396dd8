"""Database files freed of what was deleted from them: the log emptied, the file written anew.

`secure_delete` overwrites what is deleted, but SQLite leaves copies of cells, whole or half
overwritten, in the unused middle of pages that it balanced (found by experiment, of about one
person in sixty). Writing the file anew, which VACUUM does, leaves none.
"""

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson

from ledger.sqlite.connection import connect, driver, speaking

PAUSE = 0.1  # seconds between two attempts at emptying a log: writers go on in between


def empty_log(path: Path, deadline: float) -> bool:
    """Bring a file's log into it and cut the log to nothing, by `deadline` (monotonic seconds).

    Tell whether it was done: somebody who reads an earlier state keeps it from being.
    """
    with speaking(path), closing(connect(path)) as connection:
        connection.execute("PRAGMA busy_timeout=100")
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                return False
            time.sleep(PAUSE)
    return True


def write_anew(path: Path, deadline: float) -> bool:
    """Write a file anew, through its log; tell whether the write lock was had in time.

    Who reads goes on, who writes waits. It takes as much memory, and room for the log, as the
    file has.
    """
    with speaking(path), closing(connect(path)) as connection:
        connection.execute("PRAGMA busy_timeout=0")
        while True:
            try:
                connection.execute("VACUUM")
                return True
            except driver.OperationalError as error:
                if "locked" not in str(error):
                    raise
            if time.monotonic() > deadline:
                return False
            time.sleep(random.uniform(0.0005, 0.0015))


@dataclass(frozen=True, slots=True)
class Traces:
    """What to look for: marks anywhere, fragments where SQLite leaves copies; of small letters."""

    marks: frozenset[bytes]
    fragments: frozenset[bytes] = frozenset()


def with_traces(paths: Sequence[Path], traces: Traces) -> list[Path]:
    """Return the files whose bytes hold traces, in any case of ASCII letters.

    Another process reads them: closing a file drops every lock that this one holds on it
    (POSIX), SQLite's too. The marks go through a pipe, not on a command line that others see.
    """
    asked = {
        "paths": [str(path) for path in paths],
        "marks": [mark.hex() for mark in traces.marks],
        "fragments": [part.hex() for part in traces.fragments],
    }
    done = subprocess.run(
        [sys.executable, "-m", "ledger.sqlite.traces"],
        input=orjson.dumps(asked),
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Path(path) for path in orjson.loads(done.stdout)]
