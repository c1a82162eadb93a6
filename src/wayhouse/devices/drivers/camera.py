"""Cameras that take single pictures. To read `picture` is to look through the camera; `take` presses the button.

A picture that was taken within `FRESH_S` counts as seen now. The bytes stay here, in a folder with a bounded number of
them; over the bus and in the history goes only what describes them, and `picture` hands out the newest.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.devices.drivers.camera_pictures import Picture, Pictures
from wayhouse.devices.drivers.camera_sources import fetch
from wayhouse.devices.drivers.settings import CameraSettings
from wayhouse.devices.model import (
    CommandNotAllowedError,
    DeviceGoneError,
    Found,
    NoSuchCommandError,
    Place,
    Value,
)

FRESH_S = 5.0


class CameraDriver:
    name = "camera"

    def __init__(self, settings: Sequence[CameraSettings], clock: Clock, folder: Path) -> None:
        self._cameras = {one.name: one for one in settings}
        self._clock = clock
        self._pictures = Pictures(folder)
        self._taken: dict[str, tuple[float, Picture]] = {}

    async def scan(self) -> Sequence[Found]:
        """All that are in the settings; whether one works, only a picture tells."""
        return [
            Found(one.name, "media.camera", {"name": one.name, "poll": one.poll, "url": one.url})
            for one in self._cameras.values()
        ]

    async def read(self, place: Place, command: str, now: float) -> Value:
        """`picture` is {"time", "size", "media"}."""
        camera = self._camera(place.address)
        if command == "power":
            return True
        if command != "picture":
            raise NoSuchCommandError(f"A camera has no {command[:80]!r}.")
        taken_at, picture = self._taken.get(camera.name, (-math.inf, None))
        if picture is None or self._clock.monotonic() - taken_at > FRESH_S:
            picture = await self._take(camera, now)
        return codec.to_builtins(picture)

    async def write(self, place: Place, command: str, value: Value, now: float) -> None:
        camera = self._camera(place.address)
        if command == "power":
            raise CommandNotAllowedError("This camera cannot be switched on and off.")
        if command != "take":
            raise NoSuchCommandError(f"A camera has no {command[:80]!r} to be set.")
        if value:
            await self._take(camera, now)

    async def picture(self, address: str) -> tuple[bytes, str]:
        """The newest picture and its media type. Raises `DeviceGoneError`, `DeviceNotReadyError`."""
        camera = self._camera(address)
        return await asyncio.to_thread(self._pictures.read, camera.name)

    def close(self) -> None: ...

    async def _take(self, camera: CameraSettings, now: float) -> Picture:
        data = await fetch(camera)
        picture = await asyncio.to_thread(self._pictures.keep, camera.name, data, now, limit=camera.keep)
        self._taken[camera.name] = (self._clock.monotonic(), picture)
        return picture

    def _camera(self, address: str) -> CameraSettings:
        camera = self._cameras.get(address)
        if camera is None:
            raise DeviceGoneError(f"{address[:80]!r} is not among the cameras in the settings any more.")
        return camera
