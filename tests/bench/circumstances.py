"""The circumstances of a run: when, on what, next to which other work."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.bench.server import ROOT, THREADS, Server, machine


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What one has to know to read the figures of a run."""

    date: str
    commit: str
    cores: int
    python: str
    machine: str
    workers: int
    threads: int
    connections: int
    rounds: int
    seconds: float
    others: float  # share of the machine's time that other processes took


class Watch:
    """Measures which share of the machine other processes take."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.commit = _commit()
        self._servers = servers
        self._own, (self._busy, self._all) = self._own_seconds(), machine()

    def _own_seconds(self) -> float:
        return sum(server.cpu() for server in self._servers) + time.process_time()

    def others(self) -> float:
        """Return the others' share since the start of the watch, from 0 to 1."""
        own, (busy, all_) = self._own_seconds(), machine()
        return max(0.0, (busy - self._busy) - (own - self._own)) / max(all_ - self._all, 0.01)


def circumstances(
    watch: Watch, *, workers: int, each: int, rounds: int, seconds: float
) -> Circumstances:
    """Describe a run that has just ended."""
    return Circumstances(
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        commit=watch.commit,
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        machine=platform.machine(),
        workers=workers,
        threads=THREADS,
        connections=workers * each,
        rounds=rounds,
        seconds=seconds,
        others=watch.others(),
    )


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "(no commit)"
    return found.stdout.strip()
