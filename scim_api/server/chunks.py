"""Where a body in chunks ends, as it arrives (RFC 9112 §7.1)."""

import re

from gunicorn.http.errors import InvalidChunkExtension, LimitRequestHeaders

LONGEST_LINE = 8190  # bytes of a line with a chunk's size
LONGEST_TRAILERS = 65_536

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)


class Chunks:
    """Looks for the end of a body, each chunk once.

    It judges nothing but lengths: what is malformed counts as whole, and gunicorn's parser refuses
    it.
    """

    def __init__(self) -> None:
        self._line = 0  # where the line of the next chunk begins, or the end of the last one's
        self._last = False
        self._looked = 0  # bytes of what follows the last chunk's line without the end in them

    def end(self, data: bytearray) -> int | None:
        """Return how long the body is, None while more of it has to come.

        Raises InvalidChunkExtension where a chunk's line goes on too long, LimitRequestHeaders
        where the trailers do.
        """
        while not self._last:
            if self._line >= len(data):
                return None
            eol = data.find(b"\r\n", self._line)
            if (len(data) if eol < 0 else eol) - self._line > LONGEST_LINE:
                raise InvalidChunkExtension("it does not end")
            if eol < 0:
                return None
            size = _SIZE.fullmatch(data, self._line, eol)
            if size is None:
                return len(data)
            self._last = not int(size[1], 16)
            self._line = eol if self._last else eol + 2 + int(size[1], 16) + 2
        end = data.find(b"\r\n\r\n", max(self._line, self._looked - 3))
        if (len(data) if end < 0 else end) - self._line > LONGEST_TRAILERS:
            raise LimitRequestHeaders("the trailers do not end")
        if end < 0:
            self._looked = len(data)
            return None
        return end + 4
