"""A scanner of filters and paths: takes words, signs and values, and refuses by position.

A value is read as a JSON literal, then fitted to the type of the attribute compared with it.
"""

import re
from decimal import Decimal
from typing import Any, NoReturn

import orjson

from projections.query.comparison import SUBSTRING, decimal_of, instant
from projections.query.model import Operator, Type
from scim_api.protocol.errors import InvalidPath, Quoted, ScimError
from scim_api.protocol.numbers import PLACES, canonical, is_bounded
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute

Literal = str | bool | int | Decimal | None

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r'[^ \t\r\n()\[\]"]*')
_UNQUOTED = re.compile(r"""[^\x00-\x20()\[\]"'\ud800-\udfff][^\x00-\x20)\]"\ud800-\udfff]*""")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f\ud800-\udfff]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_OFFSET = re.compile(r" \d\d:\d\d(?![^\s)\]])", re.ASCII)  # its plus was decoded as a blank
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BLANK = re.compile(r" (?=\d\d:\d\d$)", re.ASCII)
_LEAP_SECOND = re.compile(r":60(\.\d+)?(?=[Zz+-])", re.ASCII)

_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_EQUALITY = frozenset({Operator.EQ, Operator.NE})
_LARGEST = 2**63
_BARE = {  # types whose values are written without quotes
    Type.BOOLEAN: "true or false",
    Type.INTEGER: "a whole number, without quotes",
    Type.DECIMAL: "a number, without quotes",
}


def time_as_meant(text: str) -> str:
    """Return a dateTime as the client meant it.

    An unescaped plus of a URL arrives as a blank; a leap second (RFC 3339 §5.7) is taken for the
    end of the second before, since the clocks here have none.
    """
    return _LEAP_SECOND.sub(":59.999999", _BLANK.sub("+", text.strip()))


class Scanner:
    """Moves over a text from left to right; `at` is its place, counted from 0."""

    def __init__(self, text: str, error: type[ScimError], tolerances: Tolerances) -> None:
        self.text = text
        self.at = 0
        self.error = error
        self.tolerances = tolerances
        self._start = 0  # of the operator or value that may be refused

    def refuse(self, rule: str, reason: str, at: int, /, **arguments: Any) -> NoReturn:
        """Raise the error for a rule; its place is counted from 1, as people do."""
        what = "path" if issubclass(self.error, InvalidPath) else "filter"
        template = f"The {what} cannot be read at character {{at}}: {reason}."
        raise self.error(f"{what}.{rule}", template, at=at + 1, **arguments)

    def expected(self, what: str) -> NoReturn:
        """Refuse what is next."""
        word = self._peek() or self.text[self.at : self.at + 1]
        found = "found {word}" if word else "but here it ends"
        self.refuse("expected", f"expected {what}, {found}", self.at, word=Quoted(word))

    def _peek(self) -> str:
        found = _WORD.match(self.text, self.at)
        return found[0] if found else ""

    def skip(self) -> None:
        """Pass over white space."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def word(self) -> str:
        """Take everything up to white space, a bracket or a double quote."""
        word = self._peek()
        self.at += len(word)
        return word

    def takes(self, sign: str) -> bool:
        """Take one sign if it is next."""
        self.skip()
        taken = self.text.startswith(sign, self.at)
        self.at += taken
        return taken

    def takes_word(self, word: str) -> bool:
        """Take one word, in any case, if it is next."""
        self.skip()
        taken = self._peek().lower() == word
        self.at += len(word) * taken
        return taken

    # Values

    def _unfit(self, rule: str, reason: str, /, **arguments: Any) -> NoReturn:
        self.refuse(rule, reason, self._start, **arguments)

    def value(self, attribute: Attribute, operator: Operator, at: int, *, of_record: bool) -> Any:
        """Take a value as payloads keep one of the attribute's type; the operator stands `at`.

        For records a date alone is its first moment in UTC.
        """
        self._start = at
        self._check_operator(attribute, operator)
        literal = self.literal(attribute.type)
        if isinstance(literal, str):
            is_boolean = attribute.type is Type.BOOLEAN
            if is_boolean and not self.tolerances.allow("boolean_strings"):
                reason = "{name} is compared with true or false, without quotes"
                self._unfit("boolean_string", reason, name=attribute.name)
            is_time = attribute.type is Type.DATE_TIME and operator not in SUBSTRING
            if of_record and is_time and _DATE.fullmatch(literal):
                literal = f"{literal}T00:00:00Z"
        return self._fitted(attribute, operator, literal)

    def _check_operator(self, attribute: Attribute, operator: Operator) -> None:
        """Refuse operators that the type does not have (RFC 7644 §3.4.2.2)."""
        name, type_ = attribute.name, attribute.type
        if type_ is Type.COMPLEX:
            subs = ", ".join(f"{name}.{sub.name}" for sub in attribute.sub_attributes[:3])
            reason = "{name} has parts and no value of its own; compare one of them, as {subs}"
            self._unfit("complex", reason, name=name, subs=subs)
        if operator in _EQUALITY:
            return
        if type_ in (Type.BOOLEAN, Type.BINARY):
            reason = "{name} is {type}: it can be compared with eq and ne only"
            self._unfit("equality", reason, name=name, type=type_)
        if type_ in (Type.INTEGER, Type.DECIMAL) and operator in SUBSTRING:
            reason = "{name} is a number: {operator} compares text only"
            self._unfit("substring", reason, name=name, operator=operator)

    def literal(self, type_: Type) -> Literal:
        """Take a literal. An unquoted one is a string if the type's values are, but for null."""
        self.skip()
        self._start = self.at
        if self.text.startswith('"', self.at):
            return self._string()
        found = _UNQUOTED.match(self.text, self.at)
        if not found:
            self._unfit("no_value", "expected a value, a text in double quotes")
        word = found[0]
        self.at = found.end()
        if type_ in _BARE or word.lower() == "null":
            if word.lower() in _CONSTANTS:
                return _CONSTANTS[word.lower()]
            if number := _NUMBER.fullmatch(word):
                return self._number(word, whole=number[1] is number[2] is None)
        elif type_ is Type.DATE_TIME and (offset := _OFFSET.match(self.text, self.at)):
            word, self.at = word + offset[0], offset.end()
        if not self.tolerances.allow("unquoted_filter_literal"):
            self._unfit("unquoted", "a text value must be in double quotes")
        return word

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        end = found.end() if found else self.at
        if not self.text.startswith('"', end):
            self._refuse_string(end)
        token, self.at = self.text[self.at : end + 1], end + 1
        if "\\" not in token:
            return token[1:-1]
        try:
            decoded: str = orjson.loads(token)
        except orjson.JSONDecodeError:  # the only fault left: half of a surrogate pair
            self._unfit("surrogate", "a \\u escape in this value is only half of a character")
        if "\0" in decoded:
            self._unfit("nul", "a value cannot hold the character U+0000")
        return decoded

    def _refuse_string(self, at: int) -> NoReturn:
        if at == len(self.text):
            reason = "the value that starts here has no closing double quote"
            self._unfit("unclosed", reason)
        if self.text[at] == "\\":
            reason = "this escape is unknown; a backslash is written \\\\ in a value"
            self.refuse("escape", reason, at)
        self.refuse("character", "a value cannot hold this character; write it as a \\u escape", at)

    def _number(self, word: str, *, whole: bool) -> int | Decimal:
        # Compared by length first: int() of thousands of digits is slow, and refused by Python.
        if whole and len(word) <= 20:
            return int(word)
        number = decimal_of(word)
        if number is None or not is_bounded(number):
            reason = "a number has at most {places} digits before the point and after it"
            self._unfit("digits", reason, places=PLACES)
        return number

    def _fitted(
        self, attribute: Attribute, operator: Operator, literal: Literal
    ) -> str | bool | int | None:
        match attribute.type, literal:
            case _, None:
                if operator not in _EQUALITY:
                    reason = "null can be compared with eq and ne only, not with {operator}"
                    self._unfit("null", reason, operator=operator)
                return None
            case Type.BOOLEAN, bool():
                return literal
            case Type.BOOLEAN, str() if literal.lower() in ("true", "false"):
                return literal.lower() == "true"  # Entra sends "True" and "False"
            case Type.INTEGER, int() if not isinstance(literal, bool):
                if abs(literal) >= _LARGEST:
                    self._unfit("too_large", "this number is too large")
                return literal
            case Type.DECIMAL, int() | Decimal() if (number := decimal_of(literal)) is not None:
                return canonical(number)
            case Type.DATE_TIME, str():
                return self._time(attribute, operator, literal)
            case type_, str() if type_ not in _BARE:
                return literal
        wanted = _BARE.get(attribute.type, "a text in double quotes")
        self._unfit("type", "{name} is compared with {wanted}", name=attribute.name, wanted=wanted)

    def _time(self, attribute: Attribute, operator: Operator, text: str) -> str:
        if operator in SUBSTRING:
            return text.replace(" ", "+")  # no time has a blank: it was an unescaped plus
        moment = instant(time_as_meant(text))
        if moment is None:
            reason = '{name} is compared with a time such as "2026-01-31T12:00:00Z"'
            self._unfit("time", reason, name=attribute.name)
        return moment
