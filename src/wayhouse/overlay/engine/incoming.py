"""From the peers to the interface: datagrams of one socket are sorted out, decrypted, checked, joined and written to the TUN.

Called by `loop` whenever a socket has something. Rules: nothing that comes raises; a packet is written only if it is authentic, new and
from an address that is its peer's (cryptokey routing); what is not WireGuard's is given to `other`. Work per turn is bounded.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence

from wayhouse.overlay.engine import channel_data, udp_batch
from wayhouse.overlay.engine.coalesce import Coalescer
from wayhouse.overlay.engine.offload import CHECKED_HEAD
from wayhouse.overlay.engine.readdress import readdress
from wayhouse.overlay.engine.rows import Rows
from wayhouse.overlay.engine.seal import OVERHEAD
from wayhouse.overlay.engine.unseal import Unsealer
from wayhouse.overlay.engine.ways import UdpWay, Ways
from wayhouse.overlay.ports import Address
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.keypair import Keypair
from wayhouse.overlay.wireguard.peer import Peer

ROWS = 256
"""Packets that are looked at together."""
ENOUGH = 64
"""As many are written before more is read: they are in the cache still, and whoever waits for them answers sooner."""
TURN_DATAGRAMS = 512
"""Datagrams of one socket before others have their turn."""
DATA = b"\4\0\0\0"
GONE = {errno.EBADFD, errno.EBADF}
"""What an interface that was deleted answers."""
_ZEROS = b"\0\0\0"
_INDEX = struct.Struct("<I")
_LARGEST = 1 << 16
_TRAIN_BYTES = 1 << 15
"""A train is not made longer than this by reading on."""
Other = Callable[[bytes, Address], None]


class Train:
    """Authentic datagrams of one keypair that came one way, None for one that is no socket. `is_data`: not only keepalives."""

    __slots__ = ("is_data", "keypair", "way")

    def __init__(self, keypair: Keypair, way: UdpWay | None) -> None:
        self.keypair, self.way = keypair, way
        self.is_data = False


class Incoming:
    """`dropped` counts by one word; `placed` are the public keys of peers whose endpoint was set by the owner of the tunnel; `translations`
    are the addresses (source, destination) that IPv4 packets of a peer get; `has_uso`: the TUN takes UDP uncut."""

    def __init__(self, device: Device, ways: Ways, dropped: Counter[str]) -> None:
        self._device, self._ways, self._dropped = device, ways, dropped
        self._memory = bytearray(2 * _LARGEST)
        self._view = memoryview(self._memory)
        self.fd = -1
        self.has_uso = False
        self.placed: set[bytes] = set()
        self.translations: dict[Peer, tuple[bytes, bytes]] = {}
        self.set_mtu(1280)

    def set_mtu(self, mtu: int) -> None:
        """Rows for packets up to this length; longer ones are taken one by one."""
        self._rows = Rows(ROWS, (min(mtu, 9216) + 255) // 64 * 64)
        self._unsealer = Unsealer(self._memory, self._rows)
        self._coalescer = Coalescer(self._rows)
        self._start()

    def _start(self) -> None:
        self._lengths: list[int] = []
        self._owners: list[Peer] = []
        self._trains: dict[tuple[Keypair, UdpWay | None], Train] = {}

    def turn(self, sock: socket.socket, other: Other, now: float) -> None:
        """Read what there is, at most a turn's worth. Raises `OSError` with EBADFD if the TUN is gone.

        Datagrams of one size from one address lie behind each other in memory, whether the kernel gave them together or one by one, and are
        handled as one train."""
        view, datagrams, held, size, whence = self._view, 0, 0, 0, None
        while datagrams < TURN_DATAGRAMS:
            try:
                count, each, address = udp_batch.receive(sock, view[held : held + _LARGEST])
            except BlockingIOError:
                break
            except OSError:  # an ICMP error that an earlier datagram brought about
                datagrams += 1
                continue
            if held and (address != whence or held % size or each > size or (each < size and count > each)):
                self._sort(sock, whence, (0, held, size), other, now)
                view[:count] = bytes(view[held : held + count])
                held = 0
            if not held:
                size, whence = each, address
            held += count
            datagrams += -(-count // each) if each else 1
            if held >= _TRAIN_BYTES or held >= udp_batch.MOST_SEGMENTS * size:
                self._sort(sock, whence, (0, held, size), other, now)
                held = 0
                if len(self._lengths) >= ENOUGH:
                    self.finish(now)
        if held:
            self._sort(sock, whence, (0, held, size), other, now)
        self.finish(now)

    def _sort(
        self,
        sock: socket.socket,
        address: Address | None,
        what: tuple[int, int, int],
        other: Other,
        now: float,
    ) -> None:
        """`what` are where datagrams begin, their bytes, and the bytes of each but for a shorter last one."""
        begin, count, size = what
        if address is None:
            return
        if count > size:
            number = -(-count // size)
            last = count - (number - 1) * size
            if self._train(sock, address, begin, (number, size, last), now):
                return
            for at in range(begin, begin + count, size):
                self._single(sock, address, at, min(size, begin + count - at), other, now)
        elif count:
            self._single(sock, address, begin, count, other, now)

    def _train(
        self, sock: socket.socket, address: Address, begin: int, lengths: tuple[int, int, int], now: float
    ) -> bool:
        """Many data messages of one session that came together. False, and nothing was done, if they are not that."""
        number, size, last = lengths
        view = self._view
        if view[begin : begin + 4] == DATA:
            if last < OVERHEAD or not self._alike(begin, size, number, 8):
                return False
            self._data(self._ways.find(sock, address), begin, size, lengths, now)
            return True
        at = begin + channel_data.PREFIX_SIZE
        if (sock, address) not in self._ways.relays or view[at : at + 4] != DATA:
            return False
        end = begin + (number - 1) * size
        found = channel_data.parse(view[begin : begin + size])
        found_last = channel_data.parse(view[end : end + last])
        if found is None or found_last is None or found[0] != found_last[0] or found_last[1] < OVERHEAD:
            return False
        if not self._alike(at, size, number, 8) or not self._alike(begin, size, number - 1, 4):
            return False
        way = self._ways.find(sock, address, found[0])
        self._data(way, at, size, (number, found[1], found_last[1]), now)
        return True

    def _alike(self, at: int, stride: int, number: int, length: int) -> bool:
        """Whether the `length` bytes at `at` are the same every `stride` bytes, `number` times."""
        return self._unsealer.is_uniform(at, stride, number, length)

    def _single(
        self, sock: socket.socket, address: Address, begin: int, length: int, other: Other, now: float
    ) -> None:
        view, relays = self._view, self._ways.relays
        at, size, channel = begin, length, None
        if relays and (sock, address) in relays:
            found = channel_data.parse(view[begin : begin + length])
            if found is not None:
                at, (channel, size) = begin + channel_data.PREFIX_SIZE, found
        if size >= OVERHEAD and view[at + 1 : at + 4] == _ZEROS and 1 <= view[at] <= 4:
            way = self._ways.find(sock, address, channel)
            if view[at] == 4:
                self._data(way, at, size, (1, size, size), now)
            else:
                self._device.receive_handshake(bytes(view[at : at + size]), way, now)
            return
        other(bytes(view[begin : begin + length]), address)

    def _data(
        self, way: UdpWay | None, at: int, stride: int, lengths: tuple[int, int, int], now: float
    ) -> None:
        """Data messages `at` bytes after every `stride`: how many, the bytes of each, and of the last."""
        number = lengths[0]
        keypair = self._device.receiver(_INDEX.unpack_from(self._view, at + 4)[0], now)
        if keypair is None:
            self._dropped["no-key"] += number
            return
        if lengths[1] > self._rows.stride:
            self._large(way, at, stride, lengths, now)
            return
        if number > ROWS - len(self._lengths):
            self.finish(now)
        first = len(self._lengths)
        if number == 1:
            done = [self._unsealer.unseal_one(keypair, at, lengths[1], first)]
        else:
            done = self._unsealer.unseal(keypair, at, stride, lengths, first)
        if min(done) < 0:
            good = [length for length in done if length >= 0]
            self._dropped["refused"] += number - len(good)
            if not good:
                return
            done = [max(length, 0) for length in done]
        train = self._trains.get((keypair, way))
        if train is None:
            train = self._trains[keypair, way] = Train(keypair, way)
        if max(done):
            train.is_data = True
        peer = keypair.peer
        self._lengths += done
        self._owners += [peer] * number
        if self.translations and peer in self.translations:
            self._translate(peer, first)

    def _large(
        self, way: UdpWay | None, at: int, stride: int, lengths: tuple[int, int, int], now: float
    ) -> None:
        """Packets that are longer than a row."""
        self.finish(now)
        number, size, last = lengths
        for count in range(number):
            begin = count * stride + at
            datagram = bytes(self._view[begin : begin + (last if count == number - 1 else size)])
            packet = self._device.decrypt(datagram, way, now)
            if packet:
                self._write([CHECKED_HEAD, packet])

    def deliver(self, public_key: bytes, datagram: bytes, now: float) -> None:
        """A datagram that came on no socket of ours, from the way that this peer's endpoint is."""
        peer = self._device.peers.get(public_key)
        if peer is None or not OVERHEAD <= len(datagram) <= _LARGEST:
            self._dropped["malformed"] += 1
            return
        if datagram[:4] != DATA:
            self._device.receive_handshake(datagram, peer.endpoint or public_key, now)
            return
        self._view[: len(datagram)] = datagram
        size = len(datagram)
        self._data(None, 0, size, (1, size, size), now)
        self.finish(now)

    def _translate(self, peer: Peer, first: int) -> None:
        source, destination = self.translations[peer]
        for row in range(first, len(self._lengths)):
            readdress(self._rows.span(row, 0, self._lengths[row]), source, destination)

    def finish(self, now: float) -> None:
        """Write what was received to the interface. Raises `OSError` with EBADFD if that is gone."""
        if not self._lengths:
            return
        lengths, owners, trains = self._lengths, self._owners, self._trains
        self._start()
        totals: dict[Peer, list[int]] = {train.keypair.peer: [0, 0] for train in trains.values()}
        routes = self._device.routes
        good = []
        for parcel in self._coalescer.parcels(lengths, owners):
            owner: Peer = parcel.owner
            if routes[parcel.source] is owner:
                good.append(parcel)
                total = totals[owner]
                total[0] += parcel.packets
                total[1] += parcel.size
            else:
                self._dropped["wrong-source"] += parcel.packets
                owner.dropped += parcel.packets
        for train in trains.values():
            self._heard(train, totals, now)
        for parcel in good:
            self._write(parcel.buffers)

    def _heard(self, train: Train, totals: dict[Peer, list[int]], now: float) -> None:
        peer, way = train.keypair.peer, train.way
        if way is not None and way is not peer.endpoint and self._may_roam(peer, way):
            peer.endpoint = way
        packets, size = totals[peer]
        totals[peer] = [0, 0]
        self._device.received(train.keypair, peer.endpoint, packets, size, now, is_data=train.is_data)

    def _may_roam(self, peer: Peer, way: UdpWay) -> bool:
        """A peer is followed to another address on the same socket, unless there is a relay between; one whose endpoint was never set is
        where it speaks from."""
        current = peer.endpoint
        if way.is_relayed:
            return False
        if current is None:
            return peer.public_key not in self.placed
        return isinstance(current, UdpWay) and not current.is_relayed and current.sock is way.sock

    def _write(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        try:
            os.writev(self.fd, buffers)
        except OSError as error:
            if error.errno in GONE:
                raise
            self._dropped["interface-down" if error.errno == errno.EIO else "not-written"] += 1
