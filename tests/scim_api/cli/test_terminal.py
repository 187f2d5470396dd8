"""Terminal output escapes control characters, and works with any encoding."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest

from tests.scim_api.client import replace
from tests.scim_api.process import PROGRAM

EVIL = "\x1b[2K\rEVIL\n\u202eeno"
SHOWN = r"\x1b[2K\rEVIL\n\u202eeno"


def run(shell, *words, **environment):
    """Run a command as a process of its own, its arguments given as bytes."""
    program = [sys.executable, "-c", "import app; app.main()", *words]
    given = {**os.environ, "SCIM_DATA_DIR": str(shell.data_dir), **environment}
    return subprocess.run(program, env=given, capture_output=True, timeout=60, check=False)


def test_unprintable_characters_are_escaped_in_tables_and_lines(shell, api):
    user, group = api.create("jane@example.com"), api.group("Staff")
    id_ = user["id"]
    api.patch(user, replace(EVIL, "title"), replace(EVIL, "displayName"))
    api.site.append(  # as an earlier program recorded it: a new group is not named so
        "default",
        f"Group-{group['id']}",
        1,
        ("Updated", {"displayName": EVIL}),
        ("MembersAdded", {f"members:{id_}": {"type": "User"}}),
    )

    for words in (
        ("user", "show", id_),
        ("user", "history", id_),
        ("user", "blame", id_),
        ("user", "diff", id_, "--from", "1"),
        ("group", "diff", group["id"], "--from", "1"),
        ("diff", "--from", "1"),
        ("search", "displayName pr", "--type", "Group"),
    ):
        out = shell(*words).out
        assert SHOWN in out, words
        assert out.replace("\n", "").isprintable(), words
    recorded = shell("events", "show", str(api.recorded() - 2)).out
    assert r"\u202eeno" in recorded and "\u202e" not in recorded
    assert shell("user", "show", id_, "--json").json["title"] == EVIL


def test_json_has_every_text_as_it_was_recorded(shell, api):
    title = "".join(f"{each}." for each in "\n\r\x0b\x1c\x1d\x1e\x85\u2028\u2029")
    api.create("jane@example.com", title=title)

    [found] = shell("search", "title pr", "--json").json

    assert found["title"] == title
    assert shell("events", "list", "--json").json[-1]["effects"]["title"] == title


def test_a_followed_event_is_one_line(shell, api, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "eve\x1b[2K\r")
    api.site.append("default", f"Role-{EVIL}", 0, ("Created", {"displayName": "R", "value": "r"}))

    lines = shell("events", "tail").out.splitlines()

    assert all(line.isprintable() for line in lines)
    assert SHOWN in lines[-1]


def test_quoted_arguments_are_escaped(shell):
    assert r"\x1b" in shell("requests", "show", "x\x1b[2K", code=5).err


# What a terminal or an environment cannot say


def test_an_argument_that_is_not_utf_8_is_refused_with_a_sentence(shell):
    for words in ((b"user", b"show", b"\xff"), (b"token", b"create", b"\xff"), (b"\xff",)):
        ended = run(shell, *words)

        assert ended.returncode == 2, ended
        assert b"Traceback" not in ended.stderr
        assert rb"\udcff is not UTF-8" in ended.stderr


def test_an_encoding_that_cannot_hold_a_character_gets_it_escaped(shell, api):
    id_ = api.create("jane@example.com", title="Č😀")["id"]
    narrow = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}

    table = run(shell, "user", "show", id_, **narrow)
    listed = run(shell, "user", "show", id_, "--json", **narrow)

    assert (table.returncode, listed.returncode) == (0, 0), (table, listed)
    assert rb"\u010c\U0001f600" in table.stdout
    assert json.loads(listed.stdout)["title"] == "Č😀"


def test_the_name_of_the_operator_is_escaped(shell):
    surrogate = {"LOGNAME": b"\xff\n", "SUDO_USER": ""}
    ended = run(shell, "role", "add", "Editor", **surrogate)

    assert ended.returncode == 0, ended
    assert shell("events", "list", "--json").json[-1]["request"]["operator"] == r"\udcff\n"


@pytest.mark.parametrize(("uid", "operator"), [(0, "jane"), (1000, "joe")])
def test_the_user_who_ran_sudo_is_the_operator(shell, monkeypatch, uid, operator):
    monkeypatch.setenv("SUDO_USER", "jane")
    monkeypatch.setenv("LOGNAME", "joe")
    monkeypatch.setattr("os.geteuid", lambda: uid)

    shell("role", "add", "Editor")

    assert shell("events", "list", "--json").json[-1]["request"]["operator"] == operator


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2K", "a\u202eb"])
def test_a_token_has_a_name_that_can_be_printed(shell, name):
    assert "printed" in shell("token", "create", name, code=2).err
    assert shell("token", "list", "--json").json == []


def on_terminal(*words, columns):
    """Run a command whose output is a terminal, and return that."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    environment = {name: each for name, each in os.environ.items() if name != "COLUMNS"}
    subprocess.run([*PROGRAM, *words], stdout=slave, env=environment, check=True, timeout=60)
    os.close(slave)
    said = b""
    with suppress(OSError):  # the end, where nobody has the other side open
        while part := os.read(master, 65_536):
            said += part
    os.close(master)
    return said.decode().replace("\r\n", "\n")


def test_a_table_that_is_wider_than_the_terminal_is_a_block_for_each_row(shell):
    shell("token", "create", "okta", "--network", "192.0.2.0/24")
    shell("token", "create", "near")
    listed = shell("token", "list", "--json").json
    assert "okta" in shell("token", "list").out.splitlines()[2]

    said = on_terminal("token", "list", columns=80)

    blocks = [block.splitlines() for block in said.split("\n\n")]
    assert [block[0].split() for block in blocks] == [["id", row["id"]] for row in listed]
    assert ["networks", "192.0.2.0/24"] in [line.split() for line in blocks[0]]
    assert not any(line.startswith("networks") for line in blocks[1])
    assert max(map(len, said.splitlines())) <= 80
    assert shell("token", "list", "--json").json == listed


def test_a_sentence_that_is_wider_than_the_terminal_is_wrapped(shell):
    lines = on_terminal("config", "show", columns=80).splitlines()

    wide = [line for line in lines if len(line) > 80]
    assert all(len(line.split()) == 2 for line in wide)  # such as a list of hosts
    assert "         ledger's hashes" in lines
