"""Answers to requests: the application's, and those that refuse what is no request."""

import time
from functools import lru_cache
from typing import Any

import orjson
from gunicorn.http import wsgi
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.util import http_date, unquote_to_wsgi_str

from ledger import clock
from scim_api.auth.oauth.errors import document_of
from scim_api.logs import LOGGER
from scim_api.protocol.errors import Refusal, ScimError, error_document
from scim_api.server.connection import Connection
from scim_api.server.parsing import Head
from scim_api.web.messages import JSON, SCIM_JSON

_REASONS = {
    400: "Bad Request",
    414: "URI Too Long",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return str(http_date(second))


class Nameless(wsgi.Response):  # type: ignore[misc]
    """An answer that does not say which software gives it."""

    def default_headers(self) -> list[str]:
        """Return the lines before the application's headers."""
        major, minor = self.req.version
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Date: {_date(int(time.time()))}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        return [*lines, "Transfer-Encoding: chunked\r\n"] if self.chunked else lines


class Collected(Nameless):
    """An answer that is sent in one piece once it is complete."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.parts: list[bytes] = []
        self.headers_sent: bool = False

    def send_headers(self) -> None:
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{k}: {v}\r\n" for k, v in self.headers), "\r\n"]
            self.parts.append("".join(lines).encode("latin-1"))
            self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        self.parts.append(b"%X\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def close(self) -> None:
        self.send_headers()
        if self.chunked:
            self.parts.append(b"0\r\n\r\n")


class Interrupted(Exception):
    """The application failed when a part of its answer was sent already."""


def respond(
    application: Any, connection: Connection, cfg: Any, *, close: bool, at_once: bool = False
) -> Any:
    """Have the application answer a request; return its response.

    With `at_once` each part is sent when it is there, and otherwise nothing is.
    """
    request = connection.request
    assert request
    response, environ = _prepared(request, connection, cfg, Nameless if at_once else Collected)
    environ["wsgi.multithread"] = True
    if close:
        response.force_close()
    parts = application(environ, response.start_response)
    try:
        for part in parts:
            response.write(part)
        response.close()
    except Exception as error:
        if at_once and response.headers_sent:
            raise Interrupted from error
        raise
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return response


def _prepared(
    request: Head, connection: Connection, cfg: Any, response_class: Any
) -> tuple[Any, dict[str, Any]]:
    """Return the response to fill, and what WSGI says of a request.

    Headers that came before mean the same again.
    """
    block = request.block
    if block and block.environ:
        environ = block.environ | {
            "wsgi.input": request.body,
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query,
            "RAW_URI": request.uri,
            "PATH_INFO": unquote_to_wsgi_str(request.path),
        }
        return response_class(request, connection.sock, cfg), environ
    response, environ = wsgi.create(
        request, connection.sock, connection.client, connection.server, cfg, response_class
    )
    del environ["wsgi.early_hints"]
    if block and not environ["SCRIPT_NAME"]:
        block.environ = environ.copy()
    return response, environ


def refusal(error: Exception, *, oauth: bool = False) -> bytes:
    """Return the answer to what is no HTTP, too long, or late for this server, and log it.

    With `oauth` it has the form of RFC 6749 instead of SCIM's.
    """
    status, detail = _meaning(error)
    own = error.refusal().headers if isinstance(error, ScimError) else {}
    request_id = clock.uuid7()
    kind, document = SCIM_JSON, error_document(status, detail)
    if oauth:
        kind, document = JSON, document_of(error, Refusal(status, "", detail, detail))
    body = orjson.dumps(document)
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nConnection: close\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"X-Request-Id: {request_id}\r\nCache-Control: no-store\r\n"
    )
    head += "".join(f"{name}: {value}\r\n" for name, value in own.items()) + "\r\n"
    fields = {"request_id": request_id, "status": status, "error": type(error).__name__}
    LOGGER.info("request refused", extra={"fields": fields})
    return head.encode() + body


def _meaning(error: Exception) -> tuple[int, str]:
    if isinstance(error, LimitRequestLine):
        most = error.max_size or 8190
        return 414, f"The address is longer than {most} bytes. Shorten it, or its filter."
    if isinstance(error, LimitRequestHeaders):
        return 431, "The headers are longer or more than this service takes."
    if isinstance(error, ScimError):
        return error.status, error.detail
    if type(error).__module__.startswith("gunicorn.http"):
        return 400, "This is not a well-formed HTTP request."
    return 500, "Something went wrong in the service before the request was read."
