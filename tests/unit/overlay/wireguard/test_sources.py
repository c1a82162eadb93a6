"""What a cookie is bound to, and whom the limiter counts together."""

from __future__ import annotations

import socket

from wayhouse.overlay.ports import OutletEndpoint, UdpEndpoint
from wayhouse.overlay.wireguard.sources import source_of


def test_a_port_changes_the_cookie_and_not_the_group() -> None:
    one, other = source_of(("192.0.2.1", 1)), source_of(("192.0.2.1", 2))
    assert one.exact != other.exact
    assert one.group == other.group != source_of(("192.0.2.2", 1)).group


def test_ipv6_is_counted_by_64_bits() -> None:
    one, other = source_of(("2001:db8::1", 1, 0, 0)), source_of(("2001:db8::2%eth0", 1, 7, 2))
    assert one.group == other.group != source_of(("2001:db8:0:1::1", 1, 0, 0)).group
    assert source_of(("::ffff:192.0.2.1", 1, 0, 0)).group == source_of(("192.0.2.1", 1)).group


def test_the_endpoints_of_the_ports() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        plain = source_of(UdpEndpoint(sock, ("192.0.2.1", 1)))
        channels = [
            source_of(UdpEndpoint(sock, ("192.0.2.1", 1), channel, is_relayed=True)) for channel in (1, 2)
        ]
    assert plain == source_of(("192.0.2.1", 1))
    assert len({plain.group, *(source.group for source in channels)}) == 3
    outlet = OutletEndpoint([].append)
    assert source_of(outlet) == source_of(outlet)
    assert source_of(outlet).group == outlet


def test_anything_that_can_be_hashed() -> None:
    assert source_of("b").group == "b"
    assert source_of(("no address", 1)).group == "no address"
    assert source_of(()).group == ()
