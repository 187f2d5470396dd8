"""What every command shares: output, progress, exit codes, and where the ledgers are."""

import functools
import inspect
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
from tabulate import tabulate

from ledger import clock
from ledger.contract import (
    Ledger,
    LedgerBusy,
    LedgerError,
    LedgerMisnamed,
    LedgerMissing,
    SideFileUnavailable,
)
from ledger.events import Metadata
from scim_api.cli import ages
from scim_api.settings import SettingsError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Otherwise = TypeVar("Otherwise")


class Exit(IntEnum):
    """Exit codes; click's own usage errors are 2."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_VERIFIED = 3
    CONFIGURATION = 4
    NOT_FOUND = 5
    BUSY = 75


def printable(text: str) -> str:
    """Return a text with what is not printable escaped: controls of the terminal, of direction."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


class Failure(click.ClickException):
    """A command that ends with a sentence on stderr and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        lines = message.split("\n")  # ours: what others wrote is quoted on one
        super().__init__("\n".join(map(printable, lines)))
        setattr(self, "exit_code", int(code))  # noqa: B010 (click declares it of the class)


class Site(Protocol):
    """What the program gives its commands: the ledgers of this machine."""

    def path(self, name: str) -> Path:
        """Return where the ledger of a name is kept."""
        ...

    def ledger(self, name: str) -> Ledger:
        """Open a ledger; raises LedgerError."""
        ...

    def metadata(self, via: str) -> Metadata:
        """Say who caused what a command writes."""
        ...


class Group(click.Group):
    """A command group whose errors end in a sentence and the right exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse bytes that are no text before any command looks at them."""
        for word in args:
            if any("\ud800" <= each <= "\udfff" for each in word):
                raise click.UsageError(f"The argument {printable(word)} is not UTF-8.", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error within becomes a Failure."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise Failure(str(error), Exit.CONFIGURATION) from error
        except LedgerMisnamed as error:
            raise click.UsageError(str(error)) from error
        except LedgerMissing as error:
            raise Failure(str(error), Exit.NOT_FOUND) from error
        except LedgerBusy as error:
            raise Failure(f"{error}; try again", Exit.BUSY) from error
        except LedgerError as error:
            raise Failure(str(error)) from error
        except BrokenPipeError:
            sys.stderr.close()  # the reader of a pipe went away: nothing to say to it
            ctx.exit(Exit.OK)
        except OSError as error:
            named = f"{error.filename}: " if error.filename else ""
            raise Failure(f"{named}{error.strerror or error}") from error


def take_any_character() -> None:
    """Let what the terminal's encoding cannot hold be printed escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


SITE = "scim_ledger.site"  # where the program leaves its Site for the commands
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def ledger_option(command: F) -> F:
    """Add --ledger NAME."""
    option = click.option(
        "--ledger",
        default="default",
        show_default=True,
        metavar="NAME",
        help="Which ledger (tenant) is meant.",
    )
    return option(command)


def json_option(command: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(
        command
    )


def examples(*lines: str) -> Callable[[F], F]:
    """Add examples to a command's help."""

    def with_examples(function: F) -> F:
        text = "\n".join(f"  {line}" for line in lines)
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n\b\nExamples:\n{text}\n"
        return function

    return with_examples


def read_beside(read: Callable[[], T], otherwise: Otherwise) -> T | Otherwise:
    """Return what is read from a file beside a ledger; where that cannot be, warn and go on."""
    try:
        return read()
    except SideFileUnavailable as error:
        click.echo(f"warning: {error}", err=True)
        return otherwise


def emit(value: Any) -> None:
    """Print a value as JSON on stdout."""
    click.echo(in_json(value, indent=2))


def in_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON that stdout can hold."""
    wide = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not wide, indent=indent, default=str)


def say(line: str, *, err: bool = False) -> None:
    """Print a line; whatever others put into it, it stays one."""
    click.echo(printable(line), err=err)


def emit_rows(rows: Iterable[Mapping[str, Any]], as_json: bool, nothing: str) -> None:
    """Print rows as a table, or as a JSON list; `nothing` is said on stderr when there are none."""
    if as_json:
        _emit_list(rows)
    elif table := [{name: _cell(value) for name, value in row.items()} for row in rows]:
        click.echo(tabulate(table, headers="keys", disable_numparse=True))
    else:
        click.echo(nothing, err=True)


def _emit_list(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a JSON list row by row: a ledger's events do not fit into memory."""
    opening = "["
    for row in rows:
        text = in_json(row, indent=2).replace("\n", "\n  ")  # no other line end: texts hold those
        click.echo(f"{opening}\n  {text}", nl=False)
        opening = ","
    click.echo("[]" if opening == "[" else "\n]")


def emit_record(record: Mapping[str, Any], as_json: bool) -> None:
    """Print one record, a line for each field, or as a JSON object."""
    if as_json:
        emit(record)
    else:
        cells = [(name, _cell(value)) for name, value in record.items()]
        click.echo(tabulate(cells, tablefmt="plain", disable_numparse=True))


def _cell(value: Any) -> Any:
    """Return a value as it stands in a table: what has parts as JSON."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return printable(value) if isinstance(value, str) else value


class Progress:
    """Progress on stderr: a line that moves on a terminal, else one every five seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = time.monotonic()
        self._next = self._started + (0.2 if sys.stderr.isatty() else 5.0)
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """Tell how far the work is."""
        now = time.monotonic()
        if now < self._next:
            return
        terminal = sys.stderr.isatty()
        self._next = now + (0.2 if terminal else 5.0)
        rate = done / max(now - self._started, 0.001)
        left = f", {max(total - done, 0) / rate:.0f} s left" if rate and total > done else ""
        text = f"{self._what}: {done:,} of {total:,}, {rate:,.0f} a second{left}"
        click.echo(f"\r{text:<79}" if terminal else text, err=True, nl=not terminal)
        self._shown = terminal

    def end(self) -> None:
        """Leave the moving line."""
        if self._shown:
            click.echo("", err=True)


def pass_site(function: F) -> F:
    """Hand the Site to a command as its first argument."""

    @functools.wraps(function)
    def with_site(*args: Any, **kwargs: Any) -> Any:
        site: Site = click.get_current_context().meta[SITE]
        return function(site, *args, **kwargs)

    return with_site  # type: ignore[return-value]


def moment(text: str) -> str:
    """Read a time or an age before now as the timestamp it stands for; raises UsageError."""
    try:
        found = ages.before(clock.now(), text) if ages.is_age(text) else time_of(text)
        return clock.timestamp(found)
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"{text!r} is neither a time such as 2026-11-01T10:00:00Z nor an age such as 7d"
        ) from None


def time_of(text: str) -> datetime:
    """Read a time, or a date as its first instant, of UTC unless it says otherwise.

    A date has no offset: after it comes T or a blank, then the time of day. Raises ValueError.
    """
    text = text.upper()  # small t and z too
    date.fromisoformat(re.split("[T ]", text, maxsplit=1)[0])
    parsed = clock.from_iso(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
