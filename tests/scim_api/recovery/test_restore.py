"""restore puts a backup in place of a ledger, says what is lost, and ends verified."""

import gc
import json
import os
from pathlib import Path

import pytest

import app
from ledger import events
from ledger.background import exclusive_lock
from ledger.events import Event
from scim_api import settings, wiring
from scim_api.auth import credentials
from scim_api.tenants.tenants import Tenant

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
    gone = credentials.issue(grown, wiring_metadata(), "new")
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


def wiring_metadata():
    return app.console().metadata()


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
