"""The verbs of a driver's worker `<hostname>.<driver>.devices`: frames in, frames out. The gateway puts it on the bus.

The status is the last frame, as RasPy has it: [200], or [what is wrong][the error's status]. An unknown verb is
answered with [verb][501], an empty request with [500]. Nothing that comes can raise. Values are JSON, texts as they are.

| verb | further frames | answer before [200] |
|---|---|---|
| list_keys | | the names in one frame, joined by a bar; none if there are none |
| list | | one frame for each name |
| info | device | the device as JSON |
| get | device, (command) | the value, after asking the device; without a command that of the main one |
| last | device, (command) | the newest value that is known and its time, as JSON; `null` if there is none |
| set | device, command, value | the value |
| config | device, (new config) | the config as JSON |
| poll | device, (seconds) | seconds |
| new | the device's JSON, (address) | its id |
| rename | device, name | its id |
| move | device, area | its id |
| reset | device | |
| delete | device | |
| log | device, (how many) | what happened to it, newest first, as JSON |
| template | (type) | the template of the type, or all by type, as JSON |
| readings | device, command, start, end, (points) | the buckets as JSON |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.bus.model import ERROR, NOT_IMPLEMENTED, OK
from wayhouse.devices.log import SLOTS
from wayhouse.devices.model import NoSuchDeviceError, Value
from wayhouse.devices.readings import MAX_BUCKETS
from wayhouse.devices.service import Devices

WHO = "the bus"
Verb = Callable[[list[str]], Awaitable[list[bytes]]]


class DeviceVerbs:
    """For the devices of one driver; those of others are not found here."""

    def __init__(self, devices: Devices, driver: str) -> None:
        self._devices = devices
        self._driver = driver
        self._verbs: dict[bytes, tuple[int, int, Verb]] = {
            b"list_keys": (0, 0, self._list_keys),
            b"list": (0, 0, self._list),
            b"info": (1, 1, self._info),
            b"get": (1, 2, self._get),
            b"last": (1, 2, self._last),
            b"set": (3, 3, self._set),
            b"config": (1, 2, self._config),
            b"poll": (1, 2, self._poll),
            b"new": (1, 2, self._new),
            b"rename": (2, 2, self._rename),
            b"move": (2, 2, self._move),
            b"reset": (1, 1, self._reset),
            b"log": (1, 2, self._log),
            b"delete": (1, 1, self._delete),
            b"template": (0, 1, self._template),
            b"readings": (4, 5, self._readings),
        }
        """With how many frames each takes, at least and at most."""

    async def answer(self, body: Sequence[bytes]) -> list[bytes]:
        if not body:
            return [ERROR]
        least, most, verb = self._verbs.get(body[0], (0, 0, None))
        if verb is None:
            return [body[0], NOT_IMPLEMENTED]
        frames = [frame.decode("utf-8", "replace") for frame in body[1:]]
        if not least <= len(frames) <= most:
            return [f"{body[0].decode()} takes {least} to {most} frames behind it.".encode(), ERROR]
        try:
            return [*await verb(frames), OK]
        except WayhouseError as error:
            return [error.message.encode("utf-8", "replace"), str(error.status).encode()]

    async def _list_keys(self, _: list[str]) -> list[bytes]:
        names = self._devices.list_keys(self._driver)
        return ["|".join(names).encode()] if names else []

    async def _list(self, _: list[str]) -> list[bytes]:
        return [name.encode() for name in self._devices.list_keys(self._driver)]

    async def _info(self, frames: list[str]) -> list[bytes]:
        return [codec.encode_json(self._devices.get(self._own(frames[0])))]

    async def _get(self, frames: list[str]) -> list[bytes]:
        return [_shown(await self._devices.command(*self._value_of(frames)))]

    async def _last(self, frames: list[str]) -> list[bytes]:
        return [codec.encode_json(self._devices.last(*self._value_of(frames)))]

    async def _set(self, frames: list[str]) -> list[bytes]:
        reference, command, text = frames
        return [_shown(await self._devices.command_text(self._own(reference), command, text, who=WHO))]

    async def _config(self, frames: list[str]) -> list[bytes]:
        return await self._read_or_set("config", frames)

    async def _poll(self, frames: list[str]) -> list[bytes]:
        return await self._read_or_set("poll", frames)

    async def _new(self, frames: list[str]) -> list[bytes]:
        view = await self._devices.new(frames[0], driver=self._driver, address="".join(frames[1:]), who=WHO)
        return [view.id.encode()]

    async def _rename(self, frames: list[str]) -> list[bytes]:
        return [(await self._devices.rename(self._own(frames[0]), frames[1], who=WHO)).id.encode()]

    async def _move(self, frames: list[str]) -> list[bytes]:
        return [(await self._devices.move(self._own(frames[0]), frames[1], who=WHO)).id.encode()]

    async def _reset(self, frames: list[str]) -> list[bytes]:
        await self._devices.command(self._own(frames[0]), "reset", value=True, who=WHO)
        return []

    async def _log(self, frames: list[str]) -> list[bytes]:
        limit = int(_number(frames[1])) if len(frames) > 1 else SLOTS
        return [codec.encode_json(self._devices.log(self._own(frames[0]), limit=max(0, limit)))]

    async def _delete(self, frames: list[str]) -> list[bytes]:
        await self._devices.delete(self._own(frames[0]), who=WHO)
        return []

    async def _template(self, frames: list[str]) -> list[bytes]:
        found = self._devices.template(frames[0]) if frames else self._devices.templates()
        return [codec.encode_json(found)]

    async def _readings(self, frames: list[str]) -> list[bytes]:
        reference, command, start, end = frames[:4]
        points = int(_number(frames[4])) if len(frames) > 4 else MAX_BUCKETS
        found = self._devices.readings(
            self._own(reference), command, _number(start), _number(end), points=points
        )
        return [codec.encode_json(found)]

    async def _read_or_set(self, command: str, frames: list[str]) -> list[bytes]:
        whole = self._devices.get(self._own(frames[0])).id
        if len(frames) > 1:
            await self._devices.command_text(whole, command, frames[1], who=WHO)
        return [_shown(await self._devices.command(whole, command))]

    def _value_of(self, frames: list[str]) -> tuple[str, str]:
        reference = self._own(frames[0])
        return reference, frames[1] if len(frames) > 1 else self._devices.main_command(reference)

    def _own(self, reference: str) -> str:
        if self._devices.get(reference).driver != self._driver:
            raise NoSuchDeviceError(f"The driver {self._driver} has no device {reference[:80]!r}.")
        return reference


def _shown(value: Value) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else codec.encode_json(value)


def _number(text: str) -> float:
    """A JSON number of a sane size. Raises `BadInputError`."""
    number: Any = codec.decode_json(text.encode("utf-8", "replace"), object, what="number")
    if isinstance(number, bool) or not isinstance(number, (int, float)) or abs(number) > 1e15:
        raise BadInputError(f"{text[:40]!r} is no number that makes sense here.")
    return number
