"""Numbers in Modbus registers of 16 bits, and which registers are read together. Pure, by the Modbus Application Protocol
1.1b3: a register is big-endian; which half of a 32-bit number comes first is up to the maker (`word_order`).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence

import msgspec

from wayhouse.devices.drivers.settings import ModbusPoint
from wayhouse.devices.model import BadValueError, DeviceNotReadyError

MAX_WORDS, MAX_BITS = 125, 2000
"""What one request may read."""

_FORMATS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f"}


class Block(msgspec.Struct, frozen=True, order=True):
    """Registers that are read by one request."""

    kind: str
    address: int
    count: int


def blocks(points: Iterable[ModbusPoint], *, max_gap: int) -> list[Block]:
    """As few as cover all points, with at most `max_gap` registers between two that are wanted."""
    found: list[Block] = []
    for point in sorted(points, key=lambda one: (one.kind, one.address, one.words)):
        last = found[-1] if found else None
        end = point.address + point.words
        if last is not None and _joins(last, point, max_gap):
            found[-1] = Block(last.kind, last.address, max(last.count, end - last.address))
        else:
            found.append(Block(point.kind, point.address, point.words))
    return found


def value_of(point: ModbusPoint, words: Sequence[int | bool]) -> bool | float:
    """A device's value out of the point's own registers. Raises `DeviceNotReadyError`."""
    if len(words) < point.words:
        raise DeviceNotReadyError("The answer has fewer registers than were asked for.")
    if point.is_bit:
        return bool(words[0])
    data = struct.pack(f">{point.words}H", *_ordered(point, [int(word) for word in words[: point.words]]))
    number = struct.unpack(_FORMATS[point.type], data)[0]
    if not math.isfinite(number):
        raise DeviceNotReadyError("The register holds no number.")
    return float(number * point.scale + point.offset)


def words_of(point: ModbusPoint, value: float) -> list[int]:
    """The registers for a device's value; to be written from `point.address` on. Raises `BadValueError`."""
    number = (float(value) - point.offset) / point.scale
    try:
        data = struct.pack(_FORMATS[point.type], number if point.type == "f32" else round(number))
    except (struct.error, OverflowError, ValueError) as error:
        raise BadValueError(f"{value:g} does not fit into the register ({point.type}).") from error
    return _ordered(point, list(struct.unpack(f">{point.words}H", data)))


def _ordered(point: ModbusPoint, words: list[int]) -> list[int]:
    return words if point.word_order == "big" else words[::-1]


def _joins(block: Block, point: ModbusPoint, max_gap: int) -> bool:
    limit = MAX_BITS if point.is_bit else MAX_WORDS
    end = block.address + block.count
    is_near = point.address - end <= max_gap
    return block.kind == point.kind and is_near and point.address + point.words - block.address <= limit
