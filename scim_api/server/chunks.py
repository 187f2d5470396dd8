"""Where a body in chunks ends, as it arrives (RFC 9112 §7.1)."""

import re

LONGEST_LINE = 8190  # bytes of a line with a chunk's size
LONGEST_TRAILERS = 65_536

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)


class Chunks:
    """Looks for the end of a body, each chunk once.

    It judges nothing: what is malformed counts as whole, and gunicorn's parser refuses it.
    """

    def __init__(self) -> None:
        self._line = 0  # where the line of the next chunk begins
        self._last = False

    def end(self, data: bytearray) -> int | None:
        """Return how long the body is, None while more of it has to come."""
        while not self._last:
            if self._line >= len(data):
                return None
            eol = data.find(b"\r\n", self._line)
            if eol < 0:
                return len(data) if len(data) - self._line > LONGEST_LINE else None
            size = _SIZE.fullmatch(data, self._line, eol)
            if size is None:
                return len(data)
            self._last = not int(size[1], 16)
            self._line = eol if self._last else eol + 2 + int(size[1], 16) + 2
        end = data.find(b"\r\n\r\n", self._line)
        if end < 0:
            return len(data) if len(data) - self._line > LONGEST_TRAILERS else None
        return end + 4
