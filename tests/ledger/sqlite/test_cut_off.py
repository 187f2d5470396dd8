"""A change that was cut off while a file was not in WAL mode is undone, not taken for a fault."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ledger.contract import LedgerBusy
from ledger.sqlite.alone import alone
from ledger.sqlite.backup import backup
from ledger.sqlite.connection import connect, connect_read_only, driver, undo_cut_off
from tests.scim_api.process import PROGRAM, environment

# Ends in the middle of a transaction, some of which is in the file already.
CUT_OFF = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=DELETE")
connection.execute("PRAGMA cache_spill=1")
connection.execute("PRAGMA cache_size=1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE filler (x)")
for _ in range(200):
    connection.execute("INSERT INTO filler VALUES (randomblob(4000))")
os._exit(9)
"""


def cut_off(path: Path) -> None:
    """Leave a file as a program leaves it that is killed in the middle of a change."""
    subprocess.run([sys.executable, "-c", CUT_OFF, str(path)], check=False)
    assert path.with_name(f"{path.name}-journal").stat().st_size > 0


@pytest.mark.parametrize(
    "words",
    [
        "verify --ledger acme",
        "status",
        "backup {}/copy.db --ledger acme",
        "token list --ledger acme",
    ],
)
def test_a_change_that_was_cut_off_is_undone_by_whatever_opens_the_ledger_next(
    tenant, data_dir, tmp_path, words
) -> None:
    path, last = tenant.ledger.path, tenant.ledger.last_position()
    tenant.close()
    cut_off(path)

    words = [*PROGRAM, *words.format(tmp_path).split()]
    done = subprocess.run(words, env=environment(data_dir), capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT max(position) FROM event").fetchall() == [(last,)]
    assert not path.with_name("ledger.db-journal").exists()


def test_a_file_that_is_examined_stays_as_it_is_and_it_is_said_how_to_make_it_whole(
    tenant, data_dir, tmp_path
) -> None:
    path, file = tenant.ledger.path, tmp_path / "found.db"
    tenant.close()
    file.write_bytes(path.read_bytes())
    cut_off(file)
    before = {each.name: each.read_bytes() for each in tmp_path.glob("found.db*")}

    for words in (["verify", "--file", file], ["restore", file, "--yes", "--ledger", "acme"]):
        done = subprocess.run(
            [*PROGRAM, *words], env=environment(data_dir), capture_output=True, text=True
        )
        assert done.returncode == 1
        assert f"{file}-journal" in done.stderr

    assert {each.name: each.read_bytes() for each in tmp_path.glob("found.db*")} == before


def test_a_file_is_kept_alone_without_leaving_wal_mode(tenant) -> None:
    path = tenant.ledger.path
    tenant.close()
    with alone(path) as end:
        assert end == 1
        assert not path.with_name("ledger.db-journal").exists()
        assert path.read_bytes()[18:20] == b"\x02\x02"  # WAL
        with closing(driver.connect(path, timeout=0)) as other, pytest.raises(driver.Error):
            other.execute("SELECT count(*) FROM event").fetchall()


@pytest.mark.parametrize("opened", [connect, connect_read_only])
def test_a_file_that_anybody_has_open_is_not_kept_alone(tenant, opened) -> None:
    path = tenant.ledger.path
    tenant.close()
    with closing(opened(path)) as other:
        other.execute("SELECT count(*) FROM event").fetchall()
        with pytest.raises(LedgerBusy), alone(path):
            pass


def test_a_file_that_was_renamed_meanwhile_leaves_the_log_of_its_successor(tenant, tmp_path):
    path, other = tenant.ledger.path, tmp_path / "other.db"
    tenant.close()
    backup(path, other, lambda done, all_: None)
    with alone(path):
        os.replace(other, path)
        successor = connect(path)
        successor.execute("CREATE TABLE of_the_successor (x)")
    successor.close()
    with closing(connect_read_only(path)) as reader:
        assert reader.execute("SELECT count(*) FROM of_the_successor").fetchall() == [(0,)]


def test_nothing_is_opened_where_nothing_was_cut_off(tmp_path: Path) -> None:
    undo_cut_off(tmp_path / "none.db")

    assert list(tmp_path.iterdir()) == []
