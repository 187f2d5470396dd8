"""Signed tree heads, the key that signs them, and its rotation."""

import base64
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

import app
from ledger import clock, events
from ledger.contract import LedgerUnavailable
from ledger.events import Event, Metadata
from ledger.ledger_stream import stream_of
from ledger.signing.key_rule import ROTATION, statement
from ledger.signing.keys import HEAD_FILE, NEXT_FILE, Keys, KeyUnusable, seed_of
from ledger.signing.note import Note, SigningKey, TreeHead, VerifierKey
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.connection import driver
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.verifier import verify

NOTED = Event(events.CREATED, {"n": 1})


@pytest.fixture
def heads(ledger: SQLiteLedger) -> TreeHeads:
    return TreeHeads(ledger, Keys(ledger.path.parent))


def verifier(heads: TreeHeads) -> VerifierKey:
    return heads.identity().keys[-1].key


def test_a_head_is_over_all_events_and_signed_by_the_ledgers_key(heads, record) -> None:
    record("Note-1", NOTED, NOTED)

    signed = heads.sign()

    note = Note.parse(signed.note)
    assert TreeHead.of(note) == TreeHead(heads.ledger.origin, 3, heads.tree.root_at(3))
    assert note.signed_by(verifier(heads))
    assert (signed.number, signed.size) == (2, 3)


def test_a_ledger_is_born_with_a_head_over_its_first_event(heads) -> None:
    [first] = heads.every()

    assert (first.number, first.size) == (1, 1)
    assert Note.parse(first.note).signed_by(verifier(heads))
    assert str(heads.keys.remembered()) == first.note


def test_where_nothing_changed_no_other_head_is_signed(heads) -> None:
    assert heads.sign() == heads.sign()
    assert len(list(heads.every())) == 1


def test_the_newest_head_is_stored_next_to_the_key(heads, record) -> None:
    heads.sign()
    record("Note-1", NOTED)
    newest = heads.sign()

    assert str(heads.keys.remembered()) == newest.note
    assert stat.S_IMODE((heads.keys.folder / "signing.head").stat().st_mode) == 0o600


def test_a_head_is_due_a_minute_after_the_last_one_if_something_changed(heads, record) -> None:
    with freeze_time("2099-11-25T10:00:00Z") as time:
        heads.sign(again=True)
        time.tick(timedelta(minutes=10))
        assert heads.sign_if_due() is None  # nothing changed

        record("Note-1", NOTED)
        assert heads.sign_if_due().size == 2
        record("Note-1", NOTED)
        time.tick(timedelta(seconds=59))
        assert heads.sign_if_due() is None
        time.tick(timedelta(seconds=1))
        assert heads.sign_if_due().size == 3


def test_where_the_clock_went_back_a_head_is_due_a_minute_after_the_last_one_too(
    heads, record
) -> None:
    with freeze_time("2099-11-25T10:00:00Z"):
        heads.sign(again=True)
    for size in (2, 3):
        record("Note-1", NOTED)
        with freeze_time("2099-11-22T10:00:00Z") as time:
            assert heads.sign_if_due() is None
            time.tick(timedelta(seconds=59))
            assert heads.sign_if_due() is None
            time.tick(timedelta(seconds=1))
            assert heads.sign_if_due().size == size


def test_a_head_is_due_at_the_end_of_a_day_even_if_nothing_changed(heads) -> None:
    with freeze_time("2099-11-25T23:59:59Z") as time:
        first = heads.sign(again=True)
        time.tick(timedelta(seconds=1))

        second = heads.sign_if_due()

    expected = (first.number + 1, first.size, first.note)
    assert (second.number, second.size, second.note) == expected


def test_the_time_of_a_head_does_not_go_back(heads, record) -> None:
    with freeze_time("2026-11-25T10:00:00Z"):
        first = heads.sign()
    record("Note-1", NOTED)
    with freeze_time("2026-11-24T10:00:00Z"):
        assert heads.sign().signed_at == first.signed_at


@pytest.mark.parametrize(
    "statement_",
    [
        "UPDATE tree_head SET size = 1",
        "DELETE FROM tree_head",
        "INSERT OR REPLACE INTO tree_head VALUES (1, 2, '', '')",
        "INSERT INTO tree_head VALUES (4, 2, '', '')",
        "INSERT INTO tree_head VALUES (3, 1, '', '')",
        "INSERT INTO tree_head VALUES (3, 3, '', '')",
    ],
)
def test_heads_are_only_appended(statement_, heads, record, foreign) -> None:
    record("Note-1", NOTED)
    heads.sign()

    with pytest.raises(driver.IntegrityError, match=r"ledger: a tree head|ledger: tree heads"):
        foreign(heads.ledger.path).execute(statement_)


def test_no_head_is_signed_over_events_that_were_changed(heads, record, foreign) -> None:
    record("Note-1", NOTED)
    heads.sign()
    connection = foreign(heads.ledger.path)
    connection.execute("DROP TRIGGER event_is_not_updated")
    connection.execute("UPDATE event SET header = x'00' WHERE position = 2")
    record("Note-2", NOTED)
    heads = TreeHeads(heads.ledger, heads.keys)  # as in another process

    with pytest.raises(LedgerUnavailable, match="are not those that a tree head was signed over"):
        heads.sign()


def test_a_first_head_that_is_cut_off_is_put_back(heads, foreign, monkeypatch) -> None:
    connection = foreign(heads.ledger.path)
    connection.execute("DROP TRIGGER tree_head_is_not_deleted")
    connection.execute("DELETE FROM tree_head")
    (heads.keys.folder / HEAD_FILE).unlink()
    monkeypatch.setattr(heads.ledger, "add_head", lambda *_, **__: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        heads.sign()

    monkeypatch.undo()
    assert str(heads.keys.remembered()) == heads.sign().note


# The key


def test_the_key_is_made_with_the_ledger_and_only_its_owner_can_read_it(ledger_path: Path) -> None:
    file = ledger_path.with_name("signing.key")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SigningKey.parse(file.read_text()).verifier == verifier(
        TreeHeads(SQLiteLedger(ledger_path), Keys(ledger_path.parent))
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_have_any_right_to_is_warned_about(mode: int, heads) -> None:
    assert heads.keys.rights() is None

    heads.keys.file.chmod(mode)

    assert heads.keys.rights() == f"others can read {heads.keys.file}: chmod 600 {heads.keys.file}"


def test_a_key_that_only_its_owner_can_read_is_not_warned_about(heads) -> None:
    for mode in (0o600, 0o400):
        heads.keys.file.chmod(mode)
        assert heads.keys.rights() is None
    heads.keys.file.chmod(0o644)
    assert Keys(heads.keys.folder, "given").rights() is None  # then the file is not used
    heads.keys.file.unlink()
    assert heads.keys.rights() is None


def test_the_private_key_is_in_no_file_of_the_ledger(heads) -> None:
    seed = heads.key().seed
    encoded = base64.b64encode(b"\x01" + seed)

    for file in heads.ledger.path.parent.glob("ledger.db*"):
        assert seed not in file.read_bytes()
        assert encoded not in file.read_bytes()


def test_without_its_key_a_ledger_signs_nothing_and_says_so(heads) -> None:
    heads.keys.file.unlink()

    with pytest.raises(KeyUnusable, match="there is no signing key at"):
        heads.sign()


def test_another_ledgers_key_does_not_sign(heads) -> None:
    heads.keys.file.write_text(SigningKey(heads.ledger.origin, bytes(32)).private_text())

    with pytest.raises(KeyUnusable, match="is not the key of this ledger"):
        heads.sign()


def test_a_key_from_the_environment_is_never_written_down(data_dir, monkeypatch) -> None:
    seed = base64.b64encode(os.urandom(32)).decode()
    monkeypatch.setenv("SCIM_SIGNING_KEY", seed)

    tenant = app.console().create("acme")
    tenant.heads.sign()

    assert not (data_dir / "acme" / "signing.key").exists()
    assert all(
        seed.encode() not in file.read_bytes() for file in data_dir.rglob("*") if file.is_file()
    )


def test_keys_can_lie_in_a_folder_of_their_own(data_dir, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SCIM_KEY_DIR", str(tmp_path / "keys"))

    app.console().create("acme")

    assert sorted(os.listdir(tmp_path / "keys" / "acme")) == ["signing.head", "signing.key"]
    assert not (data_dir / "acme" / "signing.key").exists()


# Rotation


def test_a_rotation_is_signed_by_both_keys(heads, metadata) -> None:
    old = verifier(heads)

    new = heads.rotate(metadata)

    [event] = [e for e in heads.ledger.read_all() if e.type == events.KEY_ROTATED]
    effects = event.effects
    message = statement(ROTATION, heads.ledger.origin, effects["size"], old, new)
    assert (effects["old"], effects["new"]) == (str(old), str(new))
    assert old.verify(message, base64.b64decode(effects["signature_old"]))
    assert new.verify(message, base64.b64decode(effects["signature_new"]))
    assert event.stream == stream_of(heads.ledger.tenant)


def test_heads_are_signed_by_the_key_of_their_time(heads, metadata, record) -> None:
    old = verifier(heads)
    new = heads.rotate(metadata)
    record("Note-1", NOTED)
    heads.sign()

    by_size = {signed.size: Note.parse(signed.note) for signed in heads.every()}
    assert {size: note.signed_by(old) for size, note in by_size.items()} == {
        1: True,
        2: False,
        3: False,
    }
    assert by_size[2].signed_by(new)
    assert by_size[3].signed_by(new)


def test_the_old_private_key_is_gone_after_a_rotation(heads, metadata) -> None:
    before = heads.keys.file.read_text()

    heads.rotate(metadata)

    assert before not in [file.read_text("latin-1") for file in heads.keys.folder.iterdir()]


def test_a_rotation_cut_off_before_its_event_changes_nothing(heads) -> None:
    before = heads.key()

    heads.keys.make(heads.ledger.origin)

    assert heads.key() == before


def test_a_rotation_cut_off_after_its_event_is_finished(heads, metadata, monkeypatch) -> None:
    monkeypatch.setattr(Keys, "settle", lambda self: None)  # what a crash leaves out
    heads.rotate(metadata)
    monkeypatch.undo()
    assert (heads.keys.folder / NEXT_FILE).exists()

    assert heads.key().verifier == verifier(heads)
    assert not (heads.keys.folder / NEXT_FILE).exists()
    assert heads.sign().size == 2


def _rotate(path: Path) -> VerifierKey:
    ledger = SQLiteLedger(path)
    try:
        return TreeHeads(ledger, Keys(path.parent)).rotate(
            Metadata("operator", "test", clock.uuid7())
        )
    finally:
        ledger.close()


def test_rotations_at_the_same_time_hand_over_one_after_the_other(heads) -> None:
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(_rotate, [heads.ledger.path] * 4))

    identity = heads.identity()
    assert identity.findings == []
    assert {key for _, key in identity.keys[1:]} == {*keys}
    assert heads.sign(again=True)


def test_a_ledger_whose_first_event_breaks_the_rule_gets_no_key(heads, metadata, foreign) -> None:
    connection = foreign(heads.ledger.path)
    connection.execute("DROP TRIGGER payload_is_only_erased")
    connection.execute("""UPDATE payload SET body = CAST('{"verifier_key":"x"}' AS BLOB)""")

    with pytest.raises(KeyUnusable, match="position 1"):
        heads.introduce(metadata)
    assert heads.ledger.last_position() == 1


@pytest.mark.parametrize("form", ["its 32 bytes", "its text"])
def test_a_key_can_be_given_for_a_rotation(form: str, heads, metadata) -> None:
    key = SigningKey(heads.ledger.origin, bytes(range(32)))
    forms = {"its 32 bytes": base64.b64encode(key.seed).decode(), "its text": key.private_text()}

    new = heads.rotate(metadata, forms[form])

    assert new == key.verifier


def test_a_key_is_given_without_its_public_part(heads, metadata) -> None:
    key = SigningKey(heads.ledger.origin, bytes(range(32)))
    both = base64.b64encode(key.seed + key.verifier.public).decode()  # as many programs keep it

    with pytest.raises(KeyUnusable, match="neither a signing key nor 32 bytes in base64"):
        seed_of(both)
    with pytest.raises(KeyUnusable):
        heads.rotate(metadata, both)
    assert heads.key().verifier == verifier(heads)
    assert len(heads.identity().keys) == 1


def test_the_text_of_a_key_signs_where_the_environment_gives_it(heads, record) -> None:
    given = TreeHeads(heads.ledger, Keys(heads.keys.folder, heads.key().private_text()))
    other = Keys(heads.keys.folder, SigningKey(heads.ledger.origin, bytes(32)).private_text())
    heads.keys.file.unlink()
    record("Note-1", NOTED)

    assert given.sign().size == 2
    assert given.keys.at_hand(heads.ledger.origin) == verifier(heads)
    with pytest.raises(KeyUnusable, match="SCIM_SIGNING_KEY is not the key of"):
        other.find(verifier(heads))


def test_a_ledger_opened_before_there_were_heads_gets_a_key(
    heads, metadata, foreign: Callable
) -> None:
    connection = foreign(heads.ledger.path)
    for trigger in ("event_is_not_updated", "payload_is_only_erased", "tree_head_is_not_deleted"):
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("UPDATE payload SET body = CAST('{\"format\":1}' AS BLOB)")
    connection.execute("DELETE FROM tree_head")
    heads.keys.file.unlink()
    (heads.keys.folder / HEAD_FILE).unlink()

    new = heads.introduce(metadata)

    assert heads.sign().size == 2
    assert verifier(heads) == new
    assert heads.introduce(metadata) is None


def test_a_ledger_with_heads_and_rotations_verifies(heads, metadata, record) -> None:
    heads.sign()
    heads.rotate(metadata)
    record("Note-1", NOTED)
    heads.sign()

    assert verify(heads.ledger.path).findings == []


def test_the_clock_of_heads_is_the_one_clock(heads) -> None:
    with freeze_time("2099-11-25T10:00:00Z"):
        assert heads.sign(again=True).signed_at == clock.timestamp()


@pytest.mark.parametrize("first", ["rotation", "size"])
def test_a_rotation_in_the_midst_of_signing_does_not_mix_the_keys(
    first, heads, metadata, record, monkeypatch
) -> None:
    record("Note-1", NOTED)
    last_position = heads.ledger.last_position

    def rotated_meanwhile() -> int:
        monkeypatch.setattr(heads.ledger, "last_position", last_position)
        size = last_position()
        heads.rotate(metadata)
        return last_position() if first == "rotation" else size

    monkeypatch.setattr(heads.ledger, "last_position", rotated_meanwhile)
    heads.sign()

    assert verify(heads.ledger.path).findings == []


def test_a_head_that_a_backup_of_all_its_events_lacks_is_put_back(heads, record, foreign) -> None:
    record("Note-1", NOTED)
    lacked = heads.sign()
    connection = foreign(heads.ledger.path)
    connection.execute("DROP TRIGGER tree_head_is_not_deleted")
    connection.execute("DELETE FROM tree_head WHERE size = 2")
    record("Note-1", NOTED)

    heads.sign()

    assert [each.size for each in heads.every()] == [1, 2, 3]
    assert lacked.note in [each.note for each in heads.every()]


def test_two_that_sign_over_the_same_at_once_sign_one_head(heads, record, monkeypatch) -> None:
    record("Note-1", NOTED)
    root_at = heads.tree.root_at

    def overtaken(size: int) -> bytes:  # another process is quicker between looking and signing
        monkeypatch.setattr(heads.tree, "root_at", root_at)
        TreeHeads(heads.ledger, heads.keys).sign()
        return root_at(size)

    monkeypatch.setattr(heads.tree, "root_at", overtaken)
    heads.sign()

    assert [each.size for each in heads.every()] == [1, 2]
