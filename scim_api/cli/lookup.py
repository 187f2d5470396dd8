"""What commands about the past share: moments, names of resources, an archive that is ready."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import click
import orjson

from ledger import clock
from ledger.contract import Ledger, Transaction
from projections.audit.archive import Archive
from projections.audit.cause import Cause
from projections.audit.timeline import Timeline
from projections.current.memberships import Relation
from projections.current.reader import ResourceReader
from projections.history.history import History
from projections.history.projector import NEVER
from scim_api.audit.documents import archive_of
from scim_api.cli import ages
from scim_api.cli.terminal import Exit, Failure, Progress, moment, say
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.schema.resource_types import KINDS
from scim_api.tenants.tenants import Tenant
from scim_api.web import as_of

NAMESAKES = 5  # that are pointed out

F = TypeVar("F", bound=Callable[..., Any])

MOMENT = (
    "a position (42), an instant (2026-10-01T00:00:00Z; without an offset is UTC), a date"
    f" (2026-10-01: its first instant, UTC) or an age ({ages.WORDS} before now)"
)
NOW = "Today's date (UTC), and what is yet to come, mean until now."


class Site(Protocol):
    """What the program gives these commands."""

    def tenant(self, name: str) -> Tenant: ...


def at_option(command: F) -> F:
    """Add --at MOMENT."""
    return click.option("--at", metavar="MOMENT", help=f"As of then: {MOMENT}. {NOW}")(command)


def span_options(command: F) -> F:
    """Add --from MOMENT and --to MOMENT."""
    command = click.option(
        "--to", "end", metavar="MOMENT", help=f"The moment after, by default now. {NOW}"
    )(command)
    return click.option(
        "--from", "start", metavar="MOMENT", required=True, help=f"The moment before: {MOMENT}."
    )(command)


def position_of(ledger: Ledger, text: str, option: str) -> int:
    """Read a MOMENT as the position it stands for; raises UsageError."""
    try:
        return as_of.position_of(ledger, _normal(text.strip()), option)
    except InvalidValue as error:
        raise click.UsageError(error.detail) from None


def last_position_of(ledger: Ledger, text: str, option: str) -> int:
    """Read the MOMENT at which a period ends; today or later means now. Raises UsageError."""
    if _is_over(ledger, text.strip()):
        return position_of(ledger, text, option)
    say(f"{option} {text} is not over yet: until now", err=True)
    return ledger.last_position()


def _is_over(ledger: Ledger, text: str) -> bool:
    """Return whether nothing more can happen until a moment; a date of today is not over."""
    at = _normal(text)
    if at.isdigit():
        return True
    today = clock.timestamp()[:10]
    is_date = not ages.is_age(text) and len(text) <= len(today)
    last_at = ledger.end()[1]
    return at <= max(clock.timestamp(), last_at) and not (is_date and at.startswith(today))


def say_position(ledger: Ledger, position: int, word: str) -> None:
    """Say on stderr what an answer stands for: the same position gives it again."""
    say(f"{word} position {position} ({ledger.time_of(position)})", err=True)


def start_of(ledger: Ledger, text: str, option: str) -> int:
    """Read a MOMENT as the last position before it: what begins then comes after."""
    text = _normal(text.strip())
    if text.isdigit():
        return position_of(ledger, text, option) - 1
    return ledger.position_before(text)


def _normal(text: str) -> str:
    """Return a position as it is, anything else as an instant."""
    if text.isascii() and text.isdigit():
        return text
    try:
        return moment(text)
    except click.UsageError:
        raise click.UsageError(f"{text!r} is no moment. A moment is {MOMENT}.") from None


def follow(history: History) -> None:
    """Let the history catch up with its ledger, however long that takes, and tell how far it is."""
    progress = Progress("following the ledger")
    history.catch_up(progress=progress)
    progress.end()


@dataclass(frozen=True, slots=True)
class View:
    """The resources of one moment, and the file they are read from."""

    readings: ResourceReader
    reading: Callable[[], AbstractContextManager[Transaction]]

    def find(self, type_: str, name: str) -> str | None:
        """Return the id of a resource, given by id or by its name at that moment."""
        with self.reading() as connection:
            found = self.readings.get(connection, type_, name)
            found = found or self.readings.find_by_name(connection, type_, name)
        return found.id if found else None


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A ledger whose past is asked about."""

    tenant: Tenant

    @property
    def archive(self) -> Archive:
        """What is asked, once the history has followed the ledger, however long that takes."""
        follow(self.tenant.history)
        return archive_of(self.tenant)

    def now(self) -> View:
        """Return the resources there are."""
        return View(self.tenant.resources, self.tenant.ledger.reading)

    def at(self, position: int) -> View:
        """Return the resources there were at a position."""
        history = self.archive.history
        return View(history.at(position), history.file.reading)

    def view(self, at: str | None) -> View:
        """Return the resources of a moment, by default of now."""
        if at is None:
            return self.now()
        return self.at(self.asked(at))

    def asked(self, at: str) -> int:
        """Read --at as the position it stands for, and say which that is; raises UsageError."""
        position = last_position_of(self.tenant.ledger, at, "--at")
        say_position(self.tenant.ledger, position, "as of")
        return position

    def find(self, type_: str, name: str, *views: View, ever: bool = False) -> str:
        """Return the id of a resource: by id, or by its name in the first view that has it.

        With `ever` also one that was deleted, by its id or the name it had last. Raises Failure.
        """
        id_ = next(filter(None, (view.find(type_, name) for view in views)), None)
        if id_ is None and ever:
            archive = self.archive
            known = Timeline(archive, type_, name).exists()
            id_ = name if known else archive.last_named(type_, name)
        if id_ is None:
            raise absent(type_, name)
        if id_ != name:
            self._point_out_namesakes(type_, name, id_)
        return id_

    def _point_out_namesakes(self, type_: str, name: str, id_: str) -> None:
        for other in self.archive.namesakes(type_, name, id_, NAMESAKES):
            last = "now" if other.until == NEVER else other.until - 1
            when = f"positions {other.since} to {last}"
            say(f"note: this name was also that of {other.id} ({when})", err=True)


def absent(type_: str, name: str) -> Failure:
    """Return what a command ends with that finds no such resource."""
    attribute = KINDS[type_].name_attribute
    return Failure(
        f"there is no {type_.lower()} with the id or {attribute} {name!r}", Exit.NOT_FOUND
    )


def text(value: Any) -> str:
    """Return a value as it stands in a table."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def related(one: Relation) -> dict[str, Any]:
    """Return a member of a group, or a group of a user, as SCIM shows it."""
    display = {} if one.display is None else {"display": one.display}
    return {"value": one.id, **display, "type": one.type}


RELATIONS = ("members", "groups")


def label(key: str) -> str:
    """Return an attribute's name as it stands in a table: without a URN, or the id of a member."""
    kind, _, name = key.partition(":")
    return key.rpartition(":")[2] if kind == "urn" else kind if name else key


def told(key: str, value: Any) -> str:
    """Return an attribute's value as it stands in a table: of a member or group the name."""
    kind, _, id_ = key.partition(":")
    if kind in RELATIONS and isinstance(value, dict):
        return str(value.get("display") or value.get("value") or id_)
    return text(value)


def cause_columns(cause: Cause) -> dict[str, Any]:
    """Return the columns of a table that tell of a cause."""
    return {
        "position": cause.position,
        "at": cause.at,
        "type": cause.type,
        "who": cause.who,
        "client": text(cause.client),
    }
