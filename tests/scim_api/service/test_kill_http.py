"""A process killed at any moment loses nothing that was acknowledged; SIGTERM finishes its work."""

import os
import random
import signal
import subprocess
import threading
import time

import pytest

from ledger.sqlite.connection import connect, execute_when_free
from ledger.verify.verifier import verify
from tests.scim_api.client import patch, replace, user
from tests.scim_api.process import PROGRAM, Server, environment, wait_until


class Writer(threading.Thread):
    """Creates and renames users without end; remembers what was acknowledged."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server = server
        self.number = number
        self.acknowledged = {}  # id -> (userName, version)
        self.tried = set()  # every name that may have been written
        self.strange = []
        self.over = False

    def run(self):
        turn = 0
        while not self.over:
            turn += 1
            try:
                self.write(f"writer{self.number}-{turn}@example.com")
            except OSError:
                time.sleep(0.02)  # killed just now: whether it was written nobody told us

    def write(self, name):
        self.tried.add(name)
        reply = self.server.ask("POST", "/Users", user(name), timeout=10)
        self.note(reply, 201)
        if reply.status == 201:
            self.rename(reply.json["id"], "renamed-" + name)

    def rename(self, id_, name):
        self.tried.add(name)
        body = patch(replace({"userName": name, "active": False}))
        self.note(self.server.ask("PATCH", f"/Users/{id_}", body, timeout=10), 200)

    def note(self, reply, expected):
        if reply.status == expected:
            user = reply.json
            self.acknowledged[user["id"]] = (user["userName"], user["meta"]["version"])
        elif reply.status not in (429, 503):
            self.strange.append((reply.status, reply.body))


def check_all_is_there(server, writers):
    """Compare what was acknowledged with what is in the ledger."""
    found, start = {}, 1
    while page := server.ask("GET", f"/Users?startIndex={start}&count=500").json["Resources"]:
        found |= {each["id"]: each for each in page}
        start += len(page)
    names = [each["userName"] for each in found.values()]
    tried = set().union(*(writer.tried for writer in writers))
    assert len(set(names)) == len(names)
    assert set(names) <= tried
    for writer in writers:
        assert writer.strange == []
        for id_, (name, version) in writer.acknowledged.items():
            check_is_there(found[id_], name, version)


def check_is_there(resource, name, version):
    """A rename that was not acknowledged may have happened, but whole: Updated and Deactivated."""
    now = resource["userName"], resource["meta"]["version"], resource["active"]
    whole = ("renamed-" + name, 'W/"3"', False)
    assert now == (name, version, version == 'W/"1"') or (version == 'W/"1"' and now == whole)


def stop(writers):
    for writer in writers:
        writer.over = True
    for writer in writers:
        writer.join(30)
    assert not any(writer.is_alive() for writer in writers)


def let_write(server, count=6):
    writers = [Writer(server, number) for number in range(count)]
    for writer in writers:
        writer.start()
    return writers


def under_load(writers, more=10):
    """Wait until more was acknowledged, and then until some moment of what is written next."""
    enough = acknowledged(writers) + more
    assert wait_until(lambda: acknowledged(writers) >= enough)
    time.sleep(random.uniform(0, 0.1))


def acknowledged(writers):
    return sum(len(writer.acknowledged) for writer in writers)


def both_workers(server):
    return wait_until(lambda: workers if len(workers := server.workers()) == 2 else None)


def kill_worker(server, place):
    """Kill one of the two workers as the kernel does, and see it gone."""
    worker = both_workers(server)[place]
    os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: worker not in server.workers())


@pytest.mark.slow
def test_workers_killed_under_load_lose_nothing(start):
    server = start()
    writers = let_write(server)

    for number in range(4):
        under_load(writers)
        kill_worker(server, number % 2)
    stop(writers)

    assert both_workers(server)
    check_all_is_there(server, writers)
    assert server.stop() == 0
    assert verify(server.data_dir / "default" / "ledger.db").findings == []


@pytest.mark.slow
def test_master_and_workers_killed_under_load_lose_nothing(start):
    server = start()
    writers = let_write(server)

    for _ in range(2):
        under_load(writers)
        os.killpg(server.process.pid, signal.SIGKILL)  # the session this test started
        server.process.wait(10)
        server.start()
    stop(writers)

    check_all_is_there(server, writers)
    assert server.stop() == 0
    assert verify(server.data_dir / "default" / "ledger.db").findings == []


def run_and_kill(server, *words):
    """Start a command and kill it at some moment of its short life."""
    command = subprocess.Popen(
        [*PROGRAM, *words],
        env=environment(server.data_dir),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(random.uniform(0.2, 0.6))
    command.kill()
    command.wait(10)


@pytest.mark.slow
def test_commands_killed_while_the_service_writes_harm_nothing(start):
    server = start()
    writers = let_write(server, 2)

    for number in range(8):
        run_and_kill(server, *(["projections", "rebuild"], ["token", "create", "x"])[number % 2])
    stop(writers)

    check_all_is_there(server, writers)
    assert server.stop() == 0
    for words in (["verify"], ["projections", "rebuild"], ["projections", "check"]):
        ended = subprocess.run([*PROGRAM, *words], env=environment(server.data_dir))
        assert ended.returncode == 0


@pytest.mark.slow
def test_workers_end_by_themselves_when_their_master_is_killed(start):
    server = start()
    workers = server.workers()

    server.kill()

    assert wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers))


@pytest.fixture
def held(start):
    """Return a service with a create in flight, and what lets it go on: the write lock is ours."""
    server = start()
    other = connect(server.data_dir / "default" / "ledger.db")
    execute_when_free(other, "BEGIN IMMEDIATE", time.monotonic() + 5)
    replies = []
    asking = threading.Thread(
        target=lambda: replies.append(server.ask("POST", "/Users", user("in-flight@example.com")))
    )
    asking.start()
    time.sleep(0.5)

    def finish():
        other.execute("ROLLBACK")
        asking.join(20)
        return replies[0]

    yield server, finish
    other.close()


@pytest.mark.slow
def test_sigterm_finishes_running_requests(held):
    server, finish = held

    server.process.terminate()
    time.sleep(0.5)
    reply = finish()

    assert reply.status == 201
    assert server.process.wait(20) == 0
    server.start()
    found = server.ask("GET", f"/Users/{reply.json['id']}")
    assert found.json["userName"] == "in-flight@example.com"


@pytest.mark.slow
def test_sigterm_while_the_workers_start_ends_the_service_in_order(start):
    server = start()
    assert server.stop() == 0
    booted = server.stderr.read_text().count("Booting worker")

    server.process = server.spawn()
    assert wait_until(lambda: server.stderr.read_text().count("Booting worker") == booted + 2)

    assert server.stop() == 0
    assert "Traceback" not in server.stderr.read_text()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Return a service that was asked to create a user and then to stop, and did."""
    server = Server(tmp_path_factory.mktemp("stopped"))
    server.ask("POST", "/Users", user())
    assert server.stop() == 0
    yield server
    server.clean_up()


def test_sigterm_writes_down_the_last_uses(stopped):
    assert (stopped.data_dir / "default" / "usage.db").exists()


def test_sigterm_leaves_one_file_whole_by_itself(stopped):
    files = {path.name for path in (stopped.data_dir / "default").iterdir()}

    assert "ledger.db-wal" not in files
    assert verify(stopped.data_dir / "default" / "ledger.db").events == 3


def test_a_second_start_makes_no_second_token(stopped):
    stopped.stdout.unlink()

    stopped.start()

    assert "Bearer token" not in stopped.stdout.read_text()
    assert stopped.ask("GET", "/Users").json["totalResults"] == 1
