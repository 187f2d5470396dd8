"""Damaged or readable files next to a ledger: one sentence, and commands continue."""

import subprocess
from contextlib import closing

import pytest

from ledger.sqlite.connection import connect
from tests.scim_api.client import user
from tests.scim_api.process import PROGRAM, environment

FILES = ("history.db", "requests.db", "usage.db")


@pytest.fixture
def used(shell, api):
    """Return the folder of a ledger with all its side files."""
    api.create()
    api.post(user())
    api.site.close()
    shell("projections", "rebuild", "history")
    folder = shell.data_dir / "default"
    assert {file.name for file in folder.iterdir()} >= set(FILES)
    return folder


def ruin(file, content=b"garbage " * 1000):
    """Put another file in its place, for connections to this one may still be open."""
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()
    file.touch(mode=0o600)
    file.write_bytes(content)


def remedy(name):
    return f"Stop the service, delete {name}, {name}-wal and {name}-shm, and start it"


@pytest.mark.parametrize("words", [("list",), ("show", "0")])
def test_a_ruined_request_log_is_named_with_what_to_do(shell, used, words):
    ruin(used / "requests.db")

    said = shell("requests", *words, code=1).err

    assert f"{used / 'requests.db'} is no SQLite database" in said
    assert remedy("requests.db") in said


def test_a_ruined_history_is_named_with_what_to_do(shell, used):
    ruin(used / "history.db")

    said = shell("projections", "rebuild", "history", code=1).err

    assert remedy("history.db") in said
    assert "not a ledger" not in said


@pytest.mark.parametrize("name", FILES)
def test_status_goes_on_without_a_ruined_file(shell, used, name):
    ruin(used / name)

    said = shell("status", "--json")

    assert said.json[0]["users"] == 1
    assert said.err.startswith("warning: ")
    assert remedy(name) in said.err


def test_token_list_and_policy_show_go_on_without_a_ruined_file(shell, used):
    ruin(used / "usage.db")

    for words in (("token", "list"), ("policy", "show")):
        said = shell(*words, "--json")
        assert said.json
        assert remedy("usage.db") in said.err


@pytest.mark.parametrize("name", FILES)
def test_doctor_looks_at_a_file_beside_a_ledger(shell, used, name):
    label = f"ledger default {name}"
    assert checks(shell("doctor", "--json"))[label]["ok"]
    ruin(used / name)

    found = checks(shell("doctor", "--json", code=1))[label]

    assert not found["ok"]
    assert remedy(name) in found["says"]


@pytest.mark.parametrize("name", FILES)
def test_doctor_finds_a_torn_page_of_a_file_beside_a_ledger(shell, used, name):
    file = used / name
    with closing(connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(file.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    ruin(file, content)

    found = checks(shell("doctor", "--json", code=1))[f"ledger default {name}"]

    assert remedy(name) in found["says"]


@pytest.mark.parametrize("name", FILES)
def test_doctor_names_a_file_beside_a_ledger_that_others_can_open(shell, used, name):
    (used / name).chmod(0o644)

    found = checks(shell("doctor", "--json", code=1))

    assert "chmod 600" in found["ledger default rights"]["says"]


def checks(ended):
    return {check["check"]: check for check in ended.json}


def test_verify_calls_a_ruined_history_the_history(shell, used):
    ruin(used / "history.db")

    said = shell("verify", code=3).out

    assert "the history cannot be read: " in said
    assert remedy("history.db") in said
    assert "are as they were written" in said


def test_the_past_over_http_tells_that_it_is_no_ledger_that_is_damaged(shell, used, api):
    ruin(used / "history.db")
    auditor = api.site.client(scopes=["audit"])

    answer = auditor.get("/Users?asOf=2")

    assert answer.status_code == 503
    assert "its history (foreign or damaged file)" in answer.json["detail"]
    assert api.ask("GET", "/readyz", base="").json["warnings"] == [
        "history not usable: foreign or damaged file"
    ]


def test_a_full_disk_is_a_sentence(shell):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*PROGRAM, "status"],
            env=environment(shell.data_dir),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert ended.stderr.decode().splitlines()[0] == "Error: No space left on device"
