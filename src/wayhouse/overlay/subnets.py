"""Networks behind a peer, such as an app's: what peers offer, what this gateway accepted, and what follows for tunnel and routes.

Called by services and the link process. Offers travel signed, in a peer's binding. Rules: nothing is used because it was offered:
somebody here accepts it, by peer and network; what overlaps a network of this gateway, of an overlay or of another peer is refused and never routed; an
accepted network stays while its peer is away, and ends when the peer says that it is offered no more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

import msgspec

from wayhouse.base.errors import BadInputError, ConflictError, NotFoundError

Network = IPv4Network | IPv6Network
WIDEST = {4: 8, 6: 32}
"""Prefix length of the largest network that may be behind a peer: all of the internet is none."""
MOST_OFFERS = 16
"""Of one peer."""


class BadSubnetError(BadInputError):
    code = "bad-subnet"
    title = "This network cannot be behind a peer"


class SubnetOverlapsError(ConflictError):
    code = "subnet-overlaps"
    title = "The network overlaps another one"


class NotOfferedError(NotFoundError):
    code = "subnet-not-offered"
    title = "The peer does not offer this network"


class Standing(StrEnum):
    """OFFERED: not accepted here. ACTIVE: routed. WITHDRAWN: accepted, but the peer does not offer it any more. REFUSED: accepted, but in the
    way of another network now."""

    OFFERED = "offered"
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    """A network behind the peer `uid`, and `why` it is not routed, for people."""

    uid: str
    network: str
    standing: Standing
    why: str = ""


class Surroundings(msgspec.Struct, frozen=True):
    """Networks of this gateway in CIDR form, each with what it is ("the network of eth0", "the overlay home")."""

    networks: Mapping[str, str]


def read(text: str) -> Network:
    """A network that may be behind a peer. Raises `BadSubnetError`."""
    try:
        found = ip_network(text)
    except ValueError:
        raise BadSubnetError(
            f"`{text[:60]}` is no network: write it like 192.168.7.0/24, with zeros after the prefix.",
            path="network",
        ) from None
    if found.prefixlen < WIDEST[found.version]:
        raise BadSubnetError(
            f"{found} is too large: at most /{WIDEST[found.version]} can be behind a peer.", path="network"
        )
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        raise BadSubnetError(f"{found} has a meaning of its own on every machine.", path="network")
    return found


def check_offer(text: str, overlays: Surroundings) -> str:
    """What this gateway offers to its peers: `text` as it is written to them. Raises `BadSubnetError`, `SubnetOverlapsError`."""
    found = read(text)
    _demand_apart(found, overlays)
    return str(found)


def accept(
    uid: str,
    text: str,
    offers: Mapping[str, Collection[str]],
    accepted: Mapping[str, Collection[str]],
    own: Surroundings,
) -> dict[str, tuple[str, ...]]:
    """What is accepted from now on, by uid. Raises `BadSubnetError`, `NotOfferedError`, `SubnetOverlapsError`."""
    found = read(text)
    if str(found) not in _readable(offers.get(uid, ())):
        raise NotOfferedError(f"{uid[:8]} does not offer {found}; see what it offers in the list of subnets.")
    check_accept(uid, str(found), accepted, own)
    kept = {other: tuple(networks) for other, networks in accepted.items()}
    return {**kept, uid: tuple(sorted({*kept.get(uid, ()), str(found)}))}


def check_accept(uid: str, text: str, accepted: Mapping[str, Collection[str]], own: Surroundings) -> None:
    """Nothing is in its way, of this gateway or among what is `accepted`. Raises `BadSubnetError`, `SubnetOverlapsError`."""
    found = read(text)
    _demand_apart(found, own)
    for other, networks in sorted(accepted.items()):
        for each in _readable(networks):
            if (other, each) != (uid, str(found)) and _overlap(found, ip_network(each)):
                raise SubnetOverlapsError(
                    f"{found} overlaps {each}, which was accepted from {other[:8]}; take that back first.",
                    network=each,
                    uid=other,
                )


def take_back(uid: str, text: str, accepted: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """What is accepted from now on, by uid. Raises `BadSubnetError`, `NotOfferedError` if it was not accepted."""
    found = str(read(text))
    if found not in accepted.get(uid, ()):
        raise NotOfferedError(f"{found} was not accepted from {uid[:8]}.")
    kept = {other: tuple(networks) for other, networks in accepted.items()}
    left = tuple(one for one in kept.pop(uid) if one != found)
    return {**kept, uid: left} if left else kept


def arrange(
    offers: Mapping[str, Collection[str]], accepted: Mapping[str, Collection[str]], own: Surroundings
) -> tuple[Subnet, ...]:
    """How all that is offered and accepted stands, by uid and network. A peer that is not among `offers` was not heard yet.

    Of two accepted networks that overlap after all, the smaller uid's is routed.
    """
    found: list[Subnet] = []
    routed: list[tuple[str, Network]] = []
    for uid in sorted({*offers, *accepted}):
        offered = _readable(offers[uid])[:MOST_OFFERS] if uid in offers else None
        chosen = _readable(accepted.get(uid, ()))
        for each in chosen:
            subnet = _standing(uid, each, offered, routed, own)
            if subnet.standing is Standing.ACTIVE:
                routed.append((uid, ip_network(each)))
            found.append(subnet)
        for each in offered or ():
            if each not in chosen:
                why = _in_the_way(ip_network(each), routed, own)
                found.append(Subnet(uid=uid, network=each, standing=Standing.OFFERED, why=why))
    return tuple(found)


def allowed_ips(subnets: Collection[Subnet]) -> dict[str, tuple[str, ...]]:
    """What each peer may send from, and is sent, besides its own addresses."""
    found: dict[str, tuple[str, ...]] = {}
    for one in subnets:
        if one.standing is Standing.ACTIVE:
            found[one.uid] = (*found.get(one.uid, ()), one.network)
    return found


def routes(subnets: Collection[Subnet]) -> tuple[str, ...]:
    """What is routed into the overlay's interface."""
    return tuple(sorted(one.network for one in subnets if one.standing is Standing.ACTIVE))


def _standing(
    uid: str, text: str, offered: list[str] | None, routed: list[tuple[str, Network]], own: Surroundings
) -> Subnet:
    if offered is not None and text not in offered:
        why = "the peer does not offer it any more"
        return Subnet(uid=uid, network=text, standing=Standing.WITHDRAWN, why=why)
    why = _in_the_way(ip_network(text), routed, own)
    return Subnet(uid=uid, network=text, standing=Standing.REFUSED if why else Standing.ACTIVE, why=why)


def _in_the_way(network: Network, routed: list[tuple[str, Network]], own: Surroundings) -> str:
    """Why the network cannot be routed; "" if it can."""
    try:
        _demand_apart(network, own)
    except SubnetOverlapsError as error:
        return error.message
    other = next(((uid, each) for uid, each in routed if _overlap(network, each)), None)
    return f"{network} overlaps {other[1]}, which was accepted from {other[0][:8]}" if other else ""


def _demand_apart(network: Network, own: Surroundings) -> None:
    for text, what in sorted(own.networks.items()):
        if _overlap(network, ip_network(text, strict=False)):
            raise SubnetOverlapsError(
                f"{network} overlaps {text}, {what}: packets could not tell which is meant. One of the two must get other addresses.",
                network=text,
            )


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _readable(texts: Collection[str]) -> list[str]:
    """Those that may be behind a peer, in order."""
    found = set()
    for text in texts:
        try:
            found.add(str(read(text)))
        except BadSubnetError:
            continue
    return sorted(found)
