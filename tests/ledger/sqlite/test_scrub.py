"""Files freed of traces: the log emptied, the file written anew, marks looked for in raw bytes."""

import threading
import time
from contextlib import closing

import pytest

from ledger.sqlite import scrub
from ledger.sqlite.connection import connect, connect_read_only, temporary
from ledger.sqlite.scrub import Traces
from ledger.sqlite.traces import holds_any, residues

MARK = b"zoe@example.com"


def soon():
    return time.monotonic() + 0.3


@pytest.fixture
def file(tmp_path):
    """Return a file with a row, and a connection that keeps its log from vanishing."""
    path = tmp_path / "file.db"
    with closing(connect(path, create=True)) as connection:
        connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("INSERT INTO note VALUES (1, ?)", (MARK.decode(),))
        yield path, connection


def log_of(path):
    return path.with_name(f"{path.name}-wal").read_bytes()


def test_what_was_deleted_stays_in_the_log_until_it_is_emptied(file):
    path, connection = file
    connection.execute("DELETE FROM note")
    assert MARK in log_of(path)

    assert scrub.empty_log(path, soon())

    assert log_of(path) == b""
    assert MARK not in path.read_bytes()


def test_a_log_that_is_being_read_is_not_emptied(file):
    path, connection = file
    with closing(connect_read_only(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM note").fetchall()
        connection.execute("DELETE FROM note")

        assert not scrub.empty_log(path, soon())


def test_it_is_emptied_as_soon_as_the_reader_is_gone(file):
    path, connection = file
    reader = connect_read_only(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM note").fetchall()
    connection.execute("DELETE FROM note")
    threading.Timer(0.2, reader.close).start()

    assert scrub.empty_log(path, time.monotonic() + 10)


def test_a_file_written_anew_has_the_same_rows_and_marks(file):
    path, connection = file
    connection.execute("PRAGMA user_version=7")

    assert scrub.write_anew(path, soon())

    assert connection.execute("SELECT * FROM note").fetchall() == [(1, MARK.decode())]
    assert connection.execute("PRAGMA user_version").fetchone() == (7,)


def test_a_file_is_not_written_anew_while_somebody_writes(file):
    path, connection = file
    connection.execute("BEGIN IMMEDIATE")

    assert not scrub.write_anew(path, soon())


def test_files_with_traces_are_named_and_no_others(tmp_path):
    for name, text in {"a": b"x ZOE@Example.com", "b": b"nothing", "c": MARK}.items():
        (tmp_path / name).write_bytes(text)
    paths = [tmp_path / name for name in "abc"]

    assert scrub.with_traces(paths, Traces(frozenset((MARK, b"other")))) == [paths[0], paths[2]]


def test_without_marks_there_are_no_traces(tmp_path):
    (tmp_path / "a").write_bytes(MARK)

    assert scrub.with_traces([tmp_path / "a"], Traces(frozenset())) == []


@pytest.mark.parametrize("before", range(8, 25))
def test_a_mark_across_two_chunks_is_found(tmp_path, before):
    (tmp_path / "a").write_bytes(b"." * before + MARK + b"." * 40)

    assert holds_any(str(tmp_path / "a"), {MARK}, chunk=len(MARK) + 2)


def test_a_fragment_counts_only_in_the_unused_middle_of_a_page(file):
    path, connection = file
    scrub.empty_log(path, soon())
    assert scrub.with_traces([path], Traces(frozenset(), frozenset((MARK[:5],)))) == []
    connection.close()
    data = bytearray(path.read_bytes())
    data[4096 + 100 : 4096 + 106] = MARK[:6].upper()
    path.write_bytes(data)

    assert list(residues(str(path))) == [MARK[:6]]
    assert scrub.with_traces([path], Traces(frozenset(), frozenset((MARK[:5],)))) == [path]


def test_every_connection_overwrites_what_it_deletes(file):
    _, connection = file
    for each in (connection, temporary()):
        assert each.execute("PRAGMA secure_delete").fetchone() == (1,)
