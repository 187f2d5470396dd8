"""A ledger behind a signed head is not served; it can continue under another origin."""

import base64
import json
import os
import shutil
from pathlib import Path

import pytest

import app
from ledger import clock, events
from ledger.background import exclusive_lock
from ledger.contract import LedgerUnavailable
from ledger.events import Event
from ledger.signing.anchors import FolderAnchor
from ledger.signing.key_rule import RECOVERY, statement
from ledger.signing.note import Note, TreeHead
from ledger.signing.rollback import Superseded
from ledger.sqlite.backup import backup
from ledger.sqlite.connection import Connection, driver
from scim_api import settings, wiring
from scim_api.tenants.tenants import Tenant
from tests.conftest import Record

NOTED = Event(events.CREATED, {"n": 1})


@pytest.fixture
def restored(tenant, recorder, tmp_path: Path) -> Path:
    """Put a backup back over a ledger that a later head was signed over."""
    path, copy = tenant.ledger.path, tmp_path / "backup.db"
    record = recorder(tenant.ledger)
    record("Note-1", NOTED)
    with tenant.ledger.writing() as connection:
        connection.execute("SELECT 1")
    backup(path, copy, lambda done, all_: None)
    record("Note-2", NOTED)
    tenant.heads.sign()
    tenant.close()
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    shutil.copy(copy, path)
    os.chmod(path, 0o600)
    return path


def test_a_backup_put_back_is_not_opened_and_says_why(restored: Path) -> None:
    with pytest.raises(Superseded, match=r"has 2 events.*signing.head.*signed over 3"):
        wiring.open_tenant(restored)


def test_a_changed_history_of_the_same_length_is_not_opened(restored: Path, recorder) -> None:
    tenant = wiring.wire(restored)
    recorder(tenant.ledger)("Note-9", NOTED, NOTED)
    tenant.close()

    with pytest.raises(Superseded, match="are not those over which"):
        wiring.open_tenant(restored)


@pytest.mark.parametrize("more", [1, 2])
def test_a_ledger_that_went_on_by_itself_says_from_where(
    more: int, restored: Path, recorder, run
) -> None:
    tenant = wiring.wire(restored)
    recorder(tenant.ledger)("Note-9", *[NOTED] * more)  # the head is signed over one more
    tenant.close()

    recovered = run("recover", "--new-incarnation", "--json")

    assert recovered.exit_code == 0, recovered.stderr
    found = json.loads(recovered.stdout)
    assert (found["kept"], found["of_the_history_that_ended"]) == (2 + more, 0)
    assert found["lost_at_least"] == 3
    assert run("verify").exit_code == 0


def test_a_recovery_after_further_events_counts_all_that_were_lost(
    tenant, recorder, run, tmp_path: Path, monkeypatch
) -> None:
    anchor = tmp_path / "worm"
    monkeypatch.setenv("SCIM_ANCHOR_DIR", str(anchor))
    anchor.mkdir()
    path, record = tenant.ledger.path, recorder(tenant.ledger)
    grow(tenant, record, 3, anchor)
    tenant.close()
    copy = path.read_bytes()
    tenant = wiring.wire(path)
    grow(tenant, recorder(tenant.ledger), 40, anchor)
    end = tenant.ledger.last_position()
    tenant.close()
    for file in (*path.parent.glob("ledger.db*"), path.with_name("signing.head")):
        file.unlink()
    path.write_bytes(copy)
    tenant = wiring.wire(path)
    kept = tenant.ledger.last_position()
    grow(tenant, recorder(tenant.ledger), 17, anchor)  # as an older program allowed
    went_on = tenant.ledger.last_position()
    tenant.close()

    recovered = run("recover", "--new-incarnation", "--json")

    assert recovered.exit_code == 0, recovered.stderr
    found = json.loads(recovered.stdout)
    assert (found["kept"], found["of_the_history_that_ended"]) == (went_on, kept)
    assert found["lost_at_least"] == end - kept
    assert run("verify").exit_code == 0
    wiring.open_tenant(path, settings.load(os.environ)).close()


def grow(tenant: Tenant, record: Record, count: int, anchor: Path) -> None:
    """Record events, each with a head that an anchor gets."""
    for _ in range(count):
        record(f"Note-{clock.uuid7()}", NOTED)
        tenant.heads.sign()
    FolderAnchor(tenant.heads, anchor).step()


def test_changed_events_under_the_ledgers_own_head_have_to_be_accepted(
    tenant, recorder, run, foreign
) -> None:
    recorder(tenant.ledger)("Note-1", NOTED)
    tenant.heads.sign()
    tenant.close()
    change_event(foreign(tenant.ledger.path), 2)

    refused = run("recover", "--new-incarnation", "--events-lost")
    events_before = wiring.wire(tenant.ledger.path).ledger.last_position()
    accepted = run("recover", "--new-incarnation", "--accept-changed-events")

    assert (refused.exit_code, events_before) == (1, 2)
    assert "not lost but changed" in refused.stderr
    assert accepted.exit_code == 0, accepted.stderr
    assert run("token", "create", "okta").exit_code == 0
    assert run("tree-head", "create").exit_code == 0
    assert run("verify").exit_code == 3


def change_event(connection: Connection, position: int) -> None:
    connection.execute("DROP TRIGGER event_is_not_updated")
    header = """CAST(replace(CAST(header AS TEXT), '"actor":"', '"actor":"x') AS BLOB)"""
    connection.execute(f"UPDATE event SET header = {header} WHERE position = ?", (position,))


def test_events_known_to_be_lost_are_said_to_be(tenant, recorder, run) -> None:
    recorder(tenant.ledger)("Note-1", NOTED)
    tenant.heads.sign()
    tenant.close()

    refused = run("recover", "--new-incarnation")
    recovered = run("recover", "--new-incarnation", "--events-lost")

    assert refused.exit_code == 1
    assert "nothing shows that events were lost" in refused.stderr
    assert "signing.head (a head over 2 events)" in refused.stderr
    assert "nothing was lost" not in refused.stderr
    assert recovered.exit_code == 0
    assert run("verify").exit_code == 0


def test_without_the_head_signed_last_a_ledger_is_not_opened(tenant, recorder, run) -> None:
    recorder(tenant.ledger)("Note-1", NOTED)
    tenant.heads.sign()
    tenant.close()
    file = tenant.ledger.path.with_name("signing.head")
    file.unlink()

    refused = run("token", "list")
    confirmed = run("recover", "--nothing-lost")

    assert refused.exit_code == 1
    assert f"{file} is missing" in refused.stderr
    assert confirmed.exit_code == 0, confirmed.stderr
    assert run("token", "list").exit_code == 0
    assert run("verify").exit_code == 0


def test_a_head_over_the_same_events_that_a_backup_lacks_is_put_back(
    tenant, recorder, run, tmp_path: Path
) -> None:
    path = tenant.ledger.path
    recorder(tenant.ledger)("Note-1", NOTED)
    backup(path, tmp_path / "backup.db", lambda done, all_: None)
    tenant.heads.sign()
    tenant.close()
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    shutil.copy(tmp_path / "backup.db", path)

    before = run("verify")
    refused = run("recover", "--new-incarnation")

    assert before.exit_code == 3
    assert "scim-ledger tree-head create" in before.stdout
    assert "nothing shows that events were lost" in refused.stderr
    assert run("verify").exit_code == 0


def test_verify_says_which_command_leads_on(restored: Path, run) -> None:
    behind = run("verify")
    restored.with_name("signing.head").unlink()
    without = run("verify")

    assert behind.exit_code == 3
    assert "scim-ledger recover --new-incarnation" in behind.stdout
    assert without.exit_code == 0
    assert "there is no signing.head next to the key" in without.stdout


def test_nothing_is_confirmed_that_a_known_head_denies(restored: Path, run) -> None:
    result = run("recover", "--nothing-lost")

    assert result.exit_code == 1
    assert "events were lost" in result.stderr


def test_recover_brings_the_tables_of_an_older_ledger_up_to_date(
    restored: Path, run, foreign
) -> None:
    foreign(restored).execute("DELETE FROM checkpoint")  # as after an upgrade

    assert run("recover", "--new-incarnation").exit_code == 0
    assert run("verify").exit_code == 0


def test_another_ledger_in_its_place_is_not_opened(tenant, tmp_path, metadata) -> None:
    path = tenant.ledger.path
    tenant.heads.sign()
    tenant.close()
    other = app.console().create("other")
    other.close()
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    shutil.copy(other.ledger.path, path)

    with pytest.raises(Superseded, match=r"which .* never was"):
        wiring.open_tenant(path)


def test_recover_goes_on_under_a_new_origin_and_names_the_head(restored: Path, run) -> None:
    before = wiring.wire(restored)
    origin, abandoned = before.ledger.origin, str(before.heads.keys.remembered())
    former = before.heads.key().verifier
    before.close()

    result = run("recover", "--new-incarnation", "--json")

    found = json.loads(result.stdout)
    tenant = wiring.open_tenant(restored)
    [event] = [e for e in tenant.ledger.read_all() if e.type == events.RESTORED]
    assert (found["previous"], found["origin"]) == (origin, tenant.ledger.origin)
    assert origin != tenant.ledger.origin
    assert event.effects == {
        "previous": origin,
        "abandoned": abandoned,
        "size": event.position - 1,
        "verifier_key": str(tenant.heads.key().verifier),
        "key": str(former),
        "signature": event.effects["signature"],
        "changes": [],
        "agreed": None,
    }
    message = statement(RECOVERY, origin, event.position - 1, former, tenant.heads.key().verifier)
    assert former.verify(message, base64.b64decode(event.effects["signature"]))
    tenant.close()


def test_after_recovery_heads_are_of_the_new_origin(restored: Path, run, recorder) -> None:
    run("recover", "--new-incarnation")

    tenant = wiring.open_tenant(restored)
    recorder(tenant.ledger)("Note-5", NOTED)
    head = tenant.heads.sign()
    assert TreeHead.parse(head.note).origin == tenant.ledger.origin
    assert Note.parse(head.note).signed_by(tenant.heads.identity().keys[-1].key)
    tenant.close()
    wiring.open_tenant(restored).close()


def test_headers_bear_the_origin_of_their_time(restored: Path, run, recorder) -> None:
    run("recover", "--new-incarnation")
    tenant = wiring.open_tenant(restored)
    recorder(tenant.ledger)("Note-5", NOTED)

    with tenant.ledger.reading() as connection:
        rows = connection.execute("SELECT position, header FROM event").fetchall()
    origins = {position: json.loads(header)["ledger"] for position, header in rows}
    tenant.close()

    last = max(origins)
    assert origins[last] == origins[last - 1] == tenant.ledger.origin
    assert {origins[n] for n in range(1, last - 1)} == {origins[1]}
    assert origins[1] != tenant.ledger.origin


def test_a_ledger_that_lost_nothing_is_not_recovered(tenant, run) -> None:
    tenant.heads.sign()
    tenant.close()

    result = run("recover", "--new-incarnation")

    assert result.exit_code == 1
    assert "nothing shows that events were lost" in result.stderr


def test_a_ledger_whose_key_was_lost_can_be_recovered(tenant, run) -> None:
    tenant.heads.sign()
    tenant.heads.keys.file.unlink()
    tenant.close()

    assert run("recover", "--new-incarnation").exit_code == 0
    assert run("tree-head", "create").exit_code == 0


def test_a_ledger_that_is_being_served_is_not_recovered(restored: Path, run) -> None:
    with exclusive_lock(restored):
        result = run("recover", "--new-incarnation")

    assert result.exit_code == 75
    assert "stop the service first" in result.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET origin = 'evil/0'",
        "UPDATE ledger SET opened_at = ''",
        "DELETE FROM ledger",
    ],
)
def test_the_origin_changes_by_a_restored_event_alone(statement: str, tenant, foreign) -> None:
    with pytest.raises(driver.IntegrityError, match="ledger: "):
        foreign(tenant.ledger.path).execute(statement)


def test_the_past_is_read_across_incarnations(restored: Path, run) -> None:
    run("recover", "--new-incarnation")

    assert run("projections", "check").exit_code == 0
    assert run("events", "list").exit_code == 0


def test_a_damaged_state_file_is_named(tenant) -> None:
    tenant.heads.sign()
    (tenant.ledger.path.parent / "signing.head").write_text("?")
    tenant.close()

    with pytest.raises(LedgerUnavailable, match=r"signing\.head .* move it away") as raised:
        wiring.open_tenant(tenant.ledger.path)
    assert raised.value.reason == "damaged signing.head"


def test_an_error_does_not_name_the_path(restored: Path) -> None:
    with pytest.raises(LedgerUnavailable) as raised:
        wiring.open_tenant(restored)

    assert raised.value.reason == "behind a signed tree head"


def test_a_backup_from_before_there_were_heads_gets_no_second_key(tenant, foreign, run) -> None:
    key = tenant.heads.key()
    tenant.heads.keys.remember(key.note(TreeHead(key.name, 9, bytes(32)).text))
    tenant.close()
    connection = foreign(tenant.ledger.path)
    for trigger in ("payload_is_only_erased", "tree_head_is_not_deleted"):
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("UPDATE payload SET body = CAST('{\"format\":1}' AS BLOB)")
    connection.execute("DELETE FROM tree_head")
    files = [tenant.ledger.path.with_name(name) for name in ("signing.key", "signing.head")]
    before = [file.read_bytes() for file in files]

    with pytest.raises(Superseded):
        app.console().migrate("acme")

    assert [file.read_bytes() for file in files] == before
    assert run("recover", "--new-incarnation").exit_code == 0
