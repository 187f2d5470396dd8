"""A ledger's file is created whole, private, and never over an existing file."""

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from ledger import events
from ledger.contract import NO_STREAM, Append, LedgerError, LedgerMissing
from ledger.create import create, migrate
from ledger.events import Event, Metadata
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

    with pytest.raises(LedgerError, match="a log without its ledger"):
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
