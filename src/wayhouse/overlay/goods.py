"""What is behind the door: devices and services of the bus as the shares of one visitor show them, and what the visitor does with them.

Used by `visit.py`. Rules: every verb asks the shares anew, and what is not shared is as if it were not there; only what a device's driver reads and takes
goes out, never its config, which may hold secrets; what a peer shared with us is not passed on.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from wayhouse.base.errors import BadInputError, ForbiddenError, NotFoundError, UnavailableError
from wayhouse.devices.command import Command
from wayhouse.devices.drivers.peers import NAME as FAR
from wayhouse.devices.model import DeviceView, NoSuchCommandError, NoSuchDeviceError, Value
from wayhouse.devices.service import Devices
from wayhouse.overlay import door_words as words
from wayhouse.overlay import shares
from wayhouse.overlay.once import Once
from wayhouse.overlay.shares import Good, May, Share, Visitor

MOST_REQUEST = 64
CALL_MOST_S = 60.0
SHAPING = ("unit", "minimum", "maximum")
"""Keys of a device's config that its type needs elsewhere."""


class Services(Protocol):
    """The bus, as far as the door needs it."""

    @property
    def is_up(self) -> bool: ...

    async def call(
        self, service: str, request: Sequence[bytes], *, timeout_s: float = 10.0, once: bool = False
    ) -> list[bytes]: ...

    async def ask(
        self, service: str, request: Sequence[bytes], *, uuid: bytes, once: bool = False
    ) -> list[bytes]: ...


class Goods:
    def __init__(self, devices: Devices, services: Services, once: Once) -> None:
        self._devices, self._services, self._once = devices, services, once

    def devices(self, given: Sequence[Share]) -> Iterator[tuple[DeviceView, May]]:
        """Those that the shares of one visitor show."""
        if any(one.good is Good.DEVICE for one in given):
            for view in self._devices.all():
                may = right(given, view)
                if may is not None:
                    yield view, may

    def word(self, view: DeviceView, may: May) -> words.Device:
        return words.Device(
            id=view.id,
            name=view.name,
            oid=view.oid,
            may=may.value,
            config={key: view.config[key] for key in SHAPING if key in view.config},
            commands={path: one.description() for path, one in self._live(view.id).items()},
            is_available=view.is_available,
            reason=view.reason,
        )

    async def read(self, given: Sequence[Share], ask: words.Read) -> Value:
        """From the device itself. Raises `NoSuchDeviceError`, `NoSuchCommandError`, and what the device raises."""
        view, _ = self._find(given, ask.device)
        self._require_live(view, ask.command)
        return await self._devices.command(view.id, ask.command)

    async def command(self, given: Sequence[Share], visitor: Visitor, ask: words.Command) -> Value:
        """Raises as `read`, and `ForbiddenError`."""
        view, may = self._find(given, ask.device)
        self._require_live(view, ask.command)
        if may is not May.COMMAND:
            raise ForbiddenError(f"{view.name} is shared to be read, not to be commanded.")
        if ask.value is None:
            raise BadInputError("A command needs a value.")
        return await self._once.do(
            visitor.uid,
            _request(ask.request),
            lambda: self._devices.command(view.id, ask.command, ask.value, who=visitor.title),
        )

    async def call(self, given: Sequence[Share], visitor: Visitor, ask: words.Call) -> list[bytes]:
        """A service of the bus; with a request id it is a durable request, so it is done once whatever restarts here. Raises `NotFoundError`,
        `BadInputError`, `UnavailableError`, and the bus's errors."""
        if ask.service not in shares.services(given):
            raise NotFoundError("There is no such service, or it is not shared.")
        frames, request = words.unwrap(ask.frames), _request(ask.request)
        limit_s = min(max(ask.timeout_s, 0.1), CALL_MOST_S)
        if not self._services.is_up:
            raise UnavailableError("The bus is not there at the moment. Try again in a moment.")
        if not request:
            return await self._services.call(ask.service, frames, timeout_s=limit_s, once=True)
        uuid = hashlib.sha256(
            f"{visitor.overlay}\0{visitor.uid}\0{ask.service}\0{request}".encode()
        ).digest()[:16]
        try:
            async with asyncio.timeout(limit_s):
                return await self._services.ask(ask.service, frames, uuid=uuid, once=True)
        except TimeoutError:
            raise UnavailableError(f"{ask.service} gave no answer within {limit_s:g} s.") from None

    def _find(self, given: Sequence[Share], reference: str) -> tuple[DeviceView, May]:
        """By its id. Raises `NoSuchDeviceError`, alike for what is not there and for what is not shared."""
        for view, may in self.devices(given):
            if view.id == reference:
                return view, may
        raise NoSuchDeviceError("There is no such device, or it is not shared.")

    def _require_live(self, view: DeviceView, command: str) -> None:
        if command not in self._live(view.id):
            raise NoSuchCommandError(f"{view.name} has no command {command[:80]!r} for peers.")

    def _live(self, device: str) -> dict[str, Command]:
        return {path: one for path, one in self._devices.commands(device).items() if one.is_live}


def right(given: Sequence[Share], view: DeviceView) -> May | None:
    """What the shares of one visitor give of a device. By a former name, or that of a part of it, nothing is given."""
    return None if view.driver == FAR else shares.device_right(given, (view.id, view.name))


def _request(text: str) -> str:
    if len(text) > MOST_REQUEST:
        raise BadInputError(f"A request id has at most {MOST_REQUEST} characters.")
    return text
