"""Cut what the kernel left uncut: one TCP or UDP packet of up to 64 KiB from the TUN becomes rows of ready IP packets, as the kernel's own
segmentation (`tcp_gso_segment`, `__udp_gso_segment`) would have made them.

Called by `outgoing`. Rule: pure; headers with options or extension headers are copied whole, and what is not what it claims gives None.
"""

from __future__ import annotations

import struct

import numpy as np

from wayhouse.overlay.engine import checksums
from wayhouse.overlay.engine.checksums import TCP, UDP, Array
from wayhouse.overlay.engine.offload import GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, OffloadHead
from wayhouse.overlay.engine.rows import Rows

_COUNT: Array = np.arange(65536, dtype=np.int64)
_FIN_PSH, _CWR = 0x09, 0x80


class Cutting:
    """How one packet is to be cut: `count` packets of `length` bytes, the last one of `last_length`."""

    __slots__ = (
        "_first_flags",
        "_flags",
        "_ident",
        "_ip_sum",
        "_is_ipv4",
        "_is_udp",
        "_last_flags",
        "_packet",
        "_pseudo",
        "_sequence",
        "_start",
        "_template",
        "count",
        "header_length",
        "last_length",
        "length",
        "size",
    )

    def __init__(self, packet: memoryview, start: int, protocol: int, size: int) -> None:
        """`packet` must be sound (see `plan`); `start` is where the transport's header is."""
        self.header_length = start + (packet[start + 12] >> 4) * 4 if protocol == TCP else start + 8
        self._packet: Array = np.frombuffer(packet, dtype=np.uint8)
        self._start, self.size = start, size
        payload = len(packet) - self.header_length
        self.count = -(-payload // size)
        self.length = self.header_length + size
        self.last_length = self.header_length + payload - (self.count - 1) * size
        self._is_ipv4 = packet[0] >> 4 == 4
        template = bytearray(packet[: self.header_length])
        self._pseudo = checksums.pseudo_sum(template, protocol, 0)
        self._make_ip(template)
        self._make_transport(template, protocol)
        self._template: Array = np.frombuffer(bytes(template), dtype=np.uint8)

    def _make_ip(self, template: bytearray) -> None:
        self._ident = self._ip_sum = 0
        if self._is_ipv4:
            (self._ident,) = struct.unpack_from("!H", template, 4)
            struct.pack_into("!HH", template, 2, 0, 0)
            template[10:12] = b"\0\0"
            self._ip_sum = checksums.ones_sum(template[: self._start])
            struct.pack_into("!H", template, 2, self.length)
        else:
            struct.pack_into("!H", template, 4, self.length - 40)

    def _make_transport(self, template: bytearray, protocol: int) -> None:
        start = self._start
        self._sequence, self._is_udp = 0, protocol == UDP
        if self._is_udp:
            struct.pack_into("!HH", template, start + 4, self.length - start, 0)
            return
        (self._sequence,) = struct.unpack_from("!I", template, start + 4)
        flags = template[start + 13]
        self._flags = flags & ~(_FIN_PSH | _CWR)
        self._first_flags, self._last_flags = flags & _CWR, flags & _FIN_PSH
        template[start + 13] = self._flags
        template[start + 16 : start + 18] = b"\0\0"

    def fill(self, rows: Rows, first: int, count: int, at: int = 0) -> None:
        """Write packets `first` to `first + count` into the rows from `at` on, each followed by zeros up to a multiple of 16."""
        end = at + count
        is_end = first + count == self.count
        self._copy(rows.matrix[at:end], first, count, is_end=is_end)
        if self._is_ipv4:
            self._number(rows.words16_be[at:end], first, count, is_end=is_end)
        elif is_end:
            rows.words16_be[end - 1, 2] = self.last_length - 40
        if self._is_udp:
            if is_end:
                rows.words16_be[end - 1, self._start // 2 + 2] = self.last_length - self._start
        else:
            self._sequence_rows(rows, first, count, at, is_end=is_end)
        self._sum(rows, at, end, is_end=is_end)

    def _copy(self, matrix: Array, first: int, count: int, *, is_end: bool) -> None:
        header, size, length = self.header_length, self.size, self.length
        matrix[:, :header] = self._template
        matrix[:, length : length + 16] = 0
        full = count - 1 if is_end and self.last_length != length else count
        begin = header + first * size
        body = self._packet[begin : begin + full * size]
        matrix[:full, header:length] = body.reshape(full, size)
        if full != count:
            row = matrix[full]
            row[header : self.last_length] = self._packet[begin + full * size :]
            row[self.last_length : length] = 0

    def _number(self, words: Array, first: int, count: int, *, is_end: bool) -> None:
        """Identification counts on, and the header's checksum with it."""
        ident = (_COUNT[first : first + count] + self._ident) & 0xFFFF
        words[:, 2] = ident
        ident += self._ip_sum + self.length
        if is_end:
            words[-1, 1] = self.last_length
            ident[-1] += self.last_length - self.length
        words[:, 5] = 0xFFFE - (ident - 1) % 0xFFFF

    def _sequence_rows(self, rows: Rows, first: int, count: int, at: int, *, is_end: bool) -> None:
        rows.words32_be[at : at + count, self._start // 4 + 1] = (
            _COUNT[first : first + count] * self.size + self._sequence
        ) & 0xFFFFFFFF
        if first == 0:
            rows.matrix[at, self._start + 13] |= self._first_flags
        if is_end:
            rows.matrix[at + count - 1, self._start + 13] |= self._last_flags

    def _sum(self, rows: Rows, at: int, end: int, *, is_end: bool) -> None:
        start = self._start
        sums = checksums.row_sums(rows.words32[at:end, start // 4 : (self.length + 15) // 16 * 4])
        sums = sums.astype(np.int64)
        total = self._pseudo + self.length - start
        sums += checksums.swapped(total)
        if is_end:
            sums[-1] += checksums.swapped(total + self.last_length - self.length) - checksums.swapped(total)
        if self._is_udp:
            rows.words16[at:end, start // 2 + 3] = 0xFFFF - sums % 0xFFFF
        else:
            rows.words16[at:end, start // 2 + 8] = 0xFFFE - (sums - 1) % 0xFFFF


def plan(packet: memoryview, head: OffloadHead) -> Cutting | None:
    """How to cut `packet`, or None if it is not what `head` says."""
    gso = head.gso & ~GSO_ECN
    protocol = {GSO_TCPV4: TCP, GSO_TCPV6: TCP, GSO_UDP_L4: UDP}.get(gso)
    start, length = head.start, len(packet)
    if protocol is None or head.size == 0 or length < 28 or start % 4:
        return None
    if packet[0] >> 4 == 4:
        if gso == GSO_TCPV6 or start != (packet[0] & 15) * 4 or start < 20:
            return None
    elif packet[0] >> 4 != 6 or gso == GSO_TCPV4 or start < 40:
        return None
    if length <= start + (20 if protocol == TCP else 8):
        return None
    header_length = start + (packet[start + 12] >> 4) * 4 if protocol == TCP else start + 8
    if header_length < start + (20 if protocol == TCP else 8) or length <= header_length:
        return None
    return Cutting(packet, start, protocol, head.size)
