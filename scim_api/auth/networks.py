"""The networks from which a credential may be used: IPv4 and IPv6."""

import ipaddress
from functools import lru_cache

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotANetwork(ValueError):
    """A text names no network; the message says how one is written."""


def network(text: str) -> str:
    """Return a network or a single address in its normal form; raises NotANetwork.

    One with bits beyond its prefix is refused: it is not clear which of two networks is meant.
    """
    text = text.strip()
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise NotANetwork(
            f"{text!r} is not a network: write one such as 203.0.113.0/24, 203.0.113.7 or"
            " 2001:db8::/32"
        ) from None
    address = text.partition("/")[0]
    if ipaddress.ip_address(address) != loose.network_address:
        raise NotANetwork(
            f"{text} is an address within a network: write {loose} for the network or {address}"
            " for the address"
        )
    return str(_as_ipv4(loose))


def may_come_from(address: str, networks: tuple[str, ...]) -> bool:
    """Return whether an address is in one of the networks; no networks are no limit."""
    return not networks or _is_within(address, networks)


@lru_cache(maxsize=256)
def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # such as that of a Unix socket, which has none
        return False
    as_ipv4: _Address = getattr(found, "ipv4_mapped", None) or found
    return any(found in each or as_ipv4 in each for each in _parsed(networks))


@lru_cache(maxsize=256)
def _parsed(networks: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in networks)


def _as_ipv4(found: _Network) -> _Network:
    """Return an IPv4 network for one of IPv6 that stands for it (::ffff:0:0/96)."""
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is None or found.prefixlen < 96:
        return found
    return ipaddress.ip_network(f"{mapped}/{found.prefixlen - 96}")
