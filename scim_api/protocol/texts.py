"""Faults of new texts: the forms of types (RFC 7643 §2.3), and misleading names.

A userName is measured by the UsernameCasePreserved profile of RFC 8265 §3.4, but for its Bidi
Rule, which would refuse a Hebrew name at a Latin domain. The names of groups and the like are for
people to read, as nicknames are: RFC 8266 lets in what an emoji or a full-width name is made of.
"""

import re
from unicodedata import category, decomposition, name

from projections.query.comparison import decimal_of, instant
from projections.query.model import Type
from scim_api.protocol.numbers import EXPECTED, is_bounded
from scim_api.protocol.policy import Tolerances

FORMED = frozenset((Type.BINARY, Type.DECIMAL, Type.DATE_TIME))

# Whole groups of four; of the last, padding may be left out (RFC 7643 §2.3.6).
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?")
_BLANKS = " \t"
_URL_ALPHABET = str.maketrans("-_", "+/")
_OFFSET = re.compile(r".*(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)|T[^+-]*)", re.ASCII)

_CONTROLS = frozenset(("Cc", "Zl", "Zp"))
_UNNAMED = {"Cc": "a control", "Co": "a private-use"}  # of what Unicode gives no name
_FORMLESS = frozenset(("Zs", "Cf", "Cn", "Co"))
_BLANK = "\u2800"  # a Braille pattern without a dot: it looks like U+0020

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt: nothing is seen of these.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Joiners, variation selectors and tags: they change the look of the character before them.
_SHAPING = re.compile("[\u200c\u200d\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef]")


def fault_of(type_: Type, text: str, tolerances: Tolerances) -> str | None:
    """Return what is wrong with a text of a type, as the rest of a sentence; None if nothing is."""
    if type_ is Type.BINARY:
        fits = _is_base64(text, tolerances)
        return None if fits else "must be base64 text (RFC 4648 §4), such as TWFueQ=="
    if type_ is Type.DECIMAL:
        number = decimal_of(text)
        return None if number is not None and is_bounded(number) else EXPECTED
    if type_ is Type.DATE_TIME and not _OFFSET.fullmatch(text):
        return "must have an offset between -14:00 and +14:00, or Z (XML Schema Part 2 §3.2.7.3)"
    if type_ is Type.DATE_TIME and not instant(text):  # which no filter could find
        return "must lie between the years 1 and 9999 in UTC"
    return None


def _is_base64(text: str, tolerances: Tolerances) -> bool:
    if _BASE64.fullmatch(text):
        return True
    joined = _in_one_line(text)
    if joined != text and not tolerances.allow("base64_in_lines"):
        return False
    if _BASE64.fullmatch(joined):
        return True
    if "+" in joined or "/" in joined or not _BASE64.fullmatch(joined.translate(_URL_ALPHABET)):
        return False
    return tolerances.allow("base64_url_alphabet")


def _in_one_line(text: str) -> str:
    """Return a text without its line breaks and the blanks around them, in linear time."""
    first, *others = text.replace("\r\n", "\n").split("\n")
    if not others:
        return text
    *middle, last = others
    inner = (line.strip(_BLANKS) for line in middle)
    return "".join((first.rstrip(_BLANKS), *inner, last.lstrip(_BLANKS)))


def fault_of_user_name(text: str) -> str | None:
    """Return what is wrong with a new userName."""
    if text.isascii() and text.isprintable():
        return _fault_at_the_ends(text)
    odd = next((c for c in text if _is_odd(c) or _has_no_form_of_its_own(c)), None)
    return f"must not contain {_described(odd)}" if odd else _fault_at_the_ends(text)


def fault_of_shown_name(text: str) -> str | None:
    """Return what is wrong with a new name of a group, a role or an entitlement."""
    odd = next((c for c in text if _is_odd(c) and not _SHAPING.match(c)), None)
    return f"must not contain {_described(odd)}" if odd else _fault_at_the_ends(text)


def _described(character: str) -> str:
    """Return a character as people can look it up, such as `U+200B ZERO WIDTH SPACE`."""
    point = f"U+{ord(character):04X}"
    if named := name(character, ""):
        return f"{point} {named}"
    kind = _UNNAMED.get(category(character))
    return f"{point}, {kind} character" if kind else f"{point}, a character that is not assigned"


def _fault_at_the_ends(text: str) -> str | None:
    for end in (text[:1], text[-1:]):
        if end.isspace():
            return f"must not begin or end with a blank ({_described(end)})"
    return None


def _is_odd(character: str) -> bool:
    return category(character) in _CONTROLS or _IGNORABLE.match(character) is not None


def _has_no_form_of_its_own(character: str) -> bool:
    """Return whether a character stands for another one, as a full-width letter does.

    So do blanks other than U+0020 and marks of format (RFC 8264 §9.17, §9.12). What Unicode does
    not assign, or leaves to private use, looks like anything (§9.10).
    """
    if character.isascii():
        return False
    formless = category(character) in _FORMLESS or character == _BLANK
    return formless or decomposition(character).startswith("<")
