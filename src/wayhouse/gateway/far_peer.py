"""What one peer of an overlay shares with this gateway, as it was told: its devices, their newest values, its services.

Held by `far_devices.py`, told by `overlay/drivers/far_gateway.py` (whose `Hearer` it is). Rule: what a peer says is taken only as far as it fits a type that
is known here, and only so much of it; whatever it says, nothing here raises.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.devices.drivers import peers
from wayhouse.devices.model import DeviceGoneError, Found, Value
from wayhouse.devices.ports import Listener
from wayhouse.devices.register import DeviceRegister
from wayhouse.overlay import door_words as words
from wayhouse.overlay.drivers.far_gateway import FarGateway
from wayhouse.overlay.views import Received, ReceivedDevice

log = logging.getLogger(__name__)

MOST_OF_ONE = 256
"""Devices of one peer that may join here."""
MOST_SERVICES = 32
MOST_APPS = 64
MOST_VALUE = 16 * 1024
"""Bytes of a value, as JSON, that is remembered; a longer one is asked for."""
PREFIX = "peers."
"""Of services of peers on the bus here."""


class Far(msgspec.Struct, frozen=True):
    """A peer that is linked now: what has to be known to knock at its door."""

    overlay: str
    uid: str
    name: str
    address: str
    interface: str
    on_demand: bool


class Last(msgspec.Struct, frozen=True):
    """`at` on this gateway's monotonic clock."""

    value: Value
    at: float


class FarPeer:
    """What one peer shares, as it was told; a `far_gateway.Hearer`."""

    def __init__(
        self, far: Far, register: DeviceRegister, clock: Clock, listener: Callable[[], Listener | None]
    ) -> None:
        self.far = far
        self._clock = clock
        self.prefix = f"{far.overlay}/{far.uid}/"
        self.values: dict[tuple[str, str], Last] = {}
        self.services: tuple[str, ...] = ()
        self.apps: Mapping[int, str] = {}
        self.served: set[str] = set()
        self.gateway: FarGateway | None = None
        self.running: asyncio.Task[None] | None = None
        self._register, self._listener = register, listener
        self._devices: dict[str, words.Device] = {}
        self._commands: dict[str, frozenset[str]] = {}
        self._stale: set[str] = set()

    def devices(self) -> Iterator[Found]:
        for one in self._devices.values():
            yield peers.found(self.prefix + one.id, self.far.name, one.name, one.oid, one.config)

    def received(self, ids: Mapping[str, str]) -> Received:
        """All of it. `ids` of devices here by their addresses."""
        devices = (
            ReceivedDevice(
                name=one.name[:200],
                may=one.may[:20],
                id=ids.get(self.prefix + one.id, ""),
                is_available=one.is_available,
                reason="" if one.is_available else shown(one.reason),
            )
            for one in self._devices.values()
        )
        return Received(
            uid=self.far.uid,
            name=self.far.name,
            address=self.far.address,
            devices=tuple(sorted(devices, key=lambda one: one.name)),
            services=tuple(sorted(map(self.service_name, self.services))),
            apps=dict(sorted(self.apps.items())),
        )

    def service_name(self, service: str) -> str:
        return f"{PREFIX}{self.far.name}.{self.far.overlay}.{service}"

    def require_shared(self, device: str) -> words.Device:
        """Raises `DeviceGoneError`."""
        found = self._devices.get(device)
        if found is None:
            raise DeviceGoneError(f"{self.far.name}.{self.far.overlay} does not share it.")
        return found

    def require_available(self, device: str) -> None:
        """Raises `DeviceGoneError`."""
        found = self.require_shared(device)
        if not found.is_available:
            raise DeviceGoneError(shown(found.reason))

    # ---- what it says

    def begun(self) -> None:
        self._stale = set(self._devices)

    def told(self, word: words.Device | words.Value | words.Gone | words.Services) -> None:
        if isinstance(word, words.Value):
            self._value(word)
        elif isinstance(word, words.Device):
            self._device(word)
        elif isinstance(word, words.Gone):
            self._drop(word.id, self._no_more())
        else:
            for device in self._stale:
                self._drop(device, self._no_more())
            self._stale = set()
            self.services = tuple(one for one in word.names[:MOST_SERVICES] if _is_service(one))
            self.apps = dict(itertools.islice(filter(_is_app, word.apps.items()), MOST_APPS))

    def lost(self, reason: str) -> None:
        for device in tuple(self._devices):
            self._drop(device, reason)
        self.services, self.apps = (), {}

    def _device(self, word: words.Device) -> None:
        before = self._devices.get(word.id)
        if before is None and (len(self._devices) >= MOST_OF_ONE or not self._is_usable(word)):
            return
        self._stale.discard(word.id)
        self._devices[word.id] = msgspec.structs.replace(word, commands={})
        listener = self._listener()
        if listener is None:
            return
        if before is None:
            listener.look()
        elif before.is_available and not word.is_available:
            listener.gone(self.prefix + word.id, shown(word.reason))
        elif word.is_available and not before.is_available:
            for (device, command), last in self.values.items():
                if device == word.id:
                    listener.told(self.prefix + device, command, last.value)

    def _is_usable(self, word: words.Device) -> bool:
        """Of a type that is known here; its commands are those of the type."""
        try:
            found = peers.found("", "", word.name, word.oid, word.config)
            device = self._register.new({"oid": found.oid, **found.config})
        except WayhouseError as error:
            log.info("a device of %s.%s cannot join: %s", self.far.name, self.far.overlay, error)
            return False
        live = (path for path, one in device.all_commands().items() if one.is_live)
        self._commands[word.id] = frozenset(live)
        return 0 < len(word.id) <= words.MOST_ID and word.id.isprintable()

    def _value(self, word: words.Value) -> None:
        if word.id not in self._devices or word.command not in self._commands.get(word.id, ()):
            return
        if len(words.encode(word)) <= MOST_VALUE:
            self.values[word.id, word.command] = Last(word.value, self._clock.monotonic())
        else:
            self.values.pop((word.id, word.command), None)
        listener = self._listener()
        if listener is not None and self._devices[word.id].is_available:
            listener.told(self.prefix + word.id, word.command, word.value)

    def _no_more(self) -> str:
        return f"{self.far.name}.{self.far.overlay} shares it no more."

    def _drop(self, device: str, reason: str) -> None:
        if self._devices.pop(device, None) is None:
            return
        for command in self._commands.pop(device, ()):
            self.values.pop((device, command), None)
        listener = self._listener()
        if listener is not None:
            listener.gone(self.prefix + device, reason)


def _is_service(name: str) -> bool:
    return 0 < len(name) <= 200 and name.isascii() and name.isprintable() and " " not in name


def _is_app(one: tuple[int, str]) -> bool:
    port, name = one
    return 0 < port < 65536 and 0 < len(name) <= 200 and name.isprintable()


def shown(reason: str) -> str:
    return (
        "".join(one for one in reason[:300] if one.isprintable())
        or "It is not available at the other gateway."
    )
