"""What a command does for one ledger or for every one, going on after one that fails."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from scim_api.cli.console import Console, failure_of
from scim_api.cli.terminal import Exit, Failure, end, note, print_json_list, say

ALL = click.option("--all", "every", is_flag=True, help="Every ledger, instead of one.")

# The worst first: how a command ends that failed in several ways.
_WORST = (
    Exit.NOT_VERIFIED,
    Exit.CONFIGURATION,
    Exit.FAILED,
    Exit.NOT_FOUND,
    Exit.USAGE,
    Exit.BUSY,
)


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did for a ledger: as an object, or in lines; notes; and how that ended.

    `says` is why it failed, where the lines do not say so.
    """

    record: Mapping[str, Any]
    lines: Sequence[str] = ()
    notes: Sequence[str] = ()
    code: Exit = Exit.OK
    says: str = ""


def attempts(console: Console, work: Callable[[str], Done]) -> Iterator[tuple[str, Done]]:
    """Do something for each ledger; whatever it raises is said, and the next one follows."""
    for name in console.names:
        try:
            done = work(name)
        except Exception as error:  # of one ledger; the others are as good as ever
            failure = failure_of(console, error)
            record = {"name": name, "ok": False, "error": failure.message}
            done = Done(record, code=Exit(failure.exit_code), says=failure.message)
        yield name, done


def for_one(console: Console, work: Callable[[str], Done], participle: str) -> None:
    """Do it for the ledger that --ledger names; say which one where there are several."""
    done = work(console.name)
    others = len([name for name in console.names if name != console.name])
    if others:
        were = "other ledger was" if others == 1 else "other ledgers were"
        note(f"this was the ledger {console.name}; {others} {were} not {participle} (--all)")
    show(console, done)


def show(console: Console, done: Done) -> None:
    """Print what was done, and end with its exit code if it failed."""
    console.document(done.record, *done.lines)
    for line in done.notes:
        note(line)
    if done.says:
        raise Failure(done.says, done.code)
    if done.code:
        end(done.code)


def for_all(console: Console, work: Callable[[str], Done], participle: str) -> None:
    """Do it for every ledger; raises Failure with a list of those for which it failed."""
    context = click.get_current_context()
    if context.get_parameter_source("ledger") is not ParameterSource.DEFAULT:
        raise click.UsageError("--all and --ledger exclude each other")
    if not console.names:
        raise Failure("there is no ledger yet; scim-ledger init makes one", Exit.NOT_FOUND)
    ended = []
    for name, done in attempts(console, work):
        ended.append((name, done))
        if done.lines and not console.as_json:
            say(f"{name}:")
            for line in done.lines:
                say(f"  {line}")
        for line in (*done.notes, *([f"not {participle}"] if done.code else [])):
            note(f"{name}: {line}")
    if console.as_json:
        print_json_list(done.record for _, done in ended)
    finish(ended, participle)


def finish(ended: Sequence[tuple[str, Done]], participle: str, code: Exit | None = None) -> None:
    """End a command with what failed, if anything did, and with the worst exit code or this one."""
    failed = [(name, done) for name, done in ended if done.code]
    if failed:
        good = [name for name, done in ended if not done.code]
        lines = [
            f"{len(failed)} of {len(ended)} ledgers were not {participle}:",
            *(f"  {name}{f': {done.says}' if done.says else ''}" for name, done in failed),
            *([f"{participle}: {', '.join(good)}"] if good else []),
        ]
        worst = min((done.code for _, done in failed), key=_WORST.index)
        raise Failure("\n".join(lines), code or worst)
