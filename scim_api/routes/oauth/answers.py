"""The answers of the authorization server: JSON, pages, redirects, and refusals as each of them."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, request

from scim_api.auth.oauth.consent import NotAnswerable
from scim_api.auth.oauth.errors import InvalidRequest, document_of
from scim_api.protocol.errors import Refusal
from scim_api.routes.oauth.addresses import AUTHORIZE
from scim_api.routes.oauth.pages import page
from scim_api.web.context import Exchange
from scim_api.web.lean_flask import Prepared
from scim_api.web.messages import JSON, read_whole

MOST = 131_072  # bytes of a form
FORM = "application/x-www-form-urlencoded"

_PRIVATE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 §5.1


def query_of(exchange: Exchange) -> str:
    """Return the query of the address; bytes that are not UTF-8 stay what they are."""
    query: str = exchange.environ.get("QUERY_STRING", "")
    return query.encode("latin-1").decode(errors="surrogateescape")


def read_form(exchange: Exchange, most: int = MOST) -> str:
    """Return the text of a form; raises ScimError."""
    environ = exchange.environ
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidRequest("oauth.form", "The body must be a form: {type}.", type=FORM)
    body = read_whole(environ, most, exchange.settings.max_body)
    return body.decode(errors="surrogateescape")


def json_answer(
    document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer that nobody keeps."""
    kept = {"Content-Type": JSON, **_PRIVATE, **(headers or {})}
    return Prepared(status, kept, orjson.dumps(document))


def redirect(uri: str) -> Response:
    """Send the browser on with a GET, whatever it sent itself (RFC 9700 §4.12)."""
    headers = {"Location": uri, "Referrer-Policy": "no-referrer", **_PRIVATE}
    return Prepared(303, headers, b"")


def refused(exchange: Exchange, error: Exception, refusal: Refusal) -> Response:
    """Return a refusal as who asked reads it: a person a page, a program JSON."""
    if request.path != AUTHORIZE:
        return json_answer(document_of(error, refusal), refusal.status, refusal.headers)
    values: dict[str, Any] = {"client": None}
    if isinstance(error, NotAnswerable) and (client := error.client):
        values = {"client": client, "received": error.received, "expected": error.expected}
    return page(
        "refused.html",
        refusal.status,
        refusal.headers,
        trouble=refusal.detail,
        request_id=exchange.id,
        **values,
    )
