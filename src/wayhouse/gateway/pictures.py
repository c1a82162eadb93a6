"""The pictures of cameras, for the API and the page: which driver has one, and its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from wayhouse.devices.ports import Driver
from wayhouse.devices.service import Devices


@runtime_checkable
class TakesPictures(Protocol):
    """A driver that has pictures."""

    async def picture(self, address: str) -> tuple[bytes, str]:
        """The newest and its media type. Raises `WayhouseError` when there is none."""
        ...


class Pictures:
    def __init__(self, devices: Devices, drivers: Sequence[Driver]) -> None:
        self._devices = devices
        self._drivers = {one.name: one for one in drivers if isinstance(one, TakesPictures)}

    async def of(self, reference: str) -> tuple[bytes, str] | None:
        """The newest and its media type; None for a device that takes none. Raises `NoSuchDeviceError`."""
        device = self._devices.get(reference)
        driver = self._drivers.get(device.driver)
        return None if driver is None else await driver.picture(device.address)
