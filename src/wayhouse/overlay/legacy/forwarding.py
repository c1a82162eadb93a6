"""Who gets a frame, and whose frames are let in: the old nodes' rules, as a table without I/O.

Used by `drivers/tap_tunnel.py`. Rules: by the inner IP address, or in switch mode by the Ethernet address that was learned; what nobody may get is the
controller's; a peer sends from its own addresses alone, unless the node is a switch, which cannot know them. Unlike tincan, which let all in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.engine.readdress import readdress
from wayhouse.overlay.legacy import frames
from wayhouse.overlay.ports import PeerSetup
from wayhouse.overlay.wireguard.allowed_ips import AllowedIps, parse_network

MOST_MACS = 4096
_INVENTED = b"\x02\x00\x00\x00\x00\x01"
"""The Ethernet address of everybody, as old nodes without a switch know it: whoever gets a frame puts its own there."""


class ToPeers(msgspec.Struct, frozen=True):
    uids: tuple[bytes, ...]


class ToInterface(msgspec.Struct, frozen=True):
    frame: bytes


class ToController(msgspec.Struct, frozen=True):
    frame: bytes


class Dropped(msgspec.Struct, frozen=True):
    """`reason` is a word for counting."""

    reason: str


Verdict = ToPeers | ToInterface | ToController | Dropped


class Answered(msgspec.Struct, frozen=True):
    """Back to the peer that sent it."""

    frame: bytes


class Forwarding:
    """`mac` is that of the interface, `uid` this node's, 20 bytes."""

    def __init__(self, uid: bytes, mac: bytes) -> None:
        self.uid = uid
        self.mac = mac
        self.is_switch = False
        self._own: frozenset[bytes] = frozenset()
        self._routes: AllowedIps[bytes] = AllowedIps()
        self._translations: dict[bytes, tuple[bytes, bytes]] = {}
        self._peers: dict[bytes, None] = {}
        self._macs: dict[bytes, bytes] = {}

    def set_addresses(self, addresses: Sequence[str]) -> None:
        """Of the interface, in CIDR form."""
        self._own = frozenset(ipaddress.ip_interface(text).ip.packed for text in addresses)

    def set_peer(self, uid: bytes, setup: PeerSetup) -> None:
        """Raises `BadInputError` for a network that is none."""
        networks = [parse_network(text) for text in setup.allowed_ips]
        translation = None if setup.translation is None else _packed(*setup.translation)
        self._routes.assign(uid, networks)
        self._peers[uid] = None
        self._translations.pop(uid, None)
        if translation is not None:
            self._translations[uid] = translation

    def remove_peer(self, uid: bytes) -> None:
        self._peers.pop(uid, None)
        self._routes.remove(uid)
        self._translations.pop(uid, None)
        self._macs = {mac: owner for mac, owner in self._macs.items() if owner != uid}

    # From the interface.

    def leaving(self, frame: bytes) -> Verdict:
        """What becomes of a frame that this machine sends."""
        if len(frame) < frames.ETHERNET:
            return Dropped("short")
        return self._leaving_switch(frame) if self.is_switch else self._leaving_router(frame)

    def _leaving_router(self, frame: bytes) -> Verdict:
        if (asked := frames.asked_address(frame)) is not None:
            known = asked not in self._own and self._routes[asked] is not None
            return ToInterface(frames.arp_answer(frame, _INVENTED)) if known else Dropped("arp")
        address = frames.destination_ip(frame)
        if address is None:
            return Dropped("no-ip")
        if frames.is_for_many(address):
            return ToPeers(tuple(self._peers))
        uid = self._routes[address]
        return ToController(frame) if uid is None else ToPeers((uid,))

    def _leaving_switch(self, frame: bytes) -> Verdict:
        if frames.asked_address(frame) in self._own:
            return ToInterface(frames.arp_answer(frame, self.mac))
        mac = frames.destination_mac(frame)
        if frames.is_group(mac):
            return ToPeers(tuple(self._peers))
        if (uid := self._macs.get(mac)) is not None:
            return ToPeers((uid,))
        address = frames.destination_ip(frame)
        uid = None if address is None else self._routes[address]
        return ToController(frame) if uid is None else ToPeers((uid,))

    # From a peer.

    def arriving(self, uid: bytes, frame: bytes) -> ToInterface | ToController | Answered | Dropped:
        """What becomes of a frame that the peer `uid` sent, proved by its link."""
        if frames.icc_kind(frame) is not None:
            return ToController(frame)
        return self._arriving_switch(uid, frame) if self.is_switch else self._arriving_router(uid, frame)

    def _arriving_router(self, uid: bytes, frame: bytes) -> ToInterface | ToController | Answered | Dropped:
        if not frames.is_ip(frame):
            return Dropped("no-ip")
        frame = self.translated(uid, frame)
        source = frames.source_ip(frame)
        if source is None or source in self._own or self._routes[source] != uid:
            return Dropped("foreign-source")
        return ToInterface(frames.with_destination(frame, self.mac))

    def _arriving_switch(self, uid: bytes, frame: bytes) -> ToInterface | ToController | Answered | Dropped:
        source, destination = frames.source_mac(frame), frames.destination_mac(frame)
        is_plain = (
            source == destination
        )  # an interface without ARP, as old nodes have it, knows no other address
        if not frames.is_group(source) and source != self.mac:
            self._learn(source, uid)
        if frames.asked_address(frame) in self._own:
            return Answered(frames.arp_answer(frame, self.mac))
        return ToInterface(frames.with_destination(frame, self.mac) if is_plain else frame)

    def of_controller(self, uid: bytes, frame: bytes) -> bytes:
        """A frame that our controller hands over as sent by `uid`, as the interface gets it."""
        if self.is_switch and frames.source_mac(frame) != frames.destination_mac(frame):
            return frame
        return frames.with_destination(self.translated(uid, frame), self.mac)

    def translated(self, uid: bytes, frame: bytes) -> bytes:
        """With the IPv4 addresses that peer and node have here; what goes to many keeps its destination."""
        found = self._translations.get(uid)
        destination = frames.destination_ip(frame)
        if found is None or destination is None or len(destination) != 4:
            return frame
        there, here = found
        changed = bytearray(frame)
        with memoryview(changed) as view:
            kept = destination if frames.is_for_many(destination) else here
            readdress(view[frames.ETHERNET :], there, kept)
        return bytes(changed)

    def _learn(self, mac: bytes, uid: bytes) -> None:
        self._macs.pop(mac, None)
        self._macs[mac] = uid
        while len(self._macs) > MOST_MACS:
            del self._macs[next(iter(self._macs))]


def _packed(there: str, here: str) -> tuple[bytes, bytes]:
    try:
        return ipaddress.IPv4Address(there).packed, ipaddress.IPv4Address(here).packed
    except ValueError:
        raise BadInputError(f"{there} or {here} is no IPv4 address.", path="translation") from None
