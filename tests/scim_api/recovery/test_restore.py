"""restore puts a backup in place of a ledger, says what is lost, and ends verified."""

import base64
import gc
import json
import os
import shutil
import subprocess
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import app
from ledger import events
from ledger.background import exclusive_lock
from ledger.events import Event
from ledger.signing.anchors import FolderAnchor
from ledger.signing.keys import Keys
from ledger.signing.note import SigningKey, TreeHead
from ledger.sqlite.backup import backup as copy
from projections.current.credentials import Use
from scim_api import settings, wiring
from scim_api.auth import credentials, tokens
from scim_api.auth.oauth import clients, connect_codes
from scim_api.tenants.tenants import Tenant
from tests.scim_api.process import PROGRAM, environment

ALICE, BOB = (
    "User-01a20b63-a5ba-75ab-a2b5-0dfef08b84f1",
    "User-01a20b63-a5ba-75ab-a2b5-0dfef08b84f2",
)


@pytest.fixture
def grown(tenant, recorder) -> Tenant:
    """Return a ledger with some people, signed."""
    recorder(tenant.ledger)(ALICE, Event(events.CREATED, {"userName": "alice", "active": True}))
    tenant.heads.sign()
    return tenant


@pytest.fixture
def backup(grown, run, tmp_path: Path) -> Path:
    file = tmp_path / "backup.db"
    assert run("backup", str(file)).exit_code == 0
    return file


def all_is_well(run, path: Path) -> None:
    """Check that verify, doctor, status and the service agree that a ledger is good."""
    verified = run("verify")
    assert verified.exit_code == 0, verified.output
    wiring.open_tenant(path, settings.load(os.environ), ask=True).close()


def restored(run, file: Path, *more: str) -> dict:
    gc.collect()  # commands that ran in this process leave connections open
    result = run("restore", str(file), "--yes", "--json", *more)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_backup_takes_the_place_of_a_ledger_and_says_what_is_lost(
    grown, backup, recorder, run
) -> None:
    record = recorder(grown.ledger)
    record(BOB, Event(events.CREATED, {"userName": "bob"}))
    record(ALICE, Event(events.UPDATED, {"title": "Dr"}))
    grown.heads.sign()
    gone = credentials.issue(grown, app.console().metadata(), "new")
    path = grown.ledger.path
    grown.close()

    said = restored(run, backup)

    assert said["lost_at_least"] == said["lost_at_most"] == 3
    assert said["lost_from"]["position"] == 3
    assert [(each["name"], each["events"]) for each in said["concerned"]] == [
        ("bob", {"Created": 1}),
        ("alice", {"Updated": 1}),
    ]
    assert said["tokens_gone"] == {gone.id: "new"}
    assert said["verified"] == said["events"] == 3
    assert (Path(said["replaced_files"]) / "ledger.db").exists()
    all_is_well(run, path)


def test_where_nothing_followed_the_ledger_keeps_its_name(grown, backup, run) -> None:
    origin, path = grown.ledger.origin, grown.ledger.path
    grown.heads.sign(again=True)
    grown.close()

    said = restored(run, backup)

    assert said["origin"] == origin
    assert said["nothing_followed"]
    all_is_well(run, path)


def test_a_lost_machine_is_restored_from_a_backup_and_its_key(grown, backup, recorder, run) -> None:
    for n in range(20):
        recorder(grown.ledger)(f"Note-{n}", Event(events.CREATED, {"n": n}))
    grown.heads.sign()
    path = grown.ledger.path
    grown.close()
    for file in path.parent.iterdir():
        if file.name not in ("signing.key", "signing.head"):
            file.unlink()

    said = restored(run, backup)

    assert (said["lost_at_least"], said["lost_at_most"]) == (20, None)
    all_is_well(run, path)


@pytest.mark.parametrize("left", [(), ("signing.key",), ("signing.head",)])
def test_a_machine_that_lost_more_is_restored_too(grown, backup, run, left) -> None:
    path = grown.ledger.path
    grown.close()
    for file in path.parent.iterdir():
        if file.name not in left:
            file.unlink()

    said = restored(run, backup)

    assert not said["nothing_followed"]
    all_is_well(run, path)


def test_a_backup_from_before_a_rotation_leaves_a_chain_to_follow(grown, backup, run) -> None:
    path = grown.ledger.path
    assert run("key", "rotate").exit_code == 0
    former = grown.heads.keys.at_hand(grown.ledger.origin)
    grown.close()

    restored(run, backup)

    all_is_well(run, path)
    assert run("verify", "--key", str(former)).exit_code == 0


def test_a_backup_from_before_an_earlier_recovery_leaves_a_chain_to_follow(
    grown, backup, recorder, run
) -> None:
    path = grown.ledger.path
    recorder(grown.ledger)("Note-1", Event(events.CREATED, {"n": 1}))
    grown.heads.sign()
    grown.close()
    assert run("recover", "--new-incarnation", "--events-lost").exit_code == 0
    between = wiring.wire(path)
    former = between.heads.key().verifier
    between.close()

    restored(run, backup)

    all_is_well(run, path)
    assert run("verify", "--key", str(former)).exit_code == 0


def test_without_a_terminal_it_has_to_be_told_yes(grown, backup, run) -> None:
    grown.close()

    result = run("restore", str(backup))

    assert result.exit_code == 2
    assert "--yes" in result.stderr


def test_a_ledger_that_is_served_is_not_replaced(grown, backup, run) -> None:
    grown.close()
    with exclusive_lock(grown.ledger.path):
        result = run("restore", str(backup), "--yes")

    assert result.exit_code == 75


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_any_moment_it_left_the_old_ledger_or_the_new_one(
    grown, backup, recorder, data_dir, tmp_path
) -> None:
    for n in range(50):
        recorder(grown.ledger)(f"Note-{n}", Event(events.CREATED, {"n": n}))
    grown.heads.sign()
    old, place = grown.ledger.origin, grown.ledger.path.parent
    grown.close()
    shutil.copytree(place, tmp_path / "before")
    words = [*PROGRAM, "restore", str(backup), "--yes", "--ledger", "acme"]
    began = time.monotonic()
    subprocess.run(words, env=environment(data_dir), check=True, capture_output=True)
    took = time.monotonic() - began
    ended = set()
    for part in range(6):
        shutil.rmtree(place)
        shutil.copytree(tmp_path / "before", place)
        process = subprocess.Popen(words, env=environment(data_dir), stderr=subprocess.DEVNULL)
        time.sleep(took * (0.4 + 0.6 * part / 6))
        process.kill()
        process.wait()
        verified = verify(data_dir)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        ended.add(json.loads(verified.stdout)["ledger"] == old)
        again = subprocess.run(words, env=environment(data_dir), capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert not (place / "restoring").exists()
        verified = verify(data_dir)
        assert verified.returncode == 0, verified.stdout
        assert json.loads(verified.stdout)["ledger"] != old
    assert True in ended


def verify(data_dir: Path) -> subprocess.CompletedProcess[str]:
    words = [*PROGRAM, "verify", "--ledger", "acme", "--json"]
    return subprocess.run(words, env=environment(data_dir), capture_output=True, text=True)


@pytest.mark.parametrize("by", ["migrate", "restore"])
def test_what_was_cut_off_after_the_rename_is_finished(by, grown, backup, recorder, run) -> None:
    recorder(grown.ledger)("Note-1", Event(events.CREATED, {"n": 1}))
    grown.heads.sign()
    path = grown.ledger.path
    head, key = path.with_name("signing.head"), path.with_name("signing.key")
    before = head.read_bytes(), key.read_bytes()
    grown.close()
    restored(run, backup)
    draft = path.with_name("restoring")
    draft.mkdir()
    os.rename(head, draft / "signing.head")
    os.rename(key, path.with_name("signing.key.next"))
    head.write_bytes(before[0])
    key.write_bytes(before[1])

    assert run("verify").exit_code == 0
    looked = run("restore", str(backup), "--dry-run")
    if by == "migrate":
        app.console().migrate("acme")
    else:
        assert "is finished" in run("restore", str(backup), "--yes").stderr

    assert looked.exit_code == 1
    assert "was cut off" in looked.stderr
    assert not draft.exists()
    all_is_well(run, path)


def left(path: Path) -> list[str]:
    """Return the names of what a restore keeps while it is under way."""
    names = (each.name for each in path.parent.iterdir())
    return sorted(name for name in names if "restoring" in name or ".next" in name)


def test_what_a_restore_left_that_was_cut_off_before_the_rename_is_named_and_removed(
    grown, data_dir, run
) -> None:
    path = grown.ledger.path
    grown.close()
    draft = path.with_name("restoring")
    shutil.copytree(path.parent, draft)
    Keys(path.parent).make("acme/0123456789abcdef")
    path.with_name(".signing.key.next.torn").write_text("PRIVATE+KEY")
    command = partial(subprocess.run, env=environment(data_dir), capture_output=True, text=True)

    looked = command([*PROGRAM, "doctor"])
    with exclusive_lock(path):
        command([*PROGRAM, "migrate"])
        under_way = left(path)
    migrated = command([*PROGRAM, "migrate"])

    assert "BAD  ledger acme restore: " in looked.stdout
    assert str(draft) in looked.stdout
    assert under_way == [".signing.key.next.torn", "restoring", "signing.key.next"]
    assert (migrated.returncode, left(path)) == (0, [])
    assert "ledger acme restore" not in command([*PROGRAM, "doctor"]).stdout
    all_is_well(run, path)


@pytest.mark.parametrize("rotated", [False, True])
def test_a_key_that_waits_for_its_ledger_is_kept(rotated, grown, run) -> None:
    path = grown.ledger.path
    if rotated:  # cut off before the new key was in use
        former = path.with_name("signing.key").read_bytes()
        assert run("key", "rotate").exit_code == 0
        os.rename(path.with_name("signing.key"), path.with_name("signing.key.next"))
        path.with_name("signing.key").write_bytes(former)
    else:
        Keys(path.parent).make(grown.ledger.origin)
    grown.close()
    path.with_name("restoring").mkdir()

    app.console().migrate("acme")

    assert left(path) == ([] if rotated else ["signing.key.next"])
    assert run("tree-head", "create").exit_code == 0
    all_is_well(run, path)


def test_revocations_holds_and_erasures_are_repeated(grown, backup, run) -> None:
    path, alice = grown.ledger.path, ALICE.partition("-")[2]
    token = credentials.issue(grown, app.console().metadata(), "okta")
    grown.close()
    file = backup.with_name("second.db")
    run("backup", str(file))
    run("token", "revoke", "okta")
    run("hold", "place", alice, "--reason", "case", "--ticket", "T-1")
    run("hold", "release", alice, "--reason", "case", "--ticket", "T-1")
    assert run("erase", alice, "--reason", "gdpr-17", "--ticket", "PRIV-1").exit_code == 0

    said = restored(run, file)

    assert said["tokens_revoked"] == [f"okta ({token.id})"]
    assert f"erased {alice} again (PRIV-1)" in said["repeated"]
    assert said["unfinished"] is None
    assert b"alice" not in path.read_bytes()
    all_is_well(run, path)


def test_what_happened_to_the_credentials_of_the_backup_is_repeated(grown, recorder, run) -> None:
    path, record = grown.ledger.path, recorder(grown.ledger)
    client = {"name": "okta", "grants": ["refresh_token"], "scopes": [], "redirect_uris": []}
    consent = {"client": "c", "name": "okta", "scopes": [], "sha256": "code", "expires_at": "2100"}
    tokens = {"scopes": [], "access_sha256": "a", "access_expires_at": "2100", "redeems": "code"}
    refresh = {"refresh_sha256": "r", "refresh_expires_at": "2100"}
    record("Client-c", Event(events.CLIENT_REGISTERED, client | {"sha256": "secret"}))
    record("Grant-g", Event(events.CONSENT_GIVEN, consent))
    record("Grant-h", Event(events.CONSENT_GIVEN, consent | {"sha256": "code of h"}))
    token = credentials.issue(grown, app.console().metadata(), "okta")
    file = path.with_name("second.db")
    grown.close()
    run("backup", str(file))
    with closing(wiring.open_tenant(path)) as tenant:
        record = recorder(tenant.ledger)
        record("Grant-g", Event(events.TOKENS_ISSUED, tokens | refresh))
        record("Grant-h", Event(events.REUSE_DETECTED, {"of": "code"}))
        record("Grant-new", Event(events.CONSENT_GIVEN, consent | {"sha256": "code of new"}))
        credentials.change(tenant, app.console().metadata(), token.id, allows="reads")

    gc.collect()
    looked = run("restore", str(file), "--dry-run").output
    said = restored(run, file)

    with closing(wiring.open_tenant(path)) as tenant, tenant.ledger.reading() as connection:
        found = tenant.credentials
        assert found.secret(connection, "r", Use.REFRESH)
        code = found.secret(connection, "code", Use.CODE)
        assert code
        assert code.spent_at
        paused = found.get(connection, token.id)
        assert paused
        assert paused.allows == "reads"
    assert said["tokens_revoked"] == ["okta (h)"]
    assert said["consents_gone"] == {"new": "okta"}
    assert said["credential_events_repeated"] == {
        "TokensIssued": 1,
        "ReuseDetected": 1,
        "CredentialChanged": 1,
    }
    assert said["repeated"] == ["3 events of credentials"]
    assert "repeated: 3 of these, of credentials (TokensIssued: 1," in looked
    assert "  ConsentGiven: 1\n" in looked and "  TokensIssued" not in looked
    all_is_well(run, path)


def test_a_newer_backup_can_be_restored_after_an_older_one(grown, recorder, run) -> None:
    path = grown.ledger.path
    token = credentials.issue(grown, app.console().metadata(), "okta")
    grown.close()
    older, newer = path.with_name("older.db"), path.with_name("newer.db")
    run("backup", str(older))
    again = run("token", "rotate", "okta").stdout.split()[0]
    run("token", "pause", "okta", "--reads")
    run("backup", str(newer))
    restored(run, older)

    restored(run, newer)

    with closing(wiring.open_tenant(path)) as tenant:
        found = tenant.find_credential(tokens.digest(again))
        assert found
        assert (found[0].id, found[0].allows) == (token.id, "reads")
    all_is_well(run, path)


def test_where_the_ledger_cannot_be_read_tokens_that_live_again_are_listed_or_revoked(
    grown, run, tmp_path
) -> None:
    metadata = app.console().metadata()
    token = credentials.issue(grown, metadata, "okta")
    client = clients.register(
        grown, metadata, "okta", grants=clients.BY_CONSENT, scopes=(), redirect_uris=()
    ).client
    connect_codes.issue(grown, client, metadata, expires_at="2100-01-01T00:00:00.000000Z")
    path = grown.ledger.path
    grown.heads.sign()
    grown.close()
    file = tmp_path / "backup.db"
    run("backup", str(file))
    run("token", "revoke", "okta")
    gc.collect()
    path.write_bytes(b"x" * 100_000)

    looked = json.loads(run("restore", str(file), "--dry-run", "--json").stdout)
    said = restored(run, file, "--revoke-tokens")

    assert looked["tokens_living_again"] == {token.id: "okta", client.id: "okta"}
    assert sorted(said["tokens_revoked"]) == sorted([f"okta ({token.id})", f"okta ({client.id})"])
    with closing(wiring.open_tenant(path)) as tenant:
        [code] = credentials.credentials_of(tenant, events.CONNECT_CODE)
        assert code.revoked_at  # it may have been used since
    assert (Path(said["replaced_files"]) / "ledger.db").read_bytes() == b"x" * 100_000
    all_is_well(run, path)


def test_a_log_of_the_replaced_ledger_is_never_replayed(grown, backup, recorder, run) -> None:
    path = grown.ledger.path
    recorder(grown.ledger)("Note-1", Event(events.CREATED, {"n": 1}))
    log = path.with_name("ledger.db-wal")
    written = log.read_bytes()
    grown.close()
    path.unlink()
    log.write_bytes(written)

    said = restored(run, backup)

    assert written
    assert (Path(said["replaced_files"]) / "ledger.db-wal").read_bytes() == written
    all_is_well(run, path)


def test_a_backup_of_a_copy_that_went_on_by_itself_says_from_where(
    grown, recorder, run, tmp_path
) -> None:
    path, before = grown.ledger.path, tmp_path / "before"
    grown.close()
    shutil.copytree(path.parent, before)
    run("token", "create", "of-the-copy")
    file = tmp_path / "backup.db"
    run("backup", str(file))
    gc.collect()
    shutil.rmtree(path.parent)
    shutil.copytree(before, path.parent)
    run("token", "create", "true")
    run("tree-head", "create")
    run("token", "create", "true-too")

    said = restored(run, file)

    assert (said["backup_events"], said["agrees_up_to"]) == (3, 2)
    assert said["lost_at_least"] == said["lost_at_most"] == 2
    all_is_well(run, path)


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(grown, backup, foreign, run) -> None:
    foreign(backup).execute("DELETE FROM checkpoint")
    path = grown.ledger.path
    grown.close()

    restored(run, backup)

    all_is_well(run, path)


def test_a_damaged_backup_is_refused_and_named(grown, backup, foreign, run) -> None:
    connection = foreign(backup)
    connection.execute("DROP TRIGGER event_is_not_updated")
    connection.execute("UPDATE event SET actor = 'mallory' WHERE position = 2")
    connection.close()
    path, before = grown.ledger.path, grown.ledger.path.read_bytes()
    grown.close()

    result = run("restore", str(backup), "--yes")

    assert result.exit_code == 1
    assert "position 2" in result.stderr
    assert "Nothing was changed" in result.stderr
    assert not path.with_name("restoring").exists()
    assert len(before) == path.stat().st_size
    assert run("verify").exit_code == 0


@pytest.mark.parametrize(
    "what", ["folder", "in place", "log", "none", "other", "another", "foreign", "empty"]
)
def test_what_is_no_backup_of_the_ledger_is_refused(
    what: str, grown, backup, run, data_dir, tmp_path
) -> None:
    path = grown.ledger.path
    grown.close()
    file, says, code = backup, "", 1
    if what == "folder":
        file, says = tmp_path, "is a folder"
    elif what == "in place":
        file, says = path, "is the ledger that is in place"
    elif what == "log":
        Path(f"{backup}-wal").write_bytes(b"x")
        says = f"a part of it is in {backup}-wal"
    elif what == "none":
        file, says, code = tmp_path / "none.db", f"there is no file {tmp_path / 'none.db'}", 5
    elif what == "other":
        app.console().create("other").close()
        file, says = data_dir / "other" / "ledger.db", "is a backup of the ledger other"
    elif what == "another":
        app.console().create("other").close()
        os.rename(data_dir / "other", tmp_path / "other")
        file, says = tmp_path / "other" / "ledger.db", "is another ledger"
    elif what == "foreign":
        file.write_bytes(b"hello" * 100)
        says = "is not a ledger"
    else:
        file.write_bytes(b"")
        says = f"{file} is empty"

    result = run("restore", str(file), "--yes")

    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert run("verify").exit_code == 0


@pytest.mark.parametrize(
    "left", [("signing.key", "signing.head"), ("signing.key",), ("signing.head",)]
)
def test_a_backup_of_another_ledger_does_not_take_the_place_of_one_that_is_away(
    left, grown, run, tmp_path
) -> None:
    path = grown.ledger.path
    grown.close()
    app.console().create("other").close()
    file = tmp_path / "other.db"
    copy(path.parent.with_name("other") / "ledger.db", file, lambda done, all_: None)
    shutil.rmtree(path.parent.with_name("other"))
    for each in path.parent.iterdir():
        if each.name not in left:
            each.unlink()
    before = {name: path.with_name(name).read_bytes() for name in left}

    result = run("restore", str(file), "--yes")

    assert result.exit_code == 1
    assert all(str(path.with_name(name)) in result.stderr for name in left)
    assert "acme/" in result.stderr
    assert "move these files away" in result.stderr
    assert not path.exists()
    assert {name: path.with_name(name).read_bytes() for name in left} == before
    for name in left:
        os.rename(path.with_name(name), tmp_path / name)
    restored(run, file)
    all_is_well(run, path)


def test_a_file_with_its_log_is_made_whole_as_it_is_said(grown, run, recorder, tmp_path) -> None:
    path, rescued = grown.ledger.path, tmp_path / "from the old disk"
    rescued.mkdir()
    recorder(grown.ledger)("Note-1", Event(events.CREATED, {"n": 1}))
    last = grown.ledger.last_position()
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", rescued / f"ledger.db{end}")
    grown.close()

    said = run("restore", str(rescued / "ledger.db"), "--yes").stderr
    _, _, commands = said.partition("To make one file of both: ")
    told = commands.partition(", and restore")[0].replace("scim-ledger", PROGRAM[0])
    subprocess.run(told, shell=True, check=True, capture_output=True)

    assert restored(run, rescued / "rescued" / "whole.db")["backup_events"] == last


def test_where_the_folder_of_the_keys_is_away_no_key_takes_their_place(
    data_dir, run, tmp_path, monkeypatch
) -> None:
    keys, file = tmp_path / "keys", tmp_path / "backup.db"
    monkeypatch.setenv("SCIM_KEY_DIR", str(keys))
    assert run("init").exit_code == 0
    run("backup", str(file))
    run("token", "create", "okta")
    gc.collect()
    os.rename(keys, tmp_path / "unmounted")

    for words in (["restore", str(file), "--yes"], ["recover", "--new-incarnation"]):
        result = run(*words)
        assert result.exit_code == 1
        assert f"there is no folder {keys}, which SCIM_KEY_DIR names" in result.stderr
        assert f"mkdir {keys}" in result.stderr
        assert not keys.exists()
    os.rename(tmp_path / "unmounted", keys)
    restored(run, file)
    all_is_well(run, data_dir / "acme" / "ledger.db")


def test_a_key_from_the_environment_signs_on(data_dir, run, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SCIM_SIGNING_KEY", base64.b64encode(bytes(range(32))).decode())
    assert run("init").exit_code == 0
    file = tmp_path / "backup.db"
    run("backup", str(file))
    run("token", "create", "okta")
    run("tree-head", "create")

    restored(run, file)

    path = data_dir / "acme" / "ledger.db"
    assert not path.with_name("signing.key").exists()
    all_is_well(run, path)
    assert run("tree-head", "create").exit_code == 0


def test_a_head_that_turns_up_after_the_restore_can_be_admitted(
    grown, backup, recorder, run, tmp_path, monkeypatch
) -> None:
    path, anchor = grown.ledger.path, tmp_path / "worm"
    anchor.mkdir()
    recorder(grown.ledger)("Note-1", *[Event(events.CREATED, {"n": 1})] * 5)
    grown.heads.sign()
    FolderAnchor(grown.heads, anchor).step()
    grown.close()
    for file in path.parent.iterdir():
        file.unlink()
    restored(run, backup)  # the anchor was not at hand

    monkeypatch.setenv("SCIM_ANCHOR_DIR", str(anchor))
    refused = run("token", "list")
    recovered = run("recover", "--new-incarnation")

    assert refused.exit_code == 1
    assert "neither keeps them nor says that they are lost" in refused.stderr
    assert recovered.exit_code == 0, recovered.stderr
    all_is_well(run, path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE event SET header = x'00' WHERE position = 4",
        "UPDATE payload SET body = x'00' WHERE position = 4",
        "UPDATE event SET header = x'7b7d' WHERE position = 1",
        "DELETE FROM event WHERE position = 2",
        "DELETE FROM tree_head",
        "UPDATE tree_head SET note = 'x'",
        "DROP TABLE payload",
        "PRAGMA user_version = 99",
    ],
)
def test_whatever_the_replaced_ledger_has_become_a_backup_takes_its_place(
    damage: str, grown, backup, recorder, foreign, run
) -> None:
    for n in range(3):
        recorder(grown.ledger)(f"Note-{n}", Event(events.CREATED, {"n": n}))
    grown.heads.sign()
    path = grown.ledger.path
    grown.close()
    connection = foreign(path)
    triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
    for (name,) in connection.execute(triggers).fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(damage)
    connection.close()

    said = restored(run, backup)

    assert said["lost_at_least"] == 3
    all_is_well(run, path)


@pytest.fixture
def back_and_forth(grown, backup, run, tmp_path: Path) -> Path:
    """Restore a backup, and return a newer one of the name before."""
    newer = tmp_path / "newer.db"
    grown.close()
    run("token", "create", "one")
    run("tree-head", "create")
    assert run("backup", str(newer)).exit_code == 0
    run("token", "create", "two")
    run("tree-head", "create")
    restored(run, backup)
    run("token", "create", "three")
    run("tree-head", "create")
    return newer


def test_an_older_backup_and_then_a_newer_one_accuse_nobody(back_and_forth, run, data_dir) -> None:
    gc.collect()
    result = run("restore", str(back_and_forth), "--yes")

    assert result.exit_code == 0, result.output
    assert "a copy that went on" not in result.stderr
    assert "has the first 2 events of the backup; the 1 that follow are of " in result.stderr
    said = run("verify", "--events-only").stdout
    assert "2 events were kept, and the 1 that follow are of " in said
    assert "another history" not in said
    [first, second] = [line for line in said.splitlines() if line.startswith("restored ")]
    assert "lost" in first and "kept" not in first
    assert "2 events were lost" in second
    [lost, _] = json.loads(run("verify", "--events-only", "--json").stdout)["incarnations"]
    assert (lost["event_lost"], lost["kept"], lost["lost"]) == (True, None, None)


def test_a_replaced_ledger_that_is_put_back_by_hand_says_what_is_known(
    back_and_forth, run, data_dir
) -> None:
    gc.collect()
    [replaced] = data_dir.rglob("replaced-*/ledger.db")
    path = replaced.parent.parent / "ledger.db"
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    shutil.copy(replaced, path)

    result = run("recover", "--new-incarnation", "--json")

    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["kept"], said["of_the_history_that_ended"], said["lost_at_least"]) == (
        4,
        None,
        None,
    )
    lines = run("verify", "--events-only").stdout
    assert "4 events were kept; a tree head of " in lines
    assert "of size 4 was abandoned: how many events of it were lost is not known" in lines
    assert "its former key signed that" in lines
    assert "its key is among those kept with the ledger's" in lines
    assert "made the head up" not in lines
    all_is_well(run, path)


def test_the_key_of_a_ledger_that_is_put_back_is_found_among_those_kept(
    back_and_forth, run, data_dir
) -> None:
    gc.collect()
    [replaced] = data_dir.rglob("replaced-*/ledger.db")
    path = replaced.parent.parent / "ledger.db"
    shutil.copy(replaced, path)
    for name in ("ledger.db-wal", "ledger.db-shm"):
        path.with_name(name).unlink(missing_ok=True)

    tenant = wiring.wire(path)

    assert tenant.heads.trouble() is None
    tenant.close()


@pytest.fixture
def worm(grown, tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "worm"
    folder.mkdir()
    monkeypatch.setenv("SCIM_ANCHOR_DIR", str(folder))
    return folder


def deliver(path: Path, worm: Path) -> None:
    tenant = wiring.wire(path)
    FolderAnchor(tenant.heads, worm).step()
    tenant.close()


def test_anchored_heads_by_a_key_that_is_lost_tell_what_is_lost(
    grown, backup, recorder, run, worm, caplog
) -> None:
    path = grown.ledger.path
    assert run("key", "rotate").exit_code == 0
    for n in range(7):
        recorder(grown.ledger)(f"Note-{n}", Event(events.CREATED, {"n": n}))
    grown.close()
    run("tree-head", "create")
    deliver(path, worm)
    gc.collect()
    for file in path.parent.iterdir():
        file.unlink()
    shutil.copy(backup, path)
    wiring.open_tenant(path, settings.load(os.environ)).close()
    assert "up to size 10, that no key of it signed" in caplog.text
    path.unlink()

    said = restored(run, backup)

    assert (said["lost_at_least"], said["lost_at_most"]) == (8, None)
    assert "up to size 10, that no key of it signed" in " ".join(said["warnings"])
    all_is_well(run, path)
    assert "8 events were lost" in run("verify").stdout
    assert "up to size 10, that" not in run("verify").stdout


def test_anchored_heads_of_a_later_name_are_told_of(grown, backup, run, worm, caplog) -> None:
    path = grown.ledger.path
    grown.close()
    run("token", "create", "lost")
    run("tree-head", "create")
    name = restored(run, backup)["origin"]
    run("token", "create", "later")
    run("tree-head", "create")
    deliver(path, worm)
    gc.collect()
    [replaced] = path.parent.glob("replaced-*")
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    for file in replaced.iterdir():
        shutil.copy(file, path.parent)

    wiring.open_tenant(path, settings.load(os.environ)).close()

    told = f"tree heads of {name}, up to size 4, a name that this ledger does not know"
    assert told in caplog.text
    assert told in run("verify").stdout
    assert told in CliRunner().invoke(app.cli, ["doctor"]).stdout
    assert run("recover", "--new-incarnation", "--events-lost").exit_code == 0
    all_is_well(run, path)
    assert told not in run("verify").stdout


def test_a_stray_head_in_an_anchors_folder_stops_nothing(grown, run, worm, caplog) -> None:
    path, origin = grown.ledger.path, grown.ledger.origin
    id_ = origin.rpartition("/")[2]
    (worm / id_).mkdir()
    for name, file in (
        (origin, "0000000099-999.tree-head"),
        ("acme/00000000000000ff", "0000000099-999-00000000000000ff.tree-head"),
    ):
        note = SigningKey(name, bytes(32)).note(TreeHead(name, 999, bytes(32)).text)
        (worm / id_ / file).write_text(str(note))
    (worm / id_ / "0000000099-999-00000000000000fe.tree-head").write_text("torn")
    grown.close()

    all_is_well(run, path)

    assert caplog.text.count("events up to there may be lost") == 2


@pytest.mark.parametrize(
    "command", ["restore", "recover", "key rotate", "tree-head create"], ids=lambda c: c.split()[0]
)
def test_a_head_that_a_command_signed_is_in_the_anchors_folder_at_once(
    grown, backup, run, worm, command
) -> None:
    path = grown.ledger.path
    grown.close()
    run("token", "create", "more")
    gc.collect()
    more = {"restore": [str(backup), "--yes"], "recover": ["--new-incarnation", "--events-lost"]}

    assert run(*command.split(), *more.get(command, [])).exit_code == 0

    tenant = wiring.wire(path)
    newest = tenant.heads.newest().note
    tenant.close()
    assert newest in [file.read_text() for file in worm.rglob("*.tree-head")]
    assert "tree heads behind" not in CliRunner().invoke(app.cli, ["doctor"]).stdout
