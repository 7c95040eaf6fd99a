from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.addresses import client_address

TRUSTED: tuple[IPv4Network | IPv6Network, ...] = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        pytest.param("198.51.100.1", [], "198.51.100.1", id="straight"),
        pytest.param("198.51.100.1", ["203.0.113.9"], "198.51.100.1", id="a stranger's word is not believed"),
        pytest.param("10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="a proxy's is"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9", id="what the client wrote itself"),
        pytest.param("10.0.0.1", ["203.0.113.9, 10.0.0.2", "10.0.0.3"], "203.0.113.9", id="a chain, several headers"),
        pytest.param("10.0.0.1", ["10.0.0.4, 10.0.0.2"], "10.0.0.4", id="a client inside the network"),
        pytest.param("10.0.0.1", ["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2", id="an entry that is no address"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="an empty header"),
        pytest.param("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9", id="with a port"),
        pytest.param("2001:db8::1", ["[2001:db9::7]:4711"], "2001:db9::7", id="IPv6 with a port"),
        pytest.param("2001:db8::1", ["2001:db9::7"], "2001:db9::7", id="IPv6"),
        pytest.param("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="IPv4 on a socket for both"),
        pytest.param("10.0.0.1", [", ".join(["10.0.0.2"] * 5000)], "10.0.0.2", id="a long chain"),
        pytest.param(None, ["203.0.113.9"], None, id="no peer"),
        pytest.param("testclient", ["203.0.113.9"], "testclient", id="a peer that is no address"),
    ],
)
def test_the_client_is_the_nearest_that_is_no_trusted_proxy(
    peer: str | None, forwarded_for: list[str], client: str | None
) -> None:
    assert client_address(peer, forwarded_for, TRUSTED) == client


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    assert client_address("10.0.0.1", ["203.0.113.9"], ()) == "10.0.0.1"


@given(st.lists(st.text(max_size=50), max_size=5))
def test_no_header_is_a_fault_and_none_gives_what_is_no_address(forwarded_for: list[str]) -> None:
    address = client_address("10.0.0.1", forwarded_for, TRUSTED)
    assert address is not None
    assert str(ip_address(address)) == address
