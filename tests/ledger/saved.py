"""What editors do to a text file when they save it, and what leaves none."""

from collections.abc import Callable

Save = Callable[[bytes], bytes]

HARMLESS: dict[str, Save] = {
    "CRLF": lambda content: content.replace(b"\n", b"\r\n"),
    "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "no last newline": lambda content: content.rstrip(b"\n"),
    "newlines at the end": lambda content: content + b"\n\r\n\n",
    "UTF-16, little": lambda content: b"\xff\xfe" + content.decode().encode("utf-16-le"),
    "UTF-16, big": lambda content: b"\xfe\xff" + content.decode().encode("utf-16-be"),
    "all of Notepad": lambda content: (
        b"\xff\xfe" + content.rstrip(b"\n").replace(b"\n", b"\r\n").decode().encode("utf-16-le")
    ),
}
