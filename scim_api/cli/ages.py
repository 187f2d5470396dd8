"""Ages, such as 2w for two weeks: how far from now a moment is, before or after."""

import re
from datetime import datetime, timedelta

WORDS = "1y, 2w, 7d, 12h, 30m, 45s: years, weeks, days, hours, minutes, seconds"

_AGE = re.compile(r"([0-9]{1,9})([ywdhms])", re.ASCII)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def is_age(text: str) -> bool:
    """Return whether a text is an age."""
    return _AGE.fullmatch(text) is not None


def before(now: datetime, age: str) -> datetime:
    """Return the moment an age before another; raises ValueError or OverflowError."""
    return _away(now, age, -1)


def after(now: datetime, age: str) -> datetime:
    """Return the moment an age after another; raises ValueError or OverflowError."""
    return _away(now, age, +1)


def _away(now: datetime, age: str, way: int) -> datetime:
    found = _AGE.fullmatch(age)
    if found is None:
        raise ValueError(f"{age!r} is no age: {WORDS}")
    number, unit = way * int(found[1]), found[2]
    if unit == "y":
        return _in_year(now, now.year + number)
    return now + timedelta(**{_UNITS[unit]: number})


def _in_year(now: datetime, year: int) -> datetime:
    """Return the same day of another year; of 29 February, else the day before it."""
    try:
        return now.replace(year=year)
    except ValueError:
        return now.replace(year=year, day=28)
