"""Networks of credentials: how they are written, and which addresses are in them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.auth.networks import NotANetwork, may_come_from, network


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        (" 203.0.113.7 ", "203.0.113.7/32"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_has_one_normal_form(written, normal):
    assert network(written) == normal
    assert network(normal) == normal


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "203.0.113.0/24"),
        ("example.com", "203.0.113.0/24"),
        ("203.0.113", "203.0.113.0/24"),
        ("203.0.113.0/33", "203.0.113.0/24"),
        ("203.0.113.0/24, 10.0.0.0/8", "203.0.113.0/24"),
        ("203.0.113.7/24", "write 203.0.113.0/24 for the network or 203.0.113.7"),
        ("2001:db8::1/32", "write 2001:db8::/32 for the network or 2001:db8::1"),
    ],
)
def test_a_wrong_network_is_refused_with_its_correction(written, says):
    with pytest.raises(NotANetwork, match=says):
        network(written)


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("203.0.113.9", ("203.0.113.0/24",), True),
        ("203.0.114.0", ("203.0.113.0/24",), False),
        ("203.0.113.9", ("10.0.0.0/8", "203.0.113.9/32"), True),
        ("::ffff:203.0.113.9", ("203.0.113.0/24",), True),  # of a socket for both versions
        ("2001:db8:1::5", ("2001:db8::/32",), True),
        ("2001:db9::5", ("2001:db8::/32",), False),
        ("2001:db8::5", ("0.0.0.0/0",), False),
        ("203.0.113.9", ("::/0",), False),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("", ("0.0.0.0/0",), False),
        ("unknown", ("0.0.0.0/0",), False),
        ("", (), True),
    ],
)
def test_an_address_is_within_one_of_the_networks_or_there_are_none(address, networks, inside):
    assert may_come_from(address, networks) is inside


@given(st.ip_addresses(), st.integers(0, 128))
def test_an_address_is_within_every_network_made_of_it(address, prefix):
    width = min(prefix, address.max_prefixlen)
    own = ipaddress.ip_network(f"{address}/{width}", strict=False)

    assert may_come_from(str(address), (network(str(own)),))
