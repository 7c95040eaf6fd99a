"""Whose request this is: the client's address, believed from proxies only when they are configured."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAXIMUM_HOPS = 32
LONGEST_ADDRESS = 64


def client_address(peer: str | None, forwarded_for: Iterable[str], trusted: Sequence[Network]) -> str | None:
    """The address of the client behind the trusted proxies, or the peer's own.

    `forwarded_for` are the values of the `X-Forwarded-For` headers in order. They are read from the right, the side
    that our own proxies write, up to the first address that is no trusted proxy; what a client wrote itself stands to
    the left of it and is never reached. An entry that is no address ends the search at the hop that reported it.
    """
    nearest = _parsed(peer or "")
    if nearest is None or not _is_one_of(nearest, trusted):
        return peer
    hops = ",".join(forwarded_for).rsplit(",", MAXIMUM_HOPS)[-MAXIMUM_HOPS:]
    for hop in reversed(hops):
        address = _parsed(hop.strip()[:LONGEST_ADDRESS])
        if address is None:
            break
        nearest = address
        if not _is_one_of(nearest, trusted):
            break
    return str(nearest)


def _is_one_of(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    # Some proxies append the port: 192.0.2.1:4711, [2001:db8::1]:4711.
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
