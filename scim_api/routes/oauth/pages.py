"""The pages that a person sees who connects a client: plain HTML without scripts."""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from flask import Response, render_template
from markupsafe import Markup

from scim_api.web.lean_flask import Prepared

_STYLE = files("scim_api.routes.oauth").joinpath("templates/oauth.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with none at all, the form's Origin would be null
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def page(
    template: str,
    status: int,
    headers: Mapping[str, str] | None = None,
    *,
    next_uri: str | None = None,
    **values: Any,
) -> Response:
    """Return a page. If it has a form, that leads on to `next_uri`, a registered redirect URI."""
    text = render_template(template, style=Markup(_STYLE), **values)
    own = {**_HEADERS, "Content-Security-Policy": _policy(next_uri), **(headers or {})}
    return Prepared(status, own, text.encode(errors="replace"))


def origin(uri: str) -> str:
    """Return the scheme and host of a URI as a browser shows them; empty for an odd one."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    host = parts.netloc.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ""))
    text = f"{parts.scheme}://{host}"
    return text if _ORIGIN.fullmatch(text) else ""


def _policy(next_uri: str | None) -> str:
    """Return the page's policy.

    Chromium applies form-action to every address that a form is redirected to in turn, and nobody
    knows where a client sends its browser from its redirect URI: Okta to the host of each org.
    """
    targets = "'none'"
    if next_uri is not None:
        targets = "'self' https:" if next_uri.startswith("https:") else "'self' https: http:"
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {targets};"
        " frame-ancestors 'none'; base-uri 'none'"
    )
