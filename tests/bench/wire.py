"""Requests as Okta sends them, as bytes."""

from dataclasses import dataclass
from typing import Any

import orjson

json_bytes = orjson.dumps


@dataclass(frozen=True, slots=True)
class Request:
    """A request of an operation; the path begins where the SCIM base ends."""

    method: str
    path: str
    body: Any = None


class Wire:
    """Writes requests to one server."""

    def __init__(self, port: int, base: str, token: str) -> None:
        """`base` is the path of the SCIM base."""
        self._base = base
        self._head = (
            f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Accept: application/scim+json\r\nAccept-Charset: utf-8\r\n"
            f"User-Agent: Okta SCIM Client 1.0.0\r\nAuthorization: Bearer {token}\r\n"
            "Accept-Encoding: gzip,deflate\r\nConnection: Keep-Alive\r\n"
        )

    def bytes(self, request: Request) -> bytes:
        line = f"{request.method} {self._base}{request.path}"
        if request.body is None:
            return f"{line}{self._head}\r\n".encode()
        body = json_bytes(request.body)
        kind = "Content-Type: application/scim+json; charset=utf-8\r\n"
        return f"{line}{self._head}{kind}Content-Length: {len(body)}\r\n\r\n".encode() + body
