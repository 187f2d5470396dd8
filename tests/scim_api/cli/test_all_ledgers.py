"""Several ledgers: a command says which one it did, or does all, going on after a failure."""

import subprocess
import sys

import pytest

from scim_api.tenants.tenants import ledger_path

NAMES = ("acme", "beta", "default")


@pytest.fixture
def three(shell):
    """Return a shell with three ledgers."""
    for name in NAMES[:2]:
        shell("init", "--ledger", name)
    return shell


def damage(shell, name):
    file = ledger_path(shell.data_dir, name)
    file.write_bytes(b"no database at all" * 1000)
    return file


@pytest.mark.parametrize(
    ("words", "participle"),
    [
        (["verify"], "verified"),
        (["verify", "--position", "1"], "verified"),
        (["backup", "{}/one.db"], "copied"),
        (["export", "--output", "{}/one.jsonl"], "exported"),
    ],
)
def test_where_there_are_several_a_command_names_the_one_it_did(three, tmp_path, words, participle):
    words = [word.format(tmp_path) for word in words]

    says = three(*words, "--ledger", "beta").err

    assert f"this was the ledger beta; 2 other ledgers were not {participle} (--all)\n" in says


def test_where_there_is_one_nothing_is_said_of_others(shell, tmp_path):
    assert "other" not in shell("backup", str(tmp_path / "one.db")).err


def test_a_file_is_verified_without_a_word_of_ledgers(three, tmp_path):
    three("backup", str(tmp_path / "one.db"))

    assert three("verify", "--file", str(tmp_path / "one.db")).err == ""


def test_all_are_verified_and_one_that_is_damaged_makes_it_exit_3(three):
    good = three("verify", "--all", "--json").json
    damage(three, "acme")

    ended = three("verify", "--all", "--json", code=3)

    assert [(each["name"], each["ok"]) for each in good] == [(name, True) for name in NAMES]
    assert [(each["name"], each["ok"]) for each in ended.json] == [
        ("acme", False),
        ("beta", True),
        ("default", True),
    ]
    assert (
        "Error: 1 of 3 ledgers were not verified:\n  acme\nverified: beta, default\n" in ended.err
    )


def test_all_are_verified_each_with_a_memory_of_its_own(three):
    three("verify", "--all", "--since-last")

    says = three("verify", "--all", "--since-last").out

    assert says.count("  not read again: ") == len(NAMES)
    assert [line for line in says.splitlines() if line[0] != " "] == [f"{n}:" for n in NAMES]


def test_all_are_copied_to_files_with_their_names_and_the_others_follow_a_failure(three, tmp_path):
    damage(three, "beta")

    ended = three("backup", "--all", str(tmp_path), "--json", code=1)

    done = {each["name"]: each for each in ended.json}
    assert done["beta"]["ok"] is False and "not a ledger" in done["beta"]["error"]
    assert sorted(tmp_path.glob("*.db")) == sorted(
        tmp_path / done[name]["file"] for name in ("acme", "default")
    )
    for name in ("acme", "default"):
        assert three("verify", "--file", done[name]["file"], "--json").json["events"] == 1
    assert "  beta: " in ended.err and "\ncopied: acme, default\n" in ended.err


def test_all_are_exported_to_files_with_their_names_that_verify(three, tmp_path):
    three("export", "--all", "--output", str(tmp_path))

    for name in NAMES:
        key = three("key", "show", "--ledger", name).out.strip()
        head = f"{name}.jsonl.tree-head"
        checked = subprocess.run(
            [sys.executable, "verify.py", f"{name}.jsonl", "--head", head, "--key", key],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert checked.returncode == 0, checked


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "--all", "--position", "1"],
        ["verify", "--all", "--file", "x.db"],
        ["verify", "--all", "--ledger", "beta"],
        ["backup", "--all", "--ledger", "beta", "folder"],
        ["export", "--all"],
        ["export", "--json"],
    ],
)
def test_what_excludes_each_other_is_refused(three, words):
    assert "Error: " in three(*words, code=2).err


def test_without_a_ledger_there_is_nothing_to_do_for_all(empty):
    assert "there is no ledger yet" in empty("verify", "--all", code=5).err
