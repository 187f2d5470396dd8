"""Servers under test: how each starts, its CPU time, its end."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

THREADS = 4  # of each worker
KEEP_ALIVE = 75  # seconds: the connections are kept between the rounds
ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_START, _STOP = 30.0, 15.0  # seconds


@dataclass(frozen=True)
class Server:
    """A server that runs: its port, and the processes whose time counts."""

    name: str
    port: int
    master: int
    workers: tuple[int, ...]

    @property
    def processes(self) -> tuple[int, ...]:
        return (self.master, *(pid for pid in self.workers if pid != self.master))

    def cpu(self) -> float:
        """Return the seconds of CPU used so far by all its processes, user and system."""
        return sum(_cpu_of(pid) for pid in self.processes)

    def sockets(self) -> dict[int, int]:
        """Return how many sockets each worker has open."""
        return {pid: _sockets(pid) for pid in self.workers}


def machine() -> tuple[float, float]:
    """Return the seconds all cores together were busy, and the seconds there were, since boot."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    idle = ticks[3] + ticks[4]  # the latter is waiting for a disk
    return (sum(ticks) - idle) / _TICKS, sum(ticks) / _TICKS


def _cpu_of(pid: int) -> float:
    """Read a process's clock (clock_getcpuclockid(3)), to the nanosecond, ended threads too."""
    return time.clock_gettime(~pid << 3 | 2)


def _sockets(pid: int) -> int:
    folder = f"/proc/{pid}/fd"
    return sum(_link(f"{folder}/{name}").startswith("socket:") for name in os.listdir(folder))


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:  # closed meanwhile
        return ""


@contextmanager
def product(name: str, data_dir: Path, log: Path, workers: int) -> Iterator[Server]:
    """Run the product over a data directory, as the Procfile does."""
    command = ["-c", "python:scim_api.server.gunicorn_conf", "app:create_app()"]
    settings = {"SCIM_DATA_DIR": str(data_dir), "WEB_CONCURRENCY": str(workers)}
    with _gunicorn(name, command, {**settings, "SCIM_THREADS": str(THREADS)}, log, workers) as it:
        yield it


@contextmanager
def stock(
    name: str, target: str, log: Path, workers: int, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run an application under gunicorn as it comes, with its parser in Python."""
    shape = ["--workers", str(workers), "--threads", str(THREADS)]
    kept = ["--keep-alive", str(KEEP_ALIVE)]
    command = ["-k", "gthread", "--http-parser", "python", *shape, *kept, target]
    with _gunicorn(name, command, settings or {}, log, workers) as server:
        yield server


@contextmanager
def _gunicorn(
    name: str, command: Sequence[str], settings: Mapping[str, str], log: Path, workers: int
) -> Iterator[Server]:
    port = free_port()
    bound = ["--bind", f"127.0.0.1:{port}"]
    with running(
        [sys.executable, "-m", "gunicorn", *bound, *command], settings | {"PORT": str(port)}, log
    ) as process:
        yield _started(name, process, port, log, workers)


@contextmanager
def running(
    command: Sequence[str], settings: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block, then ask it to stop, or make it."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SCIM_", "GUNICORN"))}
    environment = {**inherited, **settings}
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stderr, stderr=stderr)
        try:
            yield process
        finally:
            _stop(process)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _started(
    name: str, process: subprocess.Popen[bytes], port: int, log: Path, workers: int
) -> Server:
    """Wait until every worker is there and one answers; raises RuntimeError."""
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and process.poll() is None:
        pids = _children(process.pid)
        if len(pids) == workers and listens(port):
            return Server(name, port, process.pid, pids)
        time.sleep(0.05)
    raise RuntimeError(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _children(pid: int) -> tuple[int, ...]:
    return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def listens(port: int) -> bool:
    """Return whether a server takes connections at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    workers = _children(process.pid) if process.poll() is None else ()
    process.terminate()
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        for pid in workers:
            os.kill(pid, 9)
        process.kill()
        process.wait()
