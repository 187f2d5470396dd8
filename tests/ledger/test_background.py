"""Which ledgers have their turn at background jobs, and in which process."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from freezegun import freeze_time

from ledger import background
from ledger.background import JobRunner, LedgerLocks, exclusive_lock, file_lock
from ledger.contract import LedgerBusy


@dataclass
class Ledger:
    """A ledger as far as the runner sees one."""

    path: Path
    reached: int = 0
    changes: int = 0

    def stamp(self):
        return self.changes


@dataclass
class Tenant:
    """A ledger and its only job, which counts its turns."""

    ledger: Ledger
    turns: int = 0
    finished: int = 0
    rests: bool = True
    steps: list = field(default_factory=list)

    @property
    def path(self):
        return self.ledger.path

    def step(self):
        self.turns += 1
        return self.steps.pop() if self.steps else False

    def settled(self):
        return self.rests

    def finish(self):
        self.finished += 1


@pytest.fixture
def tenants(tmp_path):
    return [Tenant(Ledger(tmp_path / f"t{number}" / "ledger.db")) for number in range(5)]


@pytest.fixture
def runner(tenants):
    made = JobRunner(lambda: tenants, lambda tenant: [tenant])
    yield made
    made.end()


def look(runner, most=100):
    """Give their turns to those that are due, as the thread does; return how many they were."""
    mine = [each for each in runner._served() if runner._is_mine(each)]
    due = runner._due(mine)[:most]
    for each in due:
        runner._give_turn(each)
    return len(due)


def test_a_ledger_at_rest_has_no_turn_until_it_changes(runner, tenants):
    assert [look(runner) for _ in range(4)] == [5, 5, 0, 0]

    tenants[3].ledger.changes += 1

    assert [look(runner) for _ in range(3)] == [1, 1, 0]
    assert [each.turns for each in tenants] == [2, 2, 2, 4, 2]


def test_a_ledger_whose_files_cannot_be_found_always_has_its_turn(runner, tenants):
    tenants[0].ledger.changes = None

    assert [look(runner) for _ in range(4)] == [5, 5, 1, 1]


def test_what_is_due_later_has_its_turn_again(runner, tenants):
    tenants[1].rests = False

    assert [look(runner) for _ in range(4)] == [5, 5, 1, 1]


def test_a_new_day_gives_every_ledger_its_turn(runner, tenants):
    with freeze_time("2026-03-01T23:59:00Z") as now:
        assert [look(runner) for _ in range(3)] == [5, 5, 0]
        now.move_to("2026-03-02T00:00:01Z")

        assert look(runner) == 5


def test_of_more_than_fit_into_one_look_those_that_waited_longest_are_next(runner, tenants):
    for each in tenants:
        each.rests = False

    for _ in range(10):
        look(runner, 2)

    assert [each.turns for each in tenants] == [4] * 5


def test_one_that_has_much_to_do_does_not_keep_others_waiting(runner, tenants, monkeypatch):
    monkeypatch.setattr(background, "TURN", 0.05)
    tenants[0].steps = [True] * 10_000
    started = time.monotonic()

    look(runner)

    assert time.monotonic() - started < 2
    assert [each.turns for each in tenants[1:]] == [1] * 4
    assert look(runner) == 5


def test_at_the_end_only_what_is_due_is_finished(tenants, monkeypatch):
    monkeypatch.setattr(background, "INTERVAL", 0.01)
    runner = JobRunner(lambda: tenants, lambda tenant: [tenant])
    runner.start()
    deadline = time.monotonic() + 10
    while any(each.turns < 2 for each in tenants) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    tenants[2].ledger.changes += 1

    runner.end()

    assert [each.finished for each in tenants] in ([0, 0, 1, 0, 0], [0] * 5)
    assert tenants[2].finished or tenants[2].turns > 2


def test_what_this_process_recorded_is_finished_though_another_does_the_jobs(tenants):
    with exclusive_lock(tenants[0].path), exclusive_lock(tenants[1].path):
        runner = JobRunner(lambda: tenants[:2], lambda tenant: [tenant])
        tenants[1].ledger.reached = 7
        runner.start()
        runner.end()

    assert [each.finished for each in tenants[:2]] == [0, 1]


def test_each_ledger_has_a_lock_of_its_own_in_one_open_file(tenants):
    first, second = LedgerLocks("jobs"), LedgerLocks("jobs")
    for each in tenants[:3]:
        assert first.take(each.path)

    assert [second.take(each.path) for each in tenants] == [False, False, False, True, True]
    first.close()
    assert all(second.take(each.path) for each in tenants)
    assert len(list(tenants[0].path.parent.parent.iterdir())) == 1
    second.close()


def test_a_process_of_an_earlier_version_keeps_the_jobs_it_has(tenants):
    ledger = tenants[0].path
    ledger.parent.mkdir()
    locks = LedgerLocks("ledger.lock")
    with file_lock(ledger.parent):  # which locks a whole file next to the ledger
        while_held = locks.take(ledger)

    assert (while_held, locks.take(ledger)) == (False, True)
    locks.close()


def test_a_job_that_cannot_tell_whether_it_rests_is_reported_and_has_its_turn_again(tenants):
    told = []
    runner = JobRunner(
        lambda: tenants, lambda tenant: [tenant], lambda job, error: told.append(error)
    )

    def cannot_tell():
        raise LedgerBusy("busy")

    tenants[0].settled = cannot_tell

    assert [look(runner) for _ in range(3)] == [5, 5, 1]
    assert sum(isinstance(each, LedgerBusy) for each in told) == 3
    runner.end()
