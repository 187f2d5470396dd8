"""Servers under test: gunicorn as the product runs it, its CPU time, its end."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

THREADS = 4  # of each worker, for both
ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_START, _STOP = 30.0, 15.0  # seconds


@dataclass(frozen=True)
class Server:
    """A gunicorn that runs: its port, and the processes whose time counts."""

    name: str
    port: int
    master: int
    workers: tuple[int, ...]

    def cpu(self) -> float:
        """Return the seconds of CPU used so far by master and workers, user and system."""
        return sum(_ticks(pid) for pid in (self.master, *self.workers)) / _TICKS

    def sockets(self) -> dict[int, int]:
        """Return how many sockets each worker has open."""
        return {pid: _sockets(pid) for pid in self.workers}


def machine() -> tuple[float, float]:
    """Return the seconds all cores together were busy, and the seconds there were, since boot."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    idle = ticks[3] + ticks[4]  # the latter is waiting for a disk
    return (sum(ticks) - idle) / _TICKS, sum(ticks) / _TICKS


def _ticks(pid: int) -> int:
    """Read utime and stime (proc(5)), which include all threads, also ended ones."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _sockets(pid: int) -> int:
    folder = f"/proc/{pid}/fd"
    return sum(_link(f"{folder}/{name}").startswith("socket:") for name in os.listdir(folder))


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:  # closed meanwhile
        return ""


@contextmanager
def serving(
    name: str, target: str, settings: Mapping[str, str], log: Path, workers: int
) -> Iterator[Server]:
    """Run an application under the product's own gunicorn configuration."""
    port = _free_port()
    configuration = "python:scim_api.server.gunicorn_conf"
    command = [sys.executable, "-m", "gunicorn", "-c", configuration, target]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(port, settings, workers),
            stdout=stderr,
            stderr=stderr,
        )
        pids: tuple[int, ...] = ()
        try:
            pids = _started(name, process, port, log, workers)
            yield Server(name, port, process.pid, pids)
        finally:
            _stop(process, pids)


def _environment(port: int, settings: Mapping[str, str], workers: int) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SCIM_", "GUNICORN"))}
    size = {"PORT": str(port), "WEB_CONCURRENCY": str(workers), "SCIM_THREADS": str(THREADS)}
    return {**inherited, **size, **settings}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _started(
    name: str, process: subprocess.Popen[bytes], port: int, log: Path, workers: int
) -> tuple[int, ...]:
    """Wait until every worker is there and one answers; raises RuntimeError."""
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and process.poll() is None:
        pids = _children(process.pid)
        if len(pids) == workers and _listens(port):
            time.sleep(0.5)  # for the other worker's socket
            return pids
        time.sleep(0.1)
    raise RuntimeError(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _children(pid: int) -> tuple[int, ...]:
    return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes], workers: tuple[int, ...]) -> None:
    process.terminate()
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        for pid in workers:
            os.kill(pid, 9)
        process.kill()
        process.wait()
