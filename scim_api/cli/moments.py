"""Moments as an operator types them: positions, instants, dates and ages."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import click

from ledger import clock
from ledger.contract import Ledger
from scim_api.auth.credentials import LIFETIME
from scim_api.cli.terminal import note
from scim_api.web.as_of import position_at

AGES = "1y, 2w, 7d, 12h, 30m, 45s: years, weeks, days, hours, minutes, seconds"
MOMENT = (
    "a position (42), an instant (2026-10-01T00:00:00Z; without an offset it is UTC), a date"
    f" (2026-10-01: its first instant, UTC) or an age ({AGES} ago)"
)
NOW = "Today's date (UTC) and the future mean until now."
EXPIRES = (
    "a date (2027-10-01: its first instant, UTC), an instant (2027-10-01T08:00:00Z) or a time"
    f" from now ({AGES}; a year ends on the same day of the next), or never"
)

_AGE = re.compile(r"([0-9]{1,9})([ywdhms])", re.ASCII)
_POSITION = re.compile(r"[0-9]{1,100}", re.ASCII)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


at_option = click.option("--at", metavar="MOMENT", help=f"As of then: {MOMENT}. {NOW}")
from_option = click.option(
    "--from", "start", metavar="MOMENT", required=True, help=f"Start of the period: {MOMENT}."
)
to_option = click.option(
    "--to", "end", metavar="MOMENT", help=f"End of the period, by default now. {NOW}"
)


def timestamp_of(text: str) -> str:
    """Read a time, or an age before now, as a timestamp; raises UsageError."""
    wrong = f"{text!r} is neither a time such as 2026-11-01T10:00:00Z nor an age such as 7d"
    return _timestamp(text, wrong)


since_option = click.option(
    "--since",
    type=timestamp_of,
    metavar="TIME",
    help="A time (2026-11-01T10:00:00Z, 2026-11-01) or an age (7d, 12h).",
)


def expiry_of(text: str) -> str | None:
    """Read when a secret expires, None for never; raises UsageError for what is not to come."""
    if text.strip().lower() == "never":
        return None
    wrong = f"--expires is {EXPIRES}; {text!r} is none of these"
    expires_at = _timestamp(text, wrong, before_now=False)
    if expires_at <= clock.timestamp():
        raise click.UsageError(f"--expires {text} is not in the future: {expires_at} has come")
    return expires_at


expires_option = click.option(
    "--expires",
    type=expiry_of,
    default=f"{LIFETIME.days}d",
    show_default=True,
    metavar="TIME",
    help=f"When it expires: {EXPIRES}.",
)


def _ends_at(option: str, most: timedelta | None = None) -> Callable[[str], str]:
    """Return what reads until when something lasts.

    It raises UsageError for what is over, or lasts too long.
    """

    def read(text: str) -> str:
        wrong = f"{option} is a time from now ({AGES}) or an instant; {text!r} is neither"
        now, until = clock.timestamp(), _timestamp(text, wrong, before_now=False)
        if until < now:
            raise click.UsageError(f"{option} {text} is over: {until} has passed")
        if most and until > clock.timestamp(clock.now() + most):
            raise click.UsageError(f"{option} is at most {most.days}d")
        return until

    return read


overlap_option = click.option(
    "--overlap",
    "former_until",
    type=_ends_at("--overlap"),
    default="7d",
    show_default=True,
    metavar="TIME",
    help="How long the former one still works; 0d: not at all.",
)
lasting_option = click.option(
    "--for",
    "expires_at",
    type=_ends_at("--for", timedelta(days=7)),
    default="15m",
    show_default=True,
    metavar="TIME",
    help="How long it works, such as 30m, 4h or 2d: at most 7d.",
)


def position_of(ledger: Ledger, text: str, option: str) -> int:
    """Read a MOMENT as the position it stands for; raises UsageError or InvalidValue."""
    return position_at(ledger, _read(text), option)


def last_position_of(ledger: Ledger, text: str, option: str) -> int:
    """Read the MOMENT at which a period ends, as position_of; today or later means now."""
    moment = _read(text)
    if isinstance(moment, int) or _is_over(ledger, text.strip(), moment):
        return position_at(ledger, moment, option)
    note(f"{option} {text} is not over yet: until now")
    return ledger.last_position()


def position_before(ledger: Ledger, text: str, option: str) -> int:
    """Read the MOMENT at which a period begins as the last position before it."""
    moment = _read(text)
    if isinstance(moment, int):
        return position_at(ledger, moment, option) - 1
    return ledger.position_before(moment)


def say_position(ledger: Ledger, position: int, word: str) -> None:
    """Say which position an answer is about: with it, the same question gives the same answer."""
    note(f"{word} position {position} ({ledger.time_of(position)})")


def _read(text: str) -> int | str:
    """Read a MOMENT: a position as a number, anything else as a timestamp."""
    text = text.strip()
    if _POSITION.fullmatch(text):
        return int(text)
    return _timestamp(text, f"{text!r} is no moment. A moment is {MOMENT}.")


def _is_over(ledger: Ledger, text: str, moment: str) -> bool:
    """Return whether nothing more can happen until a moment; today's date is not over."""
    now = clock.timestamp()
    is_today = moment[:10] == now[:10] and len(text) <= 10 and not _AGE.fullmatch(text)
    return moment <= max(now, ledger.end()[1]) and not is_today


def _timestamp(text: str, wrong: str, *, before_now: bool = True) -> str:
    """Read a time, or an age before now or after it; raises UsageError, which says `wrong`."""
    text = text.strip()
    try:
        if age := _AGE.fullmatch(text):
            number = -int(age[1]) if before_now else int(age[1])
            return clock.timestamp(_away(clock.now(), number, age[2]))
        text = text.upper()  # small t and z too
        date.fromisoformat(re.split("[T ]", text, maxsplit=1)[0])  # a date alone has no offset
        at = clock.from_iso(text)
        return clock.timestamp(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise click.UsageError(wrong) from None


def _away(now: datetime, number: int, unit: str) -> datetime:
    """Return the moment so many units from now; a year from 29 February, the 28th."""
    if unit != "y":
        return now + timedelta(**{_UNITS[unit]: number})
    try:
        return now.replace(year=now.year + number)
    except ValueError:
        return now.replace(year=now.year + number, day=28)
