"""What trusted proxies say about a request: who sent it, by which scheme, to which host."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

MOST_PORT = 65_535

_FORMS = re.compile(  # RFC 7239 §6: an IPv6 address with a port is in brackets
    r"(?P<v4>[0-9.]+)(?::[0-9]{1,5})?|\[(?P<bracketed>[^\[\]]+)\](?::[0-9]{1,5})?|(?P<v6>[^\[\]]+)"
)


_LABEL = r"[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(
    rf"(?=[^:]{{1,254}}(?::|$))(?:{_LABEL}\.)*{_LABEL}\.?(?::(?P<port>[0-9]{{1,5}}))?"
    r"|\[(?P<v6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+)\](?::(?P<port6>[0-9]{1,5}))?"
)


@lru_cache(maxsize=256)
def is_host(text: str) -> bool:
    """Return whether a text is a host that can be asked, with a port or without (RFC 9110 §7.2).

    A name has labels of 63 characters at most and 253 in all (RFC 1035 §2.3.4).
    """
    found = _HOST.fullmatch(text)
    if found is None or int(found["port"] or found["port6"] or 0) > MOST_PORT:
        return False
    return found["v6"] is None or address_of(text) is not None


def behind(count: int, wsgi_app: WsgiApp) -> WsgiApp:
    """Return an application that trusts so many proxies: each adds a hop at a header's end.

    A header with fewer hops than proxies, or with a malformed hop, is ignored: the request then
    counts as the nearest proxy's own.
    """

    def forwarded(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if address := address_of(_hop(environ, "FOR", count)):
            environ["REMOTE_ADDR"] = address
        if (scheme := _hop(environ, "PROTO", count).lower()) in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme
        if is_host(host := _hop(environ, "HOST", count)):
            environ["HTTP_HOST"] = host
        return wsgi_app(environ, start_response)

    return forwarded


def _hop(environ: dict[str, Any], name: str, count: int) -> str:
    return hop(environ.get(f"HTTP_X_FORWARDED_{name}", ""), count)


def hop(header: str, count: int) -> str:
    """Return what the outermost of so many proxies wrote into a header, "" if it wrote nothing."""
    hops = header.split(",")
    return hops[-count].strip() if len(hops) >= count else ""


def address_of(hop: str) -> str | None:
    """Return the IP address in a hop, without port and zone; None where there is none."""
    found = _FORMS.fullmatch(hop.strip('"'))
    try:
        address = ipaddress.ip_address(str(found and found[found.lastgroup or 0]).partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(maxsize=256)
def source_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or a network of IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # of a socket without addresses
        return address
    if ip.version == 4 or ip.ipv4_mapped:
        return address
    return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
