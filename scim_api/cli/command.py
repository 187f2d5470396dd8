"""What every command is made of: its console, shared options, examples, errors as sentences."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from ledger.contract import LedgerBusy, LedgerError, LedgerMisnamed, LedgerMissing
from scim_api.cli.console import Console
from scim_api.cli.terminal import Exit, Failure, end, printable
from scim_api.settings import SettingsError

LEDGER = click.Option(
    ["--ledger"], default="default", show_default=True, metavar="NAME", help="Ledger (tenant)."
)
JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, for programs.")


class Group(click.Group):
    """Commands shown in sections, each with a whole line."""

    sections: Mapping[str, Sequence[click.Command]] | None = None

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


def group(name: str, help_: str, *examples: str) -> Group:
    """Return a group of commands; see `command` for the examples."""
    return Group(name, help=with_examples(help_, name, examples), no_args_is_help=True)


def command(
    name: str,
    *examples: str,
    group: click.Group | None = None,
    help: str | None = None,
    ledger: bool = True,
    json: bool = True,
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function, which gets the Console first.

    The console knows the ledger and the form that --ledger and --json ask for. An example is what
    is typed after the command, or a whole line.
    """
    words = f"{group.name} {name}" if group else name

    def made(body: Callable[..., None]) -> click.Command:
        @functools.wraps(body)
        def call(**given: Any) -> None:
            console = click.get_current_context().find_object(Console)
            assert console is not None
            console.name = given.pop("ledger", "default")
            console.as_json = given.pop("as_json", False)
            with _sentences():
                body(console, **given)

        text = with_examples(help or body.__doc__ or "", words, examples)
        result = click.command(name, help=text)(call)
        result.params += [LEDGER] * ledger + [JSON] * json
        if group:
            group.add_command(result)
        return result

    return made


def with_examples(help_: str, words: str, examples: Sequence[str]) -> str:
    """Return a help text with examples of a command after it."""
    program = f"scim-ledger {words}".strip()
    lines = (e if "scim-ledger" in e else f"{program} {e}".strip() for e in examples or [""])
    return f"{inspect.cleandoc(help_)}\n\n\b\nExamples:\n" + "".join(f"  {x}\n" for x in lines)


@contextmanager
def _sentences() -> Iterator[None]:
    """End a command that fails with a sentence and the right exit code."""
    try:
        yield
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
        end(Exit.OK)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{named}{error.strerror or error}") from error
