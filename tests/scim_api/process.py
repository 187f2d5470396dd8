"""`scim-ledger serve` as a process of its own, and plain HTTP and bytes to talk to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAM = [str(Path(sys.executable).with_name("scim-ledger"))]
PATIENCE = 20.0  # seconds for a process to start or end


def environment(data_dir, **settings):
    """Return this process's environment without its settings, but with those given."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("SCIM_") and k != "PORT"}
    return {**own, "SCIM_DATA_DIR": str(data_dir), **{k: str(v) for k, v in settings.items()}}


def free_port():
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(holds, patience=PATIENCE):
    """Wait for something to become true; return what it was at last."""
    deadline = time.monotonic() + patience
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def has_open(pid, names):
    """Return whether a process has one of some files or sockets open."""
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if os.readlink(each) in names:
                return True
    return False


@dataclass(frozen=True)
class Reply:
    """An answer read to its end."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def status_code(self):
        return self.status


class Server:
    """The service, started; `token` is the one it printed the first time."""

    def __init__(self, folder, *, token=None, popen=None, **settings):
        """`token` is one of a ledger that is there already; `popen` says how the process begins."""
        self.folder = folder
        self.popen = popen or {}
        self.data_dir = folder / "data"
        self.stdout, self.stderr = folder / "stdout", folder / "stderr"
        self.port = free_port()
        self.settings = {"PORT": self.port, **settings}
        self.token = token
        self.start()

    def start(self):
        """Start the service on its port and wait until it answers."""
        self.process = wait_until(self._try)  # the port may be taken for a moment yet
        assert self.process, self.stderr.read_text()
        assert wait_until(self._lives), self.stderr.read_text()
        printed = self.stdout.read_text().splitlines()
        urls = [line.split()[-1] for line in printed if line.startswith("SCIM base URL")]
        self.url = urls[0] if urls else None
        tokens = [line.split()[-1] for line in printed if line.startswith("Bearer token")]
        self.token = tokens[0] if tokens else self.token

    def _try(self):
        process = self.process = self.spawn()
        wait_until(lambda: process.poll() is not None or self._lives())
        return process if process.poll() is None else None

    def spawn(self):
        """Start the service without waiting for it."""
        with self.stdout.open("ab") as out, self.stderr.open("ab") as err:
            options = {"stdout": out, "stderr": err, "start_new_session": True, **self.popen}
            return subprocess.Popen(
                [*PROGRAM, "serve"],
                env=environment(self.data_dir, **self.settings),
                stdin=subprocess.DEVNULL,
                **options,
            )

    def _lives(self):
        try:
            return self.ask("GET", "/livez", base="").status == 200
        except OSError:
            return False

    def stop(self):
        """End the service as an operator does; return its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self):
        """End the master at once, as the kernel does, and wait for its workers to follow."""
        self.process.kill()
        self.process.wait(PATIENCE)
        assert wait_until(lambda: not self._lives())

    def clean_up(self):
        """Leave no process behind, whatever a test did."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # the session we started, nobody else's
        self.process.wait(PATIENCE)

    def workers(self):
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def ask(self, method, path, body=None, *, base="/scim/v2", headers=None, timeout=PATIENCE):
        """Send a request on a connection of its own; raises OSError when it breaks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            return self.ask_on(connection, method, path, body, base=base, headers=headers)
        finally:
            connection.close()

    def ask_on(self, connection, method, path, body=None, *, base="/scim/v2", headers=None):
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", "application/scim+json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, base + path, body, sent)
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        except http.client.HTTPException as broken:
            raise OSError(str(broken)) from broken

    def ask_each(self, method, path, **more):
        """Send a request to each worker; return the answers in no order."""
        opened, takers = [], {}

        def reached():
            opened.append(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE))
            takers[self._taker(opened[-1])] = opened[-1]
            return takers.keys() >= set(self.workers())

        try:
            assert wait_until(reached)
            return [self.ask_on(each, method, path, **more) for each in takers.values()]
        finally:
            for each in opened:
                each.close()

    def _taker(self, connection):
        """Return the worker that has taken a connection."""
        self.ask_on(connection, "GET", "/livez", base="")
        ports = f":{self.port:04X}", f":{connection.sock.getsockname()[1]:04X}"
        ends = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {each[9] for each in ends if (each[1][-5:], each[2][-5:]) == ports} - {"0"}
        names = {f"socket:[{inode}]" for inode in inodes}
        return next((pid for pid in self.workers() if has_open(pid, names)), None)

    def say(self, data, *, hang_up=False, timeout=PATIENCE):
        """Send raw bytes; return all that is answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as client:
            try:
                client.sendall(data)
                if hang_up:
                    client.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused before it was all said: the answer is there to be read
            answer = b""
            while part := client.recv(65536):
                answer += part
        return answer

    def log_lines(self):
        """Return what the service logged."""
        lines = self.stderr.read_text().splitlines()
        return [json.loads(line) for line in lines]
