"""A database that is needed for a while: on a disk, private, and gone with the process."""

import os
from pathlib import Path

import pytest

from ledger.contract import NoScratchSpace
from ledger.sqlite.connection import scratch
from tests.conftest import Run


def open_files(folder: Path) -> list[tuple[int, int]]:
    """Return mode and size of the files of a folder that this process has open."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{each}").startswith(f"{folder}/"):
                status = os.stat(f"/proc/self/fd/{each}")
                found.append((status.st_mode & 0o777, status.st_size))
        except OSError:  # the one that lists them
            continue
    return found


def test_what_does_not_fit_into_the_cache_is_in_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with scratch() as connection:
        connection.execute("CREATE TABLE t (x BLOB)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (zeroblob(?))", [(100_000,)] * 400)

        [(mode, size)] = open_files(tmp_path)
        assert os.listdir(tmp_path) == []
        assert mode == 0o600
        assert size > 20_000_000  # of 40 MB; the cache has 8
        assert connection.execute("SELECT sum(length(x)) FROM t").fetchone() == (40_000_000,)

    assert open_files(tmp_path) == []


def test_where_no_file_can_be_made_verify_says_which_folder_and_blames_no_projection(
    signed: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(signed.parent / "none"))

    with pytest.raises(NoScratchSpace), scratch():
        pass
    result = run("verify")

    assert result.exit_code == 1
    assert f"no file can be made in {signed.parent / 'none'}" in result.stderr
    assert "only the events were checked" in result.stderr
