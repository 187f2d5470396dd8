"""A place in a text that a client wrote: words and signs taken from it, refusals that name it."""

import re
from typing import NoReturn

from scim_api.protocol.errors import InvalidPath, ScimError
from scim_api.protocol.quotations import quoted, shortened

LONGEST = 80  # characters that are repeated of one name
_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r'[^ \t\r\n()\[\]"]*')


def shown(text: str) -> str:
    """Repeat what a client wrote in a sentence that refuses it."""
    return quoted(readable(text))


def readable(text: str) -> str:
    """Return what a client wrote, but neither at length nor with odd characters."""
    return "".join(c if c.isprintable() else "?" for c in shortened(text, LONGEST))


class Cursor:
    """Moves over a text from left to right; `at` is where it stands, counted from 0."""

    def __init__(self, text: str, error: type[ScimError]) -> None:
        self.text = text
        self.at = 0
        self.error = error

    def refuse(self, reason: str, at: int) -> NoReturn:
        """Raise the error, with the place counted from 1 as people do."""
        what = "path" if issubclass(self.error, InvalidPath) else "filter"
        raise self.error(f"The {what} cannot be read at character {at + 1}: {reason}.")

    def expected(self, what: str) -> NoReturn:
        """Refuse what stands here."""
        word = self._peek() or self.text[self.at : self.at + 1]
        found = f"found {shown(word)}" if word else "but here it ends"
        self.refuse(f"expected {what}, {found}", self.at)

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
        """Take one sign if it stands next."""
        self.skip()
        taken = self.text.startswith(sign, self.at)
        self.at += taken
        return taken

    def takes_word(self, word: str) -> bool:
        """Take one word, in any case, if it stands next."""
        self.skip()
        end = self.at + len(word)
        if self.text[self.at : end].lower() != word or len(self._peek()) != len(word):
            return False
        self.at = end
        return True
