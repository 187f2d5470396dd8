"""A ledger's file is created whole, private, and never over an existing file."""

import dataclasses
import itertools
import os
import shutil
import stat
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from ledger import events
from ledger.contract import NO_STREAM, Append, LedgerError, LedgerMissing
from ledger.create import LedgerAway, create, migrate
from ledger.events import Event, Metadata
from ledger.signing.keys import Keys
from ledger.signing.note import SigningKey
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.connection import APPLICATION_ID, SCHEMA_VERSION, driver
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.verifier import verify


def make(path: Path, metadata: Metadata, name: str = "acme") -> None:
    create(path, name, software="scim-ledger test", metadata=metadata)


def test_a_new_ledger_holds_its_opening_and_nothing_else(ledger_path: Path) -> None:
    report = verify(ledger_path)

    assert (report.good, report.events) == (True, 1)
    assert report.origin.startswith("acme/")


def test_a_new_ledger_is_for_its_owner_alone(tmp_path: Path, metadata: Metadata) -> None:
    before = os.umask(0)
    try:
        make(tmp_path / "acme" / "ledger.db", metadata)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "acme").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "acme" / "ledger.db").stat().st_mode) == 0o600


MADE = ["ledger.db", "ledger.lock", "signing.head", "signing.key"]


def test_a_new_ledger_has_only_key_head_and_lock_next_to_it(ledger_path: Path) -> None:
    assert sorted(os.listdir(ledger_path.parent)) == MADE


def test_a_new_ledgers_first_page_identifies_it(ledger_path: Path) -> None:
    page = ledger_path.read_bytes()

    assert int.from_bytes(page[68:72]) == APPLICATION_ID == int.from_bytes(b"SCLG")
    assert int.from_bytes(page[60:64]) == SCHEMA_VERSION


def test_two_ledgers_of_one_name_have_different_origins(tmp_path: Path, metadata: Metadata) -> None:
    for folder in ("one", "two"):
        make(tmp_path / folder / "ledger.db", metadata)

    one, two = (verify(tmp_path / folder / "ledger.db").origin for folder in ("one", "two"))
    assert one != two


def test_a_ledger_is_not_made_where_one_is(ledger_path: Path, metadata: Metadata) -> None:
    before = ledger_path.read_bytes()

    with pytest.raises(LedgerError, match="already; nothing was changed"):
        make(ledger_path, metadata)

    assert ledger_path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "Acme", "-a", "a_b", "a/b", "..", "ä", "a" * 64, "a\n"])
def test_a_name_that_is_not_fit_is_refused(name: str, tmp_path: Path, metadata: Metadata) -> None:
    with pytest.raises(LedgerError, match="cannot name a ledger"):
        make(tmp_path / "acme" / "ledger.db", metadata, name)

    assert os.listdir(tmp_path) == []


def test_remains_of_an_interrupted_creation_are_removed(tmp_path: Path, metadata: Metadata) -> None:
    for name in (".ledger.db.0a", ".ledger.db.0a-wal", ".ledger.db.0a-shm"):
        (tmp_path / name).write_bytes(b"\x00" * 5000)

    make(tmp_path / "ledger.db", metadata)

    assert sorted(os.listdir(tmp_path)) == MADE
    assert verify(tmp_path / "ledger.db").good


def test_a_ledger_is_not_created_next_to_the_log_of_a_lost_one(
    ledger: SQLiteLedger, tmp_path: Path, metadata: Metadata
) -> None:
    ledger.append([Append("Note-1", NO_STREAM, [Event(events.CREATED)])], metadata)
    log = tmp_path / "ledger.db-wal"  # SQLite would play it into whatever file is beside it
    shutil.copy(ledger.path.with_name("ledger.db-wal"), log)

    with pytest.raises(LedgerError, match=r"what belongs to one is there: .*ledger\.db-wal"):
        make(tmp_path / "ledger.db", metadata)

    assert log.stat().st_size > 0
    assert not (tmp_path / "ledger.db").exists()


def test_an_empty_log_is_no_hindrance(tmp_path: Path, metadata: Metadata) -> None:
    (tmp_path / "ledger.db-wal").touch()

    make(tmp_path / "ledger.db", metadata)

    assert verify(tmp_path / "ledger.db").good


def test_of_many_that_make_one_ledger_at_once_one_does(tmp_path: Path, metadata: Metadata) -> None:
    refused: list[LedgerError] = []

    def try_to_make() -> None:
        try:
            make(tmp_path / "ledger.db", metadata)
        except LedgerError as error:
            refused.append(error)

    threads = [threading.Thread(target=try_to_make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 3
    assert verify(tmp_path / "ledger.db").good


LEFT = [
    "signing.key",
    "signing.head",
    "signing.key.next",
    "history.db",
    "requests.db",
    "usage.db",
    "anchor-folder.json",
    "anchor-url.json",
    "verified.json",
]


@pytest.mark.parametrize("name", LEFT)
def test_no_ledger_is_made_where_something_of_one_that_is_away_is(
    name: str, ledger_path: Path, metadata: Metadata
) -> None:
    folder = ledger_path.parent
    for file in folder.iterdir():
        file.unlink()
    (folder / name).write_bytes(b"of a ledger that is away")

    with pytest.raises(LedgerAway, match=f"what belongs to one is there: {folder / name}. "):
        make(ledger_path, metadata)

    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        name: b"of a ledger that is away"
    }


def test_no_ledger_is_made_over_a_key_in_another_folder(tmp_path: Path, metadata: Metadata) -> None:
    keys = Keys(tmp_path / "keys" / "acme")
    for file in (keys.file, keys.folder / "signing.head"):
        keys.folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"of a ledger whose disk is not mounted")

        with pytest.raises(LedgerAway, match=f"{file}"):
            create(tmp_path / "var" / "acme" / "ledger.db", "acme", software="test",
                   metadata=metadata, keys=keys)  # fmt: skip

        assert not (tmp_path / "var").exists()
        file.unlink()


@pytest.mark.parametrize("apart", [False, True], ids=["key next to it", "key elsewhere"])
def test_a_creation_that_is_killed_at_any_moment_can_be_repeated(
    apart: bool, tmp_path: Path, metadata: Metadata
) -> None:
    for moment in range(1000):
        path = tmp_path / str(moment) / "acme" / "ledger.db"
        keys = Keys(tmp_path / f"keys{moment}" if apart else path.parent)
        status = created_until(moment, path, keys, metadata)
        if not path.exists():
            create(path, "acme", software="scim-ledger test", metadata=metadata, keys=keys)
        with closing(SQLiteLedger(path)) as ledger:
            assert TreeHeads(ledger, keys).sign().size == 1
        assert keys.file.exists()
        assert not (keys.folder / "signing.key.next").exists()
        if status == 0:
            break

    assert moment > 10  # or it was killed at too few moments


def test_a_repeated_creation_that_is_killed_can_be_repeated_too(
    tmp_path: Path, metadata: Metadata
) -> None:
    def begun(folder: Path) -> tuple[Path, Keys]:
        """Leave what a creation leaves that is killed once it has a key and no ledger."""
        path, keys = folder / "acme" / "ledger.db", Keys(folder / "keys")
        path.parent.mkdir(parents=True)
        (path.parent / ".ledger.db.0a").touch()
        keys.make("acme/0123456789abcdef")
        return path, keys

    for moment in range(1000):
        path, keys = begun(tmp_path / str(moment))
        status = created_until(moment, path, keys, metadata)
        if not path.exists():
            create(path, "acme", software="scim-ledger test", metadata=metadata, keys=keys)
        if status == 0:
            break

    assert moment > 10


def created_until(moment: int, path: Path, keys: Keys, metadata: Metadata) -> int:
    """Create a ledger in a process that ends without a word at its nth call for a file."""
    child = os.fork()
    if child == 0:
        calls = itertools.count()

        def end(event: str, arguments: tuple[object, ...]) -> None:
            if event in ("os.link", "os.rename", "os.remove", "os.mkdir") or (
                event == "open" and str(arguments[0]).startswith(str(path.parents[2]))
            ):
                next(calls) != moment or os._exit(9)

        sys.addaudithook(end)
        create(path, "acme", software="scim-ledger test", metadata=metadata, keys=keys)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_creation_that_fails_leaves_nothing_in_the_way(
    tmp_path: Path, metadata: Metadata
) -> None:
    full = dataclasses.replace(metadata, request={"operator": "\ud800"})  # no JSON: fails late
    with pytest.raises(TypeError):
        make(tmp_path / "acme" / "ledger.db", full)

    assert os.listdir(tmp_path / "acme") == ["ledger.lock"]
    make(tmp_path / "acme" / "ledger.db", metadata)


def test_a_key_of_another_ledger_is_kept_when_a_new_one_is_put_to_use(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    other = keys.make("other/0123456789abcdef")
    keys.settle()

    mine = keys.make("acme/00112233445566aa")
    keys.settle()

    assert keys.find(mine.verifier) == mine
    assert SigningKey.parse((tmp_path / "signing.key.0123456789abcdef").read_text()) == other


def test_migrating_a_ledger_that_is_up_to_date_takes_no_steps(ledger_path: Path) -> None:
    before = ledger_path.read_bytes()

    assert migrate(ledger_path) == []
    assert ledger_path.read_bytes() == before


def test_migrating_a_missing_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing):
        migrate(tmp_path / "ledger.db")

    assert os.listdir(tmp_path) == []


def test_a_closed_ledger_can_be_used_again(ledger: SQLiteLedger, metadata: Metadata) -> None:
    ledger.append([Append("Note-1", NO_STREAM, [Event(events.CREATED)])], metadata)
    ledger.close()

    ledger.append([Append("Note-2", NO_STREAM, [Event(events.CREATED)])], metadata)

    assert ledger.last_position() == 3


def test_a_ledgers_connections_are_set_for_safety(ledger: SQLiteLedger) -> None:
    settings = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "secure_delete": 1,
        "mmap_size": 0,
        "trusted_schema": 0,
    }

    with ledger.writing() as connection:
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings}

    assert found == settings


def test_the_sqlite_in_use_may_serve_several_processes() -> None:
    assert driver.sqlite_version_info >= (3, 51, 3)
