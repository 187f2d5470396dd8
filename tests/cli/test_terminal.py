"""What reaches a terminal: no character of somebody else's that moves it, whatever it can show."""

import os
import subprocess
import sys

from tests.scim_api.client import replace

EVIL = "\x1b[2K\rEVIL\n\u202eeno"
SHOWN = r"\x1b[2K\rEVIL\n\u202eeno"


def run(shell, *words, **environment):
    """Run a command as a process of its own, its arguments given as bytes."""
    program = [sys.executable, "-c", "import app; app.main()", *words]
    given = {**os.environ, "SCIM_DATA_DIR": str(shell.data_dir), **environment}
    return subprocess.run(program, env=given, capture_output=True, timeout=60, check=False)


def test_what_cannot_be_printed_is_escaped_in_every_table_and_line(shell, api):
    user = api.create("jane@example.com")
    api.patch(user, replace(EVIL, "title"), replace(EVIL, "displayName"))
    group = api.group(EVIL, user)
    id_ = user["id"]

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


def test_a_followed_event_is_one_line(shell, api, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "eve\x1b[2K\r")
    api.site.append("default", f"Role-{EVIL}", 0, ("Created", {"displayName": "R", "value": "r"}))

    lines = shell("events", "tail").out.splitlines()

    assert all(line.isprintable() for line in lines)
    assert SHOWN in lines[-1]


def test_a_sentence_about_what_was_typed_is_escaped(shell):
    assert r"\x1b" in shell("requests", "show", "x\x1b[2K", code=5).err
