"""Devices behind Modbus/TCP, as the settings map registers to them. Neighbouring registers are read by one request.

What was read counts for all of its devices for `FRESH_S`, so that a round of polls asks once. A unit that refuses a
whole block (some do not let neighbours be read together) is asked for each point alone from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError
from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.drivers.modbus_line import ILLEGAL_ADDRESS, ModbusLine, RefusedError
from wayhouse.devices.drivers.modbus_words import Block, blocks, value_of, words_of
from wayhouse.devices.drivers.points import command_of, require_complete
from wayhouse.devices.drivers.settings import ModbusHost, ModbusPoint, ModbusSettings
from wayhouse.devices.model import (
    CommandNotAllowedError,
    DeviceGoneError,
    Found,
    NoSuchCommandError,
    Place,
    Value,
)
from wayhouse.devices.register import DeviceRegister, standard_register

FRESH_S = 0.5
Registers = list[int] | list[bool]


class Unit:
    """One host and unit: its points, the plan to read them, and what was read last."""

    def __init__(self, settings: ModbusHost, clock: Clock) -> None:
        self.line = ModbusLine(settings, clock)
        self._clock = clock
        self._points = settings.points
        self._blocks = blocks(settings.points, max_gap=settings.max_gap)
        self._read: dict[Block, tuple[float, Registers]] = {}

    async def read(self, point: ModbusPoint) -> bool | float:
        own = Block(point.kind, point.address, point.words)
        block = next(one for one in self._blocks if _covers(one, own))
        try:
            found = await self._fresh(block)
        except RefusedError as error:
            if error.exception != ILLEGAL_ADDRESS or block == own:
                raise
            self._split(block)
            found, block = await self._fresh(own), own
        first = point.address - block.address
        return value_of(point, found[first : first + point.words])

    async def write(self, point: ModbusPoint, value: Value) -> None:
        self._read.clear()
        if point.is_bit:
            await self.line.write_bit(point.address, value=bool(value))
        else:
            await self.line.write_words(point.address, words_of(point, value))

    def _split(self, block: Block) -> None:
        """Each of its points by itself."""
        single = {Block(one.kind, one.address, one.words) for one in self._points}
        self._blocks.remove(block)
        self._blocks += sorted(one for one in single if _covers(block, one))

    async def _fresh(self, block: Block) -> Registers:
        now = self._clock.monotonic()
        read_at, found = self._read.get(block, (0.0, []))
        if not found or not 0 <= now - read_at <= FRESH_S:
            found = await self.line.read(block)
            self._read[block] = (self._clock.monotonic(), found)
        return found


class Device(msgspec.Struct):
    found: Found
    unit: Unit
    points: dict[str, tuple[Command, ModbusPoint]]


class ModbusDriver:
    name = "modbus"

    def __init__(
        self, settings: ModbusSettings, clock: Clock, *, register: DeviceRegister | None = None
    ) -> None:
        """Raises `BadInputError` for points that do not fit their device."""
        self._devices: dict[str, Device] = {}
        self._units: list[Unit] = []
        self._is_new = True
        for host in settings.hosts:
            unit = Unit(host, clock)
            self._units.append(unit)
            for device in _devices(host, unit, register or standard_register()):
                if device.found.address in self._devices:
                    raise BadInputError(f"devices.modbus: {device.found.address!r} is at two hosts.")
                self._devices[device.found.address] = device

    async def scan(self) -> Sequence[Found]:
        """All of them the first time; then those of units that can be reached, which is tried here."""
        if self._is_new:
            self._is_new = False
            return [one.found for one in self._devices.values()]
        reached = await asyncio.gather(*(unit.line.reach() for unit in self._units))
        there = {id(unit) for unit, is_there in zip(self._units, reached, strict=True) if is_there}
        return [one.found for one in self._devices.values() if id(one.unit) in there]

    async def read(self, place: Place, command: str, now: float) -> Value:
        device, described, point = self._find(place, command)
        value = await device.unit.read(point)
        kind = described.valuetype
        if kind is ValueType.BOOL:
            return bool(value)
        return round(value) if kind in {ValueType.BYTE, ValueType.INT} else float(value)

    async def write(self, place: Place, command: str, value: Value, now: float) -> None:
        device, _, point = self._find(place, command)
        if not point.writable:
            raise CommandNotAllowedError(
                f"{command} of this device can only be read: its point in the settings is not writable."
            )
        await device.unit.write(point, value)

    def close(self) -> None:
        for unit in self._units:
            unit.line.close()

    def _find(self, place: Place, command: str) -> tuple[Device, Command, ModbusPoint]:
        device = self._devices.get(place.address)
        if device is None:
            raise DeviceGoneError(f"{place.address[:80]!r} is not in the settings of Modbus any more.")
        if command not in device.points:
            raise NoSuchCommandError(f"{place.address[:80]} has no {command[:80]!r} on Modbus.")
        return (device, *device.points[command])


def _devices(host: ModbusHost, unit: Unit, register: DeviceRegister) -> Iterator[Device]:
    """Points of one name are one device. Raises `BadInputError`."""
    by_name: dict[str, list[ModbusPoint]] = {}
    for point in host.points:
        by_name.setdefault(point.name, []).append(point)
    for name, parts in by_name.items():
        oid = next((one.oid for one in parts if one.oid), _usual_type(parts[0]))
        require_complete(register, oid, [one.command for one in parts], what=name)
        config = {"name": name, "poll": min(one.poll for one in parts)}
        config |= next(({"unit": one.unit} for one in parts if one.unit), {})
        points = {}
        for one in parts:
            command = command_of(register, oid, config, one.command, what=name)
            _check_fit(command, one)
            points[command.name] = (command, one)
        yield Device(Found(name, oid, config), unit, points)


def _usual_type(point: ModbusPoint) -> str:
    if point.is_bit:
        return "switch" if point.writable else "sensor.binary"
    return "number" if point.writable else "sensor.number"


def _check_fit(command: Command, point: ModbusPoint) -> None:
    if command.valuetype not in {ValueType.BOOL, ValueType.BYTE, ValueType.INT, ValueType.REAL}:
        raise BadInputError(f"devices.modbus: {point.name}: a register holds no {command.valuetype}.")


def _covers(block: Block, own: Block) -> bool:
    is_inside = block.address <= own.address and own.address + own.count <= block.address + block.count
    return block.kind == own.kind and is_inside
