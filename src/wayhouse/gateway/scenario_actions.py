"""What scenarios do to the world: commands to devices and to any service, as durable requests on the bus, and keys of the clone.

Handed to the automation room (its `Actions`). Rules: a request carries the id that the run gives it, so a run that is taken up again
finds the answer of the first time; what may not be done twice is sent once, and fails when nobody knows whether it was done.
"""

from __future__ import annotations

import asyncio
import contextlib

from wayhouse.automation.model import Value
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, UnavailableError, WayhouseError
from wayhouse.bus.model import OK, Frames, GenericError
from wayhouse.bus.service import Bus
from wayhouse.devices.service import Devices

SERVICE = "service:"
IDEMPOTENT = "?idempotent"
PATIENCE_S = 300.0


class CommandRefusedError(BadInputError):
    """The device, or whoever serves it, did not do it; the message is its own."""

    code = "command-refused"
    title = "The command was not done"


class ScenarioActions:
    """`device` is a reference of a device, or `service:<name>` for any service of the bus, which is sent [command][value]. A
    service whose name ends in `?idempotent` may be asked again when its answer was lost."""

    def __init__(self, bus: Bus, devices: Devices) -> None:
        self._bus = bus
        self._devices = devices

    async def command(self, device: str, command: str, value: Value, *, request_id: str) -> Value:
        service, body, once = self._addressed(device, command, value)
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._bus.ask(service, body, uuid=bytes.fromhex(request_id), once=once)
        except TimeoutError:
            raise UnavailableError(f"{service} gave no answer within {PATIENCE_S:g} s.") from None
        except GenericError as error:
            raise CommandRefusedError(f"{service}: {error.value}") from error
        return _value_of(service, answer)

    async def settled(self, request_id: str) -> None:
        with contextlib.suppress(WayhouseError):  # Titanic forgets it by itself, only later
            await self._bus.close_request(bytes.fromhex(request_id))

    def publish(self, key: str, body: bytes, ttl_s: float | None = None) -> None:
        self._bus.publish(key, body, ttl_s)

    def _addressed(self, device: str, command: str, value: Value) -> tuple[str, list[bytes], bool]:
        """The service, what it is sent, and whether only once. Raises `NoSuchDeviceError`, `NoSuchCommandError`."""
        told = [] if value is None else [_text(value)]
        if device.startswith(SERVICE):
            name = device.removeprefix(SERVICE)
            return name.removesuffix(IDEMPOTENT), [command.encode(), *told], not name.endswith(IDEMPOTENT)
        found = self._devices.get(device)
        described = self._devices.commands(device).get(command)
        service = self._bus.routing_key(f"{found.driver}.devices")
        verb = b"get" if value is None else b"set"
        once = value is not None and described is not None and not described.idempotent
        return service, [verb, device.encode(), command.encode(), *told], once


def _value_of(service: str, answer: Frames) -> Value:
    """Of [value][200]. Raises `CommandRefusedError` for [text][status]."""
    if not answer or answer[-1][:3] != OK:
        text = b" ".join(answer[:-1] or answer).decode("utf-8", "replace")
        raise CommandRefusedError(f"{service}: {text or 'it gave no answer.'}"[:1000])
    return plain(answer[0]) if len(answer) > 1 else None


def plain(body: bytes) -> Value:
    """A value out of a frame: JSON's plain ones, else the text."""
    text = body.decode("utf-8", "replace")
    try:
        found: object = codec.decode_json(body, object, what="value")
    except WayhouseError:
        return text
    return found if found is None or isinstance(found, bool | int | float | str) else text


def _text(value: Value) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else codec.encode_json(value)
