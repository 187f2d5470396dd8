"""The circumstances of a run: when, on what, next to which other work."""

import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.server import ROOT, THREADS, Server, machine

_FSYNCS, _WRITTEN = 200, 8192  # bytes: about what a write adds to the log


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
    hello_ms: float  # CPU of the bare application's GET
    fsync_ms: float  # the median of what is measured before and after the rounds
    fsync_p99_ms: float


class Watch:
    """Measures which share of the machine other processes take, and the disk."""

    def __init__(self, servers: Sequence[Server], folder: Path) -> None:
        self.commit = _commit()
        self._servers, self._folder = servers, folder
        self.fsyncs = fsyncs(folder)
        self._own, (self._busy, self._all) = self._own_seconds(), machine()

    def _own_seconds(self) -> float:
        return sum(server.cpu() for server in self._servers) + time.process_time()

    def others(self) -> float:
        """Return the others' share since the start of the watch, from 0 to 1."""
        own, (busy, all_) = self._own_seconds(), machine()
        return max(0.0, (busy - self._busy) - (own - self._own)) / max(all_ - self._all, 0.01)

    def end(
        self, hello_ms: float, *, workers: int, each: int, rounds: int, seconds: float
    ) -> Circumstances:
        """Describe the run, which has just ended."""
        others = self.others()
        times = sorted(self.fsyncs + fsyncs(self._folder))
        return Circumstances(
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            commit=self.commit,
            cores=len(os.sched_getaffinity(0)),
            python=platform.python_version(),
            machine=platform.machine(),
            workers=workers,
            threads=THREADS,
            connections=workers * each,
            rounds=rounds,
            seconds=seconds,
            others=others,
            hello_ms=hello_ms,
            fsync_ms=statistics.median(times) * 1000,
            fsync_p99_ms=times[len(times) * 99 // 100] * 1000,
        )


def fsyncs(folder: Path) -> list[float]:
    """Return how many seconds it took to make some bytes durable, tried often."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FSYNCS):
            file.write(os.urandom(_WRITTEN))
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return took


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "(no commit)"
    return found.stdout.strip()
