"""Few files are open at once, whatever the number of ledgers; and what is closed stays the same."""

import os
import resource
import shutil
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from ledger.contract import LedgerUnavailable
from ledger.create import create
from ledger.events import Metadata
from ledger.open_files import OPEN, TOO_MANY, OpenFiles
from ledger.sqlite.ledger import SQLiteLedger

METADATA = Metadata("operator", "cli", "01a20b75-2088-7f3a-89fe-3706752370c4", {})


@pytest.fixture
def ledgers(tmp_path, monkeypatch):
    """Return five ledgers of which nothing is open."""
    monkeypatch.setattr(OPEN, "most", 10_000)
    paths = [tmp_path / f"t{number}" / "ledger.db" for number in range(5)]
    for path in paths:
        create(path, path.parent.name, software="test", metadata=METADATA)
    opened = [SQLiteLedger(path) for path in paths]
    for each in opened:
        each.leave()
    yield opened
    for each in opened:
        each.close()


def files_of(folder):
    """Return how many files below a folder this process has open."""
    number = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that listed them
            number += os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(folder))
    return number


def use(ledger):
    """Read and write; return how many files are counted for it then."""
    before = OPEN.open
    ledger.last_position()
    ledger.settle()
    return OPEN.open - before


def test_the_files_that_are_counted_are_those_that_are_open(ledgers, tmp_path):
    before = OPEN.open
    for ledger in ledgers[:3]:
        use(ledger)
    in_threads = [threading.Thread(target=use, args=(ledgers[0],)) for _ in range(3)]
    for thread in in_threads:
        thread.start()
        thread.join()
    at_most = OPEN.open - before
    assert at_most == files_of(tmp_path)

    for ledger in ledgers:
        ledger.leave()
    ledgers[0].close()  # threads that ended without leaving

    assert (OPEN.open - before, files_of(tmp_path)) == (0, 0)


def test_what_was_used_longest_ago_is_closed_first(ledgers, monkeypatch):
    for ledger in ledgers:
        use(ledger)
    use(ledgers[0])
    monkeypatch.setattr(OPEN, "most", OPEN.open - 1)

    OPEN.tidy()

    assert use(ledgers[0]) == use(ledgers[2]) == 0
    assert use(ledgers[1]) > 0


def test_a_thread_keeps_as_many_as_it_is_told_to(ledgers):
    for ledger in ledgers:
        use(ledger)

    OPEN.tidy(keep=2)

    assert [use(each) > 0 for each in (ledgers[4], ledgers[3])] == [False, False]
    assert use(ledgers[2]) > 0


def test_nothing_is_closed_that_another_thread_reads(ledgers, monkeypatch):
    ledger, entered, left = ledgers[0], threading.Event(), threading.Event()
    positions = []

    def read():
        with ledger.reading() as connection:
            found = connection.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
                " SELECT i FROM n"
            )
            positions.append(found.fetchone()[0])
            entered.set()
            left.wait(10)
            positions.extend(row[0] for row in found)

    reader = threading.Thread(target=read)
    reader.start()
    entered.wait(10)
    use(ledger)
    monkeypatch.setattr(OPEN, "most", 0)
    OPEN.tidy()
    left.set()
    reader.join()

    assert positions == list(range(1, 1001))


def test_what_another_wrote_meanwhile_is_read(ledgers):
    ledger = ledgers[0]
    other = SQLiteLedger(ledger.path)
    with other.writing() as connection:
        connection.execute("CREATE TABLE written (x)")
    other.close()

    with ledger.reading() as connection:
        assert connection.execute("SELECT count(*) FROM written").fetchone() == (0,)


def renamed_over(ledger, other):
    shutil.copy(ledger.path, ledger.path.with_name("copy.db"))
    os.replace(ledger.path.with_name("copy.db"), ledger.path)


def written_over(ledger, other):
    ledger.path.write_bytes(other.path.read_bytes())  # in place, as cp does it


def taken_away(ledger, other):
    ledger.path.rename(ledger.path.with_name("away.db"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (renamed_over, "file replaced"),
        (written_over, "behind what was recorded"),
        (taken_away, "file missing"),
    ],
)
def test_a_file_changed_while_it_was_closed_is_not_used(ledgers, change, reason):
    change(ledgers[0], ledgers[1])

    for attempt in (ledgers[0].last_position, ledgers[0].settle):
        with pytest.raises(LedgerUnavailable) as refused:
            attempt()
        assert refused.value.reason == reason
    assert ledgers[0].fault() == reason


def test_an_older_copy_in_its_place_is_noticed(ledgers, tmp_path):
    ledger = ledgers[0]
    older = ledger.path.read_bytes()
    before = ledger.stamp()
    with ledger.writing() as connection:  # an event, as far as the check can see
        connection.execute(
            "INSERT INTO event SELECT 2, 'x', 'y', 1, type, revision, recorded_at,"
            " txn, actor, x'00', zeroblob(32) FROM event"
        )
    ledger.leave()
    ledger.path.write_bytes(older)

    assert ledger.stamp() != before
    with pytest.raises(LedgerUnavailable, match="position 2"):
        ledger.last_position()


def test_an_exhausted_limit_is_named_and_not_the_rights(ledgers):
    script = """
import resource, sys
from pathlib import Path
from ledger.contract import LedgerUnavailable
from ledger.sqlite.ledger import SQLiteLedger
kept, soft = [], 40
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
try:
    while True:
        kept.append(open(sys.argv[1]))
except OSError:
    kept.pop(); kept.pop()
try:
    SQLiteLedger(Path(sys.argv[1]))
except LedgerUnavailable as error:
    print(error.reason, error, sep="|")
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(ledgers[0].path)], capture_output=True, text=True
    )

    reason, _, says = ended.stdout.partition("|")
    assert reason == TOO_MANY
    assert "this process has 40 files open, and its limit is 40: raise it with ulimit -n" in says
    assert "rights" not in says


def test_the_limit_is_raised_as_far_as_it_may_be():
    script = (
        "import resource; from ledger.open_files import limit, raise_limit;"
        " resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300)); raise_limit(); print(limit())"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert ended.stdout.strip() == "300"


def test_there_is_room_for_what_all_threads_have_in_hand(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    files = OpenFiles()

    files.divide(threads=9, waiters=68)

    assert 100 < files.most < 1024 - 256 - 9 * 13


def test_damage_done_while_it_was_closed_is_an_error_with_a_reason(ledgers):
    with ledgers[0].reading() as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'event'"
        page = connection.execute(query).fetchone()[0]
    ledgers[0].leave()
    with ledgers[0].path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)

    for attempt in (ledgers[0].last_position, ledgers[0].settle):
        with pytest.raises(LedgerUnavailable) as refused:
            attempt()
        assert refused.value.reason == "damaged file"
    ledgers[0].leave()
