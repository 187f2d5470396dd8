"""A ledger behind a signed head is not served; it can continue under another origin."""

import base64
import json
import os
import shutil
from pathlib import Path

import pytest

import app
from ledger import events
from ledger.background import exclusive_lock
from ledger.contract import LedgerUnavailable
from ledger.events import Event
from ledger.signing.key_rule import RECOVERY, statement
from ledger.signing.note import Note, TreeHead
from ledger.signing.rollback import Superseded
from ledger.sqlite.backup import backup
from ledger.sqlite.connection import driver
from scim_api import wiring

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
def test_a_head_that_ends_where_the_ledger_does_or_before_is_over_changed_events(
    more: int, restored: Path, recorder, run
) -> None:
    tenant = wiring.wire(restored)
    recorder(tenant.ledger)("Note-9", *[NOTED] * more)  # the head is signed over one more
    tenant.close()

    refused = run("recover", "--new-incarnation")
    recovered = run("recover", "--new-incarnation", "--accept-changed-events")

    assert refused.exit_code == 1
    assert "not lost but changed" in refused.stderr
    assert "over the first 3" in refused.stderr
    assert recovered.exit_code == 0


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
    assert "nothing was lost" in result.stderr


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
