"""What the devices need from outside: a driver for each way to reach them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from wayhouse.devices.model import Found, Place, Value


class Driver(Protocol):
    """A driver reports and does; it decides nothing.

    Reads and writes raise `DeviceGoneError` when the device is not there and `DeviceNotReadyError` when it is, but
    what it said cannot be used.
    """

    @property
    def name(self) -> str: ...

    async def scan(self) -> Sequence[Found]:
        """The devices that are there now. Raises a `WayhouseError` if that cannot be known."""
        ...

    async def read(self, place: Place, command: str, now: float) -> Value:
        """`command` is a name or `subdevice.name`; `now` is Unix seconds."""
        ...

    async def write(self, place: Place, command: str, value: Value, now: float) -> None: ...

    def close(self) -> None: ...


class Listener(Protocol):
    """Whom a driver tells what its devices said unasked. To be called on the event loop; never waits, never raises."""

    def told(self, address: str, command: str, value: Value) -> None: ...

    def gone(self, address: str, reason: str) -> None:
        """It is not available, which is known without asking it."""
        ...

    def look(self) -> None:
        """There is something new: scan soon."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A driver whose devices speak up by themselves, beside being asked."""

    def listen(self, listener: Listener) -> None: ...


class FarHouse(Protocol):
    """Gateways that share devices with this one. An address is lasting: the peer's, and the device's there.

    `read` and `command` raise `DeviceGoneError` when the gateway or the device is not there, and what the far gateway refused.
    """

    async def devices(self) -> Sequence[Found]:
        """Those that are shared and can be reached now. At the start it waits a moment for gateways that were linked before."""
        ...

    async def read(self, address: str, command: str) -> Value:
        """The newest value that was told; without one the device is asked."""
        ...

    async def command(self, address: str, command: str, value: Value) -> None:
        """Done once, also when the connection is lost meanwhile."""
        ...

    def listen(self, listener: Listener) -> None: ...
