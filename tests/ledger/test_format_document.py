"""docs/ledger-format.md is true: its program checks our ledgers, its names are ours."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.codec import FORMAT
from ledger.events import Metadata
from ledger.signing.keys import Keys
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.connection import APPLICATION_ID, SCHEMA_VERSION, Connection
from ledger.sqlite.ledger import SQLiteLedger
from ledger.sqlite.schema import schema_sql
from tests.ledger.signed import renew

DOCUMENT = (Path(__file__).parents[2] / "docs" / "ledger-format.md").read_text(encoding="utf-8")


@pytest.fixture
def check(tmp_path: Path) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Run the program in the document on a file, with nothing but the standard library."""
    [program] = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    script = tmp_path / "check.py"
    script.write_text(program, encoding="utf-8")

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-S", str(script), str(path)],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


Check = Callable[[Path], "subprocess.CompletedProcess[str]"]


def test_the_documents_program_verifies_a_ledger(history: Path, check: Check) -> None:
    done = check(history)

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"30 events of acme/[0-9a-f]{16}: all as they were written\n", done.stdout)


TAMPERINGS = {
    "UPDATE event SET actor = 'nobody' WHERE position = 17": "position 17: columns",
    "UPDATE event SET leaf_hash = zeroblob(32) WHERE position = 17": "position 17: leaf hash",
    "DELETE FROM event WHERE position = 17": "position 17: positions are not dense",
    "DELETE FROM payload WHERE position = 17": "position 17: no payload",
    "DELETE FROM event WHERE position = 30": "position 30: payload of no event",
    "UPDATE payload SET body = x'7b7d' WHERE position = 17": "position 17: payload",
    "UPDATE payload SET salt = zeroblob(32) WHERE position = 17": "position 17: commitment",
    "UPDATE payload SET salt = NULL, body = NULL, erased_by = 10 WHERE position = 17": (
        "position 17: payload gone without an Erased event"
    ),
    "UPDATE payload SET salt = NULL, body = NULL, erased_by = 10 WHERE position = 10": (
        "position 10: payload gone without an Erased event"
    ),
    "UPDATE ledger SET origin = 'evil/0'": "position 1: another ledger or format",
    "UPDATE ledger SET opened_at = ''": "position 1: not the opening",
}


@pytest.mark.parametrize("statement", TAMPERINGS)
def test_the_documents_program_finds(
    statement: str, history: Path, check: Check, foreign: Callable[[Path], Connection]
) -> None:
    connection = foreign(history)
    for name, sql in schema_sql().items():
        if sql.startswith("CREATE TRIGGER"):
            connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.close()

    done = check(history)

    assert (done.returncode, done.stderr) == (1, TAMPERINGS[statement] + "\n")


def test_the_documents_program_finds_an_erasure_of_no_user(hidden_note: Path, check: Check) -> None:
    done = check(hidden_note)

    assert (done.returncode, done.stderr) == (
        1,
        "position 31: erases something other than a user\n",
    )


def test_the_documents_program_verifies_a_backup_too(
    history: Path, tmp_path: Path, check: Check
) -> None:
    copy = Path(shutil.copy(history, tmp_path / "copy.db"))

    assert check(copy).returncode == 0


def test_the_documents_program_verifies_a_recovered_ledger_too(
    history: Path, check: Check, metadata: Metadata
) -> None:
    ledger = SQLiteLedger(history)
    renew(TreeHeads(ledger, Keys(history.parent)), None, metadata)
    ledger.close()

    assert check(history).returncode == 0


@pytest.mark.parametrize("name", schema_sql())
def test_the_document_names_every_table_and_trigger(name: str) -> None:
    assert f"`{name}`" in DOCUMENT


def test_the_document_has_the_numbers_of_the_program() -> None:
    assert f"`application_id` is 0x{APPLICATION_ID:X}" in DOCUMENT
    assert f"`user_version` the version of the tables, now {SCHEMA_VERSION}" in DOCUMENT
    assert f"They are\nformat {FORMAT}, the `v` of every header" in DOCUMENT
