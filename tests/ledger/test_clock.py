"""The one clock and the one generator of ids."""

import os
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from freezegun import freeze_time

from ledger import clock

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2026-11-24T12:00:00.000000Z"),
        (NOON.replace(microsecond=120), "2026-11-24T12:00:00.000120Z"),
        (NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-11-24T12:00:00.000000Z"),
        (datetime(999, 1, 1, tzinfo=UTC), "0999-01-01T00:00:00.000000Z"),
    ],
)
def test_a_timestamp_is_in_utc_with_six_decimals(moment: datetime, text: str) -> None:
    assert clock.timestamp(moment) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-31T24:00:00Z", "2027-01-01T00:00:00Z"),
        ("2028-02-28T24:00:00.000+02:00", "2028-02-29T00:00:00+02:00"),
        ("2026-12-31 24:00", "2027-01-01T00:00:00"),
        ("2026-12-31T23:59:59", "2026-12-31T23:59:59"),
    ],
)
def test_the_end_of_a_day_is_the_beginning_of_the_next(text: str, moment: str) -> None:
    assert clock.from_iso(text) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "text", ["2026-12-31T24:00:01", "2026-12-31T24:01", "2026-12-31T24:00:00.1", "2026-02-30T24:00"]
)
def test_nothing_follows_the_end_of_a_day(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        clock.from_iso(text)


def test_a_timestamp_defaults_to_now() -> None:
    with freeze_time(NOON):
        assert clock.timestamp() == "2026-11-24T12:00:00.000000Z"


def test_an_id_is_a_uuid_of_version_7_and_its_variant() -> None:
    ids = [UUID(clock.uuid7()) for _ in range(100)]

    assert {(id_.version, id_.variant) for id_ in ids} == {(7, "specified in RFC 4122")}
    assert len(set(ids)) == 100


def test_no_id_is_given_twice_by_two_processes() -> None:
    clock.uuid7()
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.write(writes, "".join(clock.uuid7()[14:] for _ in range(300)).encode())
        os._exit(0)
    os.wait()
    theirs = os.read(reads, 65536).decode()
    assert not any(clock.uuid7()[14:] in theirs for _ in range(300))


def test_an_id_is_written_as_a_uuid_is() -> None:
    id_ = clock.uuid7()

    assert id_ == str(UUID(id_))


def test_ids_sort_by_time() -> None:
    ids = []
    for milliseconds in range(5):
        with freeze_time(NOON + timedelta(milliseconds=milliseconds)):
            ids.append(clock.uuid7())

    assert ids == sorted(ids)


def test_an_id_holds_the_time_in_milliseconds() -> None:
    with freeze_time(NOON):
        id_ = clock.uuid7()

    assert UUID(id_).int >> 80 == NOON.timestamp() * 1000


def test_a_pretended_moment_is_now_until_it_is_left() -> None:
    with clock.pretending(NOON):
        within = clock.now()

    assert within == NOON
    assert clock.now() > NOON - timedelta(days=3650)
    assert clock.now() != NOON
