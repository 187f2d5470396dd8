"""Asking another machine over HTTP: bounded in time and size, without following it elsewhere."""

import time
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ledger.store import LedgerError

PATIENCE = 10.0  # seconds for an answer
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


_OPENER = build_opener(_NoRedirects)


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
    called: str | None = None,
    patience: float = PATIENCE,
) -> bytes:
    """GET a URL, or POST a text to it; return the body of a 2xx. Raises RemoteTrouble.

    `called` is what the URL is called in errors, by default itself without the query.
    """
    called = called or url.partition("?")[0]
    request = Request(must_be_url(url), body, headers=_HEADERS)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    if body is not None:
        request.add_header("Content-Type", "text/plain; charset=utf-8")
    try:
        with _OPENER.open(request, timeout=patience) as answer:
            return _read(answer, called, time.monotonic() + patience)
    except HTTPError as error:
        error.close()
        raise RemoteTrouble(_refusal(called, error.code), error.code) from None
    except (OSError, HTTPException, ValueError) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise RemoteTrouble(f"{called} cannot be reached: {_words(why)}") from None


def _refusal(called: str, status: int) -> str:
    if 300 <= status < 400:
        return f"{called} answered {status}: it is somewhere else, and that is not followed"
    meaning = _MEANING.get(status)
    return f"{called} answered {status}" + (f": {meaning}" if meaning else "")


def _words(why: object) -> str:
    if isinstance(why, TimeoutError):
        return "no answer in time"
    if isinstance(why, OSError) and why.strerror:
        return why.strerror
    return f"{type(why).__name__}" if isinstance(why, Exception) else str(why)


def _read(answer: HTTPResponse, called: str, deadline: float) -> bytes:
    content = bytearray()
    while part := answer.read1(65536):
        content += part
        if len(content) > MOST:
            raise RemoteTrouble(f"{called} answered with more than {MOST:,} bytes")
        if time.monotonic() > deadline:
            raise RemoteTrouble(f"{called} cannot be reached: no whole answer in time")
    if answer.length:
        raise RemoteTrouble(f"the answer of {called} broke off")
    return bytes(content)
