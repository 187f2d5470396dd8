"""docs/upgrading.md, walked with a ledger of every earlier version, and what can go wrong."""

import fcntl
import hashlib
import os
import random
import re
import shlex
import signal
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

import app
from ledger.background import exclusive_lock
from ledger.sqlite.connection import SCHEMA_VERSION, driver
from ledger.sqlite.schema import schema_sql
from tests.scim_api.cli.conftest import Shell
from tests.scim_api.client import user
from tests.scim_api.process import Server

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "upgrading.md").read_text()
ARCHIVES = {
    path.name.partition(".")[0]: path
    for path in sorted((ROOT / "tests" / "golden" / "ledgers").glob("*.tar.xz"))
}


def unpack(data_dir, name, archive=None):
    """Put a ledger of an earlier version into a data directory; return its file."""
    data_dir.mkdir(exist_ok=True)
    with tarfile.open(ARCHIVES[archive or name]) as stored:
        stored.extractall(data_dir, filter="data")
    return (data_dir / "acme").rename(data_dir / name) / "ledger.db"


def version_of(file):
    with closing(driver.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def events_of(file):
    """Return a digest of all that was recorded in a ledger."""
    with closing(driver.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT header, leaf_hash, salt, body FROM event JOIN payload USING (position)"
            " WHERE type <> 'KeyRotated' ORDER BY position"
        ).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


class Walk:
    """The commands of the page, carried out one by one, and what each of them said."""

    def __init__(self, folder, shell):
        self.shell, self.backups = shell, folder / "backups"
        self.backups.mkdir()
        self.files = {name: unpack(shell.data_dir, name) for name in ARCHIVES}
        self.recorded = {name: events_of(file) for name, file in self.files.items()}
        self.before = {
            name: shell("verify", "--ledger", name, "--json", code=1) for name in ARCHIVES
        }
        [block] = re.findall(r"^## How do I upgrade\?\n.*?^```\n(.*?)^```", PAGE, re.M | re.S)
        self.said = {}
        for line in block.splitlines():
            program, *words = shlex.split(line.replace("/backups", str(self.backups)))
            if program == "scim-ledger":
                self.said[words[0]] = shell(*words)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upgrade")
    with pytest.MonkeyPatch.context() as patch:
        yield Walk(folder, Shell(folder / "data", patch))


def test_there_is_a_ledger_of_each_earlier_schema(walk):
    made = {version_of(file) for file in walk.backups.glob("*.db")}

    assert made == set(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("name", ARCHIVES)
def test_before_it_verify_says_to_migrate_and_finds_nothing_wrong(walk, name):
    ended = walk.before[name]

    assert ended.json["findings"] == []
    assert ended.json["ok"] is False
    assert ended.json["error"] in ended.err
    assert ended.json["events"] >= 12
    assert "run `scim-ledger migrate`" in ended.err


@pytest.mark.parametrize("name", ARCHIVES)
def test_the_backup_made_before_it_verifies_afterwards_too(walk, name):
    [backup] = walk.backups.glob(f"{name}-*.db")

    ended = walk.shell("verify", "--file", str(backup), "--json")

    assert ended.json["events"] == walk.before[name].json["events"]
    assert ended.json["heads"] == walk.before[name].json["heads"]
    assert events_of(backup) == walk.recorded[name]


def test_a_backup_made_before_it_that_was_changed_is_found(walk, tmp_path):
    [backup] = walk.backups.glob("1-users-*.db")
    changed = tmp_path / "changed.db"
    changed.write_bytes(backup.read_bytes().replace(b"user1@example.com", b"user9@example.com"))

    assert walk.shell("verify", "--file", str(changed), "--json", code=3).json["findings"]


def test_a_later_ledger_that_was_made_to_look_like_an_early_one_is_found(walk, tmp_path):
    [backup] = walk.backups.glob("4-proofs-*.db")
    changed = tmp_path / "changed.db"
    changed.write_bytes(backup.read_bytes())
    with closing(driver.connect(str(changed))) as connection:
        connection.executescript(
            "DROP TABLE tile; DROP TABLE tree_head; DROP TABLE purge; DROP INDEX event_erased;"
            "DROP TRIGGER event_stream_is_not_erased; DROP TRIGGER ledger_is_only_restored;"
            "DELETE FROM _sqlite_migrations WHERE name = 'tree'; PRAGMA user_version=1;"
        )
        connection.execute(schema_sql(1)["ledger_is_not_updated"])

    findings = walk.shell("verify", "--file", str(changed), "--json", code=3).json["findings"]

    assert [each["what"] for each in findings] == ["tree heads"]


@pytest.mark.parametrize("name", ARCHIVES)
def test_after_it_the_ledger_is_of_this_version_with_the_same_events(walk, name):
    assert f"{name}: " in walk.said["migrate"].err
    assert version_of(walk.files[name]) == SCHEMA_VERSION
    assert events_of(walk.files[name]) == walk.recorded[name]


@pytest.mark.parametrize("name", ARCHIVES)
def test_after_it_verify_finds_everything_good(walk, name):
    assert f"{name}:\n  verified: " in walk.said["verify"].out


def test_migrating_again_does_nothing(walk):
    ended = walk.shell("migrate")

    assert ended.err.splitlines() == [f"{name}: up to date" for name in ARCHIVES]


def test_after_it_the_service_answers_and_writes(walk, tmp_path):
    tokens = {
        name: walk.shell("token", "create", "new", "--ledger", name).out.strip()
        for name in ARCHIVES
    }
    (tmp_path / "data").symlink_to(walk.shell.data_dir)
    server = Server(tmp_path)
    try:
        for name, token in tokens.items():
            server.token = token
            listed = server.ask("GET", "/Users").json["Resources"]
            assert "user0@example.com" in [each["userName"] for each in listed], name
            assert (
                server.ask("POST", "/Users", user("new@example.com", displayName="New")).status
                == 201
            )
        assert server.ask("GET", "/readyz", base="").status == 200
    finally:
        server.clean_up()
    walk.shell("verify", "--all")


def test_a_migration_that_is_killed_at_any_moment_is_finished_by_the_next(empty):
    moments = random.Random(13)
    for name in ARCHIVES:
        file = unpack(empty.data_dir, name)
        recorded = events_of(file)
        for _ in range(4):
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.001, 0.25))
                app.console().migrate(name)
                os._exit(0)
            os.waitpid(child, 0)
            moments.random()
            assert events_of(file) == recorded

    empty("migrate")

    empty("verify", "--all")


def test_tables_that_a_service_is_using_are_not_migrated(empty):
    file = unpack(empty.data_dir, "4-proofs")
    with open(file.with_name("history.lock"), "ab") as lock:  # as the program of then holds it
        fcntl.flock(lock, fcntl.LOCK_EX)

        says = empty("migrate", code=1).err

    assert f"{file} is in use by a service: stop it first" in says
    assert version_of(file) == 2
    empty("migrate")
    with exclusive_lock(file):
        assert "up to date" in empty("migrate").err


def test_after_a_migration_that_failed_the_other_ledgers_follow(empty):
    for name in ("a-good", "b-damaged", "c-newer", "d-good"):
        file = unpack(empty.data_dir, name, "1-users")
    (empty.data_dir / "b-damaged" / "ledger.db").write_bytes(b"no ledger" * 1000)
    with closing(driver.connect(str(empty.data_dir / "c-newer" / "ledger.db"))) as connection:
        connection.execute("PRAGMA user_version=99")

    says = empty("migrate", code=1).err

    assert version_of(file) == SCHEMA_VERSION
    head, damaged, newer, good = says[says.index("Error: ") :].splitlines()
    assert head == "Error: 2 of 4 ledgers were not migrated:"
    assert damaged.startswith("  b-damaged: ")
    assert newer.startswith("  c-newer: ") and "install that version or a later one" in newer
    assert good == "migrated: a-good, d-good"


def test_a_full_disk_leaves_the_ledger_as_it_was(disk, monkeypatch):
    shell = Shell(disk / "data", monkeypatch)
    file = unpack(shell.data_dir, "1-users")
    before, free = events_of(file), os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - 4096))

    says = shell("migrate", code=1).err

    assert f"{file}" in says and "disk" in says
    assert (version_of(file), events_of(file)) == (1, before)
    (disk / "filler").unlink()
    shell("migrate")
    shell("verify", "--all")


def test_a_disk_that_cannot_be_written_leaves_the_ledger_as_it_was(disk, monkeypatch):
    shell = Shell(disk / "data", monkeypatch)
    file = unpack(shell.data_dir, "1-users")
    before = file.read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    says = shell("migrate", code=1).err

    assert str(shell.data_dir) in says and "read-only" in says.lower()
    assert file.read_bytes() == before
