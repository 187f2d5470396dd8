"""gunicorn's master: it changes to another program without an end of the service.

On SIGHUP the program that is installed now is tried in a process of its own (see candidate). Only
if it is fit does the master become it, by exec: process id, listening sockets and workers stay. A
worker ends when those that replace it serve: no connection is refused, every request is answered.
"""

import importlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any

from gunicorn.app import base
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.sock import create_sockets
from gunicorn.systemd import sd_notify
from gunicorn.workers.workertmp import WorkerTmp

from scim_api.server.candidate import Candidate

HANDOVER = "GUNICORN_HANDOVER"  # the variable in which a program leaves its sockets and workers

ATTEMPTS = 5  # to start a worker while none serves
LONGEST_PAUSE = 60.0  # seconds between two attempts
SIGNALS = {*Arbiter.SIGNALS, signal.SIGCHLD}


class Master(Arbiter):  # type: ignore[misc]
    """The process that listens, starts workers and ends them."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]
        self._candidate: Candidate | None = None
        self._former: set[int] = set()  # workers of the program that was here before
        self._ending: dict[int, float] = {}  # workers that were told to, and until when they may
        self._holds: dict[int, Any] = {}  # the socket of each worker; None once it takes no more
        self._spare: list[Any] = []  # those of others, for a worker that is being started
        self._served = self._stopping = False
        self._failures = 0  # of workers to start, in a row
        self._pause_until = 0.0  # monotonic seconds

    # Listening

    def start(self) -> None:
        """Listen, or go on with what the program before this one left."""
        left = json.loads(os.environ.pop(HANDOVER, "{}"))
        self.cfg.env_orig.pop(HANDOVER, None)
        descriptors = left.get("sockets") or self._sockets_of_usr2() or [self._listen()]
        sockets = create_sockets(self.cfg, self.log, descriptors)
        for pid, age, descriptor, held in left.get("workers", ()):
            self.WORKERS[pid] = FormerWorker(pid, age, descriptor)
            self._holds[pid] = None if held is None else sockets[held]
            self._former.add(pid)
        self.worker_age = max((each.age for each in self.WORKERS.values()), default=0)
        self._served = bool(self._former)
        self.LISTENERS = sockets[:1]  # those of other workers have the same address
        importlib.import_module(self.app.app_uri.partition(":")[0])  # workers are of one program
        super().start()
        self.LISTENERS = sockets
        if self.pidfile is not None:
            self.pidfile.pid = self.pid  # gunicorn takes its own file for another's, and leaves it

    def _sockets_of_usr2(self) -> list[int]:
        left = os.environ.pop("GUNICORN_FD", "") if "GUNICORN_PID" in os.environ else ""
        return [int(descriptor) for descriptor in left.split(",") if descriptor]

    def _listen(self) -> int:
        """Open another socket at the address; the kernel shares connections out between them."""
        if len(self.cfg.address) != 1 or not isinstance(self.cfg.address[0], tuple):
            raise SystemExit("Error: there is one address to listen on: SCIM_BIND and PORT")
        [address] = self.cfg.address
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            made = socket.create_server(
                address, family=family, backlog=self.cfg.backlog, reuse_port=True
            )
        except OSError as error:
            says = f"cannot listen on {address[0]} port {address[1]}: {error.strerror}"
            raise SystemExit(f"Error: {says}") from None
        return made.detach()

    def init_signals(self) -> None:
        """Take signals; those that came since the exec are waiting."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    # Workers

    def manage_workers(self) -> None:
        """Start the workers that are wanted, and end others once those serve."""
        self._conclude_candidate()
        staying = [
            worker
            for worker in sorted(self.WORKERS.values(), key=lambda each: each.age)
            if worker.pid not in self._former and worker.pid not in self._ending
        ]
        try:
            while time.monotonic() >= self._pause_until and len(staying) < self.num_workers:
                staying.append(self.WORKERS[self._spawn_beside(staying)])
        except OSError as error:
            self._pause_after(HaltServer(str(error), self.WORKER_BOOT_ERROR))
        wanted = staying[-self.num_workers :]
        if len(wanted) == self.num_workers and all(map(_serves, wanted)):
            self._served, self._failures = True, 0
            self._end_all_but({worker.pid for worker in wanted})
        self._kill_the_late()

    def _spawn_beside(self, staying: list[Any]) -> int:
        """Start a worker with the socket that has the fewest; return its process id."""
        while len(self.LISTENERS) < self.num_workers:
            self.LISTENERS += create_sockets(self.cfg, self.log, [self._listen()])
        held = [self._holds[worker.pid] for worker in staying]
        everything, mine = self.LISTENERS, min(self.LISTENERS, key=held.count)
        self.LISTENERS = [mine]  # gunicorn gives these to the worker
        self._spare = [each for each in everything if each is not mine]
        try:
            pid = int(self.spawn_worker())
        finally:
            self.LISTENERS = everything
        self._holds[pid] = mine
        return pid

    def keep_to(self, worker: Any) -> None:
        """Close, in a new worker, the sockets of the others."""
        for each in self._spare:
            each.close()

    def _end_all_but(self, wanted: set[int]) -> None:
        for pid in self.WORKERS.keys() - wanted - self._ending.keys():
            self._ending[pid] = time.monotonic() + self.cfg.graceful_timeout + 5
            self.kill_worker(pid, signal.SIGTERM)
        self._close_all_but([self._holds[pid] for pid in wanted])

    def _close_all_but(self, held: list[Any]) -> None:
        """Close the sockets that nobody takes connections from: they would wait in vain."""
        for each in [each for each in self.LISTENERS if each not in held]:
            self.LISTENERS.remove(each)
            each.close()

    def _kill_the_late(self) -> None:
        for pid, until in list(self._ending.items()):
            if time.monotonic() > until and pid in self.WORKERS:
                self.kill_worker(pid, signal.SIGKILL)

    def reap_workers(self) -> None:
        """Forget the workers that ended; one that could not start ends nothing that serves."""
        if self._candidate:
            self._candidate.look()
        before = dict(self.WORKERS)
        while True:
            try:
                super().reap_workers()
                break
            except HaltServer as halt:
                self._pause_after(halt)
        for pid in before.keys() - self.WORKERS.keys():
            before[pid].tmp.close()
        self._former &= self.WORKERS.keys()
        for kept in (self._ending, self._holds):
            for pid in kept.keys() - self.WORKERS.keys():
                del kept[pid]

    def _pause_after(self, halt: HaltServer) -> None:
        """Wait before the next worker is started; raises HaltServer where that is in vain."""
        if self._stopping:
            return
        serving = [pid for pid, worker in self.WORKERS.items() if _serves(worker)]
        self._failures += 1
        if not self._served or (self._failures >= ATTEMPTS and not serving):
            raise halt
        if serving:
            staying = self.WORKERS.keys() - self._ending.keys()
            self._close_all_but([self._holds[pid] for pid in staying])
        pause = min(2.0**self._failures, LONGEST_PAUSE)
        self._pause_until = time.monotonic() + pause
        says = "no worker could be started: %s It is tried again in %d s; workers that serve: %d"
        self.log.error(says, halt.reason, pause, len(serving))

    def stop(self, graceful: bool = True) -> None:
        """End the workers and what is being tried."""
        self._stopping = True
        if self._candidate:
            self._candidate.kill()
        super().stop(graceful)

    # Another program

    def handle_hup(self) -> None:
        """Try the program that is installed now, unless that is under way."""
        if self._candidate:
            return
        sd_notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", self.log)
        try:
            self._candidate = Candidate(
                self.START_CTX["args"], self.START_CTX["cwd"], self.cfg.env_orig
            )
        except OSError as error:
            self._refuse(f"it could not be started: {error}")

    def _conclude_candidate(self) -> None:
        if self._candidate and self._candidate.over():
            says, self._candidate = self._candidate.trouble(), None
            if says is None:
                self._become_it()
            else:
                self._refuse(says)

    def _refuse(self, says: str) -> None:
        self.log.error("not reloaded, the program that runs goes on: %s", says)
        sd_notify("READY=1", self.log)

    def _become_it(self) -> None:
        """Replace this program by the one that is installed, in the same process."""
        sockets = [each.fileno() for each in self.LISTENERS]
        workers = []
        for pid, worker in self.WORKERS.items():
            taken = self._holds[pid] in self.LISTENERS and pid not in self._ending
            held = self.LISTENERS.index(self._holds[pid]) if taken else None
            workers.append((pid, worker.age, worker.tmp.fileno(), held))
        for descriptor in (*sockets, *(descriptor for _, _, descriptor, _ in workers)):
            os.set_inheritable(descriptor, True)
        left = json.dumps({"sockets": sockets, "workers": workers})
        self.log.info("Reloading: the program that is installed now goes on")
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # till it takes them
        try:
            os.chdir(self.START_CTX["cwd"])
            environment = {**self.cfg.env_orig, HANDOVER: left}
            os.execve(sys.executable, self.START_CTX["args"], environment)
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            self._refuse(f"{error.filename or sys.executable}: {error.strerror}")


base.Arbiter = Master  # gunicorn has no setting for it


def _serves(worker: Any) -> bool:
    """Return whether a worker has said that it is ready: see `tell_ready`."""
    return os.fstat(worker.tmp.fileno()).st_size > 0


def tell_ready(worker: Any) -> None:
    """Let the master know, in the file of a worker's heartbeat, that it serves."""
    os.write(worker.tmp.fileno(), b"!")


class FormerWorker:
    """A worker that the program before this one started, as far as gunicorn asks."""

    runtime = None
    aborted = False

    def __init__(self, pid: int, age: int, descriptor: int) -> None:
        self.pid, self.age = pid, age
        self.tmp = _Heartbeat(descriptor)


class _Heartbeat(WorkerTmp):  # type: ignore[misc]
    def __init__(self, descriptor: int) -> None:
        self._tmp = os.fdopen(descriptor, "r+b", 0)
        os.set_inheritable(descriptor, False)
