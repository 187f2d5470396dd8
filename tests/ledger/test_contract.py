"""What every ledger promises (ledger/contract.py), tried on every ledger there is.

A new kind of ledger needs a subclass of Contract with one fixture.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest
from freezegun import freeze_time

from ledger import events
from ledger.contract import NO_STREAM, Append, Ledger, Projector, WrongExpectedVersion
from ledger.events import Event, Metadata, Recorded
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger
from ledger.sqlite.reads import CHUNK

Open = Callable[[Sequence[Projector]], Ledger]

CREATED = Event(events.CREATED, {"userName": "jane"})
UPDATED = Event(events.UPDATED, {"title": "Chief"})


class Refused(Exception):
    """What a projector of these tests raises."""


class Follower:
    """A projector that remembers what it was shown, and refuses one type."""

    name = "follower"

    def __init__(self, refused: str = "") -> None:
        self.seen: list[Recorded] = []
        self._refused = refused

    def project(self, connection: Connection, recorded: Recorded) -> None:
        if recorded.type == self._refused:
            raise Refused(recorded.type)
        self.seen.append(recorded)


class Contract:
    """The promises. `open_ledger` opens one and the same ledger, which has one event so far."""

    @pytest.fixture
    def ledger(self, open_ledger: Open) -> Ledger:
        return open_ledger([])

    # Positions and versions

    def test_positions_are_dense_from_one(self, ledger: Ledger, metadata: Metadata) -> None:
        for n in range(5):
            ledger.append([Append(f"User-{n}", NO_STREAM, [CREATED, UPDATED])], metadata)

        assert [recorded.position for recorded in ledger.read_all()] == list(range(1, 12))

    def test_versions_are_dense_in_each_stream(self, ledger: Ledger, metadata: Metadata) -> None:
        ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)
        ledger.append([Append("User-2", NO_STREAM, [CREATED, UPDATED])], metadata)
        ledger.append([Append("User-1", 1, [UPDATED, UPDATED])], metadata)

        assert [r.version for r in ledger.read_stream("User-1")] == [1, 2, 3]
        assert [r.version for r in ledger.read_stream("User-2")] == [1, 2]

    def test_the_last_position_is_that_of_the_newest_event(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
        [recorded] = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

        assert ledger.last_position() == recorded.position == 2

    # Expected versions

    @pytest.mark.parametrize("expected", [NO_STREAM, 1, 3])
    def test_another_version_than_expected_refuses_the_append(
        self, ledger: Ledger, metadata: Metadata, expected: int
    ) -> None:
        ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

        with pytest.raises(WrongExpectedVersion):
            ledger.append([Append("User-1", expected, [UPDATED])], metadata)

        assert ledger.last_position() == 3

    def test_a_version_is_not_expected_of_a_stream_that_is_not_there(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
        with pytest.raises(WrongExpectedVersion):
            ledger.append([Append("User-1", 1, [UPDATED])], metadata)

    def test_a_wrong_version_is_told_with_stream_expected_and_actual(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
        ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

        with pytest.raises(WrongExpectedVersion) as raised:
            ledger.append([Append("User-1", 5, [UPDATED])], metadata)

        error = raised.value
        assert (error.stream, error.expected, error.actual) == ("User-1", 5, 2)

    # One append, one transaction

    def test_an_append_to_several_streams_is_written_whole(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
        appends = [Append(f"User-{n}", NO_STREAM, [CREATED]) for n in range(3)]

        recorded = ledger.append(appends, metadata)

        assert [r.stream for r in recorded] == ["User-0", "User-1", "User-2"]
        assert [r.position for r in recorded] == [2, 3, 4]
        assert {r.txn for r in recorded} == {metadata.txn}

    def test_one_wrong_version_among_several_streams_undoes_all(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
        appends = [Append("User-1", NO_STREAM, [CREATED]), Append("User-2", 7, [UPDATED])]

        with pytest.raises(WrongExpectedVersion):
            ledger.append(appends, metadata)

        assert ledger.last_position() == 1
        assert ledger.read_stream("User-1") == []

    def test_a_stream_twice_in_one_append_goes_on_from_itself(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
        ledger.append(
            [Append("User-1", NO_STREAM, [CREATED]), Append("User-1", 1, [UPDATED])], metadata
        )

        assert [r.version for r in ledger.read_stream("User-1")] == [1, 2]

    def test_an_append_of_nothing_writes_nothing(self, ledger: Ledger, metadata: Metadata) -> None:
        assert ledger.append([], metadata) == []
        assert ledger.append([Append("User-1", NO_STREAM, [])], metadata) == []
        assert ledger.last_position() == 1

    def test_an_event_of_an_unknown_type_undoes_all(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
        with pytest.raises(KeyError):
            ledger.append([Append("User-1", NO_STREAM, [CREATED, Event("Levitated")])], metadata)

        assert ledger.last_position() == 1

    # Projectors

    def test_projectors_see_every_event_in_order(
        self, open_ledger: Open, metadata: Metadata
    ) -> None:
        follower = Follower()

        recorded = open_ledger([follower]).append(
            [Append("User-1", NO_STREAM, [CREATED, UPDATED]), Append("User-2", 0, [CREATED])],
            metadata,
        )

        assert follower.seen == recorded

    def test_a_projector_that_raises_undoes_all(
        self, open_ledger: Open, metadata: Metadata
    ) -> None:
        ledger = open_ledger([Follower(), Follower(refused=events.UPDATED)])

        with pytest.raises(Refused):
            ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

        assert ledger.last_position() == 1
        assert ledger.read_stream("User-1") == []

    def test_an_append_that_was_undone_leaves_no_gap(
        self, open_ledger: Open, metadata: Metadata
    ) -> None:
        ledger = open_ledger([Follower(refused=events.UPDATED)])
        with pytest.raises(Refused):
            ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

        [recorded] = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

        assert (recorded.position, recorded.version) == (2, 1)

    def test_what_a_projector_writes_is_undone_with_the_append(
        self, open_ledger: Open, metadata: Metadata
    ) -> None:
        class Counter(Follower):
            def project(self, connection: Connection, recorded: Recorded) -> None:
                connection.execute(
                    "INSERT INTO checkpoint VALUES (?, 1, ?)", (recorded.id, recorded.position)
                )
                super().project(connection, recorded)

        ledger = open_ledger([Counter(refused=events.UPDATED)])
        with pytest.raises(Refused):
            ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

        kept = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

        assert self.checkpoints(ledger) == {r.id for r in kept}

    def test_what_a_projector_returns_is_handed_back_for_each_stream(
        self, open_ledger: Open, metadata: Metadata
    ) -> None:
        class Writer(Follower):
            def project(self, connection: Connection, recorded: Recorded) -> int:
                return recorded.position

        ledger = open_ledger([Follower(), Writer()])
        appends = [Append(f"User-{n}", NO_STREAM, [CREATED, UPDATED]) for n in (1, 2)]

        assert ledger.append(appends, metadata).rows == {"User-1": 3, "User-2": 5}

    # What is kept

    def test_an_append_returns_what_is_read_back(self, ledger: Ledger, metadata: Metadata) -> None:
        recorded = ledger.append([Append("User-1", NO_STREAM, [CREATED, UPDATED])], metadata)

        assert list(ledger.read_all(after=1)) == recorded
        assert ledger.read_stream("User-1") == recorded

    def test_what_was_appended_is_there_when_the_ledger_is_opened_again(
        self, open_ledger: Open, metadata: Metadata
    ) -> None:
        recorded = open_ledger([]).append([Append("User-1", NO_STREAM, [CREATED])], metadata)

        assert list(open_ledger([]).read_all(after=1)) == recorded

    def test_an_event_keeps_who_caused_it_and_through_what(self, ledger: Ledger) -> None:
        metadata = Metadata("01-actor", "scim.put", "01-txn", {"method": "PUT", "id": "r-1"})

        [recorded] = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

        assert (recorded.actor, recorded.via, recorded.txn) == ("01-actor", "scim.put", "01-txn")
        assert recorded.request == {"method": "PUT", "id": "r-1"}
        assert recorded.effects == CREATED.effects

    def test_every_event_has_an_id_of_its_own(self, ledger: Ledger, metadata: Metadata) -> None:
        recorded = ledger.append([Append("User-1", NO_STREAM, [CREATED] * 50)], metadata)

        assert len({r.id for r in recorded}) == 50
        assert {UUID(r.id).version for r in recorded} == {7}

    def test_the_first_event_tells_that_the_ledger_was_opened(self, ledger: Ledger) -> None:
        first = next(ledger.read_all())

        assert (first.position, first.type) == (1, events.LEDGER_OPENED)
        assert first.effects["format"] == 1

    # Time

    def test_events_bear_the_time_of_their_append(self, ledger: Ledger, metadata: Metadata) -> None:
        with freeze_time("2099-05-06T07:08:09.123456Z"):
            [recorded] = ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)

        assert recorded.at == "2099-05-06T07:08:09.123456Z"

    def test_time_stands_still_while_the_clock_is_behind(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
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
    def long(self, ledger: Ledger, metadata: Metadata) -> Ledger:
        """A ledger of more events than two chunks hold."""
        ledger.append([Append("User-1", NO_STREAM, [UPDATED] * (2 * CHUNK + 5))], metadata)
        return ledger

    def test_reading_all_crosses_chunks_without_loss(self, long: Ledger) -> None:
        positions = [recorded.position for recorded in long.read_all()]

        assert positions == list(range(1, 2 * CHUNK + 7))

    @pytest.mark.parametrize(
        ("after", "upto"),
        [(0, 1), (5, 9), (CHUNK - 1, CHUNK + 1), (CHUNK, 2 * CHUNK), (7, 7), (9, 5)],
    )
    def test_reading_all_begins_after_and_ends_with_a_position(
        self, long: Ledger, after: int, upto: int
    ) -> None:
        positions = [recorded.position for recorded in long.read_all(after, upto)]

        assert positions == list(range(after + 1, upto + 1))

    def test_reading_beyond_the_end_ends_at_the_end(self, ledger: Ledger) -> None:
        assert [recorded.position for recorded in ledger.read_all(0, 99)] == [1]
        assert list(ledger.read_all(after=5)) == []

    def test_reading_all_ends_where_the_ledger_ended_when_it_began(
        self, long: Ledger, metadata: Metadata
    ) -> None:
        reading = long.read_all()
        next(reading)

        long.append([Append("User-2", NO_STREAM, [CREATED])], metadata)

        assert [recorded.position for recorded in reading][-1] == long.last_position() - 1

    def test_a_stream_is_read_by_version_and_alone(
        self, ledger: Ledger, metadata: Metadata
    ) -> None:
        ledger.append([Append("User-1", NO_STREAM, [CREATED])], metadata)
        ledger.append([Append("User-10", NO_STREAM, [CREATED])], metadata)
        ledger.append([Append("User-1", 1, [UPDATED])], metadata)

        read = ledger.read_stream("User-1")

        assert [(r.position, r.stream, r.version) for r in read] == [
            (2, "User-1", 1),
            (4, "User-1", 2),
        ]

    def test_a_stream_that_is_not_there_reads_as_empty(self, ledger: Ledger) -> None:
        assert ledger.read_stream("User-1") == []

    # For the subclasses

    def checkpoints(self, ledger: Ledger) -> set[str]:
        """Return the projectors named in the checkpoint table."""
        raise NotImplementedError


class TestSQLiteLedger(Contract):
    """SQLiteLedger keeps the promises."""

    @pytest.fixture
    def open_ledger(self, ledger_path: Path) -> Iterator[Open]:
        opened: list[SQLiteLedger] = []

        def open_one(projectors: Sequence[Projector]) -> Ledger:
            opened.append(SQLiteLedger(ledger_path, projectors))
            return opened[-1]

        yield open_one
        for ledger in opened:
            ledger.close()

    def checkpoints(self, ledger: Ledger) -> set[str]:
        assert isinstance(ledger, SQLiteLedger)
        with ledger.reading() as connection:
            return {name for (name,) in connection.execute("SELECT projector FROM checkpoint")}

    def test_reading_in_chunks_pins_no_state_of_the_file(
        self, ledger: SQLiteLedger, metadata: Metadata, foreign: Callable[[Path], Connection]
    ) -> None:
        ledger.append([Append("User-1", NO_STREAM, [UPDATED] * (CHUNK + 5))], metadata)
        reading = ledger.read_all()
        next(reading)

        busy, _, _ = foreign(ledger.path).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

        assert busy == 0

    def test_the_origin_holds_the_name_and_a_random_part(self, ledger: Ledger) -> None:
        name, _, random_part = ledger.origin.partition("/")

        assert name == "acme"
        assert len(bytes.fromhex(random_part)) == 8

    def test_the_tenant_is_the_random_part_of_the_first_stream(self, ledger: SQLiteLedger) -> None:
        assert ledger.tenant == next(ledger.read_all()).subject
