"""--since-last and --position read less, and say what they did not read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import app
from ledger import events
from ledger.events import Event
from ledger.ledger_stream import record
from ledger.verify.ranges import SPAN
from ledger.verify.report import Options, Report, Verified
from ledger.verify.verifier import verify
from tests.ledger.signed import (
    LONG_HEADS,
    LONG_SIZE,
    SIZE,
    cut,
    forge_tiles,
    metadata,
    put_header,
    rewrite,
    tamper,
)

Run = Callable[..., Result]

NOTED = Event(events.EXPORTED, {"format": 1})


def verified(path: Path) -> Verified:
    """Verify a ledger whole and return how far that was."""
    report = verify(path)
    assert report.good and report.root and report.newest
    return Verified(report.origin, report.size, report.root, report.newest.number, "2026-11-25")


def again(path: Path, since: Verified) -> Report:
    return verify(path, options=Options(since=since))


def found_by(report: Report) -> list[str]:
    return [finding.what for finding in report.findings]


# From where it ended last


def test_only_later_events_are_read_again(long: Path) -> None:
    report = again(long, verified(long))

    assert report.findings == []
    assert (report.events, report.skipped) == (LONG_SIZE - 2 * SPAN, 2 * SPAN)
    assert report.heads == 0


def test_a_leaf_that_was_changed_since_is_found(long: Path) -> None:
    since = verified(long)
    tamper(long, lambda c: put_header(c, 50, actor="nobody"), forge_tiles)

    assert f"root of the first {LONG_SIZE:,} events" in found_by(again(long, since))


def test_since_last_does_not_see_changes_outside_the_leaf(long: Path) -> None:
    since = verified(long)
    tamper(long, "UPDATE payload SET body = x'7b7d' WHERE position = 50")

    assert again(long, since).good
    assert not verify(long).good


def test_an_event_that_was_taken_away_since_is_found(long: Path) -> None:
    since = verified(long)
    tamper(long, cut(SPAN))

    report = again(long, since)

    assert report.first_bad_position == SPAN + 1


def test_heads_that_were_signed_since_are_checked(long: Path) -> None:
    newest = len(LONG_HEADS)
    since = verified(long)
    tamper(
        long,
        f"INSERT INTO tree_head SELECT {newest + 1}, size, signed_at, 'x' FROM tree_head"
        f" WHERE number = {newest}",
    )

    assert found_by(again(long, since)) == [f"tree head {newest + 1}"]


def test_memory_of_another_ledger_is_detected(long: Path) -> None:
    since = verified(long)
    other = Verified("evil/0000000000000000", since.size, since.root, since.head, since.at)

    [finding] = again(long, other).findings
    expected = "evil/0000000000000000, as verified at 2026-11-25"
    assert (finding.what, finding.expected) == ("origin", expected)


def test_since_last_stores_its_memory_next_to_the_ledger_and_says_what_it_skipped(
    signed: Path, run: Run
) -> None:
    before = signed.read_bytes()

    first = run("verify", "--since-last")
    memory = Verified.read(signed.parent / "verified.json")
    second = run("verify", "--since-last")

    assert "not read again" not in first.stdout
    assert memory and memory.size == SIZE
    assert "not read again: 0 events" in second.stdout
    assert signed.read_bytes() == before


def test_nothing_is_remembered_of_a_ledger_that_does_not_verify(signed: Path, run: Run) -> None:
    tamper(signed, rewrite(50, {"x": "y"}))

    assert run("verify", "--since-last").exit_code == 3
    assert not (signed.parent / "verified.json").exists()


def test_it_can_be_remembered_elsewhere(signed: Path, run: Run, tmp_path: Path) -> None:
    words = ("verify", "--file", str(signed), "--since-last")

    assert run(*words).exit_code == 2
    assert run(*words, "--memory", str(tmp_path / "kept")).exit_code == 0
    assert Verified.read(tmp_path / "kept") is not None


@pytest.mark.parametrize("text", ["x", "{}", "[]", '{"origin":1,"size":"x"}'])
def test_a_memory_that_cannot_be_read_is_refused_in_a_sentence(
    text: str, signed: Path, run: Run
) -> None:
    (signed.parent / "verified.json").write_text(text)

    result = run("verify", "--since-last")

    assert result.exit_code == 1
    assert "delete it, and everything is read again" in result.stderr


# One event


def test_one_event_is_verified_up_to_the_newest_head_over_it(signed: Path, run: Run) -> None:
    said = json.loads(run("verify", "--position", "300", "--json").stdout)

    assert (said["ok"], said["type"], said["tree_head"]["size"]) == (True, "Created", SIZE)
    assert said["proof"]


def test_an_event_after_the_newest_head_is_reported_as_uncovered(signed: Path, run: Run) -> None:
    tenant = app.console().tenant("acme")
    added = record(tenant.ledger, NOTED, metadata())
    tenant.close()

    result = run("verify", "--position", str(added.position))

    assert result.exit_code == 0
    assert "No tree head covers it yet" in result.stdout


@pytest.mark.parametrize("position", [1, 50, 256, 257, 401, 513, 600])
def test_any_event_is_included_whether_or_not_there_are_tiles(
    position: int, signed: Path, run: Run
) -> None:
    assert run("verify", "--position", str(position)).exit_code == 0

    tamper(signed, "DELETE FROM tile")

    assert run("verify", "--position", str(position)).exit_code == 0


CHANGES = {
    "its column": "UPDATE event SET actor = 'nobody' WHERE position = 300",
    "its payload": "UPDATE payload SET body = x'7b7d' WHERE position = 300",
    "its salt": "UPDATE payload SET salt = zeroblob(32) WHERE position = 300",
    "its leaf": "UPDATE event SET leaf_hash = zeroblob(32) WHERE position = 300",
    "its time": "UPDATE event SET recorded_at = '2020' WHERE position = 300",
    "all of it": rewrite(300, {"x": "y"}),
    "a neighbour": "UPDATE event SET header = x'00' WHERE position = 299",
    "an event at the edge, without tiles": (
        "UPDATE event SET header = x'00' WHERE position = 599; DELETE FROM tile"
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_one_event_is_not_verified_when_there_was_changed(
    name: str, signed: Path, run: Run
) -> None:
    change = CHANGES[name]
    tamper(signed, *(change.split("; ") if isinstance(change, str) else [change]))

    result = run("verify", "--position", "300", "--json")

    assert (result.exit_code, json.loads(result.stdout)["first_bad_position"]) == (3, 300)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tile SET hashes = zeroblob(64)",
        "UPDATE tile SET hashes = CAST(substr(hashes, 1, 32) || zeroblob(32) AS BLOB)",
        "UPDATE tile SET hashes = zeroblob(8192)",
    ],
)
def test_of_wrong_tiles_it_is_said_that_the_event_is_right(
    change: str, signed: Path, run: Run
) -> None:
    tamper(signed, change)

    said = json.loads(run("verify", "--position", "300", "--json").stdout)

    [finding] = said["findings"]
    assert (finding["kind"], finding["what"]) == ("tiles", "tile 1/0")
    assert (said["first_bad_position"], len(said["proof"])) == (None, 10)


def test_an_event_that_is_not_there_is_not_found(signed: Path, run: Run) -> None:
    result = run("verify", "--position", str(SIZE + 1))

    assert result.exit_code == 5
    assert f"no event at position {SIZE + 1}" in result.stderr


def test_it_is_said_how_many_of_how_many_were_read_again(
    long: Path, run: Run, tmp_path: Path
) -> None:
    words = ("verify", "--file", str(long), "--since-last", "--memory", str(tmp_path / "memory"))
    run(*words)

    again = LONG_SIZE % SPAN
    assert f"verified: {again} of {LONG_SIZE} events of acme/" in run(*words).stdout
