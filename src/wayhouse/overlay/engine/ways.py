"""The ways to peers, as the engine keeps them: an endpoint of the ports, and what is needed to send there in batches.

Used by `outgoing`, `incoming` and `loop`; given to the device as endpoints. Rule: there is one object for a way, so that comparing two costs
nothing; strangers cannot make more than a bounded number of them.
"""

from __future__ import annotations

import socket

from wayhouse.overlay.engine import channel_data, udp_batch
from wayhouse.overlay.ports import Address, Endpoint, OutletEndpoint, UdpEndpoint

MOST_WAYS = 1024


class UdpWay(UdpEndpoint, frozen=True, eq=False, kw_only=True):
    """`room` is how many bytes go before each datagram: 4 for a TURN channel, else 0."""

    batches: udp_batch.Batches
    room: int = 0

    def send(self, data: memoryview, size: int) -> int:
        return self.batches.send(data, size)

    def send_one(self, datagram: bytes) -> int:
        """With the channel's prefix put before it."""
        if self.channel is not None:
            datagram = channel_data.prefix(self.channel, len(datagram)) + datagram
        return self.batches.send(memoryview(datagram), len(datagram))


class OutletWay:
    """Not a socket of ours: datagrams go one by one to a callable, which does not raise."""

    __slots__ = ("endpoint", "is_relayed")
    channel: int | None = None
    room = 0
    sock: socket.socket | None = None

    def __init__(self, endpoint: OutletEndpoint) -> None:
        self.endpoint = endpoint
        self.is_relayed = endpoint.is_relayed

    def send(self, data: memoryview, size: int) -> int:
        for begin in range(0, len(data), size):
            self.endpoint.outlet(bytes(data[begin : begin + size]))
        return 0

    def send_one(self, datagram: bytes) -> int:
        self.endpoint.outlet(datagram)
        return 0


Way = UdpWay | OutletWay
_Place = tuple[socket.socket, Address, int | None]


class Ways:
    """All ways in use. `relays` are the TURN servers that send ChannelData, by socket and address."""

    def __init__(self) -> None:
        self._kept: dict[_Place, UdpWay] = {}
        self._strangers: dict[_Place, UdpWay] = {}
        self.relays: set[tuple[socket.socket, Address]] = set()

    def keep(self, endpoint: Endpoint) -> Way:
        """The way of an endpoint that the owner of the tunnel named."""
        if isinstance(endpoint, OutletEndpoint):
            return OutletWay(endpoint)
        place = (endpoint.sock, endpoint.address, endpoint.channel)
        found = self._kept.get(place)
        if found is None or found.is_relayed != endpoint.is_relayed:
            found = self._kept[place] = self._make(*place, is_relayed=endpoint.is_relayed)
        self._strangers.pop(place, None)
        if endpoint.channel is not None:
            self.relays.add((endpoint.sock, endpoint.address))
        return found

    def find(self, sock: socket.socket, address: Address, channel: int | None = None) -> UdpWay:
        """The way by which a datagram came."""
        place = (sock, address, channel)
        found = self._kept.get(place) or self._strangers.get(place)
        if found is None:
            if len(self._strangers) >= MOST_WAYS:
                self._strangers.clear()
            found = self._strangers[place] = self._make(*place, is_relayed=channel is not None)
        return found

    def _make(
        self, sock: socket.socket, address: Address, channel: int | None, *, is_relayed: bool
    ) -> UdpWay:
        return UdpWay(
            sock=sock,
            address=address,
            channel=channel,
            is_relayed=is_relayed,
            batches=udp_batch.Batches(sock, address),
            room=0 if channel is None else channel_data.PREFIX_SIZE,
        )

    def forget(self, sock: socket.socket) -> None:
        """The socket is not ours any more."""
        for book in (self._kept, self._strangers):
            for place in [place for place in book if place[0] is sock]:
                del book[place]
        self.relays = {place for place in self.relays if place[0] is not sock}
