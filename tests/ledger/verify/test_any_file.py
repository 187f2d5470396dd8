"""A file that is not a ledger is refused and left alone; every flipped byte is found."""

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import app
from ledger.contract import LedgerUnavailable
from ledger.sqlite.connection import driver
from scim_api import wiring

Run = Callable[..., Result]

TABLES = (
    *("ledger", "event", "payload"),
    *("resource", "resource_email", "resource_census", "credential"),
)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Files that are no ledger, or none for this program


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def text(path: Path) -> None:
    path.write_text("This is not a database at all. " * 200)


def foreign_database(path: Path) -> None:
    path.unlink()
    connection = driver.connect(str(path), isolation_level=None)
    connection.execute("CREATE TABLE event (position INTEGER PRIMARY KEY)")
    connection.close()


def pragma(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        connection = driver.connect(str(path), isolation_level=None)
        connection.execute(f"PRAGMA {statement}")
        connection.close()

    return change


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a truncated file": (truncated, "malformed"),
    "a file of one page": (lambda path: os.truncate(path, 4096), "malformed"),
    "an empty file": (lambda path: os.truncate(path, 0), "not a ledger"),
    "a file of zeros": (lambda path: path.write_bytes(bytes(8192)), "not a database"),
    "a text file": (text, "not a database"),
    "a database of another program": (foreign_database, "not a ledger"),
    "a ledger newer than the program": (pragma("user_version=99"), "newer scim-ledger"),
    "a ledger older than the program": (pragma("user_version=0"), "earlier version"),
    "another application's id": (pragma("application_id=7"), "another program"),
}


@pytest.mark.parametrize("name", [name for name in REFUSED if "newer" not in name])
def test_verify_refuses_and_leaves_as_it_is(name: str, history: Path, run: Run) -> None:
    spoil, reason = REFUSED[name]
    spoil(history)
    before = digest(history)

    result = run("verify", "--json")

    said = json.loads(result.stdout)
    assert result.exit_code == 3
    assert reason in said["findings"][0]["found"]
    assert digest(history) == before


def test_a_ledger_newer_than_the_program_is_not_said_to_be_changed(history: Path, run: Run) -> None:
    pragma("user_version=99")(history)
    before = digest(history)

    result = run("verify", "--json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "newer scim-ledger" in result.stderr
    assert "install that version" in result.stderr
    assert digest(history) == before


@pytest.mark.parametrize("name", REFUSED)
def test_opening_refuses_and_leaves_as_it_is(name: str, history: Path) -> None:
    spoil, _ = REFUSED[name]
    spoil(history)
    before = digest(history)

    with pytest.raises(LedgerUnavailable):
        wiring.open_tenant(history)

    assert digest(history) == before


@pytest.mark.parametrize("name", [name for name in REFUSED if "older" not in name])
def test_migrating_refuses_and_leaves_as_it_is(name: str, history: Path) -> None:
    spoil, _ = REFUSED[name]
    spoil(history)
    before = digest(history)

    with pytest.raises(LedgerUnavailable):
        app.console().migrate("acme")

    assert digest(history) == before


def test_a_file_that_cannot_be_looked_into_is_not_said_to_be_changed(
    history: Path, run: Run
) -> None:
    (history.parent / "ledger.db-wal").mkdir()  # where SQLite looks before it reads

    result = run("verify", "--json")

    assert result.exit_code == 1
    assert "check the owner and the rights" in result.stderr


# Any byte at all


def leniently(path: Path) -> list[object]:
    """Read the tables row by row, not caring for anything; what cannot be read counts as other."""
    read: list[object] = []
    for table in TABLES:
        connection = driver.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
        connection.text_factory = bytes
        try:
            read.append(connection.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall())
        except (driver.Error, UnicodeDecodeError) as error:
            read.append(repr(error))
        finally:
            connection.close()
    return read


@pytest.mark.slow
def test_no_flipped_byte_that_changes_a_row_goes_unnoticed(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    good, rows = template.read_bytes(), leniently(template)
    chance = random.Random(20261124)
    faults = []
    for n in range(150):
        at, bit = chance.randrange(len(good)), chance.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
        path = tmp_path / str(n) / "acme" / "ledger.db"
        path.parent.mkdir(parents=True)
        monkeypatch.setenv("SCIM_DATA_DIR", str(path.parents[1]))
        path.write_bytes(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :])
        changed = leniently(path) != rows

        result = run("verify", "--json")

        if not isinstance(result.exception, SystemExit | None):
            faults.append((at, bit, repr(result.exception)))
        elif result.exit_code not in ((3,) if changed else (0, 3)):
            faults.append((at, bit, result.output))

    assert faults == []
