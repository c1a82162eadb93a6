"""Who may do what over the overlay: rules as data, and what they say of a packet.

Called by services and the link process; `ruleset.py` makes the kernel's rules of the same resolved form, so both say the same. Rules: what no rule
allows is denied; the first rule that fits counts; answers, errors of path-MTU discovery and ICMP echo always pass; rules are only about what comes in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_network
from typing import cast

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.model import is_uid

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
TAG = "tag:"
ANY = "any"
SELF = "self"
MOST_RULES = 256
MOST_PORTS = 32
_TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class BadRuleError(BadInputError):
    code = "bad-rule"
    title = "This rule cannot be used"


class Action(StrEnum):
    ACCEPT = "accept"
    DROP = "drop"


class Protocol(StrEnum):
    """ICMP is both ICMP and ICMPv6."""

    ANY = "any"
    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`source` (`from` in documents): `any`, a uid or `tag:name`. `target` (`to`): on which gateways it counts, `any`, `self`, a uid or `tag:name`.

    Without `networks` the rule is about the gateway itself; with them, about what it passes on to these networks behind it. `ports` (of TCP and
    UDP): "22", "8000-8010"; none are all.
    """

    source: str = msgspec.field(name="from", default=ANY)
    target: str = msgspec.field(name="to", default=SELF)
    protocol: Protocol = Protocol.ANY
    ports: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    action: Action = Action.ACCEPT
    note: str = ""

    def __post_init__(self) -> None:
        _check_who(self.source, "from", also=(ANY,))
        _check_who(self.target, "to", also=(ANY, SELF))
        if self.ports and self.protocol is Protocol.ICMP:
            raise BadRuleError("ICMP has no ports: leave `ports` out, or name tcp or udp.", path="ports")
        if len(self.ports) > MOST_PORTS or len(self.networks) > MOST_PORTS or len(self.note) > 200:
            raise BadRuleError(
                f"A rule has at most {MOST_PORTS} ports, as many networks, and a note of 200 characters.",
                path="ports",
            )
        for text in self.ports:
            port_range(text)
        for text in self.networks:
            network(text)


class Member(msgspec.Struct, frozen=True):
    """A node as rules see it: its uid, the tags of its ticket, and the networks from which its packets come (its `allowed_ips`)."""

    uid: str
    tags: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is on this gateway. `sources` None: every peer. `destinations` None: the gateway itself. `rule` is its place among the rules."""

    rule: int
    sources: tuple[Network, ...] | None
    destinations: tuple[Network, ...] | None
    protocol: Protocol
    ports: tuple[tuple[int, int], ...]
    action: Action


class State(StrEnum):
    """As connection tracking has it."""

    NEW = "new"
    ESTABLISHED = "established"
    RELATED = "related"
    INVALID = "invalid"


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """A packet that came in over the overlay. `protocol` is the number (RFC 790); `port` the destination's, of TCP and UDP; `icmp_type` of ICMP.
    `is_forwarded`: it is for somebody behind the gateway."""

    source: Address
    destination: Address
    protocol: int
    port: int = 0
    icmp_type: int = 0
    state: State = State.NEW
    is_forwarded: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """`rule` is the place of the rule that decided; None when it was none of them, then `why` says what it was."""

    is_accepted: bool
    rule: int | None = None
    why: str = ""


TCP_NUMBER, UDP_NUMBER, ICMP_NUMBER, ICMP6_NUMBER = 6, 17, 1, 58
_NUMBERS = {
    Protocol.TCP: (TCP_NUMBER,),
    Protocol.UDP: (UDP_NUMBER,),
    Protocol.ICMP: (ICMP_NUMBER, ICMP6_NUMBER),
}
_ICMP_OF = {4: ICMP_NUMBER, 6: ICMP6_NUMBER}
WITH_PORTS = (TCP_NUMBER, UDP_NUMBER)
ECHO = {ICMP_NUMBER: 8, ICMP6_NUMBER: 128}
ERRORS = {ICMP_NUMBER: (3, 11, 12), ICMP6_NUMBER: (1, 2, 3, 4)}
"""Types that tell a sender what became of its packets: unreachable (with it "fragmentation needed"), too big, time exceeded, bad parameter."""


def port_range(text: str) -> tuple[int, int]:
    """Raises `BadRuleError`."""
    match = _PORTS.fullmatch(text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < low <= high < 65536:
        raise BadRuleError(
            f"`{text[:40]}` is no port: write a number from 1 to 65535, or two with `-` between.",
            path="ports",
        )
    return low, high


def network(text: str) -> Network:
    """In CIDR form; an address is a network of one. Raises `BadRuleError`."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise BadRuleError(
            f"`{text[:60]}` is no network: write it like 192.168.7.0/24.", path="networks"
        ) from error


def collapse(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Each address once, in as few networks as possible, IPv4 first."""
    found = list(networks)
    fours = cast("list[IPv4Network]", [one for one in found if one.version == 4])
    sixes = cast("list[IPv6Network]", [one for one in found if one.version == 6])
    return (*collapse_addresses(fours), *collapse_addresses(sixes))


def resolve(rules: Iterable[Rule], this: Member, peers: Mapping[str, Member]) -> tuple[Resolved, ...]:
    """The rules that count on this gateway, with the addresses of those they speak of. A rule about nobody who is known is left out."""
    found = []
    for place, rule in enumerate(rules):
        if not (rule.target in (ANY, SELF) or _is_meant(rule.target, this)):
            continue
        sources = None
        if rule.source != ANY:
            members = [peer for peer in peers.values() if _is_meant(rule.source, peer)]
            sources = collapse(net for peer in members for net in peer.networks)
            if not sources:
                continue
        found.append(
            Resolved(
                rule=place,
                sources=sources,
                destinations=collapse(map(network, rule.networks)) if rule.networks else None,
                protocol=rule.protocol,
                ports=merge_ports(map(port_range, rule.ports)),
                action=rule.action,
            )
        )
    return tuple(found)


def merge_ports(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """In order, without overlaps."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def echo_destinations(rules: Iterable[Resolved]) -> tuple[Network, ...]:
    """Behind the gateway, echo passes to those networks that some rule opens."""
    opened = [one for one in rules if one.action is Action.ACCEPT and one.destinations is not None]
    return collapse(net for one in opened for net in one.destinations or ())


def decide(rules: Iterable[Resolved], packet: Packet) -> Verdict:
    """What the kernel does with the packet under `ruleset.compile_rules` of the same rules."""
    rules = tuple(rules)
    if packet.state in (State.ESTABLISHED, State.RELATED):
        return Verdict(True, why="it belongs to what is going on already")
    kind = packet.icmp_type if packet.protocol == _ICMP_OF[packet.source.version] else None
    if kind in ERRORS.get(packet.protocol, ()):
        return Verdict(True, why="errors of the path always pass")
    if packet.state is State.INVALID:
        return Verdict(False, why="connection tracking says that it belongs to nothing")
    if kind is not None and kind == ECHO[packet.protocol] and _may_echo(rules, packet):
        return Verdict(True, why="echo always passes")
    for rule in rules:
        if _fits(rule, packet):
            return Verdict(rule.action is Action.ACCEPT, rule.rule)
    return Verdict(False, why="no rule allows it")


def _may_echo(rules: Iterable[Resolved], packet: Packet) -> bool:
    return not packet.is_forwarded or _is_in(packet.destination, echo_destinations(rules))


def _fits(rule: Resolved, packet: Packet) -> bool:
    if (rule.destinations is not None) != packet.is_forwarded:
        return False
    if rule.destinations is not None and not _is_in(packet.destination, rule.destinations):
        return False
    if rule.sources is not None and not _is_in(packet.source, rule.sources):
        return False
    if rule.protocol is not Protocol.ANY and packet.protocol not in _NUMBERS[rule.protocol]:
        return False
    if not rule.ports:
        return True
    return packet.protocol in WITH_PORTS and any(low <= packet.port <= high for low, high in rule.ports)


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == one.version and address in one for one in networks)


def _is_meant(who: str, member: Member) -> bool:
    return who in (ANY, member.uid) or (who.startswith(TAG) and who.removeprefix(TAG) in member.tags)


def _check_who(text: str, path: str, *, also: tuple[str, ...]) -> None:
    if text in also or is_uid(text):
        return
    if text.startswith(TAG) and _TAG_NAME.fullmatch(text.removeprefix(TAG)):
        return
    raise BadRuleError(
        f"`{path}`: `{text[:60]}` is nobody; write {', '.join(also)}, tag:name or a uid of 40 hex digits.",
        path=path,
    )
