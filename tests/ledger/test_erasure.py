"""Erasing a stream: one transaction, never under a hold, and nothing is recorded after it."""

import json

import pytest

from ledger import erasure, events
from ledger.contract import NO_STREAM, Append, StreamErased
from ledger.erasure import Held, Justification, NotHeld
from ledger.events import Event
from ledger.sqlite.connection import driver
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.verifier import verify

ORDER = Justification("gdpr-17", "PRIV-42")
STREAM = "User-01a20b63-a5ba-75ab-a2b5-0dfef08b84f4"
ID = STREAM.partition("-")[2]


@pytest.fixture
def jane(record):
    record(STREAM, Event(events.CREATED, {"userName": "jane@example.com"}))
    record(STREAM, Event(events.UPDATED, {"title": "Chief"}))


def test_erasing_a_stream_forgets_its_payloads_and_keeps_its_headers(jane, ledger, metadata):
    before = [(e.position, e.type, e.at) for e in ledger.read_stream(STREAM)]

    erased = erasure.erase(ledger, STREAM, ORDER, metadata)

    *forgotten, last = ledger.read_stream(STREAM)
    assert [(e.position, e.type, e.at) for e in forgotten] == before
    assert [e.payload for e in forgotten] == [None, None]
    assert last == erased
    assert last.effects == {"reason": "gdpr-17", "ticket": "PRIV-42", "payloads": 2}


def test_an_erased_ledger_verifies(jane, ledger, metadata):
    erasure.erase(ledger, STREAM, ORDER, metadata)

    report = verify(ledger.path)
    assert (report.findings, report.erased) == ([], 2)


def test_other_streams_keep_their_payloads(jane, record, ledger, metadata):
    record(f"{STREAM}5", Event(events.CREATED, {"userName": "joe@example.com"}))

    erasure.erase(ledger, STREAM, ORDER, metadata)

    assert ledger.read_stream(f"{STREAM}5")[0].effects == {"userName": "joe@example.com"}


def test_an_erasure_is_to_be_purged_until_it_is_finished(jane, ledger, metadata):
    erased = erasure.erase(ledger, STREAM, ORDER, metadata)

    assert ledger.unfinished_erasures() == {erased.position: STREAM}
    ledger.finish_erasures([erased.position])
    assert ledger.unfinished_erasures() == {}


def test_nothing_is_recorded_in_an_erased_stream(jane, ledger, metadata):
    erasure.erase(ledger, STREAM, ORDER, metadata)

    with pytest.raises(StreamErased):
        ledger.append([Append(STREAM, 3, [Event(events.UPDATED, {"title": "Jane"})])], metadata)


def test_not_even_by_another_program(jane, ledger, metadata, foreign):
    erasure.erase(ledger, STREAM, ORDER, metadata)

    with pytest.raises(driver.IntegrityError, match="no event follows an Erased event"):
        foreign(ledger.path).execute(
            "INSERT INTO event SELECT position + 1, 'x', stream, version + 1, 'Updated', 1,"
            " recorded_at, txn, actor, header, leaf_hash FROM event ORDER BY position DESC LIMIT 1"
        )


def test_a_stream_is_erased_once(jane, ledger, metadata):
    erasure.erase(ledger, STREAM, ORDER, metadata)

    with pytest.raises(StreamErased):
        erasure.erase(ledger, STREAM, ORDER, metadata)


def test_a_stream_under_a_hold_is_not_erased(jane, ledger, metadata):
    erasure.place_hold(ledger, STREAM, Justification("litigation", "CASE-1"), metadata)
    before = ledger.last_position()

    with pytest.raises(Held, match="CASE-1"):
        erasure.erase(ledger, STREAM, ORDER, metadata)

    assert ledger.last_position() == before
    assert ledger.read_stream(STREAM)[0].effects == {"userName": "jane@example.com"}


def test_a_hold_that_is_released_forbids_no_more(jane, ledger, metadata):
    erasure.place_hold(ledger, STREAM, Justification("litigation", "CASE-1"), metadata)
    erasure.release_hold(ledger, ID, Justification("settled", "CASE-1"), metadata)

    assert erasure.erase(ledger, STREAM, ORDER, metadata).type == events.ERASED


def test_holds_of_several_tickets_are_released_one_by_one(jane, ledger, metadata):
    for ticket in ("CASE-1", "CASE-2"):
        erasure.place_hold(ledger, STREAM, Justification("litigation", ticket), metadata)
    erasure.release_hold(ledger, ID, Justification("settled", "CASE-1"), metadata)

    with pytest.raises(Held, match=r"\(CASE-2\)"):
        erasure.erase(ledger, STREAM, ORDER, metadata)


def test_the_same_hold_is_placed_once(jane, ledger, metadata):
    order = Justification("litigation", "CASE-1")

    placed = [erasure.place_hold(ledger, STREAM, order, metadata) for _ in range(2)]

    assert placed == [True, False]
    assert len(erasure.all_holds(ledger)) == 1


def test_a_hold_that_is_not_there_is_not_released(jane, ledger, metadata):
    erasure.place_hold(ledger, STREAM, Justification("litigation", "CASE-1"), metadata)

    with pytest.raises(NotHeld, match="CASE-9; in force: CASE-1"):
        erasure.release_hold(ledger, ID, Justification("settled", "CASE-9"), metadata)


def test_an_erased_stream_can_be_held_no_more(jane, ledger, metadata):
    erasure.erase(ledger, STREAM, ORDER, metadata)

    with pytest.raises(StreamErased):
        erasure.place_hold(ledger, STREAM, ORDER, metadata)


def test_a_hold_leaves_the_stream_as_it_is(jane, ledger, metadata):
    erasure.place_hold(ledger, STREAM, Justification("litigation", "CASE-1"), metadata)

    assert len(ledger.read_stream(STREAM)) == 2


def test_memberships_end_before_the_erased_event_in_one_transaction(jane, ledger, metadata):
    left = Append("Group-1", NO_STREAM, [Event(events.MEMBERS_REMOVED, {f"members:{ID}": None})])

    erased = erasure.erase(ledger, STREAM, ORDER, metadata, lambda _: [left])

    [removal] = ledger.read_stream("Group-1")
    assert (removal.position, removal.txn) == (erased.position - 1, erased.txn)
    assert removal.effects == {f"members:{ID}": None}


class Refusing:
    name = "refusing"

    def project(self, connection, recorded, before):
        if recorded.type == events.ERASED:
            raise RuntimeError


def test_an_erasure_that_a_projection_refuses_leaves_everything(jane, ledger, metadata):
    refusing = SQLiteLedger(ledger.path, [Refusing()])

    with pytest.raises(RuntimeError):
        erasure.erase(refusing, STREAM, ORDER, metadata)
    refusing.close()

    assert [e.type for e in ledger.read_stream(STREAM)] == ["Created", "Updated"]
    assert ledger.read_stream(STREAM)[0].effects == {"userName": "jane@example.com"}
    assert ledger.unfinished_erasures() == {}


def test_no_reader_of_headers_learns_a_reason(jane, ledger, metadata):
    erasure.erase(ledger, STREAM, ORDER, metadata)

    with ledger.reading() as connection:
        [header] = connection.execute(
            "SELECT header FROM event ORDER BY position DESC LIMIT 1"
        ).fetchone()
    assert "PRIV-42" not in json.dumps(json.loads(header))


@pytest.mark.parametrize("text", ["gdpr-17", "PRIV#42/7", "a" * 64, "x.y_z:1"])
def test_a_short_form_is_of_letters_digits_and_signs(text):
    assert erasure.is_short_form(text)


@pytest.mark.parametrize("text", ["", "a" * 65, "Jane Doe", "jane@example.com", "Zoë", "a\n"])
def test_nothing_else_is_a_short_form(text):
    assert not erasure.is_short_form(text)
