"""SCIM on HTTP: media types, bodies, answers and errors."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import orjson
from flask import Response, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.http import parse_options_header

from scim_api.protocol import numbers
from scim_api.protocol.errors import (
    BodyTooLarge,
    InvalidSyntax,
    Refusal,
    UnsupportedMediaType,
    answer_to,
)
from scim_api.protocol.values import MAX_DEPTH, count_objects, deeper_than
from scim_api.web.context import Exchange
from scim_api.web.lean_flask import Prepared

SCIM_JSON = "application/scim+json"
JSON = "application/json"
MAX_WITHOUT_MEMBERS = 4_194_304  # bytes of a body that is no group's; novelty.MAX_RESOURCE escaped

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # passed over, as RFC 8259 §8.1 allows

_INTERNAL = (
    "Something went wrong in the service; nothing was half done."
    " Its operator finds the reason in the log under the request id of this answer."
)
_HTTP = {  # by status: rule code and detail
    404: ("no_address", "There is nothing at this address."),
    405: ("method", "This address does not take this method."),
    411: ("length", "The request does not say how long its body is."),
    414: ("address_length", "The address is too long. Shorten the filter."),
    431: ("headers_length", "The headers of the request are too long."),
}


def json_response(
    exchange: Exchange, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer that is JSON already: SCIM's, unless the client accepts plain JSON only.

    Nothing is refused with 406: clients send odd Accept headers and read the answer all the same.
    """
    accept = exchange.environ.get("HTTP_ACCEPT", "")
    plain = JSON in accept and SCIM_JSON not in accept
    kind = {"Content-Type": JSON if plain else SCIM_JSON}
    return Prepared(status, {**headers, **kind} if headers else kind, body)


def empty_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer without a body, and so without a media type."""
    return Prepared(status, headers or {})


def plain_json(document: Any) -> Response:
    """Return a document as plain JSON, which the ledger's own API answers."""
    return Prepared(200, {"Content-Type": JSON}, orjson.dumps(document))


def read_json(exchange: Exchange, most: int | None = None) -> Any:
    """Return the body of a POST, PUT or PATCH; raises ScimError.

    It has `most` bytes at most, and never more than the setting allows.
    """
    _check_media_type(exchange.environ)
    of_any = exchange.settings.max_body
    raw = read_whole(exchange.environ, min(most or of_any, of_any), of_any)
    raw = raw.removeprefix(_BYTE_ORDER_MARK)
    if not raw:
        raise InvalidSyntax("body.missing", "The request has no body. It needs a JSON object.")
    objects = count_objects(raw)
    try:
        body = numbers.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _json_fault(raw, error) from None
    if objects > MAX_DEPTH and deeper_than(body, MAX_DEPTH):
        raise InvalidSyntax(
            "body.depth", "The body is nested deeper than {most} levels.", most=MAX_DEPTH
        )
    return body


def read_whole(environ: Mapping[str, Any], limit: int, of_any: int) -> bytes:
    """Return a whole body; raises ScimError for one that breaks off or goes on.

    One larger than `limit`, but not than `of_any`, is read all the same: many clients read an
    answer only once they could send all of their request.
    """
    length = environ.get("CONTENT_LENGTH", "")
    said = int(length) if length.isascii() and length.isdigit() else None
    if said is not None and said > limit:
        if said <= of_any:
            _pass_over(environ["wsgi.input"])
        raise _too_large(limit)
    try:
        if said is None:
            request.max_content_length = limit + 1  # where Werkzeug cuts off a chunked body
            raw = request.get_data(cache=False)
        else:
            raw = environ["wsgi.input"].read(said)
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except (ClientDisconnected, ParseException, OSError):
        raise InvalidSyntax(
            "body.broken", "The body breaks off, or its chunks are not well-formed."
        ) from None
    if len(raw) > limit:
        raise _too_large(limit)
    if len(raw) < (said or 0):
        raise InvalidSyntax("body.short", "The body is shorter than its Content-Length.")
    return raw


def _pass_over(body: Any) -> None:
    """Read and discard a body."""
    with suppress(ClientDisconnected, ParseException, OSError):
        while body.read(65_536):
            pass


def _too_large(limit: int) -> BodyTooLarge:
    template = "The body is larger than {limit} bytes, the most this service takes."
    return BodyTooLarge("body.size", template, limit=limit)


def _check_media_type(environ: Mapping[str, Any]) -> None:
    mimetype, charset = _media_type(environ.get("CONTENT_TYPE", ""))
    if mimetype and mimetype not in (SCIM_JSON, JSON):
        template = "The body must be application/scim+json or application/json, in UTF-8."
        raise UnsupportedMediaType("media_type.type", template)
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("media_type.charset", "The body must be in UTF-8.")
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMediaType(
            "media_type.encoding", "The body must not be compressed (Content-Encoding)."
        )


@lru_cache(maxsize=64)
def _media_type(header: str) -> tuple[str, str]:
    """Return type and character set; the same few headers come all the time."""
    mimetype, options = parse_options_header(header)
    return mimetype.lower(), options.get("charset", "utf-8").lower().strip("\"'")


def _json_fault(raw: bytes, error: orjson.JSONDecodeError) -> InvalidSyntax:
    try:
        raw.decode()
    except UnicodeDecodeError as fault:
        template = "The body is not UTF-8: byte {number} is not part of a character."
        return InvalidSyntax("body.utf8", template, number=fault.start + 1)
    return InvalidSyntax(
        "body.json",
        "The body is not JSON: {fault} (line {line}, column {column}).",
        fault=error.msg.split(":")[0],
        line=error.lineno,
        column=error.colno,
    )


def refusal_of(error: Exception, *, okta: bool, scim: bool = True) -> Refusal:
    """Return the answer to any failure: to Okta or another client, below the SCIM base or not."""
    if not isinstance(error, HTTPException):
        known = answer_to(error)
        return known.refusal(okta=okta) if known else Refusal(500, "internal", _INTERNAL, _INTERNAL)
    status = error.code or 500
    code, detail = _HTTP.get(status) or ("http", error.description or error.name)
    if status == 404 and okta and scim:
        detail += " The base URL in Okta ends before /Users."
    allowed = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(sorted(allowed))} if allowed else {}
    return Refusal(status, code, detail, detail, headers=headers)
