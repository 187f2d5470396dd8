"""A ledger's file moved, replaced or not to be written under the running service.

Nothing is acknowledged that a restart would not show, /readyz says so, and what was right again is
served again.
"""

import ctypes
import os
import resource
import shutil

import pytest

from ledger.background import Upkeep
from ledger.contract import LedgerUnavailable, LogStuck
from ledger.sqlite import database
from ledger.sqlite import ledger as ledger_module
from ledger.sqlite.connection import connect, driver
from ledger.sqlite.ledger import SQLiteLedger
from scim_api.server.checks import examine
from tests.scim_api.client import refusal, user


class Acknowledged:
    """A client that remembers what was acknowledged."""

    def __init__(self, api):
        self.api = api
        self.names = []
        self.tried = 0

    def create(self):
        """Create a user; return the status."""
        self.tried += 1
        name = f"user{self.tried}@example.com"
        answer = self.api.ask("POST", "/Users", user(name))
        if answer.status_code == 201:
            self.names.append(name)
        else:
            assert refusal(answer)[0] == 503
        return answer.status_code

    def ready(self):
        """Return what /readyz says."""
        return self.api.ask("GET", "/readyz", base="").json["problems"]

    def lost(self):
        """Return what was acknowledged and is not there."""
        shown = self.api.ask("GET", "/Users?count=1000").json["Resources"]
        return set(self.names) - {each["userName"] for each in shown}


@pytest.fixture
def client(api):
    made = Acknowledged(api)
    assert [made.create() for _ in range(3)] == [201] * 3
    return made


@pytest.fixture
def folder(api):
    return api.site.data_dir / "default"


def moved_away(folder):
    (folder / "ledger.db").rename(folder / "away.db")
    return lambda: (folder / "away.db").rename(folder / "ledger.db")


def removed(folder):
    os.link(folder / "ledger.db", folder / "kept.db")
    (folder / "ledger.db").unlink()
    return lambda: (folder / "kept.db").rename(folder / "ledger.db")


def replaced_by_a_copy(folder):
    os.link(folder / "ledger.db", folder / "kept.db")
    shutil.copy(folder / "ledger.db", folder / "copy.db")
    (folder / "copy.db").rename(folder / "ledger.db")
    return lambda: (folder / "kept.db").rename(folder / "ledger.db")


def replaced_by_a_folder(folder):
    back = moved_away(folder)
    (folder / "ledger.db").mkdir()
    return lambda: ((folder / "ledger.db").rmdir(), back())


def folder_renamed(folder):
    folder.rename(folder.with_name("elsewhere"))
    return lambda: folder.with_name("elsewhere").rename(folder)


def log_moved_away(folder):
    (folder / "ledger.db-wal").rename(folder / "log")
    return lambda: (folder / "log").rename(folder / "ledger.db-wal")


def log_replaced(folder):
    back = log_moved_away(folder)
    (folder / "ledger.db-wal").touch()
    return lambda: ((folder / "ledger.db-wal").unlink(), back())


def index_of_the_log_moved_away(folder):
    (folder / "ledger.db-shm").rename(folder / "index")
    return lambda: (folder / "index").rename(folder / "ledger.db-shm")


TAKEN = [
    (moved_away, "file missing"),
    (removed, "file missing"),
    (replaced_by_a_copy, "file replaced"),
    (replaced_by_a_folder, "file replaced"),
    (folder_renamed, "file missing"),
    (log_moved_away, "file missing"),
    (log_replaced, "file replaced"),
    (index_of_the_log_moved_away, "file missing"),
]
TAKE = pytest.mark.parametrize(("take", "reason"), TAKEN, ids=lambda x: getattr(x, "__name__", ""))


@TAKE
def test_nothing_is_acknowledged_while_another_file_is_at_the_path(client, folder, take, reason):
    take(folder)

    assert [client.create() for _ in range(3)] == [503] * 3
    assert reason in client.ready()


@TAKE
def test_a_file_that_is_back_is_served_again(client, folder, take, reason):
    put_back = take(folder)
    assert client.create() == 503

    put_back()

    assert client.create() == 201
    assert client.ready() == []
    assert client.lost() == set()


@pytest.mark.parametrize("take", [moved_away, removed, replaced_by_a_copy])
def test_the_file_that_was_taken_has_all_that_was_acknowledged(client, folder, take, tmp_path):
    """What was in the log is written back: no other file may have it played in."""
    put_back = take(folder)
    client.create()

    assert (folder / "ledger.db-wal").stat().st_size == 0
    for name in ("ledger.db-wal", "ledger.db-shm"):  # as if the process had been killed
        (folder / name).unlink()
    put_back()
    client.api.site.close()
    assert client.lost() == set()


def test_a_log_that_was_removed_takes_nothing_with_it(client, folder):
    (folder / "ledger.db-wal").unlink()

    assert client.create() == 503
    client.api.site.close()

    assert client.create() == 201
    assert client.lost() == set()


def test_what_a_command_records_is_not_written_over_once_the_index_of_the_log_is_gone(
    client, folder
):
    """With an index of their own, two programs write to the same place in the log."""
    (folder / "ledger.db-shm").unlink()
    late = client.api.site.client(called="late")
    assert client.create() == 503
    client.api.site.close()

    assert late.get("/Users").status_code == 200


def test_a_write_that_went_elsewhere_meanwhile_is_not_acknowledged(client, folder):
    tenant = client.api.site.console.tenant("default")
    with pytest.raises(Exception, match="not there"), tenant.ledger.writing() as connection:
        connection.execute("PRAGMA user_version=99")
        put_back = moved_away(folder)
    put_back()
    tenant.close()


def test_other_programs_that_come_and_go_are_in_nobodys_way(client, folder):
    for _ in range(3):
        connection = connect(folder / "ledger.db")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

        assert client.create() == 201
    assert client.ready() == []


# What cannot be written


def without_override():
    """Limit root's rights to those of an ordinary user."""
    for capability in (1, 2):  # to write, and to read, whatever the rights say
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


@pytest.mark.parametrize("part", ["file", "folder"])
def test_a_service_started_read_only_writes_once_it_may(start_made, made, tmp_path, part):
    shutil.copytree(made[0], tmp_path / "server" / "data")
    folder = tmp_path / "server" / "data" / "default"
    os.chmod(folder / "ledger.db" if part == "file" else folder, 0o444 if part == "file" else 0o555)
    server = start_made(popen={"preexec_fn": without_override})

    refused = [server.ask("POST", "/Users", user("early@example.com")).status for _ in range(4)]
    not_ready = {server.ask("GET", "/readyz", base="").status for _ in range(8)}
    os.chmod(folder / "ledger.db", 0o600)
    os.chmod(folder, 0o700)
    taken = [server.ask("POST", "/Users", user(f"u{n}@example.com")).status for n in range(8)]

    assert (set(refused), not_ready, set(taken)) == ({503}, {503}, {201})
    assert {server.ask("GET", "/readyz", base="").status for _ in range(8)} == {200}


@pytest.fixture
def limited(folder):
    """Return a function that lets no file grow beyond the log, or lets it again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(on):
        most = (folder / "ledger.db-wal").stat().st_size if on else before[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_log_that_cannot_be_written_is_not_ready_until_it_can(client, limited):
    assert client.ready() == []
    limited(True)
    refused = [client.create() for _ in range(2)]
    while_so = client.ready()
    limited(False)

    assert (refused, while_so) == ([503] * 2, ["disk error"])
    assert client.create() == 201
    assert client.ready() == []
    assert client.lost() == set()


def test_a_log_that_cannot_be_written_is_not_ready_though_nobody_wrote(
    client, limited, monkeypatch
):
    monkeypatch.setattr(ledger_module, "RETRIAL", 0.0)
    assert client.ready() == []
    limited(True)

    assert client.ready() == ["disk error"]


def test_ready_is_found_out_by_one_write_a_second(client, folder):
    client.ready()
    before = (folder / "ledger.db-wal").stat().st_size

    for _ in range(20):
        client.ready()

    assert (folder / "ledger.db-wal").stat().st_size <= before + 2 * 4120


def test_an_older_copy_written_over_the_file_is_not_gone_on_from(client, folder):
    connection = connect(folder / "ledger.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    older = (folder / "ledger.db").read_bytes()
    assert client.create() == 201
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    (folder / "ledger.db").write_bytes(older)

    assert client.create() == 503
    assert client.ready() != []


def test_a_moved_file_is_named_also_while_another_thread_writes(ledger_path):
    ledger = SQLiteLedger(ledger_path, timeout=0.01)

    with pytest.raises(LedgerUnavailable, match="is not there"), ledger.writing():
        moved_away(ledger_path.parent)
        with pytest.raises(LedgerUnavailable, match="is not there"):
            ledger.check_place()
    ledger.close()


# A log that only grows


@pytest.fixture
def pinned(client, folder, monkeypatch):
    """Keep an old read open, and make a small log count as large."""
    monkeypatch.setattr(database, "LARGE_LOG", 20_000)
    reader = driver.connect(str(folder / "ledger.db"), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM event").fetchone()
    yield reader
    reader.close()


def test_a_log_that_cannot_be_written_back_is_said_and_ready_all_the_same(client, pinned):
    for _ in range(6):
        client.create()

    answer = client.api.get("/readyz", base="")

    assert answer.status_code == 200
    assert answer.json["warnings"] == ["ledger's log not written back"]


def test_a_log_that_is_large_but_written_back_is_nothing_to_say(client, pinned):
    for _ in range(6):
        client.create()
    pinned.execute("ROLLBACK")

    assert client.api.get("/readyz", base="").json == {"status": "ready", "problems": []}


def test_a_doctor_and_the_chores_say_it_too(client, pinned):
    for _ in range(6):
        client.create()
    tenant = client.api.site.console.tenant("default")

    with pytest.raises(LogStuck, match="reading an old state"):
        Upkeep(tenant.ledger).step()
    environment = {"SCIM_DATA_DIR": str(client.api.site.data_dir)}
    checks = examine(environment, lambda name: tenant)
    [found] = [check for check in checks if check.check == "ledger default log"]
    tenant.close()
    assert not found.ok
