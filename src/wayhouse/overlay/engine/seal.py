"""Encrypt rows of IP packets into datagrams that lie one behind the other, ready for one `sendmsg`. Called by `outgoing`.

Rule: one cipher call a packet and nothing else in Python for each: headers and nonces are made by numpy, views of the memory once for all.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from itertools import repeat

import numpy as np

from wayhouse.overlay.engine import channel_data
from wayhouse.overlay.engine.checksums import Array
from wayhouse.overlay.wireguard.keypair import Keypair

HEADER_SIZE = 16
TAG_SIZE = 16
OVERHEAD = HEADER_SIZE + TAG_SIZE
_FEW = 5
"""Fewer packets than this are not worth numpy."""
_MEMORY = 1 << 17
_MOST_SHAPES = 256
_NONCE = struct.Struct("<4xQ")
_COUNT: Array = np.arange(256, dtype=np.uint64)


class Sealer:
    """The memory for one batch; what `seal` gives is good until the next call."""

    def __init__(self) -> None:
        memory = bytearray(_MEMORY)
        self._view = memoryview(memory)
        self._flat: Array = np.frombuffer(memory, dtype=np.uint8)
        self._shapes: dict[tuple[int, int], list[memoryview]] = {}

    def seal(
        self, keypair: Keypair, plains: Sequence[memoryview], channel: int | None
    ) -> tuple[memoryview, int]:
        """(the datagrams, bytes of each but for a shorter last one). `plains` have one length, the last one may be shorter; with `channel`
        each datagram is ChannelData. At most as many as one batch has. The keypair's counter moves on."""
        count, size = len(plains), len(plains[0])
        room = 0 if channel is None else channel_data.PREFIX_SIZE
        stride = room + size + OVERHEAD
        outs = self._outs(count, stride, room)
        counter = keypair.send_counter
        keypair.send_counter = counter + count
        last = len(plains[-1])
        begin = (count - 1) * stride
        if last != size:
            at = begin + room + HEADER_SIZE
            outs[-1] = self._view[at : at + last + TAG_SIZE]
        if count < _FEW:
            nonces = self._head_few(keypair, counter, count, stride, room)
        else:
            nonces = self._head(keypair, counter, count, stride, room)
        deque(map(keypair.send_cipher.encrypt_into, nonces, plains, repeat(None), outs), maxlen=0)
        if channel is not None:
            self._prefix(channel, count, stride, last)
        return self._view[: begin + room + last + OVERHEAD], stride

    def _outs(self, count: int, stride: int, room: int) -> list[memoryview]:
        """Where the ciphertexts of the first `count` datagrams go; made once for each shape of a batch."""
        found = self._shapes.get((stride, room))
        if found is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            found = self._shapes[stride, room] = []
        size = stride - room - HEADER_SIZE
        for number in range(len(found), count):
            at = number * stride + room + HEADER_SIZE
            found.append(self._view[at : at + size])
        return found[:count]

    def _head_few(self, keypair: Keypair, counter: int, count: int, stride: int, room: int) -> list[bytes]:
        nonces = []
        for number in range(count):
            nonce = _NONCE.pack(counter + number)
            at = number * stride + room
            self._view[at : at + HEADER_SIZE] = keypair.header + nonce[4:]
            nonces.append(nonce)
        return nonces

    def _head(self, keypair: Keypair, counter: int, count: int, stride: int, room: int) -> list[bytes]:
        numbers = np.zeros((count, 12), dtype=np.uint8)
        counters = _COUNT[:count] + np.uint64(counter)
        numbers[:, 4:] = counters.astype("<u8").view(np.uint8).reshape(count, 8)
        heads = self._flat[: count * stride].reshape(count, stride)[:, room : room + HEADER_SIZE]
        heads[:, :8] = np.frombuffer(keypair.header, dtype=np.uint8)
        heads[:, 8:] = numbers[:, 4:]
        nonces: list[bytes] = numbers.view("V12").ravel().tolist()
        return nonces

    def _prefix(self, channel: int, count: int, stride: int, last: int) -> None:
        data = channel_data.prefix(channel, stride - channel_data.PREFIX_SIZE)
        for at in range(0, (count - 1) * stride, stride):
            self._view[at : at + channel_data.PREFIX_SIZE] = data
        at = (count - 1) * stride
        self._view[at : at + channel_data.PREFIX_SIZE] = channel_data.prefix(channel, last + OVERHEAD)
