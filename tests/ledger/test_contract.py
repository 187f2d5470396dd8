"""What every store of a ledger promises (ledger/contract.py), tried on each store in STORES.

A new store is a line there: what opens a ledger at a path, which has one event so far.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from freezegun import freeze_time

from ledger import events
from ledger.codec import decode
from ledger.contract import (
    NO_STREAM,
    Append,
    Connection,
    Ledger,
    LedgerBusy,
    LedgerUnavailable,
    Projector,
    StoredRows,
    StreamErased,
    WrongExpectedVersion,
)
from ledger.events import Event, Metadata, Recorded
from ledger.merkle import leaf_hash
from ledger.sqlite.ledger import SQLiteLedger
from ledger.sqlite.reads import CHUNK
from ledger.sqlite.stored_rows import SQLiteRows

Open = Callable[..., Ledger]

CREATED = Event(events.CREATED, {"userName": "jane"})
UPDATED = Event(events.UPDATED, {"title": "Chief"})
DEACTIVATED = Event(events.DEACTIVATED, {"active": False})


class Refused(Exception):
    """What a projector of these tests raises."""


class Follower:
    """A projector that remembers what it was shown, and refuses one type."""

    name = "follower"

    def __init__(self, refused: str = "") -> None:
        self.seen: list[Recorded] = []
        self._refused = refused

    def project(self, connection: Connection, recorded: Recorded, before: Any) -> None:
        if recorded.type == self._refused:
            raise Refused(recorded.type)
        self.seen.append(recorded)


STORES = {"sqlite": SQLiteLedger}
ROWS = {"sqlite": SQLiteRows}  # the same, as it is stored


@pytest.fixture(params=STORES)
def open_ledger(request: pytest.FixtureRequest, ledger_path: Path) -> Iterator[Open]:
    """Return what opens one and the same ledger, with projectors."""
    opened: list[Ledger] = []

    def open_one(projectors: Sequence[Projector] = ()) -> Ledger:
        opened.append(STORES[request.param](ledger_path, projectors, timeout=0.2))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Open) -> Ledger:
    return open_ledger()


def checkpoints(ledger: Ledger) -> set[str]:
    """Return the projectors named in the checkpoint table."""
    with ledger.reading() as connection:
        return {name for (name,) in connection.execute("SELECT projector FROM checkpoint")}


# Positions and versions


def test_positions_are_dense_from_one(ledger: Ledger, metadata: Metadata) -> None:
    for n in range(5):
        ledger.append([Append(f"User-{n}", NO_STREAM, [CREATED, UPDATED])], metadata)

    assert [recorded.position for recorded in ledger.read_all()] == list(range(1, 12))


def test_versions_are_dense_in_each_stream(ledger: Ledger, metadata: Metadata) -> None:
    ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)
    ledger.append([Append("User-2", NO_STREAM, [CREATED, UPDATED])], metadata)
    ledger.append([Append("User-1", 1, [UPDATED, UPDATED])], metadata)

    assert [r.version for r in ledger.read_stream("User-1")] == [1, 2, 3]
    assert [r.version for r in ledger.read_stream("User-2")] == [1, 2]


def test_the_last_position_is_that_of_the_newest_event(ledger: Ledger, metadata: Metadata) -> None:
    [recorded] = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

    assert ledger.last_position() == recorded.position == 2


# Expected versions


@pytest.mark.parametrize("expected", [NO_STREAM, 1, 3])
def test_another_version_than_expected_refuses_the_append(
    ledger: Ledger, metadata: Metadata, expected: int
) -> None:
    ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

    with pytest.raises(WrongExpectedVersion):
        ledger.append([Append("User-1", expected, [UPDATED])], metadata)

    assert ledger.last_position() == 3


def test_a_version_is_not_expected_of_a_stream_that_is_not_there(
    ledger: Ledger, metadata: Metadata
) -> None:
    with pytest.raises(WrongExpectedVersion):
        ledger.append([Append("User-1", 1, [UPDATED])], metadata)


def test_a_wrong_version_is_reported_with_stream_expected_and_actual(
    ledger: Ledger, metadata: Metadata
) -> None:
    ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

    with pytest.raises(WrongExpectedVersion, match=r"User-1: expected version 5, found 2"):
        ledger.append([Append("User-1", 5, [UPDATED])], metadata)


# One append, one transaction


def test_an_append_to_several_streams_is_written_whole(ledger: Ledger, metadata: Metadata) -> None:
    appends = [Append(f"User-{n}", NO_STREAM, [CREATED]) for n in range(3)]

    recorded = ledger.append(appends, metadata)

    assert [r.stream for r in recorded] == ["User-0", "User-1", "User-2"]
    assert [r.position for r in recorded] == [2, 3, 4]
    assert {r.txn for r in recorded} == {metadata.txn}


def test_one_wrong_version_among_several_streams_undoes_all(
    ledger: Ledger, metadata: Metadata
) -> None:
    appends = [Append("User-1", NO_STREAM, [CREATED]), Append("User-2", 7, [UPDATED])]

    with pytest.raises(WrongExpectedVersion):
        ledger.append(appends, metadata)

    assert ledger.last_position() == 1
    assert ledger.read_stream("User-1") == []


def test_a_stream_twice_in_one_append_goes_on_from_itself(
    ledger: Ledger, metadata: Metadata
) -> None:
    ledger.append(
        [Append("User-1", NO_STREAM, [CREATED]), Append("User-1", 1, [UPDATED])], metadata
    )

    assert [r.version for r in ledger.read_stream("User-1")] == [1, 2]


def test_an_append_of_nothing_writes_nothing(ledger: Ledger, metadata: Metadata) -> None:
    assert ledger.append([], metadata) == []
    assert ledger.append([Append("User-1", NO_STREAM, [])], metadata) == []
    assert ledger.last_position() == 1


def test_an_event_of_an_unknown_type_undoes_all(ledger: Ledger, metadata: Metadata) -> None:
    with pytest.raises(KeyError):
        ledger.append([Append("User-1", NO_STREAM, [CREATED, Event("Levitated")])], metadata)

    assert ledger.last_position() == 1


# Projectors


def test_projectors_see_every_event_in_order(open_ledger: Open, metadata: Metadata) -> None:
    follower = Follower()

    recorded = open_ledger([follower]).append(
        [Append("User-1", NO_STREAM, [CREATED, UPDATED]), Append("User-2", 0, [CREATED])],
        metadata,
    )

    assert follower.seen == recorded


def test_a_projector_that_raises_undoes_all(open_ledger: Open, metadata: Metadata) -> None:
    ledger = open_ledger([Follower(), Follower(refused=events.UPDATED)])

    with pytest.raises(Refused):
        ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

    assert ledger.last_position() == 1
    assert ledger.read_stream("User-1") == []


def test_an_append_that_was_undone_leaves_no_gap(open_ledger: Open, metadata: Metadata) -> None:
    ledger = open_ledger([Follower(refused=events.UPDATED)])
    with pytest.raises(Refused):
        ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

    [recorded] = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

    assert (recorded.position, recorded.version) == (2, 1)


def test_a_projectors_writes_are_rolled_back_with_the_append(
    open_ledger: Open, metadata: Metadata
) -> None:
    class Counter(Follower):
        def project(self, connection: Connection, recorded: Recorded, before: Any) -> None:
            connection.execute(
                "INSERT INTO checkpoint VALUES (?, 1, ?)", (recorded.id, recorded.position)
            )
            super().project(connection, recorded, before)

    ledger = open_ledger([Counter(refused=events.UPDATED)])
    with pytest.raises(Refused):
        ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

    kept = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

    assert checkpoints(ledger) == {r.id for r in kept}


def test_a_projector_is_told_what_was_before_each_event(
    open_ledger: Open, metadata: Metadata
) -> None:
    class Listener(Follower):
        def project(self, connection: Connection, recorded: Recorded, before: Any) -> str:
            told.append(before)
            return f"after {recorded.version}"

    told: list[Any] = []
    ledger = open_ledger([Listener()])
    ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

    known = [Append("User-1", 2, [UPDATED, UPDATED], "read"), Append("User-2", 0, [CREATED])]
    ledger.append(known, metadata)

    assert told == [None, "after 1", "read", "after 3", None]


def test_a_projectors_results_are_returned_per_stream(
    open_ledger: Open, metadata: Metadata
) -> None:
    class Writer(Follower):
        def project(self, connection: Connection, recorded: Recorded, before: Any) -> int:
            return recorded.position

    ledger = open_ledger([Follower(), Writer()])
    appends = [Append(f"User-{n}", NO_STREAM, [CREATED, UPDATED]) for n in (1, 2)]

    assert ledger.append(appends, metadata).rows == {"User-1": 3, "User-2": 5}


# What is kept


def test_an_append_returns_the_events_as_they_are_read_back(
    ledger: Ledger, metadata: Metadata
) -> None:
    recorded = ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

    assert list(ledger.read_all(after=1)) == recorded
    assert ledger.read_stream("User-1") == recorded


def test_appended_events_are_there_after_reopening(open_ledger: Open, metadata: Metadata) -> None:
    recorded = open_ledger([]).append([Append("User-1", NO_STREAM, [CREATED])], metadata)

    assert list(open_ledger([]).read_all(after=1)) == recorded


def test_an_event_keeps_actor_and_via(ledger: Ledger) -> None:
    metadata = Metadata("01-actor", "scim.put", "01-txn", {"method": "PUT", "id": "r-1"})

    [recorded] = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

    assert (recorded.actor, recorded.via, recorded.txn) == ("01-actor", "scim.put", "01-txn")
    assert recorded.request == {"method": "PUT", "id": "r-1"}
    assert recorded.effects == CREATED.effects


def test_every_event_has_an_id_of_its_own(ledger: Ledger, metadata: Metadata) -> None:
    recorded = ledger.append([Append("User-1", NO_STREAM, [CREATED] * 50)], metadata)

    assert len({r.id for r in recorded}) == 50
    assert {UUID(r.id).version for r in recorded} == {7}


def test_the_first_event_tells_that_the_ledger_was_opened(ledger: Ledger) -> None:
    first = next(ledger.read_all())

    assert (first.position, first.type) == (1, events.LEDGER_OPENED)
    assert first.effects["format"] == 1


# Time


def test_events_bear_the_time_of_their_append(ledger: Ledger, metadata: Metadata) -> None:
    with freeze_time("2099-05-06T07:08:09.123456Z"):
        [recorded] = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

    assert recorded.at == "2099-05-06T07:08:09.123456Z"


def test_event_times_do_not_go_back_with_the_clock(ledger: Ledger, metadata: Metadata) -> None:
    with freeze_time("2099-01-01T12:00:00Z"):
        ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)
    with freeze_time("2099-01-01T11:00:00Z"):
        ledger.append([Append("User-1", 1, [UPDATED])], metadata)
    with freeze_time("2099-01-01T12:00:01Z"):
        ledger.append([Append("User-1", 2, [UPDATED])], metadata)

    assert [r.at for r in ledger.read_stream("User-1")] == [
        "2099-01-01T12:00:00.000000Z",
        "2099-01-01T12:00:00.000000Z",
        "2099-01-01T12:00:01.000000Z",
    ]


# Reading


@pytest.fixture
def long(ledger: Ledger, metadata: Metadata) -> Ledger:
    """A ledger of more events than two chunks hold."""
    ledger.append([Append("User-1", NO_STREAM, [UPDATED] * (2 * CHUNK + 5))], metadata)
    return ledger


def test_reading_all_crosses_chunks_without_loss(long: Ledger) -> None:
    positions = [recorded.position for recorded in long.read_all()]

    assert positions == list(range(1, 2 * CHUNK + 7))


@pytest.mark.parametrize(
    ("after", "upto"),
    [(0, 1), (5, 9), (CHUNK - 1, CHUNK + 1), (CHUNK, 2 * CHUNK), (7, 7), (9, 5)],
)
def test_reading_all_begins_after_and_ends_with_a_position(
    long: Ledger, after: int, upto: int
) -> None:
    positions = [recorded.position for recorded in long.read_all(after, upto)]

    assert positions == list(range(after + 1, upto + 1))


def test_reading_beyond_the_end_ends_at_the_end(ledger: Ledger) -> None:
    assert [recorded.position for recorded in ledger.read_all(0, 99)] == [1]
    assert list(ledger.read_all(after=5)) == []


def test_reading_all_ends_where_the_ledger_ended_when_it_began(
    long: Ledger, metadata: Metadata
) -> None:
    reading = long.read_all()
    next(reading)

    long.append([Append("User-2", NO_STREAM, [CREATED])], metadata)

    assert [recorded.position for recorded in reading][-1] == long.last_position() - 1


def test_a_stream_is_read_by_version_and_alone(ledger: Ledger, metadata: Metadata) -> None:
    ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)
    ledger.append([Append("User-10", NO_STREAM, [CREATED])], metadata)
    ledger.append([Append("User-1", 1, [UPDATED])], metadata)

    read = ledger.read_stream("User-1")

    assert [(r.position, r.stream, r.version) for r in read] == [
        (2, "User-1", 1),
        (4, "User-1", 2),
    ]


def test_a_stream_that_is_not_there_reads_as_empty(ledger: Ledger) -> None:
    assert ledger.read_stream("User-1") == []


# A decision under the lock


def test_events_decided_under_the_lock_are_recorded(ledger: Ledger, metadata: Metadata) -> None:
    ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

    def decide(_: Connection) -> list[Append]:
        return [Append("User-1", ledger.version("User-1"), [UPDATED])]

    [recorded] = ledger.append_decided(decide, metadata)

    assert ledger.read_stream("User-1")[-1] == recorded


def test_nobody_writes_while_it_is_decided(open_ledger: Open, metadata: Metadata) -> None:
    ledger, other = open_ledger(), open_ledger()
    refused = []

    def decide(_: Connection) -> list[Append]:
        with pytest.raises(LedgerBusy) as raised:
            other.append([Append("User-2", NO_STREAM, [CREATED])], metadata)
        refused.append(raised.value)
        return [Append("User-1", NO_STREAM, [CREATED])]

    ledger.append_decided(decide, metadata)

    assert len(refused) == 1
    assert ledger.last_position() == 2


def test_a_decision_sees_all_that_was_committed(open_ledger: Open, metadata: Metadata) -> None:
    ledger, other = open_ledger(), open_ledger()
    ledger.last_position()
    other.append([Append("User-1", NO_STREAM, [CREATED])], metadata)
    seen = []

    def decide(connection: Connection) -> list[Append]:
        seen.append((ledger.version("User-1"), ledger.read_stream("User-1")[0].type))
        return []

    assert ledger.append_decided(decide, metadata) == []
    assert seen == [(1, events.CREATED)]


def test_a_decision_that_raises_records_nothing(ledger: Ledger, metadata: Metadata) -> None:
    def decide(_: Connection) -> list[Append]:
        raise Refused

    with pytest.raises(Refused):
        ledger.append_decided(decide, metadata)

    assert ledger.last_position() == 1


def test_a_check_that_raises_refuses_the_append(ledger: Ledger, metadata: Metadata) -> None:
    def check(_: Connection) -> None:
        raise Refused

    with pytest.raises(Refused):
        ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata, check)

    assert ledger.last_position() == 1


@pytest.mark.parametrize(
    "appends", [[], [Append("User-1", NO_STREAM, [CREATED])], [Append("User-1", 3, [CREATED])]]
)
def test_what_was_not_decided_from_the_newest_state_is_decided_under_the_lock(
    open_ledger: Open, metadata: Metadata, appends: list[Append]
) -> None:
    ledger, other = open_ledger(), open_ledger()
    other.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

    def decide(_: Connection) -> list[Append]:
        with pytest.raises(LedgerBusy):
            other.append([Append("User-2", NO_STREAM, [CREATED])], metadata)
        return [Append("User-1", 1, [UPDATED])]

    recorded = ledger.append(appends, metadata, decide=decide)

    assert [(r.stream, r.version, r.type) for r in recorded] == [("User-1", 2, events.UPDATED)]
    assert ledger.last_position() == 3


def test_what_was_decided_from_the_newest_state_is_not_decided_again(
    ledger: Ledger, metadata: Metadata
) -> None:
    def decide(_: Connection) -> list[Append]:
        raise Refused

    appends = [Append("User-1", NO_STREAM, [CREATED]), Append("User-1", 1, [UPDATED])]

    recorded = ledger.append(appends, metadata, decide=decide)

    assert [r.version for r in recorded] == [1, 2]


def test_a_second_decision_can_refuse_or_come_to_nothing(
    ledger: Ledger, metadata: Metadata
) -> None:
    def refuse(_: Connection) -> list[Append]:
        raise Refused

    with pytest.raises(Refused):
        ledger.append([Append("User-1", 1, [UPDATED])], metadata, decide=refuse)

    assert ledger.append([Append("User-1", 1, [UPDATED])], metadata, decide=lambda _: []) == []
    assert ledger.last_position() == 1


def test_nothing_is_decided_again_before_the_check(ledger: Ledger, metadata: Metadata) -> None:
    decided = []

    def check(_: Connection) -> None:
        raise Refused

    def decide(_: Connection) -> list[Append]:
        decided.append("again")
        return []

    with pytest.raises(Refused):
        ledger.append([], metadata, check, decide)

    assert decided == []


def test_settling_waits_for_the_append_that_is_under_way(
    open_ledger: Open, metadata: Metadata
) -> None:
    ledger, other = open_ledger(), open_ledger()
    order, deciding = [], threading.Event()

    def decide(_: Connection) -> list[Append]:
        deciding.set()
        time.sleep(0.1)
        order.append("decided")
        return []

    thread = threading.Thread(target=other.append_decided, args=(decide, metadata))
    thread.start()
    deciding.wait()
    ledger.settle()
    order.append("settled")
    thread.join()

    assert order == ["decided", "settled"]


# Another name


def test_a_ledger_has_its_new_name_from_the_restored_event_on(
    open_ledger: Open, metadata: Metadata
) -> None:
    ledger = open_ledger()
    before, tenant = ledger.origin, ledger.tenant
    stream = f"Ledger-{tenant}"

    ledger.rename("acme/0011223344556677", Append(stream, 1, [Event(events.RESTORED)]), metadata)

    headers = [json.loads(raw.header) for raw in ledger.raw_events(1, 2)]
    assert [header["ledger"] for header in headers] == [before, "acme/0011223344556677"]
    assert ledger.origin == open_ledger().origin == "acme/0011223344556677"
    assert open_ledger().tenant == tenant


def test_a_name_that_was_refused_is_not_taken(ledger: Ledger, metadata: Metadata) -> None:
    before = ledger.origin

    with pytest.raises(WrongExpectedVersion):
        ledger.rename("acme/00", Append(f"Ledger-{ledger.tenant}", 7, []), metadata)

    assert ledger.origin == before


# Parts of streams


@pytest.fixture
def mixed(ledger: Ledger, metadata: Metadata) -> Ledger:
    """A ledger whose User-1 has positions 2, 4, 5 and 6, and User-2 3."""
    ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)
    ledger.append([Append("User-2", NO_STREAM, [CREATED])], metadata)
    ledger.append([Append("User-1", 1, [UPDATED, DEACTIVATED, UPDATED])], metadata)
    return ledger


def test_versions_are_those_of_a_position(mixed: Ledger) -> None:
    assert mixed.version("User-1") == 4
    assert [mixed.version_at("User-1", at) for at in range(9)] == [0, 0, 1, 1, 2, 3, 4, 4, 4]
    assert (mixed.version("User-9"), mixed.version_at("User-9", 5)) == (NO_STREAM, NO_STREAM)


def test_positions_are_those_of_a_version(mixed: Ledger) -> None:
    assert [mixed.position_of("User-1", version) for version in range(6)] == [
        *(None, 2, 4, 5, 6, None),
    ]


@pytest.mark.parametrize(
    ("options", "versions"),
    [
        ({}, [1, 2, 3, 4]),
        ({"first": 2, "last": 3}, [2, 3]),
        ({"newest_first": True}, [4, 3, 2, 1]),
        ({"types": [events.UPDATED]}, [2, 4]),
        ({"types": []}, []),
        ({"without": [events.UPDATED]}, [1, 3]),
        ({"first": 3, "types": [events.UPDATED], "newest_first": True}, [4]),
    ],
)
def test_a_part_of_a_stream_is_walked(
    mixed: Ledger, options: Mapping[str, Any], versions: list[int]
) -> None:
    assert [each.version for each in mixed.walk_stream("User-1", **options)] == versions


def test_a_walk_that_is_left_early_hinders_nobody(mixed: Ledger, metadata: Metadata) -> None:
    next(mixed.walk_stream("User-1"))

    mixed.append([Append("User-1", 4, [UPDATED])], metadata)

    assert mixed.version("User-1") == 5


def test_a_category_is_read_by_position(mixed: Ledger, metadata: Metadata) -> None:
    mixed.append([Append("Users-1", NO_STREAM, [CREATED])], metadata)

    assert [each.position for each in mixed.read_category("User")] == [2, 3, 4, 5, 6]
    assert mixed.read_category("Group") == []


def test_changes_of_a_category_are_read_by_stream(mixed: Ledger, metadata: Metadata) -> None:
    mixed.append([Append("Users-1", NO_STREAM, [CREATED])], metadata)

    def read(upto: int, count: int = 9, **after: tuple[str, int]) -> list[tuple[str, int, int]]:
        changes = mixed.read_changes("User", upto, count=count, **after)
        return [(each.stream, each.version, each.position) for each in changes]

    assert read(7) == [
        *(("User-1", n, at) for n, at in enumerate((2, 4, 5, 6), 1)),
        ("User-2", 1, 3),
    ]
    assert read(4) == [("User-1", 1, 2), ("User-1", 2, 4), ("User-2", 1, 3)]
    assert read(7, 1, after=("User-1", 4)) == [("User-2", 1, 3)]
    assert read(7, after=("User-2", 1)) == []


def test_large_changes_are_read_one_at_a_time(ledger: Ledger, metadata: Metadata) -> None:
    large = Event(events.UPDATED, {"title": "x" * 2**20})
    ledger.append([Append("User-1", NO_STREAM, [CREATED, large, large])], metadata)

    def read(**after: tuple[str, int]) -> list[int]:
        return [each.version for each in ledger.read_changes("User", 9, count=9, **after)]

    assert read() == [1, 2]
    assert read(after=("User-1", 2)) == [3]


def test_a_change_says_what_its_event_says(mixed: Ledger) -> None:
    changes = mixed.read_changes("User", 6, count=9)

    for recorded in mixed.read_category("User"):
        [change] = [each for each in changes if each.position == recorded.position]
        assert (change.type, change.at) == (recorded.type, recorded.at)
        assert change.payload == recorded.payload


def test_events_are_read_at_positions(mixed: Ledger) -> None:
    assert {at: each.stream for at, each in mixed.read_at([3, 2, 99]).items()} == {
        2: "User-1",
        3: "User-2",
    }


def test_the_first_event_of_each_stream_in_a_span_is_found(mixed: Ledger) -> None:
    def between(after: int, upto: int, count: int = 9, start: int = 0) -> list[tuple[Any, ...]]:
        return mixed.streams_between(after, upto, ["User"], count, start=start)

    assert between(0, 6) == [(2, "User-1", 1), (3, "User-2", 1)]
    assert between(2, 6, start=2) == [(3, "User-2", 1), (4, "User-1", 2)]
    assert between(3, 6, start=2) == [(4, "User-1", 2)]
    assert between(2, 6, count=1, start=2) == [(3, "User-2", 1)]
    assert mixed.streams_between(0, 6, ["Group"], 9, start=0) == []


# Positions of times


def test_times_have_positions(ledger: Ledger, metadata: Metadata) -> None:
    for second in (1, 2):
        with freeze_time(f"2099-01-01T00:00:0{second}Z"):
            version = ledger.version("User-1")
            ledger.append([Append("User-1", version, [UPDATED, UPDATED])], metadata)

    first, last = "2099-01-01T00:00:01.000000Z", "2099-01-01T00:00:02.000000Z"
    assert (ledger.position_before(first), ledger.position_at(first)) == (1, 3)
    assert (ledger.position_before(last), ledger.position_at(last)) == (3, 5)
    assert (ledger.position_at("2000-01-01T00:00:00.000000Z"), ledger.end()) == (0, (5, last))
    assert ledger.time_of(3) == first


# Waiting


def test_a_waiting_reader_sees_anothers_append(open_ledger: Open, metadata: Metadata) -> None:
    ledger, other = open_ledger(), open_ledger()
    appending = threading.Timer(
        0.2, other.append, ([Append("User-1", NO_STREAM, [CREATED])], metadata)
    )
    appending.start()

    assert ledger.wait_beyond(1, 10)
    assert ledger.last_position() == 2
    appending.join()


def test_an_event_that_leaves_the_times_of_the_files_as_they_were_is_seen_all_the_same(
    open_ledger: Open, metadata: Metadata
) -> None:
    """SQLite writes to the log, which changes its time, before it lets readers see the commit."""
    ledger, other = open_ledger(), open_ledger()
    log = Path(f"{ledger.path}-wal")
    other.append([Append("User-1", NO_STREAM, [CREATED])], metadata)
    with ledger.reading() as connection:  # what comes next is written over the log's beginning
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    for _ in range(4):
        assert not ledger.wait_beyond(2, 0.15)
    before = log.stat()

    other.append([Append("User-2", NO_STREAM, [CREATED])], metadata)
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert (log.stat().st_size, log.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert ledger.wait_beyond(2, 5)


def test_waiting_ends_at_its_timeout(ledger: Ledger) -> None:
    assert not ledger.wait_beyond(1, 0.15)
    assert ledger.wait_beyond(0, 0.15)


# Events as stored


def test_raw_events_are_the_hashed_bytes(mixed: Ledger) -> None:
    raws = list(mixed.raw_events(2, 4))

    assert [decode(raw.header, raw.body) for raw in raws] == mixed.read_chunk(1, 4)
    assert [raw.leaf_hash for raw in raws] == [leaf_hash(raw.header) for raw in raws]
    assert mixed.raw_events_at([4, 2, 99]) == [raws[2], raws[0]]
    assert (mixed.leaf_hash(2), mixed.leaf_hash(99)) == (raws[0].leaf_hash, None)


def test_a_missing_event_is_no_gap_to_be_passed_over(mixed: Ledger) -> None:
    with pytest.raises(LedgerUnavailable, match="no event at position 7"):
        list(mixed.raw_events(5, 8))


def test_events_are_counted_by_the_bytes_of_their_payloads(mixed: Ledger) -> None:
    sizes = [len(raw.body or b"") for raw in mixed.raw_events(2, 4)]

    assert mixed.fitting([2, 3, 4], sum(sizes)) == 3
    assert mixed.fitting([2, 3, 4], sum(sizes) - 1) == 2
    assert (mixed.fitting([2], 0), mixed.fitting([], 9)) == (1, 0)


# The tree and its heads


def test_tiles_are_kept_replaced_and_thrown_away(ledger: Ledger) -> None:
    longer, other = bytes(64), bytes([1]) * 32
    ledger.put_tiles({(1, 0): longer, (2, 7): other})
    assert (ledger.tile(1, 0), ledger.tile(2, 7), ledger.tile(1, 7)) == (longer, other, b"")

    ledger.put_tiles({(1, 0): longer[:32], (2, 7): longer})  # the first is there, and longer

    assert (ledger.tile(1, 0), ledger.tile(2, 7)) == (longer, longer)
    ledger.drop_tiles()
    assert (ledger.tile(1, 0), ledger.tile(2, 7)) == (b"", b"")


def test_headers_are_those_of_the_events_and_none_is_passed_over(mixed: Ledger) -> None:
    assert mixed.headers(2, 4) == [raw.header for raw in mixed.raw_events(2, 4)]
    assert mixed.headers(3, 2) == []
    with pytest.raises(LedgerUnavailable, match="no event at position 7"):
        mixed.headers(5, 8)


def test_heads_are_numbered_and_never_shrink(mixed: Ledger) -> None:
    first = mixed.newest_head()  # of the creation
    assert first and (first.number, first.size) == (1, 1)

    with freeze_time("2099-01-01T00:00:02Z"):
        second = mixed.add_head(4, "four")
    with freeze_time("2099-01-01T00:00:01Z"):
        again = mixed.add_head(4, "four")
        smaller = mixed.add_head(3, "three")
        third = mixed.add_head(4, "four", again=True)

    assert again == smaller == second
    assert (third.number, third.size, third.signed_at) == (3, 4, second.signed_at)
    assert mixed.newest_head() == third
    assert mixed.heads() == [first, second, third]
    assert mixed.heads(1, 1) == [second]


# Erasures


def test_an_erased_event_takes_the_payloads_before_it(mixed: Ledger, metadata: Metadata) -> None:
    [erased] = mixed.append([Append("User-1", 4, [Event(events.ERASED)])], metadata)

    own = mixed.read_stream("User-1")
    assert [each.payload is None for each in own] == [True] * 4 + [False]
    assert [(raw.salt, raw.body) for raw in mixed.raw_events_at([2, 4, 5, 6])] == [(None, None)] * 4
    assert mixed.read_stream("User-2")[0].payload
    assert mixed.unfinished_erasures() == {erased.position: "User-1"}


def test_nothing_is_appended_to_an_erased_stream(mixed: Ledger, metadata: Metadata) -> None:
    mixed.append([Append("User-1", 4, [Event(events.ERASED)])], metadata)

    with pytest.raises(StreamErased):
        mixed.append([Append("User-1", 5, [UPDATED])], metadata)


@pytest.mark.parametrize("stream", ["Group-1", "Settings-1", "Ledger-1", "user-1", "User"])
def test_nothing_but_a_user_is_erased(stream: str, mixed: Ledger, metadata: Metadata) -> None:
    before = mixed.last_position()

    with pytest.raises(ValueError, match="only the stream of a user"):
        mixed.append([Append(stream, mixed.version(stream), [Event(events.ERASED)])], metadata)

    assert mixed.last_position() == before


def test_streams_erased_since_a_time_are_known(mixed: Ledger, metadata: Metadata) -> None:
    with freeze_time("2099-01-01T00:00:00Z"):
        mixed.append([Append("User-1", 4, [Event(events.ERASED)])], metadata)
    with freeze_time("2099-01-02T00:00:00Z"):
        mixed.append([Append("User-2", 1, [Event(events.ERASED)])], metadata)

    second = {"User-2": "2099-01-02T00:00:00.000000Z"}
    assert mixed.erased_since("2099-01-02T00:00:00.000000Z") == {}
    assert mixed.erased_since("2099-01-01T00:00:00.000000Z") == second
    assert mixed.erased_since("") == second | {"User-1": "2099-01-01T00:00:00.000000Z"}


def test_no_erased_byte_is_left_after_a_rewrite(ledger: Ledger, metadata: Metadata) -> None:
    ledger.append(
        [Append("User-1", NO_STREAM, [Event(events.CREATED, {"name": "Zoeqx"})])], metadata
    )
    ledger.append([Append("User-1", 1, [Event(events.ERASED)])], metadata)

    ledger.rewrite(time.monotonic() + 10)
    ledger.finish_erasures(ledger.unfinished_erasures())

    assert ledger.unfinished_erasures() == {}
    files = [file for file in ledger.path.parent.iterdir() if b"Zoeqx" in file.read_bytes()]
    assert files == []
    assert ledger.read_stream("User-1")[0].payload is None


def test_a_rewrite_that_cannot_be_done_is_known_before(
    open_ledger: Open, metadata: Metadata
) -> None:
    ledger, other = open_ledger(), open_ledger()
    ledger.prepare_rewrite(time.monotonic())
    with other.reading() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM event").fetchone()
        ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

        with pytest.raises(LedgerBusy, match="is being read"):
            ledger.prepare_rewrite(time.monotonic())


def test_a_rewrite_waits_for_writers_until_its_deadline(
    open_ledger: Open, metadata: Metadata
) -> None:
    ledger, other = open_ledger(), open_ledger()

    with ledger.writing(), pytest.raises(LedgerBusy):
        other.rewrite(time.monotonic() + 0.1)


# Tables, and health


def test_a_transaction_of_tables_is_undone_by_an_error(ledger: Ledger) -> None:
    insert = "INSERT INTO checkpoint VALUES (?, 1, 1)"
    with ledger.writing() as connection:
        connection.execute(insert, ("kept",))
    with pytest.raises(Refused), ledger.writing() as connection:
        connection.execute(insert, ("undone",))
        raise Refused

    assert checkpoints(ledger) == {"kept"}


def test_a_sound_ledger_has_no_fault(ledger: Ledger) -> None:
    ledger.check_place()
    ledger.check_log()

    assert ledger.fault() is None
    assert ledger.log_size() > 0


def test_a_ledger_that_is_gone_is_said_in_a_few_words(ledger: Ledger) -> None:
    ledger.last_position()
    ledger.path.unlink()

    with pytest.raises(LedgerUnavailable):
        ledger.check_place()
    assert ledger.fault() == "file missing"


def test_a_ledger_that_was_left_or_closed_is_used_again(ledger: Ledger) -> None:
    ledger.last_position()
    ledger.leave()
    assert ledger.last_position() == 1
    ledger.close()

    assert ledger.last_position() == 1


# SQLite's own


def test_reading_in_chunks_pins_no_state_of_the_file(
    ledger: Ledger, metadata: Metadata, foreign: Callable[[Path], Connection]
) -> None:
    ledger.append([Append("User-1", NO_STREAM, [UPDATED] * (CHUNK + 5))], metadata)
    reading = ledger.read_all()
    next(reading)

    busy, _, _ = foreign(ledger.path).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    assert busy == 0


def test_the_origin_holds_the_name_and_a_random_part(ledger: Ledger) -> None:
    name, _, random_part = ledger.origin.partition("/")

    assert name == "acme"
    assert len(bytes.fromhex(random_part)) == 8


def test_the_tenant_is_the_random_part_of_the_first_stream(ledger: Ledger) -> None:
    assert ledger.tenant == next(ledger.read_all()).subject


# As it is stored


@pytest.fixture
def rows(request: pytest.FixtureRequest, mixed: Ledger) -> Iterator[StoredRows]:
    """Return the stored rows of a ledger of several streams, while it is open."""
    store = request.node.callspec.params["open_ledger"]
    opened = ROWS[store](mixed.path)
    yield opened
    opened.close()


def test_stored_events_are_those_that_were_appended(mixed: Ledger, rows: StoredRows) -> None:
    end = mixed.last_position()
    raw, stored = list(mixed.raw_events(1, end)), list(rows.events(1, end))

    columns = [(e.position, e.header, e.leaf_hash, e.salt, e.body) for e in stored]
    assert columns == [tuple(event) for event in raw]
    recorded = [(e.position, e.id, e.stream, e.version, e.type, e.at) for e in mixed.read_all()]
    assert [(e.position, e.id, e.stream, e.version, e.type, e.at) for e in stored] == recorded
    assert [event.position for event in rows.events(2, 3)] == [2, 3]
    assert rows.headers(2, 3) == mixed.headers(2, 3)
    assert rows.leaves(2, 3) == [(event.position, event.leaf_hash) for event in raw[1:3]]


def test_stored_rows_are_found_by_position_and_stream(mixed: Ledger, rows: StoredRows) -> None:
    first, second, *_ = mixed.read_all()

    assert rows.event_before(1) == (0, "")
    assert rows.event_before(2) == (1, first.at)
    assert rows.type_and_stream(2) == (second.type, second.stream)
    assert rows.type_and_stream(999) is None
    assert rows.stray_payloads(1, 999) == []
    expected = sorted((e.stream.encode(), e.version, e.position) for e in mixed.read_all())
    assert list(rows.versions(mixed.last_position())) == expected
    own = [(e.position, e.version) for e in mixed.read_stream(second.stream)]
    assert rows.stream_versions(second.stream.encode(), 999) == own
    assert [event.position for event in rows.own_stream()] == [1]


def test_stored_heads_and_tiles_are_those_that_were_added(mixed: Ledger, rows: StoredRows) -> None:
    mixed.add_head(3, "three")
    mixed.put_tiles({(1, 0): bytes(32) + bytes([1]) * 32})

    assert list(rows.heads(0, 9)) == mixed.heads()
    assert list(rows.heads(1, 9)) == rows.heads_of(3) == mixed.heads(1)
    assert rows.newest_head_over(3) == mixed.newest_head()
    assert rows.newest_head_over(4) is None
    assert rows.tile(1, 0) == bytes(32) + bytes([1]) * 32
    assert rows.tile(1, 1) == b""
    assert rows.tile_levels() == [(1, 2, 0, 1)]
    assert rows.bounds()[:2] == (mixed.last_position(), 2)


def test_nothing_is_wrong_with_what_a_store_made_itself(mixed: Ledger, rows: StoredRows) -> None:
    with rows.snapshot():
        rows.check_identity()
        checks = (rows.check_tables(), rows.check_integrity(), rows.check_markers(99))
        assert [finding for check in checks for finding in check] == []

    assert rows.origin() == mixed.origin
    assert rows.unfinished_erasures() == list(mixed.unfinished_erasures())


def test_a_snapshot_of_stored_rows_is_one_state(
    mixed: Ledger, rows: StoredRows, metadata: Metadata
) -> None:
    with rows.snapshot():
        before = rows.bounds()
        mixed.append([Append("User-late", NO_STREAM, [CREATED])], metadata)
        assert rows.bounds() == before

    assert rows.bounds().end == before.end + 1
