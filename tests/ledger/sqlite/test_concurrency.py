"""Many writers at once, threads and processes: nothing lost, no "database is locked"."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ledger import events
from ledger.contract import NO_STREAM, Append, LedgerBusy, WrongExpectedVersion
from ledger.events import Event, Metadata
from ledger.sqlite import database
from ledger.sqlite.connection import connect, roll_back
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.verifier import verify
from scim_api import wiring
from scim_api.tenants.tenants import Tenant

PROCESSES = Path(__file__).parents[1] / "processes.py"
CREATED = Event(events.CREATED, {"userName": "jane"})


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROCESSES), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> set[int]:
    """Return the positions that a process was acknowledged."""
    said, complained = process.communicate(timeout=60)
    assert (process.returncode, complained) == (0, "")
    return {int(line.split()[0]) for line in said.splitlines()}


def together(works: list[Callable[[], object]]) -> list[BaseException]:
    """Do the works at the same time, a thread each; return what they raised."""
    barrier = threading.Barrier(len(works))
    raised: list[BaseException] = []

    def do(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=do, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def appends(ledger: SQLiteLedger, metadata: Metadata, stream: str, count: int) -> None:
    for version in range(count):
        ledger.append([Append(stream, version, [CREATED])], metadata)


# Processes


@pytest.mark.slow
def test_processes_that_write_at_once_lose_nothing(tenant: Tenant) -> None:
    writers = [start("append", tenant.ledger.path, 60) for _ in range(4)]

    acknowledged = [finish(writer) for writer in writers]

    positions = [recorded.position for recorded in tenant.ledger.read_all()]
    assert [len(a) for a in acknowledged] == [60] * 4
    assert len(set.union(*acknowledged)) == 240
    assert positions == list(range(1, 1 + 480 + 1))
    assert verify(tenant.ledger.path).findings == []


@pytest.mark.slow
def test_threads_and_processes_that_write_at_once_lose_nothing(
    tenant: Tenant, metadata: Metadata
) -> None:
    writers = [start("append", tenant.ledger.path, 40) for _ in range(2)]

    raised = together(
        [lambda s=f"Note-{n}": appends(tenant.ledger, metadata, s, 40) for n in range(4)]
    )
    acknowledged = set.union(*map(finish, writers))

    positions = [recorded.position for recorded in tenant.ledger.read_all()]
    assert raised == []
    assert len(acknowledged) == 80
    assert positions == list(range(1, 1 + 4 * 40 + 80 * 2 + 1))
    assert verify(tenant.ledger.path).findings == []


@pytest.mark.slow
def test_processes_that_migrate_at_once_do_not_collide(ledger_path: Path) -> None:
    migrations = [start("migrate", "acme") for _ in range(3)]

    done = [(migration.communicate(timeout=60), migration.returncode) for migration in migrations]

    tenant = wiring.open_tenant(ledger_path)
    assert done == [(("", ""), 0)] * 3
    assert wiring.outdated(tenant) == []
    tenant.close()


def test_a_writer_gives_up_when_another_process_holds_the_lock_too_long(
    tenant: Tenant, metadata: Metadata
) -> None:
    impatient = SQLiteLedger(tenant.ledger.path, timeout=0.05)
    with start("hold", tenant.ledger.path) as holder:
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(LedgerBusy):
            impatient.append([Append("Note-1", NO_STREAM, [CREATED])], metadata)

        assert impatient.last_position() == 1
        holder.stdin.close()
    impatient.append([Append("Note-1", NO_STREAM, [CREATED])], metadata)
    assert impatient.last_position() == 2
    impatient.close()


def test_a_waiting_writer_gets_the_lock_once_it_is_released(
    tenant: Tenant, metadata: Metadata
) -> None:
    with start("hold", tenant.ledger.path) as holder:
        assert holder.stdout.readline() == "held\n"
        threading.Timer(0.2, holder.stdin.close).start()

        [recorded] = tenant.ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata)

    assert recorded.position == 2


@pytest.mark.parametrize("ask", [SQLiteLedger.settle, SQLiteLedger.fault])
def test_what_only_reads_waits_a_moment_for_the_lock_however_patient_writers_are(
    ledger_path: Path, ask: Callable[[SQLiteLedger], object]
) -> None:
    ledger, told = SQLiteLedger(ledger_path, timeout=3600), []

    def tell() -> None:
        try:
            told.append(ask(ledger))
        except LedgerBusy:
            told.append("busy")

    with start("hold", ledger_path) as holder:
        assert holder.stdout.readline() == "held\n"
        asking = threading.Thread(target=tell, daemon=True)
        asking.start()
        asking.join(20)
        holder.stdin.close()

    assert told in (["busy"], [None])
    assert ledger.is_busy == (told == [None])  # to be busy is no fault
    ledger.close()


def test_readers_read_on_while_another_process_holds_the_lock(tenant: Tenant) -> None:
    with start("hold", tenant.ledger.path) as holder:
        assert holder.stdout.readline() == "held\n"

        positions = [recorded.position for recorded in tenant.ledger.read_all()]

        holder.stdin.close()
    assert positions == [1]


# Threads


@pytest.mark.parametrize("attempt", range(5))
def test_threads_that_are_the_first_to_write_do_not_lock_each_other_out(
    ledger: SQLiteLedger, metadata: Metadata, attempt: int
) -> None:
    raised = together([lambda s=f"Note-{n}": appends(ledger, metadata, s, 2) for n in range(4)])

    assert raised == []
    assert ledger.last_position() == 1 + 4 * 2


def test_threads_that_write_one_stream_get_each_version_once(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    def insist() -> None:
        for _ in range(10):
            append_somehow(ledger, metadata)

    raised = together([insist] * 4)

    assert raised == []
    assert [r.version for r in ledger.read_stream("Note-1")] == list(range(1, 41))


def append_somehow(ledger: SQLiteLedger, metadata: Metadata) -> None:
    """Append to a stream that others write too: read its version again until it fits."""
    while True:
        version = len(ledger.read_stream("Note-1"))
        try:
            ledger.append([Append("Note-1", version, [CREATED])], metadata)
            return
        except WrongExpectedVersion:
            continue


def test_a_thread_gives_up_when_its_siblings_take_too_long(
    ledger_path: Path, metadata: Metadata
) -> None:
    ledger = SQLiteLedger(ledger_path, timeout=0.05)
    holding, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with ledger.writing():
            holding.set()
            enough.wait(10)

    sibling = threading.Thread(target=hold)
    sibling.start()
    holding.wait(10)
    with pytest.raises(LedgerBusy):
        ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata)

    enough.set()
    sibling.join()
    assert ledger.last_position() == 1
    ledger.close()


def test_readers_never_see_half_of_an_append(ledger: SQLiteLedger, metadata: Metadata) -> None:
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not done.is_set():
            seen.append(ledger.last_position())

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(20):
        ledger.append([Append(f"Note-{n}", NO_STREAM, [CREATED] * 10)], metadata)
    done.set()
    reader.join()

    assert {position % 10 for position in seen} == {1}


def test_the_log_stays_short_though_somebody_always_reads(
    ledger: SQLiteLedger, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LARGE_LOG", 200_000)
    monkeypatch.setattr(database, "LOOK", 0.0)
    done = threading.Event()

    def read_on() -> None:
        with closing(connect(ledger.path)) as one, closing(connect(ledger.path)) as other:
            while not done.is_set():
                for reader, before in ((one, other), (other, one)):
                    reader.execute("BEGIN")
                    reader.execute("SELECT count(*) FROM event").fetchone()
                    roll_back(before)  # at no moment nobody reads
                    time.sleep(0.01)

    reading = threading.Thread(target=read_on)
    reading.start()
    appends(ledger, metadata, "Note-1", 80)
    done.set()
    reading.join()

    assert ledger.log_size() < 1_000_000
