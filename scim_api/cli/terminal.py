"""The terminal: what is printed there, in words or as JSON, how far a command is, exit codes."""

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from io import TextIOWrapper
from typing import Any, Self, TypeVar

import click

from ledger.contract import SideFileUnavailable

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
    UNREADABLE = 6  # what was given to compare with is no tree head
    BUSY = 75


def end(code: Exit) -> None:
    click.get_current_context().exit(code)


def printable(text: str) -> str:
    """Return a text with what is not printable escaped: controls of the terminal, of direction."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


class Failure(click.ClickException):
    """Ends a command with a sentence on stderr and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        lines = message.split("\n")  # ours: what others wrote is quoted on one
        super().__init__("\n".join(map(printable, lines)))
        setattr(self, "exit_code", int(code))  # noqa: B010 (click declares it of the class)


def take_any_character() -> None:
    """Escape what the terminal's encoding cannot hold."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(line: str, *, err: bool = False) -> None:
    """Print one line, whatever characters others put into it."""
    click.echo(printable(line), err=err)


def note(line: str) -> None:
    """Print a line for the person at the terminal: on stderr, out of a program's way."""
    say(line, err=True)


def read_side_file(read: Callable[[], T], otherwise: Otherwise) -> T | Otherwise:
    """Return what is read from a file next to a ledger; if it cannot be read, warn."""
    try:
        return read()
    except SideFileUnavailable as error:
        note(f"warning: {error}")
        return otherwise


# JSON


def print_json(value: Any) -> None:
    click.echo(to_json(value, indent=2))


def to_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON that stdout can hold."""
    wide = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not wide, indent=indent, default=str)


def print_json_list(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a JSON list row by row: a ledger's events do not fit into memory."""
    opening = "["
    for row in rows:
        text = to_json(row, indent=2).replace("\n", "\n  ")  # no other line end: texts hold those
        click.echo(f"{opening}\n  {text}", nl=False)
        opening = ","
    click.echo("[]" if opening == "[" else "\n]")


# Tables


def cell(value: Any) -> str:
    """Return a value as a table shows it: nothing for null, JSON for all but texts."""
    if value is None:
        return ""
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return printable(value)


def print_table(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Print rows under their names; return whether there were any.

    Where that is wider than the terminal, each row is a block of its own.
    """
    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row))
    if listed:
        cells = [[cell(row.get(name)) for name in names] for row in listed]
        widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
        if sum(widths) + 2 * (len(widths) - 1) > _columns():
            _print_blocks(names, cells)
        else:
            _print_columns([names, ["-" * width for width in widths], *cells])
    return bool(listed)


def _columns() -> int:
    """Return how wide the terminal is, or COLUMNS says it is; a file or a pipe has no end."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize


def _print_blocks(names: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    """Print rows one below the other, without what is empty; sentences are wrapped."""
    room = max(20, _columns() - max(map(len, names)) - 2)
    for number, row in enumerate(cells):
        if number:
            click.echo()
        _print_columns(
            [
                ("" if more else name, line)
                for name, text in zip(names, row, strict=True)
                for more, line in enumerate(_wrapped(text, room))
            ]
        )


def _wrapped(text: str, room: int) -> list[str]:
    """Return the lines of a text; what has no blanks, such as a URL, stays whole."""
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)


def print_record(record: Mapping[str, Any]) -> None:
    _print_columns([(name, cell(value)) for name, value in record.items()])


def _print_columns(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


# Progress


class Progress:
    """Progress on stderr: a line that moves on a terminal, elsewhere one every five seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._pause = 0.2 if self._terminal else 5.0
        self._started = time.monotonic()
        self._next = self._started + self._pause
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:  # leave the moving line
            click.echo("", err=True)

    def __call__(self, done: int, total: int) -> None:
        """Show how far the work is, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._pause
        rate = done / max(now - self._started, 0.001)
        left = f", {max(total - done, 0) / rate:.0f} s left" if rate and total > done else ""
        text = f"{self._what}: {done:,} of {total:,}, {rate:,.0f} a second{left}"
        click.echo(f"\r{text:<79}" if self._terminal else text, err=True, nl=not self._terminal)
        self._shown = self._terminal
