"""Times as clients send them, in filters and in asOf."""

import re

_BLANK = re.compile(r" (?=\d\d:\d\d$)", re.ASCII)
_LEAP_SECOND = re.compile(r":60(\.\d+)?(?=[Zz+-])", re.ASCII)


def as_meant(text: str) -> str:
    """Return a dateTime in the form that can be read.

    A plus in an address becomes a blank unless it is escaped; a leap second (RFC 3339 §5.7) is the
    end of the second before, since no clock here has it.
    """
    return _LEAP_SECOND.sub(":59.999999", _BLANK.sub("+", text.strip()))
