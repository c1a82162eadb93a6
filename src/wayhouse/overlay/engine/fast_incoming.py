"""`Incoming` with the compiled part: datagrams are received, decrypted where they lie, joined and written a batch a call.

Made by `loop` where that part is there. Rules are those of `incoming`, and so are its tests: which keys, which way, whether a counter is new
and whose an address is are asked here, in Python.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import Counter

from wayhouse.overlay.engine.incoming import Incoming, Other, Train
from wayhouse.overlay.engine.native_part import ROW_BYTES, ROWS, Native
from wayhouse.overlay.engine.ways import UdpWay, Ways
from wayhouse.overlay.ports import Address
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.keypair import Keypair
from wayhouse.overlay.wireguard.peer import Peer

ROUNDS = 4
"""Batches of one socket before others have their turn."""
AT_ONCE = 128
"""About so many datagrams are written before more is received: they are in the cache still, and whoever waits for them answers sooner."""
_MEMORY = 3 << 16
_MOST_ADDRESSES = 1024
_INDEX = struct.Struct("<I")
_INET = struct.Struct("!2xH4s")
_INET6 = struct.Struct("!2xHI16s")
_SCOPE = struct.Struct("=24xI")


def address_of(raw: bytes) -> Address | None:
    """A `sockaddr` as Python's sockets give it; None for one of another family."""
    family = int.from_bytes(raw[:2], "little" if struct.pack("=H", 1)[0] else "big")
    if family == socket.AF_INET and len(raw) >= _INET.size:
        port, host = _INET.unpack_from(raw)
        return socket.inet_ntop(socket.AF_INET, host), port
    if family == socket.AF_INET6 and len(raw) >= _SCOPE.size:
        port, flow, host = _INET6.unpack_from(raw)
        return socket.inet_ntop(socket.AF_INET6, host), port, flow, _SCOPE.unpack_from(raw)[0]
    return None


class FastIncoming(Incoming):
    """See `Incoming`."""

    def __init__(self, device: Device, ways: Ways, dropped: Counter[str], native: Native) -> None:
        self._native = native
        self._table = bytearray(ROWS * ROW_BYTES)
        self._cells = memoryview(self._table).cast("I")
        self._addresses: dict[bytes, Address | None] = {}
        super().__init__(device, ways, dropped)
        self._memory = bytearray(_MEMORY)
        self._view = memoryview(self._memory)

    def set_mtu(self, mtu: int) -> None:
        self._start()

    def _start(self) -> None:
        self._count = 0
        self._peers: list[Peer] = []
        self._trains = {}

    def turn(self, sock: socket.socket, other: Other, now: float) -> None:
        fd = sock.fileno()
        for _ in range(ROUNDS if fd >= 0 else 0):
            may_be_more, trains = self._native.receive(fd, self._memory, AT_ONCE)
            for begin, count, size, raw in trains:
                self._sort(sock, self._address(raw), (begin, count, size), other, now)
            self.finish(now)
            if not may_be_more:
                return

    def _address(self, raw: bytes) -> Address | None:
        try:
            return self._addresses[raw]
        except KeyError:
            if len(self._addresses) >= _MOST_ADDRESSES:
                self._addresses.clear()
            found = self._addresses[raw] = address_of(raw)
            return found

    def _alike(self, at: int, stride: int, number: int, length: int) -> bool:
        return self._native.alike(self._memory, at, stride, number, length)

    def _data(
        self, way: UdpWay | None, at: int, stride: int, lengths: tuple[int, int, int], now: float
    ) -> None:
        number, length, last = lengths
        keypair = self._device.receiver(_INDEX.unpack_from(self._view, at + 4)[0], now)
        if keypair is None:
            self._dropped["no-key"] += number
            return
        while number > 0:
            if self._count == ROWS:
                self.finish(now)
            taken = min(number, ROWS - self._count)
            self._open(keypair, way, at, stride, (taken, length, last if taken == number else length))
            number -= taken
            at += taken * stride

    def _open(
        self, keypair: Keypair, way: UdpWay | None, at: int, stride: int, lengths: tuple[int, int, int]
    ) -> None:
        """Decrypt as many as there are rows for; what is not authentic or not new has none."""
        number, length, last = lengths
        peer, first = keypair.peer, self._count
        if not self._peers or self._peers[-1] is not peer:
            self._peers.append(peer)
        cipher = keypair.receive_native
        if cipher is None:
            cipher = keypair.receive_native = self._native.cipher(keypair.receive_key, False)
        ends = self.translations.get(peer) if self.translations else None
        good, is_data, counters = self._native.open(
            cipher, self._memory, self._table, at, stride, number, length, last, first, len(self._peers) - 1,
            ends and b"".join(ends),
        )  # fmt: skip
        self._count = first + number
        if not (isinstance(counters, int) and keypair.window.accept_run(counters, number)):
            if isinstance(counters, int):
                counters = list(range(counters, counters + number))
            good = self._refuse_replays(keypair, counters, first)
            is_data = any(self._cells[3 * row + 1] for row in range(first, self._count))
        if good < number:
            self._dropped["refused"] += number - good
        if good:
            train = self._trains.get((keypair, way))
            if train is None:
                train = self._trains[keypair, way] = Train(keypair, way)
            train.is_data |= is_data

    def _refuse_replays(self, keypair: Keypair, counters: list[int | None], first: int) -> int:
        """Leave out what is not new; how many are left. None is the counter of what was not authentic."""
        good = 0
        for row, counter in enumerate(counters, first):
            if counter is not None and keypair.window.accept(counter):
                good += 1
            else:
                self._cells[3 * row + 1] = 0
        return good

    def finish(self, now: float) -> None:
        if not self._trains:
            self._start()
            return
        count, peers, trains = self._count, self._peers, self._trains
        self._start()
        told, down, failed, gone = self._native.deliver(
            self.fd, self._memory, self._table, count, self._device.routes, peers, self.has_uso
        )
        totals: dict[Peer, list[int]] = {train.keypair.peer: [0, 0] for train in trains.values()}
        for owner, packets, size, is_allowed in told:
            peer = peers[owner]
            if is_allowed:
                total = totals[peer]
                total[0] += packets
                total[1] += size
            else:
                self._dropped["wrong-source"] += packets
                peer.dropped += packets
        for train in trains.values():
            self._heard(train, totals, now)
        if down:
            self._dropped["interface-down"] += down
        if failed:
            self._dropped["not-written"] += failed
        if gone:
            raise OSError(gone, os.strerror(gone))
