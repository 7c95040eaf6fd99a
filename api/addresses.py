"""Whose request this is: the client's address, believed from proxies only when they are configured."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

MAXIMUM_HOPS = 32


def client_address(
    peer: str | None, forwarded_for: Iterable[str], trusted: Sequence[IPv4Network | IPv6Network]
) -> str | None:
    """The address of the client behind the trusted proxies, or the peer's own.

    `forwarded_for` are the values of the `X-Forwarded-For` headers in order. They are read from the right, the side
    that our own proxies write, up to the first address that is no trusted proxy; what a client wrote itself stands to
    the left of it and is never reached. An entry that is no address ends the search at the hop that reported it.
    """
    if peer is None or not trusted or not _is_trusted(peer, tuple(trusted)):
        return peer
    nearest = peer
    hops = ",".join(forwarded_for).rsplit(",", MAXIMUM_HOPS)[-MAXIMUM_HOPS:]
    for hop in reversed(hops):
        address = _parsed(hop.strip())
        if address is None:
            return nearest
        nearest = str(address)
        if not _is_trusted(nearest, tuple(trusted)):
            return nearest
    return nearest


@lru_cache(maxsize=1024)
def _is_trusted(address: str, trusted: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    # Some proxies append the port: 192.0.2.1:4711, [2001:db8::1]:4711.
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
