"""Every command explains itself, with examples that would run."""

import re
import shlex

import click
import pytest

from app import cli


def commands(group=cli, words=()):
    """Yield every command with the words that name it."""
    yield words, group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*words, name))


COMMANDS = list(commands())
EVERY = pytest.mark.parametrize(
    ("words", "command"), COMMANDS, ids=[" ".join(words) or "itself" for words, _ in COMMANDS]
)


def examples(command):
    return re.findall(r"^ +(scim-ledger .*)$", command.help.partition("Examples:")[2], re.M)


@EVERY
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_a_command_explains_itself_with_examples(empty, words, command, option):
    said = empty(*words, option)

    assert said.out.startswith("Usage: scim-ledger")
    assert re.search(r"Examples:\n +scim-ledger", said.out)
    assert said.err == ""


@EVERY
def test_the_examples_of_a_command_would_be_understood(words, command):
    for example in examples(command):
        _, *rest = shlex.split(example)
        found = cli
        while isinstance(found, click.Group):
            found = found.commands[rest.pop(0)]

        assert found.make_context("scim-ledger", rest)


@EVERY
def test_every_option_and_argument_of_a_command_is_explained(words, command):
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "count":
            assert parameter.help, parameter.name


@EVERY
def test_a_command_that_reads_can_answer_in_json(words, command):
    writes = {"serve", "migrate", "revoke", "rebuild", "backup", "export"}
    reads = not isinstance(command, click.Group) and words[-1] not in writes

    assert not reads or "as_json" in {parameter.name for parameter in command.params}


def test_the_help_names_the_exit_codes(empty):
    said = " ".join(empty("-h").out.split())

    assert "0 ok, 1 failed, 2 usage, 3 verification failed, 4 configuration, 5 not found" in said
    assert "75 busy" in said


def test_the_help_lists_every_command_in_one_section_with_a_whole_line(empty, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    said = empty("-h").out

    sections = "Serve and set up|People and groups|Audit|Proof|Operate"
    listed = re.split(rf"\n\n(?:{sections}):\n", said)[1:]
    rows = [line.split(maxsplit=1) for part in listed for line in part.splitlines()]
    assert sorted(name for name, _ in rows) == sorted(cli.commands)
    assert len(listed) == 5
    assert all(summary.endswith(".") and "..." not in summary for _, summary in rows)


def test_it_says_its_version(empty):
    assert empty("--version").out.startswith("scim-ledger, version ")


@pytest.mark.parametrize(
    "words",
    [
        ["nothing"],
        ["token", "nothing"],
        ["status", "--nothing"],
        ["token", "create"],
        ["token", "create", "a", "b"],
        ["events", "show", "x"],
        ["events", "show", "0"],
        ["events", "list", "--limit", "0"],
    ],
    ids=" ".join,
)
def test_bad_arguments_end_with_2_and_a_message_on_stderr(shell, words):
    ended = shell(*words, code=2)

    assert ended.out == ""
    assert "Usage: scim-ledger" in ended.err
