"""Sends a datagram to an old peer where its path leads, and tells its datagrams from those of ICE and TURN. Used by `tap_tunnel.py`.

Rule: neither raises for what the net does; what cannot be sent is lost, like others.
"""

from __future__ import annotations

from wayhouse.overlay.engine import channel_data
from wayhouse.overlay.ice import stun
from wayhouse.overlay.legacy import dtls
from wayhouse.overlay.legacy.frames import UID_BYTES
from wayhouse.overlay.legacy.peer_key import PeerKey
from wayhouse.overlay.ports import Address, Endpoint, UdpEndpoint


def transmit(endpoint: Endpoint, datagram: bytes) -> bool:
    """Whether it went out."""
    if not isinstance(endpoint, UdpEndpoint):
        endpoint.outlet(datagram)
        return True
    if endpoint.channel is not None:
        datagram = channel_data.prefix(endpoint.channel, len(datagram)) + datagram
    try:
        endpoint.sock.sendto(datagram, endpoint.address)
    except OSError:
        return False
    return True


def is_of_link(key: PeerKey, datagram: bytes) -> bool:
    """Whether it can be of the link itself: DTLS, or in the clear what begins with the peer's uid."""
    if key.digest is not None:
        return dtls.is_dtls(datagram)
    return datagram[:UID_BYTES] == key.uid and not stun.is_stun(datagram)


def inner(endpoint: Endpoint | None, key: PeerKey, data: bytes, source: Address) -> bytes | None:
    """The link's datagram in what came from `source`; None if it is not the link's. In the clear only what comes from where the path leads."""
    is_there = isinstance(endpoint, UdpEndpoint) and endpoint.address[:2] == source[:2]
    if is_there and isinstance(endpoint, UdpEndpoint) and endpoint.channel is not None:
        found = channel_data.parse(data)
        if found is None or found[0] != endpoint.channel:
            return None
        data = data[channel_data.PREFIX_SIZE : channel_data.PREFIX_SIZE + found[1]]
    elif key.digest is None and not is_there:
        return None
    return data if is_of_link(key, data) else None
