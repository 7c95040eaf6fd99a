"""Ranges of network addresses in CIDR notation (RFC 4632, RFC 4291), and whether an address lies in one.

IPv4 addresses that are written as IPv6 (`::ffff:192.0.2.1`) are the IPv4 addresses that they stand for, on both sides.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from domain.errors import InvalidInput

MAXIMUM_CHARACTERS = 64
_MAPPED = IPv6Network("::ffff:0:0/96")


def canonical_range(text: str) -> str:
    """A range as it is kept; an address alone is a range of one. Raises InvalidInput."""
    try:
        return str(_network(text))
    except ValueError as error:
        message = "An address range is written like 192.0.2.0/24 or 2001:db8::/32, without bits beyond its length."
        raise InvalidInput(message=message) from error


def is_within(address: str | None, ranges: Sequence[str]) -> bool:
    """Whether an address lies in one of the ranges: any does where there are none, an unknown one in no range."""
    return not ranges or (address is not None and _is_within(address, tuple(ranges)))


# Requests of one program come from few addresses.
@lru_cache(maxsize=4096)
def _is_within(address: str, ranges: tuple[str, ...]) -> bool:
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in _network(each) for each in ranges)


def _network(text: str) -> IPv4Network | IPv6Network:
    if len(text) > MAXIMUM_CHARACTERS or "%" in text:
        raise ValueError("no address range")
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network
