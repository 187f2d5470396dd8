"""A consistent rewrite of a ledger is found by its heads, and by those others hold."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import app
from ledger import events
from ledger.contract import NO_STREAM, Append
from ledger.events import Event
from ledger.findings import Kind
from ledger.signing.keys import Keys
from ledger.signing.note import (
    COSIGNATURE,
    KnownHead,
    Note,
    Signature,
    SigningKey,
    TreeHead,
    VerifierKey,
)
from ledger.sqlite.connection import Connection, driver
from ledger.verify.report import Options, Report
from ledger.verify.verifier import verify
from scim_api import wiring
from tests.ledger.signed import (
    SIZE,
    cut,
    fix_versions,
    forge_tiles,
    metadata,
    put_head,
    put_header,
    renew,
    rewrite,
    sign_badly,
    tamper,
)

Run = Callable[..., Result]
Change = Callable[[Connection], object] | str

STRANGER = SigningKey("acme/0000000000000000", bytes(32))


def origin(path: Path) -> str:
    connection = driver.connect(str(path))
    name: str = connection.execute("SELECT origin FROM ledger").fetchone()[0]
    connection.close()
    return name


def key(path: Path) -> SigningKey:
    return SigningKey.parse((path.parent / "signing.key").read_text())


def stranger(path: Path) -> SigningKey:
    """Return a key of the ledger's name that is not the ledger's."""
    return SigningKey(origin(path), bytes(32))


def found_by(report: Report) -> str:
    return " | ".join(str(finding) for finding in report.findings)


# What is as it must be


def test_a_ledger_with_heads_tiles_and_two_keys_verifies(signed: Path, run: Run) -> None:
    said = json.loads(run("verify", "--json").stdout)

    assert (said["ok"], said["events"], said["heads"]) == (True, SIZE, 7)
    assert said["newest_head"]["size"] == SIZE
    assert said["newest_head"]["root"] == said["root"]
    assert said["projections_rebuilt"]


def test_the_report_lists_what_was_checked_and_what_cannot_be(signed: Path, run: Run) -> None:
    out = run("verify").stdout

    assert "tree heads 7" in out
    assert "compared with signing.head: size 600, " in out
    assert "events cut off, added or replaced after the newest tree head that somebody" in out
    assert "give a tree head of theirs, --head" in out


@pytest.mark.parametrize(
    "change",
    ["UPDATE checkpoint SET revision = revision + 1", "UPDATE source SET leaf_hash = zeroblob(32)"],
)
def test_only_comparisons_made_are_reported(change: str, signed: Path, run: Run) -> None:
    app.console().tenant("acme").history.catch_up()
    before = run("verify").stdout
    tamper(signed.with_name("history.db"), change)

    result = run("verify")

    assert "compared with a rebuild: history up to position 600" in before
    assert result.exit_code == 0
    assert "compared with a rebuild: resources up to" in result.stdout
    assert "compared with a rebuild: history" not in result.stdout
    assert "note: the history was not compared with a rebuild" in result.stdout


def test_a_head_from_outside_that_is_the_ledgers_verifies(
    signed: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "head").write_text((signed.parent / "signing.head").read_text())

    result = run("verify", "--head", str(tmp_path / "head"), "--key", str(key(signed).verifier))

    assert result.exit_code == 0
    assert "give a tree head of theirs" not in result.stdout


def test_a_ledger_of_another_incarnation_verifies_with_heads_of_both(signed: Path) -> None:
    before = KnownHead("kept", Note.parse((signed.parent / "signing.head").read_text()))
    tenant = app.console().tenant("acme")
    renew(tenant.heads, None, metadata())
    tenant.close()

    report = verify(signed, options=Options(brought=[before]))

    assert report.findings == []
    assert report.events == SIZE + 1


# What is not: name -> first bad position, words of a finding, changes

FORGERIES: dict[str, tuple[int | None, str, list[Change]]] = {
    "an event written anew": (402, "found another: it was changed", [rewrite(402, {"x": "y"})]),
    "an event written anew, tiles and all": (
        3,
        "root of tree head 3 of size 100",
        [rewrite(50, {"x": "y"}), forge_tiles],
    ),
    "an event under a tile that gives the root that was signed": (
        3,
        "position 3 to 256: events: expected those that were signed, whose hash is in tile 1/0",
        [rewrite(50, {"x": "y"})],
    ),
    "two events swapped, with headers that fit": (
        403,
        "root of tree head 7",
        [
            "UPDATE event SET position = 9000 WHERE position = 550",
            "UPDATE event SET position = 550 WHERE position = 551",
            "UPDATE event SET position = 551 WHERE position = 9000",
            "UPDATE payload SET position = 9000 WHERE position = 550",
            "UPDATE payload SET position = 550 WHERE position = 551",
            "UPDATE payload SET position = 551 WHERE position = 9000",
            lambda c: (put_header(c, 550, position=550), put_header(c, 551, position=551)),
        ],
    ),
    "an event put in the place of the last, another version of a stream": (
        600,
        "version in its stream",
        [fix_versions([(600, 2)])],
    ),
    "the clock turned back, with a header that fits": (
        550,
        "time",
        [lambda c: put_header(c, 550, at="2026-01-01T00:00:00.000000Z")],
    ),
    "a time that is in no calendar, and only there": (
        550,
        "position 550: time: expected RFC 3339",
        [lambda c: put_header(c, 550, at="2026-99-99T00:00:00.000000Z")],
    ),
    "a step of the schema that is not known": (
        None,
        "table _sqlite_migrations",
        ["UPDATE _sqlite_migrations SET name = 'x' WHERE id = 1"],
    ),
    "an event taken out": (
        413,
        "position 413: event: expected one, found none; the next is at position 414",
        ["DELETE FROM payload WHERE position = 413", "DELETE FROM event WHERE position = 413"],
    ),
    "a tail cut off under its heads": (
        403,
        "590: the ledger is shorter; nothing proves those from 403 on",
        [
            "DELETE FROM payload WHERE position > 590",
            "DELETE FROM event WHERE position > 590",
            "DELETE FROM resource WHERE position > 590",
        ],
    ),
    "a bit flipped in a tile": (
        None,
        "tile 1/0: expected the hash of events 257 to 512",
        ["UPDATE tile SET hashes = CAST(substr(hashes, 1, 32) || zeroblob(32) AS BLOB)"],
    ),
    "a tile of events that are not there": (
        None,
        "tiles of level 1",
        ["UPDATE tile SET hashes = CAST(hashes || zeroblob(32) AS BLOB)"],
    ),
    "a level of tiles over nothing": (
        None,
        "tiles of level 2",
        ["INSERT INTO tile VALUES (2, 0, zeroblob(32))"],
    ),
    "a tile at another place": (None, "tiles of level 1", ["UPDATE tile SET number = 7"]),
    "a head dropped": (None, "number 3", ["DELETE FROM tree_head WHERE number = 3"]),
    "a head of the highest number there is": (
        None,
        "expected number 7",
        [f"UPDATE tree_head SET number = {2**63 - 1} WHERE number = 7"],
    ),
    "a head that is no note": (None, "a signed note", ["UPDATE tree_head SET note = 'x'"]),
    "a head of another size in its column": (
        None,
        "size of tree head 3",
        ["UPDATE tree_head SET size = 99 WHERE number = 3"],
    ),
    "a head smaller than the one before": (
        None,
        "400 at least",
        ["UPDATE tree_head SET size = 300 WHERE number = 5"],
    ),
    "a head signed before the one before it": (
        None,
        "time of tree head 5",
        ["UPDATE tree_head SET signed_at = '2026-01-01T00:00:00.000000Z' WHERE number = 5"],
    ),
    "a head whose signature was changed": (
        None,
        "signature of tree head 3",
        [sign_badly(3)],
    ),
    "a head of another key": (None, "signature of tree head 3", [put_head(3, STRANGER)]),
    "a head of another origin": (
        None,
        "origin of tree head 3",
        [put_head(3, STRANGER, origin="evil/0000000000000000")],
    ),
    "a head beyond the end": (403, "shorter", [put_head(7, STRANGER, size=601)]),
    "a checkpoint beyond the end": (
        None,
        "checkpoint of resources",
        ["UPDATE checkpoint SET position = 601 WHERE projector = 'resources'"],
    ),
    "a reminder of an erasure that never was": (
        5,
        "erasure to be finished",
        ["INSERT INTO purge VALUES (5)"],
    ),
    "another key in the first event": (
        1,
        "signature of tree head 1",
        [rewrite(1, {"format": 1, "software": "x"})],
    ),
    "a rotation that nobody signed": (
        401,
        "key before",
        [
            rewrite(
                401,
                {
                    "old": None,
                    "new": str(STRANGER.verifier),
                    "size": 400,
                    "signature_old": None,
                    "signature_new": "",
                },
            )
        ],
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_verify_finds(name: str, signed: Path) -> None:
    position, words, changes = FORGERIES[name]
    tamper(signed, *changes)
    before = signed.read_bytes()

    report = verify(signed)

    assert words in found_by(report)
    assert report.first_bad_position == position
    assert signed.read_bytes() == before


def take_out(position: int) -> Change:
    """Take an event out and renumber those after it, with headers and leaves that fit."""

    def change(connection: Connection) -> None:
        for table in ("payload", "event"):
            connection.execute(f"DELETE FROM {table} WHERE position = {position}")
        for row in range(position + 1, SIZE + 1):
            connection.execute(f"UPDATE payload SET position = {row - 1} WHERE position = {row}")
            put_header(connection, row, position=row - 1)

    return change


def test_a_key_that_no_longer_fits_does_not_hide_where_the_heads_part(signed: Path) -> None:
    tamper(signed, take_out(200))

    report = verify(signed)

    assert any(each.position == 400 for each in report.findings)  # the rotation says size 400
    assert report.first_bad_position == 101  # the head of 100 events is still good


def test_one_position_is_not_called_a_stretch(signed: Path, run: Run) -> None:
    tamper(signed, rewrite(402, {"userName": "another"}), forge_tiles)

    result = run("verify", "--events-only")

    assert "position 402: " in result.stdout
    assert "402 to 402" not in result.stdout


def test_the_command_reports_a_rewrite(signed: Path, run: Run) -> None:
    tamper(signed, rewrite(50, {"x": "y"}), forge_tiles)

    result = run("verify", "--events-only")

    assert result.exit_code == 3
    assert "what differs is from position 3 to 100" in result.stdout


def test_a_new_head_over_a_rewrite_needs_the_key_in_force_then(
    signed: Path,
) -> None:
    tamper(signed, rewrite(50, {"x": "y"}), forge_tiles, put_head(3, key(signed)))

    assert "signature of tree head 3" in found_by(verify(signed))


def rewrite_with_the_key(path: Path) -> None:
    """Rewrite an event and sign all heads over it, as the key's owner can."""
    heads = [put_head(number, key(path)) for number in (6, 7)]
    tamper(path, rewrite(402, {"userName": "u402", "active": True}), forge_tiles, *heads)


def test_a_rewrite_with_the_key_is_found_by_anothers_head(
    signed: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copy(signed.parent / "signing.head", tmp_path / "head")
    rewrite_with_the_key(signed)
    (signed.parent / "signing.head").unlink()

    result = run("verify", "--events-only", "--head", str(tmp_path / "head"))

    assert verify(signed).good
    assert result.exit_code == 3
    assert "two histories under one name (a fork)" in result.stdout


# A tail that is cut off with all that tells of it in the file


def test_a_cut_off_tail_is_found_by_signing_head(signed: Path, run: Run) -> None:
    tamper(signed, cut(500))

    result = run("verify", "--events-only", "--json")

    said = json.loads(result.stdout)
    assert (result.exit_code, said["first_bad_position"]) == (3, 403)
    assert "signing.head" in said["findings"][0]["expected"]


def test_a_tail_that_was_cut_off_is_found_by_a_head_from_outside(
    signed: Path, run: Run, tmp_path: Path
) -> None:
    os.rename(signed.parent / "signing.head", tmp_path / "head")
    tamper(signed, cut(500))

    result = run("verify", "--events-only", "--head", str(tmp_path / "head"))

    assert result.exit_code == 3
    assert "position 403 to 600: events: expected 600" in result.stdout


def test_a_tail_that_was_cut_off_and_nobody_holds_a_head_of_is_honestly_not_shown(
    signed: Path, run: Run
) -> None:
    (signed.parent / "signing.head").unlink()
    tamper(signed, cut(500))

    result = run("verify", "--events-only")

    assert result.exit_code == 0
    assert "- events cut off, added or replaced after the newest tree head" in result.stdout


def test_an_unreadable_signing_head_is_a_finding(signed: Path, run: Run) -> None:
    (signed.parent / "signing.head").write_text("x")

    result = run("verify", "--events-only", "--json")

    [finding] = json.loads(result.stdout)["findings"]
    assert (result.exit_code, finding["what"]) == (3, "signing.head")


# Heads and keys from outside


def brought(signer: SigningKey, **changes: Any) -> Options:
    text = TreeHead(**{"origin": signer.name, "size": 1, "root": bytes(32), **changes}).text
    return Options(brought=[KnownHead("x", signer.note(text))])


def test_a_head_of_another_ledger_is_named(signed: Path) -> None:
    assert "origin of the tree head in x" in found_by(verify(signed, options=brought(STRANGER)))


def test_a_head_of_another_key_is_named(signed: Path) -> None:
    root = verify(signed).root

    report = verify(signed, options=brought(stranger(signed), size=SIZE, root=root))

    assert [finding.what for finding in report.findings] == ["signature of the tree head in x"]


def test_a_head_of_another_key_is_believed_where_that_key_is_given(signed: Path) -> None:
    root, signer = verify(signed).root, SigningKey("auditor", bytes(32))
    options = brought(signer, origin=origin(signed), size=SIZE, root=root)

    assert not verify(signed, options=options).good
    assert verify(signed, options=Options(options.brought, keys=[signer.verifier])).good


def test_a_key_that_the_ledger_never_had_is_named(signed: Path, run: Run) -> None:
    result = run("verify", "--events-only", "--key", str(stranger(signed).verifier))

    assert result.exit_code == 3
    assert "verifier key: expected" in result.stdout


def test_a_witness_is_believed_by_its_cosignature(signed: Path) -> None:
    signer = SigningKey("witness", bytes(32))
    witness = VerifierKey("witness", signer.verifier.public, COSIGNATURE)
    root = verify(signed).root
    text = TreeHead(origin(signed), SIZE, root).text
    message = f"cosignature/v1\ntime 1700000000\n{text}".encode()
    raw = witness.id + (1700000000).to_bytes(8) + signer.sign(message)
    note = Note(text, (Signature("witness", raw),))

    assert verify(signed, options=Options([KnownHead("x", note)], keys=[witness])).good
    assert not verify(signed, options=Options([KnownHead("x", note)])).good


def test_a_head_of_a_former_origin_shows_the_lost_events(
    signed: Path, run: Run, tmp_path: Path
) -> None:
    kept = Keys(signed.parent)
    lost = KnownHead("x", Note.parse((signed.parent / "signing.head").read_text()))
    tamper(signed, cut(500))
    tenant = wiring.wire(signed)
    renew(tenant.heads, lost.note, metadata())
    tenant.close()

    report = verify(signed, options=Options(brought=[lost]))

    assert kept.remembered() is not None
    assert report.first_bad_position == 501
    assert [each.kind for each in report.findings] == [Kind.LOST]
    assert "501 to 600 were lost, as the event at position 501 says" in found_by(report)
    (tmp_path / "head").write_text(str(lost.note))
    result = run("verify", "--events-only", "--head", str(tmp_path / "head"))
    assert result.exit_code == 3
    assert "nothing else was found" in result.stdout
    for word in ("changed or damaged", "scim-ledger restore", "scim-ledger recover"):
        assert word not in result.stdout


def test_a_head_over_more_events_than_are_said_to_be_lost_accuses(
    signed: Path, run: Run, tmp_path: Path
) -> None:
    said = Note.parse((signed.parent / "signing.head").read_text())
    signer = SigningKey.parse((signed.parent / "signing.key").read_text())
    more = signer.note(TreeHead(origin(signed), SIZE + 1, bytes(32)).text)
    tamper(signed, cut(500))
    tenant = wiring.wire(signed)
    renew(tenant.heads, said, metadata())
    tenant.close()
    (tmp_path / "head").write_text(str(more))

    result = run("verify", "--events-only", "--head", str(tmp_path / "head"))

    assert result.exit_code == 3
    assert "changed or damaged" in result.stdout


@pytest.mark.parametrize("words", [["--head", "{}/none"], ["--key", "x"]], ids=" ".join)
def test_an_invalid_head_or_key_is_a_usage_error(
    words: list[str], signed: Path, run: Run, tmp_path: Path
) -> None:
    assert run("verify", *[word.format(tmp_path) for word in words]).exit_code == 2


def test_an_erasure_that_is_not_finished_is_a_note_and_no_fault(signed: Path) -> None:
    tenant = app.console().tenant("acme")
    happened = [Event(events.CREATED, {"userName": "x"}), Event(events.ERASED)]
    _, erased = tenant.ledger.append([Append("User-erased", NO_STREAM, happened)], metadata())
    tenant.close()

    report = verify(signed)

    assert report.good
    assert report.notes == [
        f"the erasure at position {erased.position} is not finished:"
        " traces may be left in the files"
    ]


def test_after_an_impossible_time_times_are_compared_again(signed: Path) -> None:
    tamper(signed, lambda c: put_header(c, 550, at="2026-99-99T00:00:00.000000Z"))

    times = [finding for finding in verify(signed).findings if finding.what == "time"]

    assert [finding.position for finding in times] == [550]


def test_a_folder_is_no_damage(run: Run, tmp_path: Path) -> None:
    result = run("verify", "--file", str(tmp_path))

    assert result.exit_code == 1
    assert "is a folder, not the file of a ledger" in result.stderr
