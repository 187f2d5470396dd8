"""What every command has: the ledgers, an answer, shared options, errors as sentences."""

import functools
import getpass
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from flask import Flask

from ledger import clock, owners
from ledger.contract import LedgerBusy, LedgerError, LedgerMisnamed, LedgerMissing
from ledger.create import LedgerAway, left_of, must_name_a_ledger
from ledger.erasure import NotHeld
from ledger.events import Metadata
from ledger.sqlite.connection import undo_cut_off
from ledger.witness.witness import Refused
from scim_api import settings as settings_
from scim_api.cli.terminal import (
    Exit,
    Failure,
    end,
    note,
    print_json,
    print_json_list,
    print_record,
    print_table,
    printable,
    say,
)
from scim_api.protocol.errors import ScimError, TooMany
from scim_api.recovery.restore import complete
from scim_api.settings import Settings, SettingsError
from scim_api.tenants.configure import UnknownSchema
from scim_api.tenants.tenants import LEDGER_FILE, Tenant, ledger_path
from scim_api.wiring import (
    create_ledger,
    deliver_heads,
    keys_of,
    known_names,
    migrate_ledger,
    open_tenant,
    wire,
)

VERSION = version("scim-ledger")
SOFTWARE = f"scim-ledger {VERSION}"
MOST_NAMED = 20  # ledgers in an error


class Console:
    """The ledgers of the data directory, and the answer of one command.

    Methods that take a name use the ledger that --ledger names by default.
    """

    def __init__(self, create_app: Callable[[Settings], Flask]) -> None:
        self._create_app = create_app
        self.name = "default"
        self.as_json = False

    # The ledgers

    @cached_property
    def settings(self) -> Settings:
        """The settings; raises SettingsError when one is wrong."""
        return settings_.load(os.environ)

    @property
    def names(self) -> list[str]:
        return known_names(self.settings)

    def path(self, name: str | None = None) -> Path:
        """Return the file of a ledger, as it was before what was cut off; raises LedgerMisnamed.

        The name of a folder that an operator made is taken as it is.
        """
        name = name or self.name
        if name not in self.names:
            must_name_a_ledger(name)
        path = ledger_path(self.settings.data_dir, name)
        undo_cut_off(path)
        return path

    def tenant(self, name: str | None = None) -> Tenant:
        """Open a ledger with its projections; raises LedgerError."""
        return open_tenant(self.path(name), self.settings)

    def unchecked(self, name: str) -> Tenant:
        """Open a ledger that may not be served, to read it; raises LedgerError."""
        return wire(self.path(name), self.settings, read_only=True)

    def deliver(self) -> None:
        """Hand a head that was just signed to the anchor's folder, out of the operator's reach."""
        for trouble in deliver_heads(self.path(), self.settings):
            note(f"warning: {trouble}")

    def metadata(self) -> Metadata:
        """Return the metadata of an operator's events; the operator's name can be erased."""
        request = {"operator": operator(), "client": SOFTWARE, "id": clock.uuid7()}
        return Metadata("operator", "cli", clock.uuid7(), request)

    def web(self) -> Flask:
        """Return the application; it logs errors only."""
        return self._create_app(replace(self.settings, log_level="error"))

    def create(self, name: str | None = None) -> Tenant:
        """Make a ledger and open it; raises LedgerError when there is one already."""
        create_ledger(self.path(name), self.settings, software=SOFTWARE, metadata=self.metadata())
        return self.tenant(name)

    def migrate(self, name: str) -> list[str]:
        """Bring a ledger up to date; return what was done."""
        with suppress(LedgerBusy):  # a service of this version has it
            complete(self.path(name), self.settings)
        return migrate_ledger(self.path(name), self.settings, self.metadata())

    def explain(self, error: LedgerError) -> str:
        """Return the sentence of an error; of a missing ledger also where it was looked for."""
        if not isinstance(error, LedgerMissing) or error.path.name != LEDGER_FILE:
            return str(error)
        settings, path = self.settings, error.path
        if path.parent.parent != settings.data_dir:
            return str(error)
        name, left = path.parent.name, left_of(path, keys_of(path, settings))
        keys = f"; SCIM_KEY_DIR is {settings.key_dir.absolute()}" if settings.key_dir else ""
        where = f"{self.whereabouts()}{keys}. --ledger is {name}"
        if left:
            return f"{LedgerAway(path, left)}. {where}"
        return f"{error}. {where}. `scim-ledger init --ledger {name}` makes a new one"

    def whereabouts(self) -> str:
        """Return where ledgers are looked for, by which setting, and which are there."""
        folder, there = self.settings.data_dir, [*self.names]
        source = "set in the environment" if os.environ.get("SCIM_DATA_DIR") else "the default"
        found = [name for name in there if ledger_path(folder, name).exists()]
        more = f" and {len(found) - MOST_NAMED:,} more" if len(found) > MOST_NAMED else ""
        ledgers = ", ".join(found[:MOST_NAMED]) + more or "none"
        is_there = "" if folder.is_dir() else ", which is not there"
        return (
            f"SCIM_DATA_DIR ({source}) is {folder.absolute()}{is_there}; ledgers there: {ledgers}"
        )

    # The answer

    def rows(self, rows: Iterable[Mapping[str, Any]], nothing: str) -> None:
        """Print rows as a table or as a JSON list; `nothing` is said when there are none."""
        if self.as_json:
            print_json_list(rows)
        elif not print_table(rows):
            note(nothing)

    def record(self, record: Mapping[str, Any]) -> None:
        (print_json if self.as_json else print_record)(record)

    def change(self, changed: bool, now: str, before: str = "") -> None:
        """Say what a command changed, or how it was `before` if it changed nothing."""
        sentence = now if changed else f"nothing changed: {before}"
        if self.as_json:
            print_json({"changed": changed, "says": sentence})
        else:
            note(sentence)

    def document(self, document: Any, *lines: str) -> None:
        """Print a document as JSON, or what it says in lines."""
        if self.as_json:
            print_json(document)
        else:
            for line in lines:
                say(line)


def operator() -> str:
    """Return the name of the user at the terminal: under sudo, of who called sudo."""
    before = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    try:
        return printable(before or getpass.getuser())
    except (KeyError, OSError):  # a user that only has a number, as in a container
        return owners.name_of(os.getuid())


# Commands

LEDGER = click.Option(
    ["--ledger"], default="default", show_default=True, metavar="NAME", help="Ledger (tenant)."
)
JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, for programs.")


class Group(click.Group):
    """Commands shown in sections, each with a whole line."""

    sections: Mapping[str, Sequence[click.Command]] | None = None
    words: Mapping[str, str] = {}  # in the docstrings of its commands

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse bytes that are no text before any command looks at them."""
        for word in args:
            if any("\ud800" <= each <= "\udfff" for each in word):
                raise click.UsageError(f"The argument {printable(word)} is not UTF-8.", ctx)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, in the order of their declaration."""
        width = max(map(len, self.commands))
        for title, commands in (self.sections or {"Commands": [*self.commands.values()]}).items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{each.name:<{width}}", each.get_short_help_str(200)) for each in commands]
                )


def group(name: str, help_: str, **words: str) -> Group:
    """Return a group of commands; its examples are the first of each command."""
    made = Group(name, help=with_examples(help_))
    made.words = words
    return made


def command(
    name: str,
    *examples: str,
    group: Group | None = None,
    ledger: bool = True,
    json: bool = True,
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function, which gets the Console first.

    The console knows the ledger and the form that --ledger and --json ask for. An example is what
    is typed after the command, or a whole line.
    """
    words = f"scim-ledger {group.name} {name}" if group else f"scim-ledger {name}"
    lines = [e if "scim-ledger" in e else f"{words} {e}".strip() for e in examples or [""]]

    def made(body: Callable[..., None]) -> click.Command:
        @functools.wraps(body)
        def call(**given: Any) -> None:
            console: Console = click.get_current_context().obj
            console.name = given.pop("ledger", "default")
            console.as_json = given.pop("as_json", False)
            with _sentences(console):
                body(console, **given)

        text = (body.__doc__ or "").format_map(group.words if group else {})
        result = click.command(name, help=with_examples(text, *lines))(call)
        result.params += [LEDGER] * ledger + [JSON] * json
        if group:
            group.add_command(result)
            group.help = f"{group.help}  {lines[0]}\n"
        return result

    return made


def with_examples(help_: str, *lines: str) -> str:
    return f"{inspect.cleandoc(help_)}\n\n\b\nExamples:\n" + "".join(f"  {x}\n" for x in lines)


# How a command ends with an error, the narrower classes first.
EXITS: Mapping[type[Exception], Exit] = {
    SettingsError: Exit.CONFIGURATION,
    LedgerMisnamed: Exit.USAGE,
    LedgerMissing: Exit.NOT_FOUND,
    UnknownSchema: Exit.NOT_FOUND,
    NotHeld: Exit.NOT_FOUND,
    LedgerBusy: Exit.BUSY,
    Refused: Exit.NOT_VERIFIED,
    LedgerError: Exit.FAILED,
    TooMany: Exit.FAILED,
    ScimError: Exit.USAGE,  # what was typed: a filter, a moment
}


@contextmanager
def _sentences(console: Console) -> Iterator[None]:
    """End a command that fails with a sentence and the right exit code."""
    try:
        yield
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe went away: nothing to say to it
        end(Exit.OK)
    except (SettingsError, LedgerError, ScimError, OSError) as error:
        raise failure_of(console, error) from error


def failure_of(console: Console, error: Exception) -> Failure:
    """Return the sentence and the exit code for an error."""
    if isinstance(error, click.ClickException):
        return Failure(error.format_message(), Exit(error.exit_code))
    if isinstance(error, OSError):
        if not isinstance(error.filename, str):
            return Failure(error.strerror or str(error))
        path = Path(error.filename).absolute()
        denied = owners.denial(path, write=True) or owners.denial(path.parent, write=True)
        denied = denied if isinstance(error, PermissionError) else None
        return Failure(f"{path}: {denied or error.strerror}")
    code = next((code for kind, code in EXITS.items() if isinstance(error, kind)), None)
    if code is None:  # nobody thought of it
        return Failure(f"{type(error).__name__}: {error}")
    says = console.explain(error) if isinstance(error, LedgerError) else str(error)
    return Failure(f"{says}; try again" if code is Exit.BUSY else says, code)
