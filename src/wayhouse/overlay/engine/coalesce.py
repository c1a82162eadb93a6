"""The opposite of `segment`: TCP packets of one flow that follow each other become one that the kernel takes in one write, as its own GRO
(`tcp_gro_receive`) would have made of them. IPv4 and IPv6, many flows at a time.

Called by `incoming`. Rules: packets of a flow keep their order; only what differs in nothing but length, identification, sequence number,
checksums, PSH and FIN is joined, so that cutting it again gives the same packets. Checksums are not verified, as the kernel's WireGuard does
not: whoever sent the packet proved every byte of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from wayhouse.overlay.engine import checksums
from wayhouse.overlay.engine.checksums import TCP, Array
from wayhouse.overlay.engine.offload import CHECKED_HEAD, tcp_head
from wayhouse.overlay.engine.rows import Rows

LARGEST = 0xFFFF
FEW = 6
"""Fewer packets than this are looked at one by one."""
HEADER_WORDS = 15
"""Words of 8 bytes that hold the longest header that is joined: IPv6, and TCP with all its options but 5 words."""
_IPV4, _IPV6 = 0, 1
_START = (20, 40)
_FIN, _SYN, _RST, _PSH, _URG, _CWR = 0x01, 0x02, 0x04, 0x08, 0x20, 0x80


def _mask(family: int, words: int) -> bytes:
    """Ones where two packets must be equal; `words` is the data offset of TCP."""
    start = _START[family]
    mask = bytearray(b"\xff" * (start + 4 * max(words, 5)) + bytes(HEADER_WORDS * 8))[: HEADER_WORDS * 8]
    free = ((2, 6), (10, 12)) if family == _IPV4 else ((4, 6),)
    for begin, end in (*free, (start + 4, start + 8), (start + 16, start + 18)):
        mask[begin:end] = bytes(end - begin)
    mask[start + 13] = 0xFF & ~(_FIN | _PSH | _CWR)
    return bytes(mask)


_MASKS = tuple(tuple(_mask(family, words) for words in range(16)) for family in (_IPV4, _IPV6))
_MASK_NUMBERS = tuple(tuple(int.from_bytes(mask, "little") for mask in masks) for masks in _MASKS)
_MASK_WORDS: tuple[Array, ...] = tuple(
    np.frombuffer(b"".join(masks), dtype="<u8").reshape(16, HEADER_WORDS) for masks in _MASKS
)


class Parcel:
    """What is written to the TUN at once: `packets` packets of `owner`, `size` bytes without the joined headers' share."""

    __slots__ = ("buffers", "owner", "packets", "size", "source")

    def __init__(
        self,
        buffers: list[bytes | bytearray | memoryview],
        owner: Any,
        source: bytes,
        packets: int,
        size: int,
    ) -> None:
        self.buffers, self.owner, self.source, self.packets, self.size = buffers, owner, source, packets, size


class _Lead:
    """The TCP header of the first row of a run."""

    __slots__ = ("family", "flags", "flow", "header_length", "key", "payload", "sequence")

    def __init__(self, head: bytes, family: int, total: int) -> None:
        start = _START[family]
        words = head[start + 12] >> 4
        self.family = family
        self.header_length = start + words * 4 if words >= 5 else LARGEST
        self.payload = total - self.header_length
        self.flags = head[start + 13]
        self.flow = head[12 : start + 4] if family == _IPV4 else head[8 : start + 4]
        self.sequence = int.from_bytes(head[start + 4 : start + 8], "big")
        self.key = int.from_bytes(head, "little") & _MASK_NUMBERS[family][words]

    def can_be_joined(self) -> bool:
        return (
            self.payload > 0
            and not self.flags & (_SYN | _RST | _URG)
            and self.header_length <= HEADER_WORDS * 8
        )


class _Group:
    """A flow's packets that are joined: rows with `size` bytes of payload, the last one perhaps with less."""

    __slots__ = (
        "family",
        "header_length",
        "is_open",
        "key",
        "last_flags",
        "last_size",
        "next",
        "owner",
        "packets",
        "rows",
        "size",
        "total",
    )

    def __init__(self, lead: _Lead, owner: Hashable) -> None:
        self.family, self.header_length, self.key = lead.family, lead.header_length, lead.key
        self.owner = owner
        self.size = self.last_size = lead.payload
        self.last_flags = self.packets = 0
        self.rows: list[tuple[int, int]] = []
        self.total = lead.header_length
        self.next = lead.sequence
        self.is_open = True

    def takes(self, lead: _Lead, count: int) -> bool:
        """Whether a run of `count` rows behind `lead` goes on with this group."""
        return (
            self.is_open
            and self.next == lead.sequence
            and self.key == lead.key
            and (lead.payload == self.size or (count == 1 and lead.payload < self.size))
            and not lead.flags & _CWR
        )

    def room(self) -> int:
        """How many rows of full size it takes, at least one if it is new."""
        return (LARGEST - self.total) // self.size

    def add(self, first: int, end: int, last_size: int, last_flags: int) -> None:
        count = end - first
        self.rows.append((first, end))
        self.packets += count
        added = (count - 1) * self.size + last_size
        self.total += added
        self.next = (self.next + added) & 0xFFFFFFFF
        self.last_size, self.last_flags = last_size, last_flags
        self.is_open = last_size == self.size and not last_flags & (_FIN | _PSH)


class Coalescer:
    """Looks at the packets in the first rows of `rows`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def parcels(self, lengths: Sequence[int], owners: Sequence[Hashable]) -> list[Parcel]:
        """`lengths` are of the packets with what padding they have, one for each row from the first; 0 leaves a row out. `owners` are
        whom the packets came from; no two owners' packets are joined. What is no IP packet gives no parcel."""
        groups: list[_Group | Parcel] = []
        flows: dict[tuple[Hashable, bytes], _Group] = {}
        for first, end in self._runs(lengths, owners):
            if self._place(first, end, lengths[first], owners[first], groups, flows):
                continue
            for row in range(first + 1, end):
                self._place(row, row + 1, lengths[row], owners[row], groups, flows)
        return [self._joined(group) if type(group) is _Group else group for group in groups]  # type: ignore[misc]

    def _place(
        self,
        first: int,
        end: int,
        length: int,
        owner: Hashable,
        groups: list[_Group | Parcel],
        flows: dict[tuple[Hashable, bytes], _Group],
    ) -> bool:
        """Put a run of rows in its place, a group of its flow. False: it cannot be joined, only its first row was placed."""
        begin = first * self._rows.stride
        head = bytes(self._rows.view[begin : begin + HEADER_WORDS * 8])
        if head[0] >> 4 == 4:
            family, source, total = _IPV4, head[12:16], head[2] << 8 | head[3]
            is_tcp = head[9] == TCP and head[0] == 0x45 and not (head[6] & 0x3F or head[7]) and total >= 40
            is_sound = 20 <= total <= length
        else:
            family, source, total = _IPV6, head[8:24], 40 + (head[4] << 8 | head[5])
            is_tcp = head[6] == TCP and total >= 60
            is_sound = head[0] >> 4 == 6 and total <= length
        if not is_sound:
            return False
        if is_tcp:
            lead = _Lead(head, family, total)
            flow = (owner, lead.flow)
            if lead.can_be_joined():
                self._join(first, end, lead, owner, groups, flows)
                return True
            flows.pop(flow, None)
        groups.append(Parcel([CHECKED_HEAD, self._rows.view[begin : begin + total]], owner, source, 1, total))
        return False

    def _join(
        self,
        first: int,
        end: int,
        lead: _Lead,
        owner: Hashable,
        groups: list[_Group | Parcel],
        flows: dict[tuple[Hashable, bytes], _Group],
    ) -> None:
        flow = (owner, lead.flow)
        group = flows.get(flow)
        if group is None or not group.takes(lead, end - first):
            group = None
        while first < end:
            if group is None:
                group = flows[flow] = _Group(lead, owner)
                groups.append(group)
            count = min(end - first, group.room())
            if count:
                last = self._last(first + count - 1, lead)
                group.add(first, first + count, *last)
                first += count
            lead.sequence, group = group.next, None

    def _last(self, row: int, lead: _Lead) -> tuple[int, int]:
        """Payload and flags of the last row of a run."""
        base, view = row * self._rows.stride, self._rows.view
        if lead.family == _IPV4:
            total = view[base + 2] << 8 | view[base + 3]
        else:
            total = 40 + (view[base + 4] << 8 | view[base + 5])
        return total - lead.header_length, view[base + _START[lead.family] + 13]

    def _joined(self, group: _Group) -> Parcel:
        rows, first = self._rows, group.rows[0][0]
        head = bytearray(rows.span(first, 0, group.header_length))
        source = bytes(head[12:16] if group.family == _IPV4 else head[8:24])
        if group.packets == 1:
            packet = rows.span(first, 0, group.total)
            return Parcel([CHECKED_HEAD, packet], group.owner, source, 1, group.total)
        buffers: list[bytes | bytearray | memoryview] = [_finish(head, group), head]
        bodies = rows.spans(group.header_length, group.header_length + group.size)
        for begin, end in group.rows:
            buffers += bodies[begin:end]
        if group.last_size != group.size:
            row = group.rows[-1][1] - 1
            buffers[-1] = rows.span(row, group.header_length, group.header_length + group.last_size)
        size = group.total + (group.packets - 1) * group.header_length
        return Parcel(buffers, group.owner, source, group.packets, size)

    def _runs(self, lengths: Sequence[int], owners: Sequence[Hashable]) -> list[tuple[int, int]]:
        """Rows that follow each other in one flow and have the same payload, but for a shorter last one."""
        count = len(lengths)
        if count >= FEW:
            kinds = self._rows.matrix[:count, 0].tobytes()
            kind = kinds[0]
            protocols = self._rows.matrix[:count, 9 if kind == 0x45 else 6].tobytes()
            is_known = kinds.count(kind) == count and (kind == 0x45 or kind >> 4 == 6)
            if is_known and protocols.count(TCP) >= FEW:
                return self._adjacent(_IPV4 if kind == 0x45 else _IPV6, lengths, owners)
        return [(row, row + 1) for row in range(count)]

    def _adjacent(
        self, family: int, lengths: Sequence[int], owners: Sequence[Hashable]
    ) -> list[tuple[int, int]]:
        rows, start, count = self._rows, _START[family], len(lengths)
        offsets = rows.matrix[:count, start + 12].tobytes()
        words = rows.words64[:count, :HEADER_WORDS]
        masks = _MASK_WORDS[family]
        differ = words[1:] ^ words[:-1]
        if offsets.count(offsets[0]) == count:
            differ &= masks[offsets[0] >> 4]
            if not differ.any() and self._is_one(family, offsets[0] >> 4, lengths, owners):
                return [(0, count)]
        else:
            differ &= masks[np.frombuffer(offsets, dtype=np.uint8)[1:] >> 4]
        follows = np.bitwise_or.reduce(differ, axis=1) == 0
        self._compare(family, np.frombuffer(offsets, dtype=np.uint8) >> 4, lengths, follows)
        if owners[0] is not owners[-1] or owners.count(owners[0]) != count:
            follows &= np.array([a is b for a, b in itertools.pairwise(owners)])
        bounds = [0, *(np.flatnonzero(~follows) + 1).tolist(), count]
        return list(itertools.pairwise(bounds))

    def _is_one(self, family: int, words: int, lengths: Sequence[int], owners: Sequence[Hashable]) -> bool:
        """Whether rows whose headers are alike are one run, all of them, as they are when they were one packet: without numpy, which costs
        more than it saves here."""
        rows, start, count = self._rows, _START[family], len(lengths)
        column = rows.words16_be[:count, 1 if family == _IPV4 else 2]
        totals = column.tolist()
        header = start + words * 4 - (0 if family == _IPV4 else 40)
        total, last = totals[0], totals[-1]
        size = total - header
        first = int(rows.words32_be[0, start // 4 + 1])
        flags = rows.matrix[:count, start + 13].tobytes()
        return (
            totals.count(total) == count - (last != total)
            and size > 0
            and header < last <= total
            and list(lengths[:-1]).count(lengths[0]) == count - 1
            and min(lengths[0] - total, lengths[-1] - last) >= (0 if family == _IPV4 else 40)
            and flags.count(flags[0], 0, -1) == count - 1
            and not flags[0] & (_FIN | _PSH)
            and not flags[-1] & _CWR
            and (count == 1 or not flags[1] & _CWR)
            and rows.words32_be[:count, start // 4 + 1].tolist()
            == list(range(first, first + size * count, size))
            and owners.count(owners[0]) == count
        )

    def _compare(self, family: int, words: Array, lengths: Sequence[int], follows: Array) -> None:
        """Take back what `follows` says of rows that do not go on where the one before ended."""
        rows, start, count = self._rows, _START[family], len(lengths)
        if family == _IPV4:
            total = rows.words16_be[:count, 1].astype(np.int64)
        else:
            total = rows.words16_be[:count, 2].astype(np.int64) + 40
        payload = total - words.astype(np.int64) * 4 - start
        payload[total > np.array(lengths)] = 0
        sequence = rows.words32_be[:count, start // 4 + 1].astype(np.int64)
        flags = rows.matrix[:count, start + 13]
        ahead, behind = payload[1:], payload[:-1]
        follows &= (sequence[:-1] + behind) & 0xFFFFFFFF == sequence[1:]
        follows &= (ahead > 0) & (ahead <= behind)
        follows &= (flags[:-1] & (_FIN | _PSH) == 0) & (flags[1:] & _CWR == 0)
        is_short = follows & (ahead < behind)
        follows[1:] &= ~is_short[:-1]


def _finish(head: bytearray, group: _Group) -> bytes:
    """Make `head` that of the joined packet; gives what goes before it."""
    start, total = _START[group.family], group.total
    if group.family == _IPV4:
        head[2:4] = total.to_bytes(2, "big")
        head[10:12] = b"\0\0"
        head[10:12] = checksums.inverted(checksums.ones_sum(head[:20])).to_bytes(2, "big")
    else:
        head[4:6] = (total - 40).to_bytes(2, "big")
    head[start + 13] |= group.last_flags & (_FIN | _PSH)
    pseudo = checksums.pseudo_sum(head, TCP, total - start)
    head[start + 16 : start + 18] = (pseudo % 0xFFFF).to_bytes(2, "big")
    return tcp_head(
        is_ipv4=group.family == _IPV4,
        has_cwr=bool(head[start + 13] & _CWR),
        header_length=group.header_length,
        size=group.size,
        start=start,
    )
