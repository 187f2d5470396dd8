"""Ranges read by several processes give the same findings as one process."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ledger import events
from ledger.contract import Append, LedgerError
from ledger.events import Event
from ledger.signing.keys import Keys
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.ranges import SPAN
from ledger.verify.report import Options
from ledger.verify.verifier import verify
from ledger.verify.workers import Versions, check_all
from tests.ledger.signed import LONG_HEADS, LONG_SIZE, metadata, put_header, tamper


@pytest.mark.parametrize("processes", [1, 2])
def test_all_ranges_are_read_and_the_roots_over_them_are_those_that_were_signed(
    long: Path, processes: int
) -> None:
    told: list[tuple[int, int]] = []

    report = verify(long, lambda *each: told.append(each), Options(processes=processes))

    assert report.findings == []
    assert (report.events, report.payloads, report.heads) == (LONG_SIZE, LONG_SIZE, len(LONG_HEADS))
    assert told[-1] == (LONG_SIZE, LONG_SIZE)


def version(position: int, to: int) -> Callable[[Connection], None]:
    return lambda connection: put_header(connection, position, version=to)


def at_time_of(position: int, seconds: int) -> Callable[[Connection], None]:
    """Give an event a time before, or long after, all others."""
    return lambda c: put_header(
        c, position, at=f"{2027 if seconds > 0 else 2025}-01-01T00:00:00.000000Z"
    )


GONE = "DELETE FROM payload WHERE position = {0}", "DELETE FROM event WHERE position = {0}"
TAMPERINGS: dict[str, tuple[int, str, list[Any]]] = {
    "the last event of a range gone": (
        SPAN,
        "event",
        [each.format(SPAN) for each in GONE],
    ),
    "the first event of a range gone": (
        SPAN + 1,
        "event",
        [each.format(SPAN + 1) for each in GONE],
    ),
    "a whole range gone": (
        SPAN + 1,
        "event",
        [
            f"DELETE FROM payload WHERE position BETWEEN {SPAN + 1} AND {2 * SPAN}",
            f"DELETE FROM event WHERE position BETWEEN {SPAN + 1} AND {2 * SPAN}",
        ],
    ),
    "a time that goes back from one range to the next": (
        SPAN + 1,
        "time",
        [at_time_of(SPAN, 1)],
    ),
    "a version left out in a stream of all ranges": (
        LONG_SIZE,
        "version in its stream",
        [version(LONG_SIZE, 99)],
    ),
    "a payload of no event in the last range": (
        LONG_SIZE + 7,
        "payload",
        [f"INSERT INTO payload VALUES ({LONG_SIZE + 7}, zeroblob(32), x'7b7d', NULL)"],
    ),
    "text that is no UTF-8": (
        SPAN + 9,
        "column stream",
        [f"UPDATE event SET stream = CAST(x'6fff' AS TEXT) WHERE position = {SPAN + 9}"],
    ),
}


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("name", TAMPERINGS)
def test_verify_finds(name: str, processes: int, long: Path) -> None:
    position, what, changes = TAMPERINGS[name]
    tamper(long, *changes)

    report = verify(long, options=Options(processes=processes))

    assert report.first_bad_position == position
    assert what in {finding.what for finding in report.findings}


def test_events_written_or_erased_meanwhile_are_no_fault(long: Path) -> None:
    ledger, forgotten = SQLiteLedger(long), count(2)

    def meanwhile(done: int, total: int) -> None:
        """Append, and forget a payload of the first range on account of an event behind the end."""
        stream = f"User-{next(forgotten)}"
        version = len(ledger.read_stream(stream))
        if ledger.read_stream(stream)[-1].type == events.ERASED:
            return  # at an earlier call
        ledger.append([Append(stream, version, [Event(events.ERASED)])], metadata())
        TreeHeads(ledger, Keys(long.parent)).sign()

    report = verify(long, meanwhile, Options(processes=1))
    ledger.close()

    assert report.findings == []
    assert report.events == LONG_SIZE
    assert verify(long).erased == next(forgotten) - 2


def test_a_process_that_ends_before_it_is_done_is_no_verification(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="ended before it was done"):
        list(check_all(tmp_path / "none.db", [Versions(1)], 2))
