"""init, migrate, verify, backup, events: the ledger from the command line."""

import getpass
import json
import shutil
import stat
import subprocess
import sys

import pytest

from ledger.create import create
from ledger.events import Metadata
from ledger.sqlite.connection import connect, driver
from tests.scim_api.client import replace, user


def ledger_file(shell, name="default"):
    return shell.data_dir / name / "ledger.db"


def tamper(file, statement):
    """Change a ledger behind its triggers' back."""
    connection = driver.connect(str(file), isolation_level=None)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    triggers = [
        (name, connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)))
        for (name,) in names
    ]
    kept = [(name, cursor.fetchone()[0]) for name, cursor in triggers]
    for name, _ in kept:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    for _, sql in kept:
        connection.execute(sql)
    connection.close()


# init and migrate


def test_init_creates_a_ledger_and_names_the_next_step(empty):
    made = empty("init")

    assert ledger_file(empty).exists()
    assert "default/" in made.out
    assert made.err == "next: scim-ledger token create okta --ledger default\n"


def test_init_can_answer_in_json(empty):
    made = empty("init", "--ledger", "acme", "--json").json

    assert made["ledger"] == "acme"
    assert made["origin"].startswith("acme/")
    assert made["file"] == str(ledger_file(empty, "acme"))


def test_init_leaves_a_ledger_that_is_there_alone(shell):
    before = ledger_file(shell).read_bytes()

    assert "nothing was changed" in shell("init", code=1).err
    assert ledger_file(shell).read_bytes() == before


@pytest.mark.parametrize("name", ["", "Acme", "a b", "../acme", "-x", "a/b", "é", ".", "a" * 64])
def test_init_refuses_a_name_that_is_none(empty, name):
    empty("init", "--ledger", name, code=2)

    assert not empty.data_dir.exists() or list(empty.data_dir.glob("**/ledger.db")) == []


def test_nobody_else_can_open_the_file(shell):
    for path in [ledger_file(shell), ledger_file(shell).parent]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_data_directory_that_cannot_be_made_ends_with_a_sentence(empty, monkeypatch):
    monkeypatch.setenv("SCIM_DATA_DIR", "/dev/null/data")

    ended = empty("init", code=1)

    assert ended.err.startswith("Error: ")
    assert "/dev/null/data" in ended.err


def test_migrate_names_ledgers_that_are_up_to_date(shell):
    shell("init", "--ledger", "acme")

    migrated = shell("migrate")

    assert migrated.out == ""
    assert migrated.err.splitlines() == ["acme: up to date", "default: up to date"]


def test_migrate_without_a_ledger_does_nothing(empty):
    assert "no ledger yet" in empty("migrate").err


def test_migrate_refuses_a_ledger_newer_than_the_program(shell):
    connection = connect(ledger_file(shell))
    connection.execute("PRAGMA user_version=99")
    connection.close()

    assert "newer scim-ledger" in shell("migrate", code=1).err


# verify


def test_verify_finds_nothing_in_a_sound_ledger(shell, api):
    api.delete(api.create())

    verified = shell("verify")

    assert verified.out.startswith("verified: 4 events of default/")
    assert verified.err == ""


def test_verify_leaves_a_restored_backup_as_it_is_to_the_byte(shell, api, tmp_path):
    api.create()
    copy = tmp_path / "copy.db"
    shell("backup", str(copy))
    file = ledger_file(shell)
    api.site.close()
    for old in file.parent.glob("ledger.db*"):
        old.unlink()
    copy.rename(file)
    before = file.read_bytes()

    verified = shell("verify")

    assert verified.code == 0
    assert file.read_bytes() == before


def test_verify_can_answer_in_json(shell, api):
    api.create()

    verified = shell("verify", "--json").json

    assert verified["ok"] is True
    assert (verified["events"], verified["payloads"], verified["findings"]) == (3, 3, [])
    assert verified["first_bad_position"] is None


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE event SET actor = 'nobody' WHERE position = 2", 2),
        ("UPDATE payload SET body = '{}' WHERE position = 3", 3),
        ("DELETE FROM event WHERE position = 2", 2),
        ("UPDATE resource SET name_key = 'other'", None),
    ],
)
def test_verify_ends_with_3_and_names_the_fault(shell, api, statement, position):
    api.create()
    api.site.close()
    tamper(ledger_file(shell), statement.replace("'{}'", "CAST('{}' AS BLOB)"))

    found = shell("verify", "--json", code=3).json

    assert found["ok"] is False
    assert found["findings"]
    assert found["first_bad_position"] == position
    assert "NOT VERIFIED" in shell("verify", code=3).out


def test_verify_ends_with_3_for_a_file_that_is_no_ledger(shell, tmp_path):
    (tmp_path / "text").write_text("no ledger " * 1000)

    assert "NOT VERIFIED" in shell("verify", "--file", str(tmp_path / "text"), code=3).out


def test_verify_tells_a_wrong_projection_from_a_wrong_ledger(shell, api):
    api.create()
    tamper(ledger_file(shell), "UPDATE resource SET name_key = 'eve@example.com'")

    out = shell("verify", code=3).out

    assert "events are as they were written, but the projections are not" in out
    assert "projections rebuild" in out


def test_a_missing_ledger_is_told_with_its_path_and_the_settings_it_comes_from(shell):
    shell("init", "--ledger", "acme")

    ended = shell("user", "show", "jane", "--ledger", "acmee", code=5)

    assert f"there is no ledger at {shell.data_dir}/acmee/ledger.db. " in ended.err
    assert f"SCIM_DATA_DIR (set in the environment) is {shell.data_dir}; " in ended.err
    assert "; ledgers there: acme, default. " in ended.err
    assert "--ledger is acmee" in ended.err


def test_init_finishes_what_a_killed_one_began_and_nothing_else(empty):
    metadata = Metadata("operator", "cli", "1", {})
    create(empty.data_dir / "default" / "ledger.db", "default", software="x", metadata=metadata)
    assert "run `scim-ledger migrate`" in empty("token", "list", code=1).err

    made = empty("init", "--json").json

    assert made["origin"] == empty("status", "--json").json[0]["origin"]
    assert "there is a ledger at" in empty("init", code=1).err


def test_a_ledger_that_is_away_is_not_made_again(shell, api, tmp_path):
    api.create()
    folder = shell.data_dir / "default"
    shutil.move(folder / "ledger.db", tmp_path / "ledger.db")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    for command in ("init", "demo"):
        ended = shell(command, "--ledger", "default", code=5)

        assert f"there is no ledger at {folder}/ledger.db, but what belongs to one" in ended.err
        assert f"{folder}/signing.key" in ended.err
        assert "scim-ledger restore BACKUP" in ended.err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert (
        f"there is no ledger at {folder}/ledger.db, but what belongs to one"
        in shell("tree-head", "show", code=5).err
    )

    shutil.move(tmp_path / "ledger.db", folder / "ledger.db")
    assert shell("verify").code == 0


def test_a_ledger_of_which_only_the_key_is_there_is_named_by_every_command(
    shell, tmp_path, monkeypatch
):
    monkeypatch.setenv("SCIM_KEY_DIR", str(tmp_path / "keys"))
    shell("init", "--ledger", "acme")
    shutil.rmtree(shell.data_dir / "acme")  # its disk is not mounted

    away = (
        f"there is no ledger at {shell.data_dir}/acme/ledger.db, but what belongs to one is there"
    )
    assert f"BAD  ledger acme: {away}" in shell("doctor", code=1).out
    assert away in shell("status", code=1).err
    assert away in shell("migrate", code=1).err
    assert away in shell("init", "--ledger", "acme", code=5).err
    assert f"{tmp_path}/keys/acme/signing.key" in shell("user", "show", "x", "--ledger", "acme",
                                                        code=5).err  # fmt: skip


def test_verify_of_another_versions_projections_says_to_migrate(shell, api):
    api.create()
    tamper(ledger_file(shell), "UPDATE checkpoint SET revision = 1")

    ended = shell("verify", code=1)

    assert "all as they were written" in ended.out
    assert "run `scim-ledger migrate`" in ended.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--ledger", "none"], "`scim-ledger init --ledger none` makes a new one"),
        (["--file", "none.db"], "there is no file none.db\n"),
        (["--file", "none.db", "--position", "1"], "there is no file none.db\n"),
    ],
)
def test_verify_ends_with_5_where_there_is_nothing(shell, words, says):
    ended = shell("verify", *words, code=5)

    assert (ended.out, says in ended.err) == ("", True)


# backup


def test_a_backup_to_a_full_disk_blames_that_and_leaves_nothing(shell, disk):
    (disk / "filler").write_bytes(bytes(3 * 1024 * 1024 - 65536))

    ended = shell("backup", str(disk / "copy.db"), code=1)

    assert f"{disk}/copy.db cannot be written (database or disk is full): 0.1 MiB were" in ended.err
    assert "Free some space" not in ended.err  # of the ledger's disk, which is not full
    assert [file.name for file in disk.iterdir()] == ["filler"]


def test_a_backup_is_a_whole_ledger_for_nobody_else(shell, api, tmp_path):
    api.create()
    file = tmp_path / "backup.db"

    made = shell("backup", str(file))

    assert made.out == ""
    assert str(file) in made.err
    assert shell("verify", "--file", str(file), "--json").json["events"] == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_backup_does_not_overwrite_a_file(shell, tmp_path):
    file = tmp_path / "backup.db"
    file.write_text("precious")

    assert "nothing was written" in shell("backup", str(file), code=1).err
    assert file.read_text() == "precious"


def test_a_backup_into_a_folder_that_is_not_there_ends_with_1(shell, tmp_path):
    assert "no folder" in shell("backup", str(tmp_path / "no" / "backup.db"), code=1).err


def test_a_backup_of_nothing_ends_with_5(shell, tmp_path):
    shell("backup", str(tmp_path / "backup.db"), "--ledger", "none", code=5)

    assert not (tmp_path / "backup.db").exists()


def test_a_backup_can_be_put_in_place_and_used(shell, api, tmp_path):
    before = api.create()
    shell("backup", str(tmp_path / "backup.db"))
    api.patch(before, replace({"active": False}))
    api.site.close()

    for path in ledger_file(shell).parent.glob("ledger.db*"):
        path.unlink()
    (tmp_path / "backup.db").rename(ledger_file(shell))

    assert shell("verify").code == 0
    assert api.get(api.path(before)).json == before


# events


@pytest.fixture
def told(shell, api):
    """Return a shell with a ledger of seven events."""
    jane = api.create("jane@example.com", title="Boss")
    api.put(jane, user("jane@example.com", active=False))
    api.create("john@example.com")
    api.delete(jane)
    api.site.close()
    return shell


TYPES = [
    "LedgerOpened",
    "CredentialIssued",
    "Created",
    "Updated",
    "Deactivated",
    "Created",
    "Deleted",
]


def test_events_are_listed_oldest_first(told):
    listed = told("events", "list", "--json").json

    assert [event["type"] for event in listed] == TYPES
    assert [event["position"] for event in listed] == list(range(1, 8))


def test_events_are_listed_for_people_too(told):
    lines = told("events", "list").out.splitlines()

    assert len(lines) == 2 + 7
    assert lines[0].split()[:3] == ["position", "at", "type"]


@pytest.mark.parametrize(
    ("words", "positions"),
    [
        (["--type", "Created"], [3, 6]),
        (["--limit", "2"], [6, 7]),
        (["--type", "Created", "--limit", "1"], [6]),
        (["--since", "1h"], [1, 2, 3, 4, 5, 6, 7]),
        (["--since", "2100-01-01"], []),
        (["--stream", "User-none"], []),
    ],
    ids=str,
)
def test_events_can_be_chosen(told, words, positions):
    listed = told("events", "list", "--json", *words).json

    assert [event["position"] for event in listed] == positions


@pytest.mark.parametrize(
    ("words", "positions"),
    [
        (["--filter", 'type eq "Created"'], [3, 6]),
        (["--filter", 'userName eq "JANE@example.com" and type ne "Created"'], [4, 5, 7]),
        (["--filter", 'at ge "2026-10-01" or at lt "2026-10-01"', "--limit", "2"], [6, 7]),
        (["--filter", 'via eq "cli"', "--newest-first"], [2, 1]),
        (["--newest-first", "--limit", "3"], [7, 6, 5]),
        (["--filter", 'resourceType eq "User"', "--type", "Deleted", "--since", "1h"], [7]),
        (["--filter", "position lt 3 or position gt 6", "--limit", "2", "--oldest-first"], [2, 7]),
    ],
    ids=str,
)
def test_events_can_be_filtered(told, words, positions):
    listed = told("events", "list", "--json", *words).json

    assert [event["position"] for event in listed] == positions


@pytest.mark.parametrize("command", ["list", "tail"])
def test_a_filter_that_cannot_be_read_is_a_usage_error(told, command):
    ended = told("events", command, "--filter", 'kind eq "x"', code=2)

    assert "character 1: Event has no attribute" in ended.err
    assert "it has position, at, type" in ended.err


def test_a_table_of_events_has_actor_and_via(told):
    head, _, opened, _, created = told("events", "list").out.splitlines()[:5]

    assert head.split() == "position at type who client via name stream changed".split()
    assert opened.split()[3:6] == [getpass.getuser(), "CLI", "cli"]
    assert created.split()[3:6] == ["okta", "other", "scim.post"]


def test_the_newest_that_a_filter_finds_are_a_line_each(told):
    lines = told("events", "tail", "-n", "1", "--filter", 'type eq "Created"').out.splitlines()

    assert [line.split()[0] for line in lines] == ["6"]


def test_an_event_names_its_credential(told):
    assert told("events", "show", "3", "--json").json["credential"] == "okta"


def test_the_events_of_one_stream_can_be_chosen(told):
    stream = told("events", "show", "3", "--json").json["stream"]

    listed = told("events", "list", "--json", "--stream", stream).json

    assert [event["position"] for event in listed] == [3, 4, 5, 7]


def test_no_such_events_is_said_on_stderr(told):
    listed = told("events", "list", "--type", "Erased")

    assert (listed.out, listed.err) == ("", "no such events\n")


def test_a_type_that_there_is_not_is_a_usage_error(told):
    assert "There is no type Createt" in told("events", "list", "--type", "Createt", code=2).err


@pytest.mark.parametrize("since", ["yesterday", "7", "7x", "²d", "2026-13-01", "99999999999d"])
def test_a_time_that_is_none_is_a_usage_error(told, since):
    told("events", "list", "--since", since, code=2)


def test_one_event_is_shown_with_its_effects_and_request(told):
    event = told("events", "show", "4", "--json").json

    assert event["effects"] == {"title": None}
    assert event["request"]["method"] == "PUT"
    assert event["via"] == "scim.put"


def test_an_event_that_is_not_there_ends_with_5(told):
    assert told("events", "show", "8", code=5).out == ""


def test_the_newest_events_are_a_line_each(told):
    lines = told("events", "tail", "-n", "3", "--json").out.splitlines()

    assert [json.loads(line)["position"] for line in lines] == [5, 6, 7]
    assert len(told("events", "tail").out.splitlines()) == 7


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["tail"], ["show", "2"]], ids=str)
def test_no_event_shows_a_hash_of_a_token(told, words):
    assert "sha256" not in told("events", *words).out


# Everything else that needs a ledger


@pytest.mark.parametrize(
    "words",
    [
        ["events", "list"],
        ["events", "tail"],
        ["events", "show", "1"],
        ["user", "show", "x"],
        ["user", "history", "x"],
        ["projections", "list"],
        ["projections", "check"],
        ["projections", "rebuild"],
    ],
    ids=" ".join,
)
def test_a_ledger_that_is_not_there_ends_with_5(shell, words):
    ended = shell(*words, "--ledger", "none", code=5)

    assert ended.out == ""
    assert "scim-ledger init" in ended.err


def test_a_ledger_that_cannot_be_read_ends_with_a_sentence(shell):
    ledger_file(shell).write_text("no ledger " * 1000)

    for words in (["events", "list"], ["token", "list"], ["user", "show", "x"], ["status"]):
        ended = shell(*words, code=1)
        assert ended.err.startswith("Error: ")
        assert "is not a ledger" in ended.out + ended.err


def test_a_busy_ledger_ends_with_75(shell, monkeypatch):
    monkeypatch.setenv("SCIM_WRITE_PATIENCE", "0.1")
    other = connect(ledger_file(shell))
    other.execute("BEGIN IMMEDIATE")

    ended = shell("token", "create", "okta", code=75)

    other.close()
    assert "try again" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("name", ["../x", "/etc", "", "a/b"])
@pytest.mark.parametrize(
    "words",
    [
        ("user", "show", "x"),
        ("events", "list"),
        ("token", "list"),
        ("verify",),
        ("backup", "copy.db"),
        ("projections", "check"),
        ("search", "id pr"),
    ],
)
def test_every_command_refuses_an_invalid_ledger_name(shell, words, name):
    ended = shell(*words, "--ledger", name, code=2)

    assert "cannot name a ledger" in ended.err
    assert not (shell.data_dir / name / "ledger.db").exists()


def test_a_copy_in_a_folder_of_another_name_is_still_looked_at(shell):
    shutil.copytree(shell.data_dir / "default", shell.data_dir / "default.old")

    assert shell("events", "list", "--ledger", "default.old", "--json").json
    assert "default.old" in shell("status").out


def test_key_show_prints_a_key_for_key_options(shell, tmp_path):
    key = shell("key", "show").out.rstrip("\n")
    exported = tmp_path / "events.jsonl"
    shell("key", "rotate")
    rotated = shell("key", "show")
    newest = rotated.out.rstrip("\n")
    shell("export", "--output", str(exported))

    assert [row["verifier_key"] for row in shell("key", "show", "--json").json] == [key, newest]
    assert "1 before it" in rotated.err
    assert key in shell("key", "show", "--all").out
    for given in (key, newest):
        shell("verify", "--key", given)
    state = ("--state", str(tmp_path / "witness"))
    table = shell("key", "show", "--all").out  # a table is no key
    for words in (("verify",), ("witness", "http://127.0.0.1:1", *state)):
        assert "scim-ledger key show prints it" in shell(*words, "--key", table, code=2).err
    assert (
        "--key" not in shell("witness", "http://127.0.0.1:1", "--key", newest, *state, code=1).err
    )
    head = [f"{exported}.tree-head", "--key", newest]
    program = [sys.executable, str(tmp_path / "verify.py"), str(exported), "--head", *head]
    assert subprocess.run(program, capture_output=True, timeout=60, check=False).returncode == 0


SAVED = {
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "no last newline": lambda text: text.rstrip("\n").encode(),
    "newlines at the end": lambda text: text.encode() + b"\r\n\n",
    "UTF-16": lambda text: text.encode("utf-16"),
}


def test_a_brought_head_may_have_been_saved_again_by_any_editor(shell, tmp_path):
    note = shell("tree-head", "create").out
    for name, save in SAVED.items():
        (tmp_path / "head").write_bytes(save(note))

        assert "verified" in shell("verify", "--head", str(tmp_path / "head")).out, name


@pytest.mark.parametrize("content", [b"\xff\x00", b"", b"<html>", b"acme/1\n1\nAAAA\n"])
def test_a_brought_head_that_is_none_is_not_called_tampering(shell, tmp_path, content):
    (tmp_path / "head").write_bytes(content)

    ended = shell("verify", "--head", str(tmp_path / "head"), code=6)

    assert f"{tmp_path / 'head'} cannot be read as a tree head: " in ended.err
    assert ended.out == ""


def test_a_key_may_come_from_a_file_that_was_saved_again(shell):
    key = shell("key", "show").out.strip()

    assert "verified" in shell("verify", "--key", f"\ufeff{key}\r\n").out
