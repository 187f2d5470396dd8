"""Marks in sentences of ours: what others wrote, and what is meant for Okta's admins alone.

Marked parts are removed again, depending on who reads the sentence, or when it is stored.
"""

import re

_OPEN, _CLOSE = "\ue000", "\ue001"  # private use: no sentence of ours has them
_HINT, _HINT_END = "\ue002", "\ue003"
_MARKS = str.maketrans("", "", _OPEN + _CLOSE + _HINT + _HINT_END)
_QUOTED = re.compile(f"{_OPEN}[^{_CLOSE}]*{_CLOSE}")
_HINTS = re.compile(f"{_HINT}[^{_HINT_END}]*{_HINT_END}")

LEFT_OUT = "…"


def quoted(text: str) -> str:
    """Return a client's or a stored text, marked, as part of a sentence."""
    return f"{_OPEN}{text.translate(_MARKS)}{_CLOSE}"


def shortened(text: str, most: int) -> str:
    """Return a text of so many characters or little more: what is wrong often stands at its end."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def for_okta(hint: str) -> str:
    """Return the part of a sentence that says where to look in Okta, marked."""
    return f"{_HINT}{hint}{_HINT_END}"


def meant_for(sentence: str, *, okta: bool) -> str:
    """Return a sentence with its hints for Okta if the client is Okta, and else without them."""
    if _HINT not in sentence:
        return sentence
    return sentence.replace(_HINT, "").replace(_HINT_END, "") if okta else _HINTS.sub("", sentence)


def told(sentence: str) -> str:
    """Return a sentence as a client other than Okta sees it: without marks and without hints."""
    return meant_for(sentence, okta=False).translate(_MARKS)


def withheld(sentence: str) -> str:
    """Return a sentence as it may be kept: with … for everything quoted."""
    return _QUOTED.sub(LEFT_OUT, meant_for(sentence, okta=False))
