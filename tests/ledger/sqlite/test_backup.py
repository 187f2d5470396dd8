"""A backup is one complete file of one state, made while the service writes, or none."""

import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from ledger import events
from ledger.contract import NO_STREAM, Append, LedgerError, LedgerMissing, LedgerUnavailable
from ledger.events import Event, Metadata
from ledger.sqlite import backup as backup_
from ledger.sqlite.backup import backup
from ledger.sqlite.connection import driver
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.verifier import verify
from projections.runner import StoredProjection
from scim_api import wiring
from scim_api.tenants.tenants import Tenant

Run = Callable[..., Result]
CREATED = Event(events.CREATED, {"x": 1})


def quietly(done: int, total: int) -> None:
    """Tell nobody of the progress."""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "copy.db"


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy five pages at a time, as a large ledger is copied in many steps."""
    monkeypatch.setattr(backup_, "PAGES", 5)


@pytest.fixture
def writing(tenant: Tenant, metadata: Metadata) -> Iterator[Callable[[], int]]:
    """Write users without a pause meanwhile; the fixture counts them."""
    enough = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not enough.is_set():
            name = f"user{len(written)}"
            user = Append(f"User-{name}", NO_STREAM, [Event(events.CREATED, {"userName": name})])
            written.append(tenant.ledger.append([user], metadata)[0].position)

    writer = threading.Thread(target=write)
    writer.start()
    yield lambda: len(written)
    enough.set()
    writer.join()


def test_a_backup_verifies_and_holds_every_event(history: Path, target: Path) -> None:
    backup(history, target, quietly)

    report = verify(target)
    assert report.good
    assert (report.events, report.erased) == (30, 1)


@pytest.mark.usefixtures("small_steps")
def test_a_backup_made_while_writers_write_is_of_one_state(
    tenant: Tenant, target: Path, writing: Callable[[], int]
) -> None:
    at_begin = tenant.ledger.last_position()

    def wait_for_a_write(done: int, total: int) -> None:
        before = writing()
        while writing() == before:
            time.sleep(0.001)

    backup(tenant.ledger.path, target, wait_for_a_write)

    copy = wiring.wire(target)
    assert copy.ledger.last_position() >= at_begin
    assert verify(target).findings == []
    assert StoredProjection(copy.ledger, copy.resources).check() is None
    copy.close()


@pytest.mark.usefixtures("small_steps")
def test_a_backup_is_of_the_moment_it_began(
    ledger: SQLiteLedger, target: Path, metadata: Metadata
) -> None:
    ledger.append([Append("Note-1", NO_STREAM, [CREATED] * 20)], metadata)

    def write(done: int, total: int) -> None:
        version = ledger.last_position() - 1
        ledger.append([Append("Note-1", version, [CREATED])], metadata)

    backup(ledger.path, target, write)

    assert ledger.last_position() > 21
    assert verify(target).events == 21


def test_a_backup_includes_events_still_in_the_log(
    ledger: SQLiteLedger, target: Path, metadata: Metadata
) -> None:
    ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata)
    assert ledger.path.with_name("ledger.db-wal").stat().st_size > 0

    backup(ledger.path, target, quietly)

    assert verify(target).events == 2


def test_a_backup_is_one_file_for_its_owner_alone(history: Path, target: Path) -> None:
    before = os.umask(0)
    try:
        size = backup(history, target, quietly)
    finally:
        os.umask(before)

    assert os.listdir(target.parent) == [target.name]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert size == target.stat().st_size


def test_a_backup_needs_no_log(history: Path, target: Path) -> None:
    backup(history, target, quietly)

    connection = driver.connect(f"{target.as_uri()}?mode=ro&immutable=1", uri=True)
    assert connection.execute("SELECT max(position) FROM event").fetchone() == (30,)
    assert connection.execute("PRAGMA journal_mode").fetchone() != ("wal",)
    connection.close()


def test_a_backup_changes_nothing_in_the_ledger(history: Path, target: Path) -> None:
    before = history.read_bytes()

    backup(history, target, quietly)

    assert history.read_bytes() == before


def test_a_restored_backup_goes_on_where_it_ended(
    history: Path, target: Path, metadata: Metadata
) -> None:
    backup(history, target, quietly)
    history.unlink()
    shutil.move(target, history)

    tenant = wiring.open_tenant(history)
    [recorded] = tenant.ledger.append([Append("Note-9", NO_STREAM, [CREATED])], metadata)

    assert recorded.position == 31
    assert verify(history).findings == []
    tenant.close()


# Refusals


def test_an_existing_file_is_not_overwritten(history: Path, target: Path) -> None:
    target.write_text("precious")

    with pytest.raises(LedgerError, match="already; nothing was written"):
        backup(history, target, quietly)

    assert target.read_text() == "precious"
    assert os.listdir(target.parent) == [target.name]


def test_a_folder_is_called_one_and_the_way_to_copy_all_is_named(
    history: Path, target: Path
) -> None:
    with pytest.raises(LedgerError, match=f"is a folder.*backup --all {target.parent}"):
        backup(history, target.parent, quietly)

    assert os.listdir(target.parent) == []


def test_a_folder_that_is_not_there_is_not_made(history: Path, target: Path) -> None:
    with pytest.raises(LedgerError, match="there is no folder"):
        backup(history, target.parent / "other" / "copy.db", quietly)

    assert os.listdir(target.parent) == []


def test_a_ledger_that_is_not_there_leaves_nothing(tmp_path: Path, target: Path) -> None:
    with pytest.raises(LedgerMissing):
        backup(tmp_path / "ledger.db", target, quietly)

    assert os.listdir(target.parent) == []


def test_a_file_that_is_no_ledger_leaves_nothing(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "ledger.db"
    source.write_text("This is not a database. " * 200)

    with pytest.raises(LedgerUnavailable):
        backup(source, target, quietly)

    assert os.listdir(target.parent) == []


@pytest.mark.usefixtures("small_steps")
def test_a_backup_broken_off_leaves_nothing(history: Path, target: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(history, target, interrupt)

    assert os.listdir(target.parent) == []


@pytest.mark.usefixtures("small_steps")
def test_of_two_backups_to_one_file_the_first_to_finish_stays(history: Path, target: Path) -> None:
    others: list[int] = []

    def another(done: int, total: int) -> None:
        if not others:
            others.append(backup(history, target, quietly))

    with pytest.raises(LedgerError, match="already; nothing was written"):
        backup(history, target, another)

    assert verify(target).events == 30
    assert os.listdir(target.parent) == [target.name]


# The command


def test_the_command_tells_how_to_check_the_copy(history: Path, target: Path, run: Run) -> None:
    result = run("backup", str(target))

    assert result.exit_code == 0
    assert f"scim-ledger verify --file {target}" in result.stderr
    assert run("verify", "--file", str(target)).exit_code == 0


def test_the_command_says_why_there_is_no_copy(history: Path, target: Path, run: Run) -> None:
    target.write_text("precious")

    result = run("backup", str(target))

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: there is a file at ")
