"""Runs of combining marks: sorted in linear time, and recognised where no real text has them."""

import re
from functools import cache
from unicodedata import combining, decomposition, normalize

MOST = 30  # non-starters in a row in Stream-Safe Text (UAX #15, D3)

# Of the marks one character decomposes to three at most: so many of them may be more than MOST.
_SUSPECT = 13
_BEYOND = 0x1F000  # no non-starter is that far


def in_order(text: str) -> str:
    """Return a canonically equivalent text whose long runs of marks stand in canonical order.

    `normalize` puts each run in order in time that grows with its square: half a minute for
    150,000 marks. Both normalize to the same text.
    """
    if len(text) <= MOST:
        return text
    return _run(MOST + 1).sub(lambda found: _sorted(found[0]), text)


def stream_safe(text: str) -> bool:
    """Return whether a text has the Stream-Safe format: no more than MOST non-starters in a row."""
    if text.isascii() or not _run(_SUSPECT).search(text):
        return True
    return not _run(MOST + 1).search(normalize("NFKD", in_order(text)))


def _sorted(marks: str) -> str:
    parts = (part for mark in marks for part in normalize("NFD", mark))
    return "".join(sorted(parts, key=combining))


@cache
def _run(length: int) -> re.Pattern[str]:
    """Return what finds runs of at least so many non-starters."""
    marks = (chr(code) for code in range(0x300, _BEYOND))
    return re.compile(f"[{''.join(filter(_is_non_starter, marks))}]{{{length},}}")


def _is_non_starter(character: str) -> bool:
    if not combining(character) and not decomposition(character):
        return False
    return all(combining(part) for part in normalize("NFKD", character))
