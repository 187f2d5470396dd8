"""The line of the processes that want to write one ledger.

Locks belong to open files, so two ledgers that are opened in one process are like two processes.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from ledger import byte_locks, events
from ledger.contract import NO_STREAM, Append, LedgerBusy
from ledger.events import Event, Metadata
from ledger.sqlite import line
from ledger.sqlite.ledger import SQLiteLedger
from ledger.sqlite.line import LOCK_FILE

Open = Callable[..., SQLiteLedger]


@pytest.fixture
def open_ledger(ledger_path: Path, request: pytest.FixtureRequest) -> Open:
    def open_one(timeout: float = 20.0) -> SQLiteLedger:
        ledger = SQLiteLedger(ledger_path, timeout=timeout)
        request.addfinalizer(ledger.close)
        return ledger

    return open_one


def append(ledger: SQLiteLedger, metadata: Metadata, stream: str) -> int:
    event = Event(events.CREATED, {"userName": "jane"})
    return ledger.append([Append(stream, NO_STREAM, [event])], metadata)[0].position


def wait_until_taken(looking: IO[bytes], place: int) -> None:
    until = time.monotonic() + 20
    while byte_locks.take(looking.fileno(), place):
        byte_locks.release(looking.fileno(), place)
        assert time.monotonic() < until
        time.sleep(0.005)


def test_nobody_writes_before_the_first_in_line(
    open_ledger: Open, ledger_path: Path, metadata: Metadata
) -> None:
    with open(ledger_path.with_name(LOCK_FILE), "ab") as first:
        byte_locks.take(first.fileno(), 0)

        with pytest.raises(LedgerBusy):
            append(open_ledger(timeout=0.05), metadata, "Note-1")

    assert append(open_ledger(), metadata, "Note-1") == 2


def test_whoever_has_written_for_a_while_lets_the_first_in_line_write(
    open_ledger: Open, ledger_path: Path, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "BURST", 0.0)
    writing, waiting = open_ledger(timeout=0.05), open_ledger()
    with writing.writing():
        thread = threading.Thread(target=append, args=(waiting, metadata, "Note-1"))
        thread.start()
        with open(ledger_path.with_name(LOCK_FILE), "ab") as looking:
            wait_until_taken(looking, 0)

    position = append(writing, metadata, "Note-2")

    assert position == 3
    thread.join()


def test_nobody_in_line_is_overtaken(
    open_ledger: Open, ledger_path: Path, metadata: Metadata
) -> None:
    recorded: dict[str, int] = {}
    waiting = [open_ledger() for _ in range(3)]

    def write(number: int) -> None:
        recorded[f"Note-{number}"] = append(waiting[number], metadata, f"Note-{number}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    with open_ledger().writing(), open(ledger_path.with_name(LOCK_FILE), "ab") as looking:
        for place, thread in enumerate(threads):
            thread.start()
            wait_until_taken(looking, place)
    for thread in threads:
        thread.join()

    assert recorded == {"Note-0": 2, "Note-1": 3, "Note-2": 4}


def test_a_process_goes_on_for_a_moment_without_standing_in_line_again(
    open_ledger: Open, ledger_path: Path, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "BURST", 3600.0)
    ledger = open_ledger(timeout=0.05)
    append(ledger, metadata, "Note-1")

    with open(ledger_path.with_name(LOCK_FILE), "ab") as first:
        byte_locks.take(first.fileno(), 0)

        assert append(ledger, metadata, "Note-2") == 3


def test_a_line_that_cannot_be_locked_keeps_nobody_from_writing(
    open_ledger: Open, ledger_path: Path, metadata: Metadata
) -> None:
    ledger_path.with_name(LOCK_FILE).unlink(missing_ok=True)
    ledger_path.with_name(LOCK_FILE).mkdir()

    assert append(open_ledger(), metadata, "Note-1") == 2


def test_a_closed_ledger_has_no_file_of_the_line_open(
    open_ledger: Open, metadata: Metadata
) -> None:
    ledger = open_ledger()
    append(ledger, metadata, "Note-1")
    before = ledger._line.files

    ledger.close()

    assert (before, ledger._line.files) == (1, 0)
