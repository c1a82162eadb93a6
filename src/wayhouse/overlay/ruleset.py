"""The rules as nftables has them: one table for each interface of an overlay, IPv4 and IPv6 together.

Called by the link process, which gives the text to `drivers/nftables.py`. Rules: the table is replaced as a whole, so there is no moment without it; it
says nothing about other interfaces; every word in it is made of numbers and checked names, none comes from a peer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.policy import (
    ECHO,
    ERRORS,
    ICMP6_NUMBER,
    ICMP_NUMBER,
    Network,
    Protocol,
    Resolved,
    echo_destinations,
)

_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,14}")
_PROTOCOLS = {
    Protocol.TCP: "meta l4proto tcp",
    Protocol.UDP: "meta l4proto udp",
    Protocol.ICMP: "meta l4proto { icmp, ipv6-icmp }",
}


def table_name(interface: str) -> str:
    """Raises `BadInputError` for what is no name of an interface of ours."""
    if _INTERFACE.fullmatch(interface) is None:
        raise BadInputError(
            f"`{interface[:40]}` is no interface: letters, digits, `-` and `_`, 15 at most.", path="interface"
        )
    return f"wayhouse_{interface}"


def compile_rules(interface: str, rules: Sequence[Resolved]) -> str:
    """What `nft -f -` puts in place in one step. Raises `BadInputError`."""
    table = table_name(interface)
    here = [line for one in rules if one.destinations is None for line in _lines(one)]
    through = [line for one in rules if one.destinations is not None for line in _lines(one)]
    body = [
        *_hook("input", interface, "here"),
        *_hook("forward", interface, "through"),
        *_chain("here", [*_always(), *_echo(None), *here, "counter drop"]),
        *_chain("through", [*_always(), *_echo(echo_destinations(rules)), *through, "counter drop"]),
    ]
    return "\n".join(
        [
            f"add table inet {table}",
            f"delete table inet {table}",
            f"table inet {table} {{",
            *(f"  {line}" for line in body),
            "}",
            "",
        ]
    )


def removal(interface: str) -> str:
    """What `nft -f -` takes the table away with, also when there is none. Raises `BadInputError`."""
    table = table_name(interface)
    return f"add table inet {table}\ndelete table inet {table}\n"


def _hook(hook: str, interface: str, chain: str) -> list[str]:
    return [
        f"chain {hook} {{",
        f"  type filter hook {hook} priority filter; policy accept;",
        f'  iifname "{interface}" jump {chain}',
        "}",
    ]


def _chain(name: str, lines: Iterable[str]) -> list[str]:
    return [f"chain {name} {{", *(f"  {line}" for line in lines), "}"]


def _always() -> list[str]:
    return [
        "ct state established,related accept",
        f"meta nfproto ipv4 icmp type {_numbers(ERRORS[ICMP_NUMBER])} accept",
        f"meta nfproto ipv6 icmpv6 type {_numbers(ERRORS[ICMP6_NUMBER])} accept",
        "ct state invalid drop",
    ]


def _echo(destinations: tuple[Network, ...] | None) -> list[str]:
    lines = []
    for family, kind, number, version in (("ip", "icmp", ICMP_NUMBER, 4), ("ip6", "icmpv6", ICMP6_NUMBER, 6)):
        match = _addresses(family, "daddr", destinations, version)
        if match is not None:
            lines.append(f"meta nfproto ipv{version} {match}{kind} type {ECHO[number]} accept")
    return lines


def _lines(rule: Resolved) -> list[str]:
    """One for each family that the rule is about; one for both if it names no addresses."""
    matches = [_PROTOCOLS[rule.protocol]] if rule.protocol in _PROTOCOLS else []
    if rule.ports:
        if not matches:
            matches.append("meta l4proto { tcp, udp }")
        matches.append(f"th dport {_ranges(rule.ports)}")
    end = " ".join([*matches, "counter", rule.action.value])
    if rule.sources is None and rule.destinations is None:
        return [end]
    lines = []
    for family, version in (("ip", 4), ("ip6", 6)):
        sources = _addresses(family, "saddr", rule.sources, version)
        destinations = _addresses(family, "daddr", rule.destinations, version)
        if sources is not None and destinations is not None:
            lines.append(sources + destinations + end)
    return lines


def _addresses(family: str, side: str, networks: tuple[Network, ...] | None, version: int) -> str | None:
    """A match, empty if it is all the same; None if there is no address of this family."""
    if networks is None:
        return ""
    found = [str(one) for one in networks if one.version == version]
    return f"{family} {side} {{ {', '.join(found)} }} " if found else None


def _numbers(numbers: Iterable[int]) -> str:
    return "{ " + ", ".join(map(str, numbers)) + " }"


def _ranges(ports: Iterable[tuple[int, int]]) -> str:
    return "{ " + ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ports) + " }"
