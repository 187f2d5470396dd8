"""Commands on a large ledger: how long each takes, and how much memory it needs at most."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from tests.bench.server import ROOT

_SAMPLE = 0.2  # seconds between two looks at the memory
_PROGRAM = Path(sys.executable).with_name("scim-ledger")


@dataclass(frozen=True, slots=True)
class Took:
    """How long a command took, how much memory it had at most, and how others fared meanwhile."""

    seconds: float
    per_second: float  # events
    megabytes: float  # of all its processes
    slowest_get_ms: float | None = None  # of a client that goes on asking meanwhile


@dataclass(frozen=True, slots=True)
class Commands:
    """Runs commands on a data directory."""

    data_dir: Path
    events: int

    def run(self, *words: str, meanwhile: Callable[[Event], float] | None = None) -> Took:
        """Run a command to its end; raises RuntimeError where it fails."""
        ended, slowest = Event(), list[float]()
        other = Thread(target=lambda: slowest.append(meanwhile(ended)) if meanwhile else None)
        other.start()
        try:
            seconds, most = self._watched([str(_PROGRAM), *words])
        finally:
            ended.set()
            other.join()
        return Took(seconds, self.events / seconds, most / 1e6, *slowest)

    def _watched(self, command: list[str]) -> tuple[float, int]:
        environment = {**os.environ, "SCIM_DATA_DIR": str(self.data_dir)}
        started, most = time.perf_counter(), 0
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            reader = Thread(target=process.stderr.read, daemon=True)  # else it may wait for us
            reader.start()
            while process.poll() is None:
                most = max(most, sum(map(_memory, _family(process.pid))))
                time.sleep(_SAMPLE)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        return time.perf_counter() - started, most


def _family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in _family(int(child)))]


def _memory(pid: int) -> int:
    """Return the bytes of a process; those of pages that it shares are divided."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
