"""A rewrite empties the log and leaves no byte of deleted data."""

import shutil
import threading
import time
from collections import namedtuple
from contextlib import closing

import pytest

from ledger.contract import LedgerBusy, RewriteFailed
from ledger.sqlite import scrub
from ledger.sqlite.connection import connect, connect_read_only

MARK = b"zoe@example.com"


def soon():
    return time.monotonic() + 0.3


@pytest.fixture
def file(tmp_path):
    """Return a file with a row, and a connection that keeps its log from vanishing."""
    path = tmp_path / "file.db"
    path.touch()
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("INSERT INTO note VALUES (1, ?)", (MARK.decode(),))
        yield path, connection


def log_of(path):
    return path.with_name(f"{path.name}-wal").read_bytes()


def test_deleted_data_stays_in_the_log_until_the_file_is_rewritten(file):
    path, connection = file
    connection.execute("DELETE FROM note")
    assert MARK in log_of(path)

    scrub.rewrite(path, soon())

    assert log_of(path) == b""
    assert MARK not in path.read_bytes()


def test_a_copy_in_the_unused_middle_of_a_page_goes(file):
    path, connection = file
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()
    data = bytearray(path.read_bytes())
    data[4096 + 100 : 4096 + 106] = b"remain"
    path.write_bytes(data)

    scrub.rewrite(path, soon())

    assert b"remain" not in path.read_bytes()


def test_a_file_that_is_being_read_as_it_was_is_not_rewritten(file):
    path, connection = file
    with closing(connect_read_only(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM note").fetchall()
        connection.execute("DELETE FROM note")

        with pytest.raises(LedgerBusy, match="is being read"):
            scrub.rewrite(path, soon())


def test_it_is_rewritten_as_soon_as_the_reader_is_gone(file):
    path, connection = file
    reader = connect_read_only(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM note").fetchall()
    connection.execute("DELETE FROM note")
    threading.Timer(0.2, reader.close).start()

    scrub.rewrite(path, time.monotonic() + 10)

    assert MARK not in path.read_bytes()


def test_a_rewritten_file_has_the_same_rows_and_marks(file):
    path, connection = file
    connection.execute("PRAGMA user_version=7")

    scrub.rewrite(path, soon())

    assert connection.execute("SELECT * FROM note").fetchall() == [(1, MARK.decode())]
    assert connection.execute("PRAGMA user_version").fetchone() == (7,)


def test_a_file_is_not_rewritten_while_somebody_writes(file):
    path, connection = file
    connection.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerBusy):
        scrub.rewrite(path, soon())


def test_a_disk_without_room_for_the_log_is_named_before_anything_is_written(file, monkeypatch):
    path, _ = file
    usage = namedtuple("usage", "total used free")(10, 9, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    with pytest.raises(RewriteFailed, match=r"takes 0 MiB under .*, where 0 MiB are free"):
        scrub.rewrite(path, soon())


def test_a_connection_overwrites_deleted_data(file):
    _, connection = file

    assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)
