"""Pins of this machine as switches, dimmers (PWM) and binary sensors, through gpiozero.

Which way gpiozero has to the pins is chosen at run time ("auto": the first that works). All calls of it are made in one
thread. An input tells its changes at once; where there are no pins, every scan says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeVar

from wayhouse.base.errors import UnavailableError
from wayhouse.devices.drivers.settings import GpioPin, GpioSettings
from wayhouse.devices.model import (
    CommandNotAllowedError,
    DeviceGoneError,
    DriverFailedError,
    Found,
    NoSuchCommandError,
    Place,
    Value,
)
from wayhouse.devices.ports import Listener

T = TypeVar("T")

FACTORIES = {
    "lgpio": ("gpiozero.pins.lgpio", "LGPIOFactory"),
    "rpigpio": ("gpiozero.pins.rpigpio", "RPiGPIOFactory"),
    "pigpio": ("gpiozero.pins.pigpio", "PiGPIOFactory"),
    "native": ("gpiozero.pins.native", "NativeFactory"),
    "mock": ("gpiozero.pins.mock", "MockFactory"),
}
AUTO = ("lgpio", "rpigpio", "pigpio")
"""The native one is made for few boards and the mock is no pins at all: both only when asked for."""

OIDS = {"switch": "switch", "dimmer": "dimmer", "input": "sensor.binary"}
COMMANDS = {"switch": "power", "dimmer": "level", "input": "value"}


class GpioDriver:
    """`factory` is gpiozero's, for tests; the settings choose one otherwise."""

    name = "gpio"

    def __init__(self, settings: GpioSettings, *, factory: Any = None) -> None:
        self._settings = settings
        self._pins = {one.name: one for one in settings.pins}
        self._factory = factory
        self._open: dict[str, Any] = {}
        self._problems: dict[str, str] = {}
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gpio")

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def scan(self) -> Sequence[Found]:
        """The pins that could be taken. Raises `UnavailableError` where there are none at all."""
        self._loop = asyncio.get_running_loop()
        await self._in_thread(self._open_all)
        return [
            Found(name, OIDS[pin.kind], {"name": name})
            for name, pin in self._pins.items()
            if name in self._open
        ]

    async def read(self, place: Place, command: str, now: float) -> Value:
        pin = self._pin(place, command)
        return await self._in_thread(lambda: _value(pin, self._device(place.address)))

    async def write(self, place: Place, command: str, value: Value, now: float) -> None:
        pin = self._pin(place, command)
        if pin.kind == "input":
            raise CommandNotAllowedError("An input can only be read.")
        await self._in_thread(lambda: _set(pin, self._device(place.address), value))

    def close(self) -> None:
        """Outputs go back to inputs, which leaves them as the wiring pulls them."""
        with contextlib.suppress(RuntimeError):  # closed already
            self._thread.submit(self._close_all)
        self._thread.shutdown(wait=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _pin(self, place: Place, command: str) -> GpioPin:
        pin = self._pins.get(place.address)
        if pin is None:
            raise DeviceGoneError(f"{place.address[:80]!r} is not in the settings of GPIO any more.")
        if command != COMMANDS[pin.kind]:
            raise NoSuchCommandError(f"This pin has {COMMANDS[pin.kind]} alone, not {command[:80]!r}.")
        return pin

    # What follows runs in the thread.

    def _device(self, name: str) -> Any:
        if name not in self._open:
            raise DeviceGoneError(self._problems.get(name, "The pin has not been taken yet."))
        return self._open[name]

    def _open_all(self) -> None:
        from gpiozero.exc import GPIOZeroError

        if self._factory is None:
            self._factory = find_factory(self._settings.factory)
        for name, pin in self._pins.items():
            if name in self._open:
                continue
            try:
                self._open[name] = self._opened(pin)
            except (GPIOZeroError, OSError, RuntimeError, ValueError, LookupError) as error:
                self._problems[name] = f"The pin {pin.pin} cannot be used: {error}"
        if not self._open:
            raise UnavailableError(next(iter(self._problems.values()), "There is no pin."))

    def _opened(self, pin: GpioPin) -> Any:
        import gpiozero

        number: int | str = int(pin.pin) if pin.pin.isdigit() else pin.pin
        if pin.kind == "input":
            return self._opened_input(pin, number)
        active = {"active_high": not pin.active_low, "pin_factory": self._factory}
        if pin.kind == "dimmer":
            return gpiozero.PWMOutputDevice(
                number, initial_value=pin.initial / 100, frequency=pin.frequency_hz, **active
            )
        return gpiozero.DigitalOutputDevice(number, initial_value=pin.initial > 0, **active)

    def _opened_input(self, pin: GpioPin, number: int | str) -> Any:
        import gpiozero

        pull = {"up": True, "down": False, "none": None}[pin.pull]
        found = gpiozero.DigitalInputDevice(
            number,
            pull_up=pull,
            active_state=True if pull is None else None,
            bounce_time=pin.debounce_s or None,
            pin_factory=self._factory,
        )
        # What gpiozero calls active depends on the pull; the level of the pin does not.
        found.when_activated = found.when_deactivated = lambda: self._tell(pin, found)
        return found

    def _tell(self, pin: GpioPin, device: Any) -> None:
        """In a thread of gpiozero's."""
        if self._listener is not None and self._loop is not None:
            with contextlib.suppress(
                RuntimeError, DriverFailedError
            ):  # the loop has ended, or the pin is closed
                self._loop.call_soon_threadsafe(self._listener.told, pin.name, "value", _value(pin, device))

    def _close_all(self) -> None:
        for device in self._open.values():
            device.close()
        self._open.clear()
        if self._factory is not None:
            self._factory.close()


def find_factory(wanted: str) -> Any:
    """A factory of gpiozero's that works here. Raises `UnavailableError` saying what is missing."""
    problems = []
    for name in AUTO if wanted == "auto" else (wanted,):
        module, kind = FACTORIES[name]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return getattr(import_module(module), kind)()
        except Exception as error:  # noqa: BLE001 - the border to foreign drivers, which raise what they like
            problems.append(f"{name}: {error}")
    raise UnavailableError(
        f"There are no GPIO pins that can be used ({'; '.join(problems)}). "
        "On a Raspberry Pi install lgpio or RPi.GPIO beside the gateway, and let its user into the group gpio."
    )


def _value(pin: GpioPin, device: Any) -> Value:
    try:
        if pin.kind == "dimmer":
            return round(float(device.value) * 100)
        if pin.kind == "input":
            return bool(device.pin.state) != pin.active_low
        return bool(device.value)
    except Exception as error:
        raise DriverFailedError(f"The pin {pin.pin} cannot be read: {error}") from error


def _set(pin: GpioPin, device: Any, value: Value) -> None:
    try:
        device.value = value / 100 if pin.kind == "dimmer" else bool(value)
    except Exception as error:
        raise DriverFailedError(f"The pin {pin.pin} cannot be set: {error}") from error
