"""Asking another machine over HTTP: bounded in time and size, without following it elsewhere.

A certificate is checked against the system's authorities and those in the file that SSL_CERT_FILE
names, which is how a private one is trusted.
"""

import os
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

from ledger.contract import LedgerError

TIMEOUT = 10.0  # seconds for a whole exchange, from looking up the name to the answer's end
MOST = 8 * 1024 * 1024  # bytes of an answer

_HEADERS = {"User-Agent": "scim-ledger", "Cache-Control": "no-cache"}  # a stale head looks shrunk

_MEANING = {
    401: "it refused the token, or asks for one",
    403: "the token may not read this: it needs scope audit",
    404: "there is nothing at this address",
    429: "it is busy",
    503: "it cannot use its ledger now",
}


class RemoteTrouble(LedgerError):
    """Another machine could not be asked, or did not answer as it should."""

    def __init__(self, says: str, status: int | None = None) -> None:
        super().__init__(says)
        self.status = status


class _NoRedirects(HTTPRedirectHandler):
    """A token goes to the machine that it was given for, and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(hold: Callable[[socket.socket], None]) -> OpenerDirector:
    """Return an opener; `hold` gets each socket as soon as it is connected, before TLS."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            hold(self.sock)

    class Secure(HTTPSConnection, Plain):
        """TLS begins once the plain connection is held."""

    class Handler(HTTPHandler, HTTPSHandler):
        def http_open(self, req: Request) -> HTTPResponse:
            return self.do_open(Plain, req)

        def https_open(self, req: Request) -> HTTPResponse:
            return self.do_open(Secure, req)

    return build_opener(_NoRedirects, Handler)


@dataclass
class _Exchange:
    """One request and its answer, in a thread of its own, so that the caller's wait is bounded.

    A socket's timeout is for each of its operations, and none bounds the look-up of a name.
    """

    request: Request
    display_name: str
    timeout: float  # seconds, for all of it
    most: int  # bytes of the answer
    _sockets: list[socket.socket] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _answer: Future[bytes] = field(default_factory=Future)

    def result(self) -> bytes:
        """Return the body of a 2xx; raises RemoteTrouble."""
        try:
            threading.Thread(target=self._run, name="exchange", daemon=True).start()
        except RuntimeError:
            raise self._unreachable("no thread is to be had") from None
        try:
            return self._answer.result(self.timeout)
        except TimeoutError:
            raise self._unreachable("no answer in time") from None
        finally:
            self._hang_up()

    def _run(self) -> None:
        try:
            self._answer.set_result(self._ask())
        except BaseException as error:
            self._answer.set_exception(error)

    def _ask(self) -> bytes:
        try:
            with _opener(self._hold).open(self.request, timeout=self.timeout) as answer:
                return _read(answer, self.display_name, self.most)
        except HTTPError as error:
            error.close()
            raise self._refused(error.code) from None
        except (OSError, HTTPException, ValueError) as error:
            why = error.reason if isinstance(error, URLError) else error
            raise self._unreachable(_words(why)) from None

    def _refused(self, status: int) -> RemoteTrouble:
        elsewhere = (
            "it is somewhere else, and that is not followed" if 300 <= status < 400 else None
        )
        meaning = elsewhere or _MEANING.get(status)
        says = f"{self.display_name} answered {status}" + (f": {meaning}" if meaning else "")
        return RemoteTrouble(says, status)

    def _unreachable(self, why: str) -> RemoteTrouble:
        return RemoteTrouble(f"{self.display_name} cannot be reached: {why}")

    def _hold(self, connected: socket.socket) -> None:
        """Keep a second descriptor of a connection, to end it with while TLS has the first."""
        self._sockets.append(connected.dup())
        if self._over.is_set():
            self._hang_up()

    def _hang_up(self) -> None:
        """End what is under way: a slow server would keep the thread for ever."""
        self._over.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def must_be_url(text: str) -> str:
    """Return an http or https URL without what follows its path; raises RemoteTrouble."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    fit = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    if not fit or port == 0 or not text.isascii() or not text.isprintable() or " " in text:
        raise RemoteTrouble(f"{text!r} is not a URL such as https://scim.example.com")
    return text


def host_of(url: str) -> str:
    """Return scheme and host of a URL: what may be shown of one whose path is a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def fetch(
    url: str,
    *,
    token: str | None = None,
    body: bytes | None = None,
    display_name: str | None = None,
    timeout: float = TIMEOUT,
    most: int = MOST,
) -> bytes:
    """GET a URL, or POST a text to it; return the body of a 2xx. Raises RemoteTrouble.

    `display_name` stands for the URL in errors, by default the URL without its query; `timeout`
    bounds the whole exchange, in seconds, and `most` the answer, in bytes.
    """
    display_name = display_name or url.partition("?")[0]
    request = Request(must_be_url(url), body, headers=_HEADERS)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    if body is not None:
        request.add_header("Content-Type", "text/plain; charset=utf-8")
    return _Exchange(request, display_name, timeout, most).result()


def _words(why: object) -> str:
    if isinstance(why, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {why.verify_message}; {_authorities()}"
    if isinstance(why, TimeoutError):
        return "no answer in time"
    if isinstance(why, OSError) and why.strerror:
        return why.strerror
    return type(why).__name__ if isinstance(why, Exception) else str(why)


def _authorities() -> str:
    """Say whose certificates are accepted."""
    own = os.environ.get("SSL_CERT_FILE")
    if not own:
        return "SSL_CERT_FILE can name a file with a private authority"
    return f"SSL_CERT_FILE is {own}" + ("" if os.access(own, os.R_OK) else ", which cannot be read")


def _read(answer: HTTPResponse, display_name: str, most: int) -> bytes:
    content = bytearray()
    while part := answer.read1(65536):
        content += part
        if len(content) > most:
            raise RemoteTrouble(f"{display_name} answered with more than {most:,} bytes")
    if answer.length:
        raise RemoteTrouble(f"the answer of {display_name} broke off")
    return bytes(content)
