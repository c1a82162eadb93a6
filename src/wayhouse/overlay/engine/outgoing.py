"""From the interface to the peers: packets that the kernel routed into the TUN are cut, encrypted and sent.

Called by `loop` whenever the TUN has something. Rules: packets of one peer keep their order; nothing is kept back: what is not sent when
the TUN is empty or the turn is over is sent then. What cannot be sent is dropped and counted, as by a router.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from wayhouse.overlay.engine import checksums, segment
from wayhouse.overlay.engine.offload import HEAD_SIZE, NEEDS_CSUM, checksum_place, read_head
from wayhouse.overlay.engine.rows import LARGEST_PACKET, Rows
from wayhouse.overlay.engine.seal import OVERHEAD, Sealer
from wayhouse.overlay.engine.udp_batch import MOST_BYTES, MOST_SEGMENTS, most_segments
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.keypair import Keypair
from wayhouse.overlay.wireguard.peer import Peer

READS_A_TURN = 32
_PADDING = 16
_ZEROS = bytes(_PADDING)


class Outgoing:
    """`unroutable` is told of packets that no peer may get; `dropped` counts by one word."""

    def __init__(self, device: Device, unroutable: Callable[[bytes], None], dropped: Counter[str]) -> None:
        self._device = device
        self._unroutable = unroutable
        self._dropped = dropped
        self._sealer = Sealer()
        self._head = bytearray(HEAD_SIZE)
        self.broadcasts: frozenset[bytes] = frozenset()
        self.set_mtu(1280)
        self._forget()

    def set_mtu(self, mtu: int) -> None:
        """Rows that hold a packet of the interface; greater ones than fit a row are sent by themselves."""
        self._mtu = mtu
        stride = (min(mtu, 9216) + 127) // 64 * 64
        self._rows = Rows(MOST_SEGMENTS, stride)
        self._segments = Rows(MOST_SEGMENTS, stride)
        head = memoryview(self._head)
        self._targets = [
            [head, self._rows.view[start : start + LARGEST_PACKET]] for start in self._rows.starts
        ]

    def _forget(self) -> None:
        """No packets are waiting."""
        self._waiting: list[memoryview] = []
        self._bytes = self._most = self._length = self._cut_rows = 0
        self._peer: Peer | None = None

    def turn(self, fd: int, now: float) -> bool:
        """Read and send until there is no more, or the turn is over. Whether there may be more. Raises `OSError` if the TUN is gone."""
        for _ in range(READS_A_TURN):
            row = len(self._waiting)
            try:
                count = os.readv(fd, self._targets[row])
            except BlockingIOError:
                self._flush(now)
                return False
            if count > HEAD_SIZE:
                self._take(row, count - HEAD_SIZE, now)
        self._flush(now)
        return True

    def _take(self, row: int, length: int, now: float) -> None:
        base = row * self._rows.stride
        packet = self._rows.view[base : base + length]
        peer = self._route(packet)
        if peer is None:
            return
        head = self._head
        if head[1]:
            self._cut(packet, peer, now)
            return
        if head[0] & NEEDS_CSUM and not checksums.complete(packet, *checksum_place(head)):
            self._count("malformed")
            return
        self._add(peer, base, length, now)

    def _route(self, packet: memoryview) -> Peer | None:
        """The peer of the packet's destination."""
        if len(packet) >= 20 and packet[0] >> 4 == 4:
            return self._peer_of(bytes(packet[16:20]), [packet])
        if len(packet) >= 40 and packet[0] >> 4 == 6:
            return self._peer_of(bytes(packet[24:40]), [packet])
        self._count("malformed")
        return None

    def _peer_of(self, destination: bytes, packets: Sequence[memoryview]) -> Peer | None:
        """Of 4 or 16 bytes; if it has none, that is counted and told of each of `packets`."""
        first = destination[0]
        if (first >= 0xE0 or destination in self.broadcasts) if len(destination) == 4 else first == 0xFF:
            self._count("multicast", len(packets))
            return None
        peer = self._device.routes[destination]
        if peer is None:
            self._count("unroutable", len(packets))
            for packet in packets:
                self._unroutable(bytes(packet))
        return peer

    def _padded(self, length: int) -> int:
        """Up to a multiple of 16, but not beyond the interface's MTU (as the kernel does, so that the outer packet fits its way)."""
        return max(length, min((length + _PADDING - 1) // _PADDING * _PADDING, self._mtu))

    # Packets that come uncut, gathered while they are of one size and for one peer.

    def _add(self, peer: Peer, base: int, length: int, now: float) -> None:
        rows, size = self._rows, self._padded(length)
        if self._waiting and (peer is not self._peer or size > self._length):
            held = bytes(rows.view[base : base + length])
            self._flush(now)
            base = 0
            rows.view[:length] = held
        rows.view[base + length : base + length + _PADDING] = _ZEROS
        plain = rows.view[base : base + size]
        if not self._waiting:
            self._begin(peer, size)
        self._waiting.append(plain)
        self._bytes += length
        if len(self._waiting) >= self._most or size < self._length or length > rows.stride - _PADDING:
            self._flush(now)

    def _begin(self, peer: Peer, size: int) -> None:
        self._peer, self._length = peer, size
        self._most = min(most_segments(size + OVERHEAD + 4), self._rows.count)

    def _flush(self, now: float) -> None:
        if not self._waiting:
            return
        waiting, size, peer = self._waiting, self._bytes, self._peer
        self._forget()
        assert peer is not None  # noqa: S101 - it is set with the first one that waits
        keypair = self._device.sender(peer, now)
        if keypair is None:
            for plain in waiting:
                self._device.stage(peer, bytes(plain), now)
            return
        self._send(peer, keypair, waiting, size, now)

    # Packets that come to be cut: those of several flows go together, if they are cut to one size.

    def _cut(self, packet: memoryview, peer: Peer, now: float) -> None:
        cutting = segment.plan(packet, read_head(self._head))
        if cutting is None or cutting.length > self._segments.stride - _PADDING:
            self._count("malformed")
            return
        size, first = self._padded(cutting.length), 0
        spans = self._segments.spans(0, size)
        while first < cutting.count:
            if self._waiting and (peer is not self._peer or size != self._length):
                self._flush(now)
            if not self._waiting:
                self._begin(peer, size)
            at = self._cut_rows
            count = min(self._most - len(self._waiting), cutting.count - first)
            cutting.fill(self._segments, first, count, at)
            first += count
            self._cut_rows += count
            self._waiting += spans[at : at + count]
            self._bytes += count * cutting.length
            if first == cutting.count:
                last = self._padded(cutting.last_length)
                self._waiting[-1] = self._segments.span(at + count - 1, 0, last)
                self._bytes += cutting.last_length - cutting.length
                size = min(size, last)
            if len(self._waiting) >= self._most or size < self._length:
                self._flush(now)

    def _send(self, peer: Peer, keypair: Keypair, plains: list[memoryview], size: int, now: float) -> None:
        way: Any = peer.endpoint  # the engine gives the device no endpoints but ways
        if len(plains[0]) + OVERHEAD + 4 > MOST_BYTES:
            self._count("too-large")
            return
        data, stride = self._sealer.seal(keypair, plains, way.channel)
        lost = way.send(data, stride)
        if lost:
            self._count("not-sent", lost)
            peer.dropped += lost
        self._device.sent(peer, len(plains), size, now)

    def _count(self, why: str, number: int = 1) -> None:
        self._dropped[why] += number
