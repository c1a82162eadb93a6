"""Which networks this machine is in. Called by the service before an overlay takes one, and by the process of the links for networks behind peers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_interface, ip_network

import psutil

OURS = "wh-"
"""How interfaces of our overlays begin."""
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def networks() -> Iterator[tuple[str, str]]:
    """Interface and network in CIDR form, without link-local ones."""
    for interface, addresses in psutil.net_if_addrs().items():
        for one in addresses:
            if one.family in _FAMILIES and one.netmask:
                found = ip_interface(f"{one.address.partition('%')[0]}/{_length(one.netmask)}").network
                if not found.is_link_local:
                    yield interface, str(found)


def others() -> dict[str, str]:
    """All but those of our overlays, in CIDR form, each with what it is."""
    return {
        text: f"the network of {interface}"
        for interface, text in networks()
        if not interface.startswith(OURS) and ip_network(text).prefixlen
    }


def overlapping(network: IPv4Network) -> str:
    """A network of this machine, other than of our overlays, that has addresses of `network`; "" if there is none."""
    for interface, text in networks():
        found = ip_network(text)
        if (
            isinstance(found, IPv4Network)
            and not interface.startswith(OURS)
            and found.prefixlen
            and found.overlaps(network)
        ):
            return f"{found} of {interface}"
    return ""


def _length(mask: str) -> str:
    """A netmask as psutil has it: in IPv6 one that is written like an address."""
    if ":" not in mask:
        return mask
    return str(sum(int(group, 16).bit_count() for group in mask.split(":") if group))
