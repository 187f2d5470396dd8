"""A scanner of filters and paths: takes words and signs, and refuses by position."""

import re
from typing import Any, NoReturn

from scim_api.protocol.errors import InvalidPath, Quoted, ScimError

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r'[^ \t\r\n()\[\]"]*')


class Scanner:
    """Moves over a text from left to right; `at` is its place, counted from 0."""

    def __init__(self, text: str, error: type[ScimError]) -> None:
        self.text = text
        self.at = 0
        self.error = error

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
