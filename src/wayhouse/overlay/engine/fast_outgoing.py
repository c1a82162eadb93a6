"""`Outgoing` with the compiled part: what the TUN has is read, cut and encrypted a batch a call; routes, keys and sending stay here.

Made by `loop` where that part is there. Rules are those of `outgoing`, and so are its tests; packets for a peer without a key, which are
few, go its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from wayhouse.overlay.engine.native_part import OUT_BYTES, ROW_BYTES, ROWS, Native
from wayhouse.overlay.engine.offload import HEAD_SIZE
from wayhouse.overlay.engine.outgoing import Outgoing
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.peer import Peer

ROUNDS = 8
"""Batches that are read before others have their turn."""
READ_AT_ONCE = 128
_MEMORY = 3 << 16
"""Holds two of the largest packets and more small ones than are read at once; no more, so that it stays in the cache."""


class FastOutgoing(Outgoing):
    """See `Outgoing`."""

    def __init__(
        self,
        device: Device,
        unroutable: Callable[[bytes], None],
        dropped: Counter[str],
        native: Native,
    ) -> None:
        super().__init__(device, unroutable, dropped)
        self._native = native
        self._memory = bytearray(_MEMORY)
        self._view = memoryview(self._memory)
        self._table = bytearray(ROWS * ROW_BYTES)
        self._cells = memoryview(self._table).cast("I")
        self._out = bytearray(OUT_BYTES)
        self._out_view = memoryview(self._out)

    def turn(self, fd: int, now: float) -> bool:
        for _ in range(ROUNDS):
            may_be_more, runs = self._native.read(fd, self._memory, self._table, READ_AT_ONCE)
            for first, number, destination in runs:
                self._run(first, first + number, destination, now)
            if not may_be_more:
                return False
        return True

    def _packet(self, row: int) -> memoryview:
        at, length = self._cells[3 * row : 3 * row + 2]
        return self._view[at : at + length]

    def _run(self, first: int, end: int, destination: bytes | None, now: float) -> None:
        """Packets that all go to one address."""
        if destination is None:
            self._count("malformed", end - first)
            return
        peer = self._device.routes[destination]
        if peer is None or destination[0] >= 0xE0 or destination in self.broadcasts:
            peer = self._peer_of(destination, [self._packet(row) for row in range(first, end)])
        if peer is not None:
            self._send_run(peer, first, end, now)

    def _send_run(self, peer: Peer, first: int, end: int, now: float) -> None:
        segment = 0
        while first < end:
            keypair = self._device.sender(peer, now)
            if keypair is None:
                self._wait(first, end, now)
                return
            cipher = keypair.send_native
            if cipher is None:
                cipher = keypair.send_native = self._native.cipher(keypair.send_key, True)
            way = peer.endpoint
            size, stride, number, plain, first, segment, malformed = self._native.seal(
                cipher, keypair.header, keypair.send_counter, self._memory, self._table, first, end, segment,
                self._out, way.channel or 0, self._mtu,  # type: ignore[union-attr]
            )  # fmt: skip
            keypair.send_counter += number
            if malformed:
                self._count("malformed", malformed)
            if number:
                self._send_batch(peer, size, stride)
                self._device.sent(peer, number, plain, now)

    def _send_batch(self, peer: Peer, size: int, stride: int) -> None:
        lost = peer.endpoint.send(self._out_view[:size], stride)  # type: ignore[union-attr]
        if lost:
            self._count("not-sent", lost)
            peer.dropped += lost

    def _wait(self, first: int, end: int, now: float) -> None:
        """Without a key they are made ready and kept as by the twin, one at a time."""
        for row in range(first, end):
            packet = self._packet(row)
            at = self._cells[3 * row]
            self._head[:] = self._view[at - HEAD_SIZE : at]
            self._rows.view[: len(packet)] = packet
            self._take(0, len(packet), now)
            self._flush(now)
