"""SIGHUP: the service becomes the program that is installed, or stays what it is; never an end."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from ledger.sqlite.connection import driver
from scim_api.server.candidate import Candidate
from tests.scim_api.client import user
from tests.scim_api.process import Server, environment, free_port, wait_until

SOURCE = Path(__file__).parents[3]
LEDGERS = SOURCE / "tests" / "golden" / "ledgers"
ROOMS = ("ledger", "projections", "scim_api")


class Installed:
    """A copy of the program, which tests change, and a service that was started from it."""

    def __init__(self, folder):
        self.tree = folder / "program"
        self.tree.mkdir()
        self.install()
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notified.bind(str(folder / "notify"))
        self.server = Server(
            folder,
            popen={"cwd": self.tree},
            PYTHONPATH=self.tree,
            PYTHONDONTWRITEBYTECODE="1",
            WEB_CONCURRENCY=2,
            NOTIFY_SOCKET=folder / "notify",
            GUNICORN_CMD_ARGS=f"--pid {folder / 'pid'}",
        )

    def install(self):
        """Install the program as it is in the tree of these tests."""
        for room in ROOMS:
            shutil.rmtree(self.tree / room, ignore_errors=True)
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(SOURCE / room, self.tree / room, ignore=ignored)
        shutil.copy(SOURCE / "app.py", self.tree)

    def change(self, name, pattern, by):
        """Change a file of the installed program."""
        file = self.tree / name
        changed, times = re.subn(pattern, by, file.read_text())
        assert times
        file.write_text(changed)

    def hang_up(self):
        """Ask for a reload; return the workers that served until then, and the log's length."""
        workers = self.server.workers()
        before = len(self.said())
        self.notices()  # gunicorn waits for a reader when there are too many
        self.server.process.send_signal(signal.SIGHUP)
        return workers, before

    def reload(self):
        """Reload, and wait until no former worker is left."""
        workers, before = self.hang_up()
        assert wait_until(lambda: not set(workers) & set(self.server.workers())), self.said(before)

    def refusal(self):
        """Ask for a reload; return what was said of its refusal."""
        workers, before = self.hang_up()
        assert wait_until(lambda: any("not reloaded" in line for line in self.said(before)))
        assert sorted(self.server.workers()) == sorted(workers)
        assert self.server.ask("GET", "/Users").status == 200
        return next(line for line in self.said(before) if "not reloaded" in line)

    def said(self, before=0):
        """Return the messages of the log, without what gunicorn prints next to it."""
        lines = self.server.stderr.read_text().splitlines()
        found = [json.loads(line)["message"] for line in lines if line.startswith("{")]
        return found[before:]

    def notices(self):
        """Return what systemd was told since this was asked last."""
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self.notified.recv(1000).decode())
        return found

    def alive(self):
        return self.server.ask("GET", "/livez", base="").json["status"]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    installed = Installed(tmp_path_factory.mktemp("installed"))
    yield installed
    installed.server.clean_up()
    installed.notified.close()


@pytest.fixture
def installed(service):
    """Return the service with the program as it is; a test may leave its own behind."""
    yield service
    service.install()


class Load:
    """Clients that ask all the time: on new connections, and writing on kept ones."""

    def __init__(self, server):
        self.server, self.over = server, threading.Event()
        self.answers, self.broken = [], []
        self.threads = [threading.Thread(target=self.read) for _ in range(2)]
        self.threads += [threading.Thread(target=self.write, args=(n,)) for n in range(2)]

    def read(self):
        while not self.over.is_set():
            self.note(partial(self.server.ask, "GET", "/Users?count=1"))

    def write(self, writer):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        with closing(connection):  # it connects again by itself after Connection: close
            while not self.over.is_set():
                body = user(f"load{writer}-{time.monotonic_ns()}@example.com")
                self.note(partial(self.server.ask_on, connection, "POST", "/Users", body))

    def note(self, ask):
        try:
            reply = ask()
        except OSError as error:
            self.broken.append(error)
            return None
        self.answers.append(reply.status)
        return reply

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.slow
def test_a_program_in_which_a_module_has_another_name_takes_over_and_no_request_fails(installed):
    server, master = installed.server, installed.server.process.pid
    (installed.tree / "scim_api" / "settings.py").rename(installed.tree / "scim_api" / "options.py")
    for file in installed.tree.rglob("*.py"):
        text = file.read_text().replace("scim_api.settings", "scim_api.options")
        text = text.replace("from scim_api import settings as", "from scim_api import options as")
        file.write_text(
            text.replace(
                "from scim_api import settings", "from scim_api import options as settings"
            )
        )
    installed.change("scim_api/server/health.py", '"alive"', '"alive and new"')

    with Load(server) as load:
        installed.reload()
        installed.reload()

    assert load.broken == []
    assert set(load.answers) == {200, 201}
    assert installed.alive() == "alive and new"
    assert server.process.poll() is None
    assert server.process.pid == master
    assert len(server.workers()) == 2


def test_a_program_with_a_syntax_error_is_not_taken_and_the_next_good_one_is(installed):
    installed.change("scim_api/audit/feeds.py", r"\Z", "def (\n")

    says = installed.refusal()
    refused = installed.notices()

    assert "SyntaxError" in says
    assert str(installed.tree / "scim_api" / "audit" / "feeds.py") in says
    installed.install()
    installed.reload()
    taken = installed.notices()
    for told in (refused, taken):  # what systemd was told
        assert [each.splitlines()[0] for each in told] == ["RELOADING=1", "READY=1"]
        assert re.fullmatch(r"MONOTONIC_USEC=\d+", told[0].splitlines()[1])


def test_a_worker_that_ends_is_replaced_by_one_of_the_same_program(installed):
    server = installed.server
    installed.change("scim_api/server/health.py", '"alive"', '"alive and new"')
    installed.change("app.py", r"\Z", "def (\n")

    gone, _ = server.workers()
    os.kill(gone, signal.SIGKILL)

    assert wait_until(lambda: gone not in server.workers() and len(server.workers()) == 2)
    assert {installed.alive() for _ in range(20)} == {"alive"}


def test_a_program_that_refuses_a_setting_is_not_taken(installed):
    installed.change("scim_api/settings.py", r"_number\(2, 1, 64\)", "_number(1, 1, 1)")

    assert "WEB_CONCURRENCY" in installed.refusal()


@pytest.mark.parametrize(
    ("version", "reason"),
    [(1, "it would have to migrate acme, for"), (99, "written by a newer scim-ledger")],
)
def test_a_program_that_cannot_serve_a_ledger_of_another_version_is_not_taken(
    installed, version, reason
):
    folder = installed.server.data_dir
    with tarfile.open(LEDGERS / "1-users.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    with closing(driver.connect(str(folder / "acme" / "ledger.db"))) as connection:
        connection.execute(f"PRAGMA user_version={version}")

    says = installed.refusal()

    shutil.rmtree(folder / "acme")
    assert reason in says


FAULTS = {
    "syntax error": "\ndef (\n",
    "import": "\nimport a_module_that_is_not_installed\n",
    "exception": "\nraise RuntimeError('at import')\n",
    "missing": None,
}
PARTS = sorted(
    str(file.relative_to(SOURCE))
    for file in (
        SOURCE / "app.py",
        SOURCE / "scim_api" / "settings.py",
        SOURCE / "scim_api" / "logs.py",
        SOURCE / "ledger" / "open_files.py",
        *(SOURCE / "scim_api" / "server").glob("[!_]*.py"),
    )
)
EACH = [(part, list(FAULTS)[at % 3]) for at, part in enumerate(PARTS)]
MISSING = [(part, "missing") for part in PARTS if part != "app.py"]  # these tests have another
BY_HUP = ("scim_api/server/worker.py", "scim_api/server/log_file.py")


def tried(folder, part=None, fault=None):
    """Try a program of which one part is broken; return what is wrong with it."""
    tree = folder / "program"
    tree.mkdir(parents=True)
    for room in (*ROOMS, "app.py"):
        os.symlink(SOURCE / room, tree / room)
    if part:
        here = tree
        for name in Path(part).parts:  # the folders on the way become real ones, with links
            real, here = here / name, here / name
            whole = real.resolve()
            real.unlink()
            if whole.is_dir():
                real.mkdir()
                for each in whole.iterdir():
                    os.symlink(each, real / each.name)
            elif FAULTS[fault] is not None:
                real.write_text(whole.read_text() + FAULTS[fault])
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:scim_api.server.gunicorn_conf"]
    settings = environment(folder / "data", PYTHONPATH=tree, PYTHONDONTWRITEBYTECODE="1")
    candidate = Candidate([*gunicorn, "app:create_app()"], str(tree), settings)
    assert wait_until(candidate.over)
    return candidate.trouble()


def test_a_whole_program_passes_its_trial(tmp_path):
    assert tried(tmp_path) is None


@pytest.mark.slow
def test_a_program_of_which_any_part_is_broken_or_missing_fails_its_trial(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        cases = EACH + MISSING
        said = list(pool.map(lambda n: tried(tmp_path / str(n), *cases[n]), range(len(cases))))

    passed = [case for case, says in zip(cases, said, strict=True) if not says]
    assert passed == []


def test_a_program_whose_worker_or_log_cannot_be_loaded_is_not_taken(installed):
    for part in BY_HUP:
        installed.change(part, r"\Z", FAULTS["import"])

        assert "a_module_that_is_not_installed" in installed.refusal()

        installed.install()


@pytest.mark.slow
def test_a_ledger_that_no_program_can_read_does_not_keep_a_program_from_being_taken(installed):
    damaged = installed.server.data_dir / "damaged"
    damaged.mkdir()
    (damaged / "ledger.db").write_bytes(b"no ledger at all")

    installed.reload()

    shutil.rmtree(damaged)


@pytest.mark.slow
def test_a_worker_that_cannot_start_for_a_while_ends_nothing(installed):
    server, wrong = installed.server, installed.tree / "wrong"
    installed.change(
        "app.py",
        r"    settings = settings or .*\n",
        rf"\g<0>    if os.path.exists({str(wrong)!r}):\n        raise OSError('not now')\n",
    )
    installed.reload()
    wrong.touch()

    gone, stays = server.workers()
    os.kill(gone, signal.SIGKILL)

    assert wait_until(
        lambda: any("no worker could be started" in each for each in installed.said())
    )
    assert {server.ask("GET", "/Users").status for _ in range(30)} == {200}
    assert stays in server.workers()
    wrong.unlink()
    assert wait_until(lambda: len(server.workers()) == 2)


def test_the_number_of_workers_can_be_changed_while_it_runs(installed):
    server = installed.server

    server.process.send_signal(signal.SIGTTIN)
    assert wait_until(lambda: len(server.workers()) == 3)
    server.process.send_signal(signal.SIGTTOU)

    assert wait_until(lambda: len(server.workers()) == 2)
    assert {server.ask("GET", "/Users").status for _ in range(50)} == {200}


def test_a_service_that_was_reloaded_keeps_its_pid_file_until_it_stops(installed):
    server, file = installed.server, installed.server.folder / "pid"
    installed.reload()

    assert file.read_text() == f"{server.process.pid}\n"
    assert server.stop() == 0
    assert not file.exists()


def test_a_first_start_that_cannot_succeed_ends(tmp_path):
    (tmp_path / "broken.py").write_text("def create_app():\n    raise OSError('never')\n")
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:scim_api.server.gunicorn_conf"]

    ended = subprocess.run(
        [*gunicorn, "broken:create_app()"],
        env=environment(tmp_path, PORT=free_port(), PYTHONPATH=tmp_path),
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 3
    assert b"Worker failed to boot" in ended.stderr
