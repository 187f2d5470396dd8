"""Appends of several threads in one commit: as if each were alone, only sooner on the disk."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import events
from ledger.contract import NO_STREAM, Append, Connection, LedgerBusy, LedgerUnavailable, Recorded
from ledger.create import create
from ledger.events import Event, Metadata
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.verifier import verify

CREATED = Event(events.CREATED, {"userName": "jane"})
DEADLINE = 20.0  # seconds in which a test gives up
Act = Callable[[], object]


class Refused(Exception):
    """What a projector or a check of these tests raises."""


class Table:
    """A projector with a table of its own, which refuses deactivations."""

    name = "table"

    def prepare(self, connection: Connection) -> None:
        connection.execute("CREATE TEMP TABLE followed (position)")

    def project(self, connection: Connection, recorded: Recorded, before: Any) -> str:
        connection.execute("INSERT INTO followed VALUES (?)", (recorded.position,))
        if recorded.type == events.DEACTIVATED:
            raise Refused(recorded.stream)
        return f"row of {recorded.position}"


@pytest.fixture
def ledger(ledger_path: Path) -> Iterator[SQLiteLedger]:
    ledger = SQLiteLedger(ledger_path, [Table()], timeout=DEADLINE)
    yield ledger
    ledger.close()


def queued(ledger: SQLiteLedger, acts: Sequence[Act]) -> list[object]:
    """Let each act wait for its turn, in this order, then let them go; return what they did.

    Nothing of the first is done before all wait: so the first commits for all.
    """
    outcomes: list[object] = [None] * len(acts)

    def run(number: int) -> None:
        try:
            outcomes[number] = acts[number]()
        except BaseException as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(acts))]
    with ledger.writing():
        for number, thread in enumerate(threads):
            thread.start()
            wait_until(lambda n=number: len(ledger._queue._waiting) == n + 1)
    for thread in threads:
        thread.join(DEADLINE)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.001)


@contextmanager
def statements(ledger: SQLiteLedger) -> Iterator[list[str]]:
    """Note what the writing connection executes."""
    noted: list[str] = []
    with ledger.writing() as connection:
        writer = connection
    writer.set_trace_callback(noted.append)
    yield noted
    writer.set_trace_callback(None)


def commits(path: Path) -> int:
    """Count the commits in a log: frames with the size of the file, SQLite's file format §4.1."""
    log = Path(f"{path}-wal").read_bytes()
    page = int.from_bytes(log[8:12])
    frames = range(32, len(log), 24 + page)
    salts = log[16:24]
    return sum(log[at + 8 : at + 16] == salts and log[at + 4 : at + 8] != bytes(4) for at in frames)


def test_appends_that_wait_are_committed_together(ledger: SQLiteLedger, metadata: Metadata) -> None:
    ledger.append([Append("Note-0", NO_STREAM, [CREATED])], metadata)
    before = commits(ledger.path)
    acts = [
        lambda s=f"Note-{n}": ledger.append([Append(s, NO_STREAM, [CREATED])], metadata)
        for n in range(1, 9)
    ]

    outcomes = queued(ledger, acts)

    assert commits(ledger.path) == before + 1
    assert [[r.position for r in each] for each in outcomes] == [[n] for n in range(3, 11)]
    assert [each.rows for each in outcomes] == [
        {f"Note-{n}": f"row of {n + 2}"} for n in range(1, 9)
    ]
    assert ledger.reached == 10
    assert verify(ledger.path).findings == []


def test_a_lone_append_is_a_transaction_of_its_own(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    with statements(ledger) as noted:
        ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata)

    assert (noted[0], noted[-1]) == ("BEGIN IMMEDIATE", "COMMIT")
    assert not [each for each in noted if "SAVEPOINT" in each]


def test_an_append_that_fails_in_a_group_fails_alone(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    def check(_: Connection) -> None:
        raise Refused("by the check")

    deactivated = [CREATED, Event(events.DEACTIVATED, {"active": False})]
    acts = [
        lambda: ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata),
        lambda: ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata),
        lambda: ledger.append([Append("Note-2", NO_STREAM, deactivated)], metadata),
        lambda: ledger.append([Append("Note-3", NO_STREAM, [CREATED])], metadata, check),
        lambda: ledger.append([Append("Note-4", NO_STREAM, [CREATED])], metadata),
    ]

    first, conflict, refused, unchecked, last = queued(ledger, acts)

    assert str(conflict) == "stream Note-1: expected version 0, found 1"
    assert (str(refused), str(unchecked)) == ("Note-2", "by the check")
    assert [first[0].position, last[0].position] == [2, 3]
    assert [r.stream for r in ledger.read_all(after=1)] == ["Note-1", "Note-4"]
    with ledger.writing() as connection:
        followed = connection.execute("SELECT position FROM followed ORDER BY 1").fetchall()
    assert followed == [(2,), (3,)]
    assert verify(ledger.path).findings == []


def test_an_append_whose_leader_fails_is_recorded_all_the_same(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    acts = [
        lambda: ledger.append([Append("Note-1", 7, [CREATED])], metadata),
        lambda: ledger.append([Append("Note-2", NO_STREAM, [CREATED])], metadata),
    ]

    refused, recorded = queued(ledger, acts)

    assert str(refused) == "stream Note-1: expected version 7, found 0"
    assert [r.stream for r in ledger.read_all(after=1)] == ["Note-2"] == [recorded[0].stream]


def test_no_append_of_a_group_returns_before_its_commit(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    def append_and_look(stream: str) -> list[str]:
        ledger.append([Append(stream, NO_STREAM, [CREATED])], metadata)
        return [r.stream for r in ledger.read_stream(stream)]

    outcomes = queued(ledger, [lambda s=f"Note-{n}": append_and_look(s) for n in range(8)])

    assert outcomes == [[f"Note-{n}"] for n in range(8)]


def test_a_full_disk_fails_the_whole_group_and_each_is_told(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    with ledger.writing() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 3}")
    large = Event(events.CREATED, {"userName": "j" * 50_000})
    acts = [
        lambda: ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata),
        lambda: ledger.append([Append("Note-2", NO_STREAM, [large])], metadata),
        lambda: ledger.append([Append("Note-3", NO_STREAM, [CREATED])], metadata),
    ]

    *together, alone = queued(ledger, acts)

    assert [(type(each), each.reason) for each in together] == [
        (LedgerUnavailable, "disk full")
    ] * 2
    assert together[0] is not together[1]
    assert [r.stream for r in ledger.read_all(after=1)] == ["Note-3"] == [alone[0].stream]


def test_a_file_that_was_moved_fails_the_whole_group(
    ledger: SQLiteLedger, metadata: Metadata, ledger_path: Path
) -> None:
    def move(_: Connection) -> None:
        ledger_path.rename(ledger_path.with_name("moved.db"))

    acts = [
        lambda: ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata),
        lambda: ledger.append([Append("Note-2", NO_STREAM, [CREATED])], metadata, move),
    ]

    outcomes = queued(ledger, acts)

    assert [each.reason for each in outcomes] == ["file missing"] * 2
    assert ledger.is_suspect


def test_an_append_that_waits_too_long_in_the_queue_is_never_recorded(
    ledger_path: Path, metadata: Metadata
) -> None:
    ledger = SQLiteLedger(ledger_path, timeout=0.05)

    with ledger.writing(), pytest.raises(LedgerBusy):
        ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata)
    ledger.append([Append("Note-2", NO_STREAM, [CREATED])], metadata)

    assert [r.stream for r in ledger.read_all(after=1)] == ["Note-2"]
    ledger.close()


def test_nobody_hangs_when_the_thread_that_commits_is_interrupted(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    def interrupt(_: Connection) -> None:
        raise KeyboardInterrupt

    acts = [
        lambda: ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata),
        lambda: ledger.append([Append("Note-2", NO_STREAM, [CREATED])], metadata),
        lambda: ledger.append([Append("Note-3", NO_STREAM, [CREATED])], metadata, interrupt),
        lambda: ledger.append([Append("Note-4", NO_STREAM, [CREATED])], metadata),
    ]

    leader, *others, next_leader = queued(ledger, acts)

    assert isinstance(leader, KeyboardInterrupt)
    assert [each.reason for each in others] == ["interrupted"] * 2
    assert [r.stream for r in ledger.read_all(after=1)] == ["Note-4"] == [next_leader[0].stream]


def test_what_is_decided_under_the_lock_is_in_no_group(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    def decide(_: Connection) -> list[Append]:  # the ledger's reads see what was committed
        return [Append("Note-1", ledger.version("Note-1"), [CREATED])]

    acts = [
        lambda: ledger.append([Append("Note-1", NO_STREAM, [CREATED])], metadata),
        lambda: ledger.append_decided(decide, metadata),
        lambda: ledger.append([Append("Note-1", 2, [CREATED])], metadata),
    ]

    outcomes = queued(ledger, acts)

    assert [each[0].version for each in outcomes] == [1, 2, 3]


def at_newest(append: Append, connection: Connection) -> list[Append]:
    """Decide an append again: the same events, of the newest version that the connection sees."""
    [(version,)] = connection.execute(
        "SELECT coalesce(max(version), 0) FROM event WHERE stream = ?", (append.stream,)
    ).fetchall()
    return [replace(append, expected_version=version)]


def test_of_appends_to_one_stream_that_wait_none_is_lost(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    stale = Append("Note-1", NO_STREAM, [CREATED])
    acts = [
        lambda: ledger.append([stale], metadata, decide=partial(at_newest, stale)) for _ in range(8)
    ]

    outcomes = queued(ledger, acts)

    assert [each[0].version for each in outcomes] == list(range(1, 9))
    assert verify(ledger.path).findings == []


def test_what_a_second_decision_raises_is_raised_for_its_own_append_only(
    ledger: SQLiteLedger, metadata: Metadata
) -> None:
    def refuse(_: Connection) -> list[Append]:
        raise Refused("again")

    stale = Append("Note-1", NO_STREAM, [CREATED])
    acts = [
        lambda: ledger.append([stale], metadata),
        lambda: ledger.append([stale], metadata, decide=refuse),
        lambda: ledger.append([stale], metadata, decide=partial(at_newest, stale)),
    ]

    first, refused, last = queued(ledger, acts)

    assert str(refused) == "again"
    assert [first[0].version, last[0].version] == [1, 2]


Plan = list[tuple[int, int, list[str], bool]]  # stream, expected version, types, decided again?
PLANS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 3),
        st.lists(st.sampled_from([events.UPDATED, events.DEACTIVATED, events.ERASED]), max_size=3),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(PLANS)
def test_appends_in_a_group_do_what_they_do_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, plan: Plan
) -> None:
    def told(act: Act) -> object:
        try:
            return act()
        except Exception as error:
            return error

    def left_by(do: Callable[[SQLiteLedger, list[Act]], list[object]]) -> list[object]:
        path = tmp_path_factory.mktemp("acme") / "ledger.db"
        metadata = Metadata("operator", "test", "one-transaction", {})
        create(path, "acme", software="test", metadata=metadata)
        ledger = SQLiteLedger(path, [Table()], timeout=DEADLINE)
        appends = [
            (Append(f"User-{s}", v, [Event(t, {"n": t}) for t in types]), again)
            for s, v, types, again in plan
        ]
        acts = [
            lambda a=each, d=again: ledger.append(
                [a], metadata, decide=partial(at_newest, a) if d else None
            )
            for each, again in appends
        ]
        outcomes = [
            repr(each) if isinstance(each, Exception) else [shown(r) for r in each]
            for each in do(ledger, acts)
        ]
        found = verify(path).findings
        recorded = [shown(each) for each in ledger.read_all(after=1)]
        purges = sorted(ledger.unfinished_erasures().items())
        ledger.close()
        return [outcomes, recorded, purges, found]

    def shown(r: Recorded) -> object:
        return r.position, r.stream, r.version, r.type, r.payload

    in_a_row = left_by(lambda _, acts: [told(act) for act in acts])

    assert left_by(queued) == in_a_row
