"""What others wrote, marked where a sentence of ours repeats it: it can be taken out again."""

import re

_OPEN, _CLOSE = "\ue000", "\ue001"  # private use: no sentence of ours has them
_MARKS = str.maketrans("", "", _OPEN + _CLOSE)
_QUOTED = re.compile(f"{_OPEN}[^{_CLOSE}]*{_CLOSE}")

LEFT_OUT = "…"


def quoted(text: str) -> str:
    """Return a client's or a stored text, marked, as part of a sentence."""
    return f"{_OPEN}{text.translate(_MARKS)}{_CLOSE}"


def shortened(text: str, most: int) -> str:
    """Return a text of so many characters or little more: what is wrong often stands at its end."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def told(sentence: str) -> str:
    """Return a sentence as it is told to the one who asked: without the marks."""
    return sentence.translate(_MARKS) if _OPEN in sentence else sentence


def withheld(sentence: str) -> str:
    """Return a sentence as it may be kept: with … for everything quoted."""
    return _QUOTED.sub(LEFT_OUT, sentence) if _OPEN in sentence else sentence
