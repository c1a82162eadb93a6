"""nftables that give the kernel's WireGuard the ports of ICE: one interface with one port of its own, many peers with a socket each.

Called by `drivers/kernel_tunnel.py`. What goes out from the interface's port to a peer leaves from the port of that peer's ICE socket, before connections are
tracked; what comes from exactly that peer to that port and has the form of a WireGuard message goes to the interface's port, after they are. So the
machine's own firewall and NAT, and every NAT on the way, see the one flow that ICE has opened and keeps open. All else, as STUN, stays with
the socket. Rule: the table is replaced as a whole; every word in it is made of numbers and checked names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from wayhouse.overlay.ruleset import table_name

_KINDS = "{ 0x01000000, 0x02000000, 0x03000000, 0x04000000 }"
"""How WireGuard's four messages begin (whitepaper section 5.4); STUN and ChannelData begin otherwise."""
_FAMILIES = (("4", "ip", "ipv4_addr"), ("6", "ip6", "ipv6_addr"))


class Way(msgspec.Struct, frozen=True, order=True):
    """A peer that is reached at `host` and `port` from our port `own`."""

    host: str
    port: int
    own: int


def name(interface: str) -> str:
    """Of the table. Raises `BadInputError`."""
    return f"{table_name(interface)}_ports"


def table(interface: str, listen_port: int, ways: Iterable[Way]) -> str:
    """What `nft -f -` puts in place in one step. Raises `BadInputError`, and `ValueError` for a host that is no address."""
    sorted_ways = sorted(set(ways))
    lines = []
    for version, _, kind in _FAMILIES:
        here = [way for way in sorted_ways if ipaddress.ip_address(way.host).version == int(version)]
        coming = [f"{way.host} . {way.port} . {way.own}" for way in here]
        going = [f"{way.host} . {way.port} : {way.own}" for way in here]
        lines += _named(f"set in{version}", f"{kind} . inet_service . inet_service", coming)
        lines += _named(f"map out{version}", f"{kind} . inet_service : inet_service", going)
    lines += ["chain coming {", "  type filter hook prerouting priority -90; policy accept;"]
    for version, family, _ in _FAMILIES:
        wanted = f"{family} saddr . udp sport . udp dport @in{version}"
        lines.append(f"  meta l4proto udp @th,64,32 {_KINDS} {wanted} udp dport set {listen_port}")
    lines += ["}", "chain going {", "  type filter hook output priority -301; policy accept;"]
    for version, family, _ in _FAMILIES:
        found = f"{family} daddr . udp dport map @out{version}"
        lines.append(f"  udp sport {listen_port} udp sport set {found}")
    lines.append("}")
    own = name(interface)
    body = "".join(f"  {line}\n" for line in lines)
    return f"{removal(interface)}table inet {own} {{\n{body}}}\n"


def removal(interface: str) -> str:
    """What `nft -f -` takes the table away with, also when there is none. Raises `BadInputError`."""
    own = name(interface)
    return f"add table inet {own}\ndelete table inet {own}\n"


def _named(head: str, kind: str, elements: list[str]) -> list[str]:
    filled = [f"  elements = {{ {', '.join(elements)} }};"] if elements else []
    return [f"{head} {{", f"  type {kind};", *filled, "}"]
