"""What a cookie is bound to, and whom the rate limiter counts together.

Used by `device.py`. Rule: a cookie is for one address and port; the limiter counts an IPv4 address, or the /64 of an IPv6 address, whatever
the port; behind a relay every channel counts for itself, since all have the relay's address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from typing import Any, NamedTuple

from wayhouse.overlay.ports import UdpEndpoint


class Source(NamedTuple):
    exact: bytes
    group: Hashable


def source_of(endpoint: Hashable) -> Source:
    """For an `Endpoint` of the ports, an address as the socket module gives it, or anything else that can be hashed."""
    if isinstance(endpoint, UdpEndpoint):
        if endpoint.channel is None:
            return _of_address(endpoint.address)
        relayed = (endpoint.address, endpoint.channel)
        return Source(repr(relayed).encode(), relayed)
    if isinstance(endpoint, tuple) and endpoint and isinstance(endpoint[0], str):
        return _of_address(endpoint)
    return Source(str(hash(endpoint)).encode(), endpoint)


def _of_address(address: tuple[Any, ...]) -> Source:
    return Source(repr(address[:2]).encode(), _group(str(address[0])))


def _group(host: str) -> Hashable:
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address):
        return found.packed
    return found.ipv4_mapped.packed if found.ipv4_mapped else found.packed[:8]
