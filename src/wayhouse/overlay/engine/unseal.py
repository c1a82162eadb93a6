"""Decrypt a train of datagrams, as one `recvmsg` gave them, into rows. Called by `incoming`.

Rule: authentic first, then new: only the counters of what could be decrypted are shown to the replay window.
"""

from __future__ import annotations

import struct
from itertools import repeat

import numpy as np
from cryptography.exceptions import InvalidTag

from wayhouse.overlay.engine.checksums import Array
from wayhouse.overlay.engine.rows import Rows
from wayhouse.overlay.engine.seal import HEADER_SIZE, OVERHEAD
from wayhouse.overlay.wireguard.keypair import Keypair

_FEW = 4
_NONCE = struct.Struct("<4xQ")
_COUNTER = struct.Struct("<Q")
_MOST_SHAPES = 256


class Unsealer:
    """Reads datagrams from `memory`, where they are received, and writes packets to `rows`."""

    def __init__(self, memory: bytearray, rows: Rows) -> None:
        self._view = memoryview(memory)
        self._flat: Array = np.frombuffer(memory, dtype=np.uint8)
        self._rows = rows
        self._shapes: dict[tuple[int, int], list[memoryview]] = {}

    def is_uniform(self, at: int, stride: int, count: int, length: int) -> bool:
        """Whether the `length` bytes at `at` are the same every `stride` bytes, `count` times."""
        heads = self._flat[at : at + count * stride].reshape(count, stride)[:, :length]
        return bool((heads[1:] == heads[0]).all())

    def unseal(
        self, keypair: Keypair, at: int, stride: int, lengths: tuple[int, int, int], first_row: int
    ) -> list[int]:
        """The lengths of the packets put into the rows from `first_row` on, one for each datagram: 0 for a keepalive, -1 if it was refused.

        Data messages begin `at` bytes after every `stride`; `lengths` are their number, and the bytes of each but the last, and of the last."""
        count, length, last = lengths
        counters, nonces = self._numbers(at, stride, count)
        ins = self._ins(at, stride, count, length)
        outs = self._outs(first_row, count, length - OVERHEAD)
        if last != length:
            begin = (count - 1) * stride + at
            ins[-1] = self._view[begin + HEADER_SIZE : begin + last]
            outs[-1] = self._rows.span(first_row + count - 1, 0, last - OVERHEAD)
        done: list[int] = []
        decrypt = keypair.receive_cipher.decrypt_into
        while len(done) < count:
            skip = len(done)
            try:
                done.extend(map(decrypt, nonces[skip:], ins[skip:], repeat(None), outs[skip:]))
            except InvalidTag:
                done.append(-1)
        self._refuse_replays(keypair, counters, done)
        return done

    def unseal_one(self, keypair: Keypair, at: int, length: int, row: int) -> int:
        """The same for one datagram of `length` bytes at `at`."""
        view, base = self._view, row * self._rows.stride
        nonce = b"\0\0\0\0" + view[at + 8 : at + HEADER_SIZE]
        target = self._rows.view[base : base + length - OVERHEAD]
        try:
            found: int = keypair.receive_cipher.decrypt_into(
                nonce, view[at + HEADER_SIZE : at + length], None, target
            )
        except InvalidTag:
            return -1
        return found if keypair.window.accept(_NONCE.unpack(nonce)[0]) else -1

    @staticmethod
    def _refuse_replays(keypair: Keypair, counters: list[int], done: list[int]) -> None:
        if -1 not in done:
            if len(counters) == 1:
                if not keypair.window.accept(counters[0]):
                    done[0] = -1
                return
            for number, is_new in enumerate(keypair.window.accept_many(counters)):
                if not is_new:
                    done[number] = -1
            return
        for number, length in enumerate(done):
            if length >= 0 and not keypair.window.accept(counters[number]):
                done[number] = -1

    def _numbers(self, at: int, stride: int, count: int) -> tuple[list[int], list[bytes]]:
        """Counters and nonces."""
        if count < _FEW:
            counters = [_COUNTER.unpack_from(self._view, n * stride + at + 8)[0] for n in range(count)]
            return counters, [_NONCE.pack(counter) for counter in counters]
        numbers = np.zeros((count, 12), dtype=np.uint8)
        # The last datagram may be shorter than the others, but its header is whole.
        numbers[:, 4:] = self._flat[: count * stride].reshape(count, stride)[:, at + 8 : at + 16]
        counters = numbers[:, 4:].copy().view("<u8").ravel().tolist()
        return counters, numbers.view("V12").ravel().tolist()

    def _outs(self, first_row: int, count: int, length: int) -> list[memoryview]:
        """Where the packets go."""
        if count < _FEW:
            return [self._rows.span(row, 0, length) for row in range(first_row, first_row + count)]
        return self._rows.spans(0, length)[first_row : first_row + count]

    def _ins(self, at: int, stride: int, count: int, length: int) -> list[memoryview]:
        """The ciphertexts of the first `count` datagrams; views are made once for each shape."""
        if count < _FEW or stride != length + at:
            return [
                self._view[n * stride + at + HEADER_SIZE : n * stride + at + length] for n in range(count)
            ]
        found = self._shapes.get((stride, at))
        if found is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            found = self._shapes[stride, at] = []
        for number in range(len(found), count):
            begin = number * stride + at
            found.append(self._view[begin + HEADER_SIZE : begin + length])
        return found[:count]
