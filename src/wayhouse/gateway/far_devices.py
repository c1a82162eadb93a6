"""Joins what peers of overlays share with this gateway: their devices become devices of the driver `peers`, their services are served on the bus here.

Made by `assemble_things.py`, run by `things.py`. It is the devices' `FarHouse`. Rules: one connection to each peer that is linked, none to others; a link that
is lost makes its devices unavailable at once; what a peer says is taken only as far as it fits a type that is known here, and only so much of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from wayhouse.base import ids
from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.bus.model import Frames
from wayhouse.bus.service import Bus, Handler
from wayhouse.devices import on_bus
from wayhouse.devices.drivers import peers
from wayhouse.devices.model import (
    BadValueError,
    CommandNotAllowedError,
    DeviceGoneError,
    DeviceNotReadyError,
    DriverFailedError,
    Found,
    Value,
)
from wayhouse.devices.ports import Listener
from wayhouse.devices.register import DeviceRegister
from wayhouse.devices.service import Devices
from wayhouse.gateway.far_peer import MOST_OF_ONE, Far, FarPeer, shown
from wayhouse.overlay import door_words as words
from wayhouse.overlay.drivers.far_gateway import FarGateway, RefusedError
from wayhouse.overlay.model import LinkStatus
from wayhouse.overlay.service import Overlays
from wayhouse.overlay.shares import DOOR_PORT
from wayhouse.overlay.views import LinkView, OverlayChanged, Received

log = logging.getLogger(__name__)

LOOK_S, AT_FIRST_S = 1.0, 0.05
SETTLE_S = 3.0
"""For so long the devices wait at the start for peers that are linked, so that an upgrade is not felt."""
ANSWER_S = 5.0
CALL_S = 10.0
MOST = 500
"""Devices of all peers that may join here."""
FRESH_S = 3.0
"""For so long what was told counts as what the device says: when devices join, each is read."""


class FarDevices:
    """`bus` gets services of peers. The gateway says by `know` which devices these have become."""

    def __init__(
        self,
        overlays: Overlays,
        bus: Bus,
        register: DeviceRegister,
        *,
        events: Events,
        clock: Clock,
        port: int = DOOR_PORT,
    ) -> None:
        self._overlays, self._bus, self._register = overlays, bus, register
        self._events, self._clock, self._port = events, clock, port
        self._listener: Listener | None = None
        self._peers: dict[Far, FarPeer] = {}
        self._settled = asyncio.Event()
        self._known: Callable[[], Mapping[str, str]] = dict
        self._workers: Mapping[str, Handler] = {}

    def know(self, devices: Devices) -> None:
        """Before `run`."""
        self._known = lambda: {one.address: one.id for one in devices.all(driver=peers.NAME)}
        self._workers = on_bus.services(devices, self._bus.hostname, [peers.NAME])

    async def run(self) -> None:
        """Until cancelled."""
        with self._events.subscribe(OverlayChanged, limit=1) as changed:
            async with Tasks() as tasks:
                try:
                    while True:
                        await self._look(tasks)
                        try:
                            async with asyncio.timeout(LOOK_S if self._settled.is_set() else AT_FIRST_S):
                                await anext(changed)
                        except TimeoutError:
                            continue
                finally:
                    for far in tuple(self._peers):
                        await self._end(far)

    def received(self, overlay: str) -> tuple[Received, ...]:
        """What each peer of it that is linked gives, by name. Raises `NoSuchOverlayError`."""
        self._overlays.state(overlay)
        ids = self._known()
        found = (peer.received(ids) for far, peer in self._peers.items() if far.overlay == overlay)
        return tuple(sorted(found, key=lambda one: (one.name, one.uid)))

    # ---- the devices' `FarHouse`

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def devices(self) -> Sequence[Found]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await self._settled.wait()
        self._settled.set()
        known = set(self._known())
        found = []
        for peer in self._peers.values():
            room = min(MOST_OF_ONE - sum(one.startswith(peer.prefix) for one in known), MOST - len(known))
            for one in peer.devices():
                if one.address not in known:
                    if room <= 0:
                        continue
                    room -= 1
                    known.add(one.address)
                found.append(one)
        return found

    async def read(self, address: str, command: str) -> Value:
        peer, device = self._find(address)
        peer.require_available(device)
        told = peer.values.get((device, command))
        if told is not None and self._clock.monotonic() - told.at < FRESH_S:
            return told.value
        return (await self._ask(peer, words.Read(device=device, command=command))).value

    async def command(self, address: str, command: str, value: Value) -> None:
        peer, device = self._find(address)
        peer.require_shared(device)
        request = ids.token_hex(128)
        await self._ask(peer, words.Command(device=device, command=command, value=value, request=request))

    # ---- inside

    async def _look(self, tasks: Tasks) -> None:
        if self._overlays.names():
            workers, self._workers = self._workers, {}
            self._bus.serve(workers)
        wanted = set(self._linked())
        for far in self._peers.keys() - wanted:
            await self._leave(far)
        for far in wanted - self._peers.keys():
            self._peers[far] = peer = FarPeer(far, self._register, self._clock, lambda: self._listener)
            peer.gateway = FarGateway(
                far.address,
                far.interface,
                peer,
                self._clock,
                port=self._port,
                keeps_knocking=not far.on_demand,
            )
            peer.running = tasks.spawn(peer.gateway.run(), name=f"peer {far.name}.{far.overlay}")
        for peer in self._peers.values():
            await self._set_services(peer, peer.services)
        if self._is_settled():
            self._settled.set()

    def _is_settled(self) -> bool:
        """Whether all is back that can be: nobody waits for peers that never gave anything, who need not answer."""
        if not all(self._overlays.state(name).overlay.interface for name in self._overlays.names()):
            return False
        known = self._known()
        return all(
            peer.gateway is None
            or peer.gateway.has_knocked
            or not any(address.startswith(peer.prefix) for address in known)
            for peer in self._peers.values()
        )

    def _linked(self) -> Iterator[Far]:
        for name in self._overlays.names():
            state, on_demand = self._overlays.state(name), self._overlays.setup(name).on_demand
            for one in state.links:
                if _is_linked(one):
                    label = one.name or one.uid[:8]
                    yield Far(name, one.uid, label, one.ip4 or one.ip6, state.overlay.interface, on_demand)

    async def _leave(self, far: Far) -> None:
        peer = await self._end(far)
        peer.lost(f"There is no link to {far.name}.{far.overlay}.")

    async def _end(self, far: Far) -> FarPeer:
        peer = self._peers.pop(far)
        if peer.running is not None:
            peer.running.cancel()
            await asyncio.wait([peer.running])
        await self._set_services(peer, ())
        return peer

    async def _set_services(self, peer: FarPeer, wanted: tuple[str, ...]) -> None:
        """They are served on the bus under the peer's name."""
        for name in peer.served - set(wanted):
            peer.served.discard(name)
            await self._bus.withdraw(peer.service_name(name))
        for name in set(wanted) - peer.served:
            if not self._bus.serves(peer.service_name(name)):
                self._bus.serve({peer.service_name(name): functools.partial(_call, peer, name)})
                peer.served.add(name)

    def _find(self, address: str) -> tuple[FarPeer, str]:
        for peer in self._peers.values():
            if address.startswith(peer.prefix):
                return peer, address.removeprefix(peer.prefix)
        raise DeviceGoneError("There is no link to the gateway that shares it.")

    async def _ask(self, peer: FarPeer, word: words.Asked) -> words.Done:
        """Raises as `ports.FarHouse` says."""
        try:
            return await _gateway(peer).ask(word, ANSWER_S)
        except RefusedError as error:
            raise _refused(error) from error
        except WayhouseError as error:
            raise DriverFailedError(f"{peer.far.name}.{peer.far.overlay}: {error.message}") from error


async def _call(peer: FarPeer, service: str, body: Frames) -> list[bytes]:
    """A worker of the bus here: what the far service answers, or what is wrong and the error's status."""
    try:
        word = words.Call(
            service=service, frames=words.wrap(body), request=ids.token_hex(128), timeout_s=CALL_S
        )
        done = await _gateway(peer).ask(word, CALL_S + 1.0)
        return words.unwrap(done.frames or ())
    except RefusedError as error:
        return [error.message.encode("utf-8", "replace"), str(error.far_status).encode()]
    except WayhouseError as error:
        return [error.message.encode("utf-8", "replace"), str(error.status).encode()]


def _gateway(peer: FarPeer) -> FarGateway:
    if peer.gateway is None:
        raise DeviceGoneError("There is no connection to the gateway that shares it.")
    return peer.gateway


def _is_linked(one: LinkView) -> bool:
    return one.status is LinkStatus.ONLINE and bool(one.ip4 or one.ip6)


def _refused(error: RefusedError) -> WayhouseError:
    """As the devices here say it."""
    text = shown(error.message)
    if error.far_code in {"device-gone", "no-such-device"}:
        return DeviceGoneError(text)
    if error.far_code == "device-not-ready":
        return DeviceNotReadyError(text)
    if error.far_status in {403, 404, 405}:
        return CommandNotAllowedError(text)
    return BadValueError(text) if error.far_status == 400 else DriverFailedError(text)
