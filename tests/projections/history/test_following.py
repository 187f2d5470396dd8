"""The history follows its ledger: when asked, in chunks, by any process, and from any state."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ledger import background, events
from ledger.background import JobRunner
from ledger.contract import SideFileUnavailable
from ledger.events import Event
from ledger.sqlite.backup import backup
from ledger.sqlite.connection import connect_read_only
from projections.history import history as history_
from projections.history.history import History, HistoryBehind, HistoryJob, position_of
from projections.history.projector import HistoryProjector
from projections.query.model import Query
from scim_api import wiring
from scim_api.protocol.schema.resource_types import KINDS
from tests.scim_api.process import wait_until


def person(number):
    return Event(events.CREATED, {"userName": f"user{number}@example.com", "active": True})


@pytest.fixture
def record(tenant, recorder):
    return recorder(tenant.ledger)


@pytest.fixture
def people(record):
    for number in range(12):
        record(f"User-{number}", person(number))


def total(history, position):
    with history.caught_up() as connection:
        return history.at(position).total(connection, "User")


def faults(tenant):
    return tenant.history.check()


def reached(path):
    """Return where a history's file stands, as another program sees it."""
    connection = connect_read_only(path.with_name("history.db"))
    try:
        return position_of(connection)
    finally:
        connection.close()


def test_the_history_is_made_when_it_is_first_asked_for(tenant, people):
    file = tenant.history.file.path

    assert not file.exists()
    assert total(tenant.history, tenant.ledger.last_position()) == 12
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_failed_build_of_the_history_is_reported(tenant, people):
    shutil.rmtree(tenant.ledger.path.parent)  # the ledger itself stays open

    with pytest.raises(SideFileUnavailable, match=r"history\.db cannot be made: No such file"):
        tenant.history.catch_up()


def test_a_reader_sees_everything_recorded_before(tenant, people, record):
    assert total(tenant.history, 2) == 1
    record("User-12", person(12))

    assert total(tenant.history, tenant.ledger.last_position()) == 13


def test_the_rows_are_those_of_a_rebuild(tenant, people, record, monkeypatch):
    monkeypatch.setattr(history_, "CHUNK", 5)
    tenant.history.catch_up()
    record("User-3", Event(events.DELETED))
    tenant.history.catch_up()

    assert faults(tenant) is None


def test_an_edited_row_is_found(tenant, people, foreign):
    tenant.history.catch_up()
    foreign(tenant.history.file.path).execute("UPDATE membership SET until = 3")
    foreign(tenant.history.file.path).execute("UPDATE life SET died = 9 WHERE id = '4'")

    assert "table life differs" in str(faults(tenant))


def test_catching_up_does_not_wait_for_the_write_lock(tenant, people):
    with tenant.ledger.writing():
        assert total(tenant.history, 5) == 4


def test_it_goes_on_where_another_process_left_it(tenant, people, record):
    other = History(tenant.ledger, KINDS)
    other.catch_up()
    record("User-3", Event(events.UPDATED, {"title": "Chef"}))
    tenant.history.catch_up()
    record("User-3", Event(events.UPDATED, {"nickName": "Threes"}))
    other.catch_up()
    other.close()

    assert faults(tenant) is None


def test_several_that_catch_up_at_once_do_each_event_once(tenant, record, monkeypatch):
    monkeypatch.setattr(history_, "CHUNK", 2)
    for number in range(40):
        record(f"User-{number}", person(number))
    histories = [History(tenant.ledger, KINDS) for _ in range(4)]
    threads = [threading.Thread(target=one.catch_up) for one in histories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in histories:
        one.close()

    assert total(tenant.history, tenant.ledger.last_position()) == 40
    assert faults(tenant) is None


def test_a_chunk_is_announced_only_once_it_can_be_read(tenant, people):
    told = []

    def watch(statement):
        if statement == "COMMIT":
            told.append(history.reached)

    history = tenant.history
    with history.file.writing() as connection:
        connection.set_trace_callback(watch)
    history.catch_up()
    history.follow(0)

    assert told[:2] == [0, 0]


def test_a_chunk_that_was_cut_off_leaves_nothing(tenant, people, record, monkeypatch):
    tenant.history.catch_up()
    record("User-12", person(12))
    record("User-3", Event(events.DELETED))

    def broken(self, connection, position):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(History, "_set_checkpoint", broken)
        with pytest.raises(KeyboardInterrupt):
            tenant.history.catch_up()

    assert total(tenant.history, tenant.ledger.last_position()) == 12
    assert faults(tenant) is None


def test_a_history_of_another_program_version_is_rebuilt(tenant, people, monkeypatch):
    """In a new file: the one before keeps no page of it."""
    tenant.history.catch_up()
    with tenant.history.file.writing() as connection:
        connection.execute("CREATE TABLE of_before (x)")
    monkeypatch.setattr(HistoryProjector, "revision", HistoryProjector.revision + 1)

    other = History(tenant.ledger, KINDS)
    assert total(other, 5) == 4
    with other.file.reading() as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert "entry" in tables and "of_before" not in tables
    assert reached(tenant.ledger.path) == tenant.ledger.last_position()
    other.close()


def test_the_history_of_a_restored_ledger_is_rebuilt(tenant, people, record, recorder):
    """What the restored ledger records next is not what the lost one had at that position."""
    path = tenant.ledger.path
    backup(path, path.with_name("backup.db"), lambda done, total: None)
    record("User-lost", person(99))
    tenant.history.catch_up()
    tenant.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    shutil.move(path.with_name("backup.db"), path)

    restored = wiring.open_tenant(path)
    recorder(restored.ledger)("User-other", person(100))
    with restored.history.caught_up() as connection:
        then = restored.history.at(restored.ledger.last_position())
        assert then.find_by_name(connection, "User", "user99@example.com") is None
        assert then.find_by_name(connection, "User", "user100@example.com")
    assert faults(restored) is None
    restored.close()


def test_a_reader_that_cannot_wait_gets_the_progress(tenant, people, monkeypatch):
    monkeypatch.setattr(history_, "CHUNK", 1)
    impatient = History(tenant.ledger, KINDS, patience=1e-9)

    with pytest.raises(HistoryBehind) as behind:
        impatient.past(1)
    assert behind.value.end == tenant.ledger.last_position()
    impatient.close()


def test_a_reader_waits_for_another_that_builds_and_then_gets_the_progress(tenant, people, foreign):
    tenant.history.follow(5)
    impatient = History(tenant.ledger, KINDS, patience=0.1)
    builder = foreign(tenant.history.file.path)
    builder.execute("BEGIN IMMEDIATE")

    with pytest.raises(HistoryBehind) as behind:
        impatient.past(1)
    assert behind.value.reached == tenant.history.reached > 0
    impatient.close()


def test_a_reader_of_a_history_that_is_far_behind_does_not_wait_for_it(
    tenant, people, foreign, monkeypatch
):
    tenant.history.follow(5)
    monkeypatch.setattr(history_, "FAR", 3)
    monkeypatch.setattr(history_, "PROMPT", 0.1)
    patient = History(tenant.ledger, KINDS, patience=3600)
    builder = foreign(tenant.history.file.path)
    builder.execute("BEGIN IMMEDIATE")

    with pytest.raises(HistoryBehind):
        patient.past(1)
    patient.close()


def test_a_rebuild_leaves_the_same_rows_while_reads_go_on(tenant, people):
    history = tenant.history
    before = total(history, 6)

    history.rebuild()

    assert total(history, 6) == before
    assert faults(tenant) is None


def test_a_killed_catch_up_is_taken_up_again(tenant, people):
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from projections.history import history\n"
        "from scim_api import wiring\n"
        "history.CHUNK = 3\n"
        "tenant = wiring.open_tenant(Path(sys.argv[1]))\n"
        "tenant.history.follow(7)\n"
        "with tenant.history.file.writing() as connection:\n"
        "    connection.execute('DELETE FROM life')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tenant.ledger.path)], check=False)

    assert reached(tenant.ledger.path) == 3
    assert total(tenant.history, tenant.ledger.last_position()) == 12
    assert faults(tenant) is None


def test_a_history_deleted_while_it_is_closed_is_followed_again(tenant, people):
    before = total(tenant.history, tenant.ledger.last_position())
    tenant.history.file.leave()
    for file in tenant.ledger.path.parent.glob("history.db*"):
        file.unlink()

    assert total(tenant.history, tenant.ledger.last_position()) == before
    assert faults(tenant) is None


# In the background


def history_job(tenant):
    return [HistoryJob(tenant.history)]


def test_a_long_history_is_built_by_another_process(tenant, people, monkeypatch):
    monkeypatch.setattr(history_, "FAR", 3)
    end, job = tenant.ledger.last_position(), wiring.jobs_of(tenant)[1]

    assert not job.step()
    assert not job.settled()
    assert tenant.history.catch_up() == end  # waits for it
    assert wait_until(job.settled)
    assert tenant.history._builder.returncode == 0
    assert faults(tenant) is None


def test_a_history_that_no_other_process_can_build_is_built_here(tenant, people, monkeypatch):
    monkeypatch.setattr(history_, "FAR", 3)
    job = HistoryJob(tenant.history, [sys.executable, "-c", "raise SystemExit(1)"])
    job.step()
    assert wait_until(job.settled)

    job.step()

    assert tenant.history.reached == tenant.ledger.last_position()


def test_one_follower_follows_and_another_waits_for_its_turn(tenant, people):
    first, second = (JobRunner(lambda: [tenant], history_job) for _ in range(2))

    assert first._is_mine(tenant)
    assert not second._is_mine(tenant)
    first.end()
    assert second._is_mine(tenant)
    second.end()


def test_a_lock_that_cannot_be_created_is_logged_and_retried(tenant, people, monkeypatch):
    monkeypatch.setattr(background, "INTERVAL", 0.01)
    lock, told = tenant.ledger.path.parent.with_name("history.lock"), []
    lock.unlink(missing_ok=True)
    lock.mkdir()  # as on a disk that takes no more files

    def report(chore, trouble):
        told.append(trouble)
        if len(told) == 2:
            lock.rmdir()

    worker = JobRunner(lambda: [tenant], history_job, report)
    worker.start()
    reached = wait_until(lambda: tenant.history.reached == tenant.ledger.last_position())
    worker.end()

    assert reached
    assert [type(trouble) for trouble in told[:2]] == [IsADirectoryError] * 2


def test_lists_of_the_past_cost_as_many_statements_whatever_the_size(tenant, record):
    statements = []
    sizes = []
    for size in (5, 40):
        for number in range(size):
            record(f"User-{size}-{number}", Event(events.CREATED, {"userName": f"{size}-{number}"}))
        with tenant.history.caught_up() as connection:
            connection.set_trace_callback(statements.append)
            page = tenant.history.at(tenant.ledger.last_position()).search(
                connection, "User", Query(count=3)
            )
            connection.set_trace_callback(None)
        assert len(page.rows) == 3
        sizes.append(len(statements))
        statements.clear()

    assert sizes[0] == sizes[1]


def locks_on(file: Path) -> int:
    """Return how many locks this process holds on a file."""
    inode = f":{file.stat().st_ino} "
    rows = Path("/proc/locks").read_text().splitlines()
    return sum(inode in f"{row} " and f" {os.getpid()} " in row for row in rows)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="Linux tells of locks there")
def test_another_reader_of_the_history_keeps_the_locks_of_the_first(tenant, people):
    with tenant.history.caught_up() as connection:
        connection.execute("SELECT count(*) FROM life").fetchone()
        held = locks_on(tenant.history.file.path)

        tenant.history._connect().close()

        assert locks_on(tenant.history.file.path) == held > 0
