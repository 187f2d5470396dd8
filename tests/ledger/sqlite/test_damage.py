"""A ledger whose bytes are damaged, or newer than the program, is refused in a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest
from click.testing import Result

from ledger import events
from ledger.codec import canonical
from ledger.contract import NO_STREAM, Append, LedgerUnavailable
from ledger.events import Event, Metadata
from ledger.merkle import leaf_hash
from ledger.sqlite import database
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger
from scim_api import wiring

Run = Callable[..., Result]
Foreign = Callable[[Path], Connection]
CREATED = Event(events.CREATED)


def write_header(connection: Connection, position: int, header: bytes) -> None:
    """Put a header in place of an event's."""
    connection.execute("DROP TRIGGER event_is_not_updated")
    connection.execute(
        "UPDATE event SET header = ?, leaf_hash = ? WHERE position = ?",
        (header, leaf_hash(header), position),
    )
    connection.close()


def change_header(connection: Connection, position: int, **changes: object) -> None:
    [header] = connection.execute(
        "SELECT header FROM event WHERE position = ?", (position,)
    ).fetchone()
    write_header(connection, position, canonical({**json.loads(header), **changes}))


HEADERS = {"no JSON": b"\xff", "another name": b'{"positixn":1}', "no object": b"[]"}


@pytest.mark.parametrize("name", HEADERS)
def test_a_ledger_is_not_opened_when_its_first_header_is(
    name: str, history: Path, foreign: Foreign
) -> None:
    write_header(foreign(history), 1, HEADERS[name])

    with pytest.raises(LedgerUnavailable, match="damaged"):
        wiring.open_tenant(history)


@pytest.mark.parametrize("name", HEADERS)
def test_reading_stops_in_a_sentence_at_a_header_that_is(
    name: str, history: Path, run: Run, foreign: Foreign
) -> None:
    write_header(foreign(history), 17, HEADERS[name])

    result = run("events", "list")

    assert result.exit_code == 1
    assert "`scim-ledger verify` says what is wrong" in result.stderr


def test_a_ledger_is_not_opened_when_its_first_event_is_newer_than_the_program(
    history: Path, foreign: Foreign
) -> None:
    change_header(foreign(history), 1, revision=3)

    with pytest.raises(LedgerUnavailable, match="newer than this program"):
        wiring.open_tenant(history)


def test_reading_stops_in_a_sentence_at_an_unknown_event(
    history: Path, run: Run, foreign: Foreign
) -> None:
    change_header(foreign(history), 17, type="Levitated")

    result = run("events", "list")

    assert result.exit_code == 1
    assert "'Levitated' revision 1 is newer than this program" in result.stderr


@pytest.fixture
def damaged(history: Path, foreign: Foreign) -> SQLiteLedger:
    return damage(history, foreign)


def damage(history: Path, foreign: Foreign) -> SQLiteLedger:
    """Open a ledger one page of whose payloads is zeroed."""
    [page] = (
        foreign(history)
        .execute("SELECT rootpage FROM sqlite_master WHERE name = 'payload'")
        .fetchone()
    )
    file = bytearray(history.read_bytes())
    file[(page - 1) * 4096 : page * 4096] = bytes(4096)
    history.write_bytes(file)
    return SQLiteLedger(history)


def test_nothing_is_written_once_a_page_proved_damaged(
    damaged: SQLiteLedger, metadata: Metadata
) -> None:
    with pytest.raises(LedgerUnavailable):
        list(damaged.read_all())

    with pytest.raises(LedgerUnavailable, match="is damaged"):
        damaged.append([Append("Note-9", NO_STREAM, [CREATED])], metadata)

    damaged.close()


@pytest.fixture
def at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RECHECK", 0.0)
    monkeypatch.setattr(database, "SHARE", 0.0)


def test_a_file_that_is_sound_again_is_written_again(
    history: Path, foreign: Foreign, metadata: Metadata, at_any_time: None
) -> None:
    sound = history.read_bytes()
    ledger = damage(history, foreign)
    with pytest.raises(LedgerUnavailable):
        list(ledger.read_all())
    with pytest.raises(LedgerUnavailable, match="is damaged"):
        ledger.append([Append("Note-9", NO_STREAM, [CREATED])], metadata)

    history.write_bytes(sound)
    ledger.append([Append("Note-9", NO_STREAM, [CREATED])], metadata)

    assert list(ledger.read_all())[-1].stream == "Note-9"
    ledger.close()


def test_an_earlier_clean_check_is_void_once_a_page_is_damaged(
    history: Path, foreign: Foreign, metadata: Metadata
) -> None:
    ledger = SQLiteLedger(history)
    assert ledger.inspection.fault() is None
    ledger.close()
    damage(history, foreign).close()
    with pytest.raises(LedgerUnavailable):
        list(ledger.read_all())

    with pytest.raises(LedgerUnavailable, match="is damaged"):
        ledger.append([Append("Note-9", NO_STREAM, [CREATED])], metadata)
    ledger.close()


def test_a_refusal_to_write_does_not_grow_with_every_refusal(
    damaged: SQLiteLedger, metadata: Metadata
) -> None:
    with pytest.raises(LedgerUnavailable):
        list(damaged.read_all())

    lengths = set()
    for _ in range(3):
        with pytest.raises(LedgerUnavailable) as raised:
            damaged.append([Append("Note-9", NO_STREAM, [CREATED])], metadata)
        lengths.add(frames(raised.value.__traceback__))

    assert len(lengths) == 1
    damaged.close()


def frames(trace: TracebackType | None) -> int:
    return 0 if trace is None else 1 + frames(trace.tb_next)
