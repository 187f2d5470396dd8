"""Okta's redirect URIs, from the address of an app's page in the Admin Console.

Okta publishes which ones its custom apps use: one for each of its cells, with the app's name in
it. The name exists only once the app does, and stands in the address of its page.
"""

import re
from urllib.parse import urlsplit

# Okta's own test cell is listed with http by Okta and with https by others.
_CELLS = (
    "https://system-admin.okta.com",
    "https://system-admin.okta-emea.com",
    "https://system-admin.oktapreview.com",
    "https://system-admin.trexcloud.com",
    "http://system-admin.okta1.com:1802",
    "https://system-admin.okta1.com:1802",
)
_DOMAINS = ("okta.com", "okta-emea.com", "oktapreview.com", "trexcloud.com", "okta1.com")
_APP = re.compile(r"/admin/app/([A-Za-z0-9_-]{1,200})/instance/[^/]+(?:/.*)?")
_EXAMPLE = "https://acme-admin.okta.com/admin/app/acme_scim_1/instance/0oa1/"


class NoAdminConsoleAddress(ValueError):
    """A text is not the address of an app's page in the Admin Console; says what one looks like."""


def app_name(address: str) -> str:
    """Return the name of an app: what stands between /app/ and /instance/ of its address."""
    return _read(address)[1]


def redirect_uris(address: str) -> tuple[str, ...]:
    """Return the redirect URIs that Okta may use for an app, those of every cell."""
    name = app_name(address)
    return tuple(f"{cell}/admin/app/cpc/{name}/oauth/callback" for cell in _CELLS)


def is_redirect_uri(uri: str) -> bool:
    """Return whether a redirect URI is one of Okta's, in whatever cell."""
    return "/admin/app/" in urlsplit(uri).path


def unlisted_domain(address: str) -> str | None:
    """Return the host of an address in a cell whose redirect URI Okta does not publish."""
    host = _read(address)[0]
    known = any(host == domain or host.endswith(f".{domain}") for domain in _DOMAINS)
    return None if known else host


def _read(address: str) -> tuple[str, str]:
    """Return host and app of an address; raises NoAdminConsoleAddress."""
    text = address.strip()
    text = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(text if text.isprintable() else "")  # it drops tabs and line ends
        host, found = parts.hostname, _APP.fullmatch(parts.path)
    except ValueError:  # brackets that hold no address
        host = found = None
    if not host or found is None or not text.startswith(("https:", "http:")):
        raise NoAdminConsoleAddress(
            f"{address!r} is not the address of an app's page in Okta's Admin Console. Open the app"
            f" there and copy the address from the browser: it looks like {_EXAMPLE}"
        )
    return host, found[1]
