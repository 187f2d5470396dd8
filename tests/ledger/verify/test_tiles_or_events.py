"""The tiles as a projection: compared, rebuilt, and told apart from changed events."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

import app
from ledger.sqlite.connection import driver
from tests.conftest import Run
from tests.ledger.signed import SIZE, forge_tiles, rewrite, tamper

WRONG = "UPDATE tile SET hashes = CAST(substr(hashes, 1, 32) || zeroblob(32) AS BLOB)"
PLANTED = "INSERT INTO tile VALUES (9, 9, zeroblob(32))"


def ok(run: Run, *words: str) -> dict[str, bool]:
    return {each["name"]: each["ok"] for each in json.loads(run(*words, "--json").stdout)}


GONE = "DROP TABLE tile"
OTHER = f"{GONE}; CREATE TABLE tile (one, two)"
LOOSE = f"{GONE}; CREATE TABLE tile (level, number, hashes); INSERT INTO tile VALUES (1, 0, 'x')"
VIEW = f"{GONE}; CREATE VIEW tile AS SELECT 1 AS level"


@pytest.mark.parametrize(
    "change", [WRONG, PLANTED, "DELETE FROM tile; " + PLANTED, GONE, OTHER, LOOSE, VIEW]
)
def test_wrong_tiles_are_told_from_wrong_events_and_rebuilt(
    change: str, signed: Path, run: Run
) -> None:
    tamper(signed, *change.split("; "))

    verified = run("verify")
    found = json.loads(run("verify", "--json").stdout)
    assert verified.exit_code == 3
    assert {each["kind"] for each in found["findings"]} == {"tiles"}
    assert (found["first_bad_position"], found["projections_rebuilt"]) == (None, True)
    assert "events are as they were written, but the tiles are wrong" in verified.stdout
    assert ok(run, "projections", "check") == {
        "tree": False,
        "credentials": True,
        "configuration": True,
        "resources": True,
        "indexes": True,
        "history": True,  # there is none yet
    }
    assert run("projections", "rebuild", "tree").exit_code == 0

    assert ok(run, "projections", "check", "tree") == {"tree": True}
    assert run("verify").exit_code == 0


def test_over_changed_events_no_tiles_are_made(signed: Path, run: Run) -> None:
    tamper(signed, rewrite(50, {"x": "y"}), forge_tiles)

    refused = run("projections", "rebuild", "tree")

    assert refused.exit_code == 1
    assert "is not as its newest tree head says" in refused.stderr
    assert "the events are not those that were signed" in run("verify", "--events-only").stdout


def test_tiles_that_are_not_kept_are_no_fault(signed: Path, run: Run) -> None:
    tamper(signed, "DELETE FROM tile")

    assert run("verify", "--events-only").exit_code == 0
    assert ok(run, "projections", "check", "tree") == {"tree": True}


@pytest.mark.parametrize("change", [GONE, OTHER, LOOSE, VIEW])
def test_a_ledger_without_a_table_of_tiles_goes_on_and_makes_it_again(
    change: str, signed: Path, run: Run
) -> None:
    tamper(signed, *change.split("; "))

    assert run("prove", "100").exit_code == 0
    assert run("token", "create", "okta").exit_code == 0
    assert run("tree-head", "create").exit_code == 0

    assert run("verify").exit_code == 0


@pytest.mark.parametrize("position", [-5, 0, SIZE + 1, 2**63 - 1])
@pytest.mark.parametrize("projector", ["credentials", "configuration", "resources"])
def test_a_wrong_checkpoint_is_a_wrong_projection_and_a_rebuild_mends_it(
    projector: str, position: int, signed: Path, run: Run
) -> None:
    tamper(signed, f"UPDATE checkpoint SET position = {position} WHERE projector = '{projector}'")

    found = run("verify")
    assert found.exit_code == 3
    assert f"checkpoint of {projector}: expected a position from 1 to {SIZE}" in found.stdout
    assert "but the projections are not what a rebuild gives: scim-ledger projections reb" in (
        found.stdout
    )
    assert run("projections", "rebuild").exit_code == 0

    assert run("verify").exit_code == 0


def test_a_missing_table_of_checkpoints_is_made_again(signed: Path, run: Run) -> None:
    tamper(signed, "DROP TABLE checkpoint")

    found = json.loads(run("verify", "--json").stdout)["findings"]
    assert [(each["kind"], each["what"]) for each in found] == [
        ("projection", "schema of checkpoint")
    ]
    assert run("projections", "rebuild").exit_code == 0

    assert run("verify").exit_code == 0


@pytest.mark.parametrize("table", ["checkpoint", "purge", "tree_head", "payload"])
def test_a_table_that_is_missing_is_named(table: str, signed: Path, run: Run) -> None:
    with closing(driver.connect(str(signed), isolation_level=None)) as connection:
        connection.execute(f"DROP TABLE {table}")

    result = run("verify", "--json")

    found = json.loads(result.stdout)["findings"]
    assert result.exit_code == 3
    assert f"schema of {table}" in [each["what"] for each in found]
    assert "database page" not in result.stdout


def test_doctor_goes_on_where_it_cannot_read_what_is_to_be_erased(signed: Path) -> None:
    tamper(signed, "DROP TABLE purge")

    said = CliRunner().invoke(app.cli, ["doctor"])

    assert "BAD  ledger acme erasures: " in said.stdout
