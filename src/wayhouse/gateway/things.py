"""The bus, devices and automation in the life of the daemon: the order in which they come up, rest and go on.

Called by `life.py` and, in an upgrade, by the elder's side. Order: the bus, the devices, the jobs, then the scenarios, once the bus answers or
has been waited for long enough. Rule: at rest nothing of this process is on the bus, and nothing more is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from wayhouse.automation import verbs as automation_verbs
from wayhouse.automation.clocksync import ClockSync
from wayhouse.automation.cron_service import CronManager
from wayhouse.automation.on_bus import CronOnBus
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.bus.service import Bus
from wayhouse.devices import on_bus as devices_on_bus
from wayhouse.devices.drivers.peers import NAME as PEERS
from wayhouse.devices.on_bus import DeviceKeys
from wayhouse.devices.service import Devices
from wayhouse.gateway.far_devices import FarDevices
from wayhouse.gateway.pictures import Pictures
from wayhouse.gateway.scenario_sources import ScenarioSources
from wayhouse.overlay.drivers.door import Door
from wayhouse.overlay.drivers.link_child import LinkChild
from wayhouse.overlay.service import Overlays
from wayhouse.runtime.succession.children_part import ChildrenPart
from wayhouse.runtime.succession.upgrade import Parcel, Phase

if TYPE_CHECKING:  # its library is loaded only where there is MQTT
    from wayhouse.devices.drivers.mqtt_bridge import MqttBridge

BUS_WAIT_S = 10.0
THINGS, CHILDREN, LINKS = "things", "children", "links"


class Rooms(msgspec.Struct, frozen=True, kw_only=True):
    """What `assemble_things` has made."""

    bus: Bus
    devices: Devices
    crons: CronManager
    scenarios: ScenarioManager
    sources: ScenarioSources
    clock: ClockSync
    pictures: Pictures
    links: LinkChild
    overlays: Overlays
    far: FarDevices
    door: Door
    mqtt: MqttBridge | None = None


class LinksPart:
    """A part of the upgrade: the process of the links runs on, if there is one by then."""

    name = LINKS
    phase = Phase.IN_HASTE

    def __init__(self, links: LinkChild) -> None:
        self._links = links
        self._moved: ChildrenPart | None = None

    async def rest(self, patience_s: float) -> None: ...

    def pack(self) -> Iterable[Parcel]:
        if self._links.supervisor is None:
            return ()
        self._moved = ChildrenPart(self._links.supervisor, LINKS)
        return self._moved.pack()

    def carry_on(self) -> None:
        if self._moved is not None:
            self._moved.carry_on()
            self._moved = None

    def let_go(self) -> None:
        if self._moved is not None:
            self._moved.let_go()


class Things:
    """A part of the upgrade (`Part`): the processes of the bus move by themselves, what speaks to them rests."""

    name = THINGS
    phase = Phase.AT_LEISURE

    def __init__(self, rooms: Rooms, events: Events, tasks: Tasks, *, is_upgrade: bool) -> None:
        self._rooms = rooms
        self._tasks = tasks
        self._is_upgrade = is_upgrade
        self._working: asyncio.Task[None] | None = None
        bus = rooms.bus
        self._device_keys = DeviceKeys(rooms.devices, events, bus.publish)
        self._cron_keys = CronOnBus(events, bus.publish, tasks)
        own = [
            one for one in rooms.devices.drivers() if one != PEERS
        ]  # those of peers come with the first overlay
        bus.serve(devices_on_bus.services(rooms.devices, bus.hostname, own))
        bus.serve(automation_verbs.services(bus.hostname, rooms.crons, rooms.scenarios))

    def load(self) -> None:
        """Before anybody can ask for, or add, what is on disk, or command a device."""
        if self._is_upgrade:
            self._rooms.devices.hold()
        self._rooms.crons.load()
        self._rooms.scenarios.load()
        self._rooms.overlays.load()

    def carry_on(self) -> None:
        if self._working is None:
            self._working = self._tasks.spawn(self._work(), name="things")

    async def rest(self, patience_s: float) -> None:
        rooms = self._rooms
        working, self._working = self._working, None
        # Jobs stop before those who tell the scenarios of them: a run that was given out is not given out again.
        await rooms.crons.stop()
        await asyncio.sleep(0)
        if working is not None:
            working.cancel()
            await asyncio.wait([working])
        await rooms.scenarios.stop()
        await rooms.clock.stop()
        await rooms.links.rest()
        await self._cron_keys.stop()
        await rooms.devices.keep()
        await rooms.bus.rest()
        self._is_upgrade = True  # whoever carries on now, here or in the successor, does not start anew

    def pack(self) -> Iterable[Parcel]:
        return ()

    def let_go(self) -> None:
        """The successor looks for devices as soon as this is done: pins, for one, cannot be had by two."""
        self._rooms.devices.let_go()

    async def _work(self) -> None:
        rooms = self._rooms
        async with Tasks() as tasks:
            rooms.bus.go_on(tasks)
            rooms.links.go_on()
            rooms.devices.start(tasks)
            self._device_keys.start(tasks)
            tasks.spawn(rooms.door.run(), name="door")
            tasks.spawn(rooms.far.run(), name="far-devices")
            if rooms.mqtt is not None:
                rooms.mqtt.start(tasks)
            self._cron_keys.start()
            rooms.clock.start()
            if rooms.bus.is_enabled:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BUS_WAIT_S):
                        await rooms.bus.ready()
            rooms.scenarios.start(is_upgrade=self._is_upgrade)
            tasks.spawn(rooms.sources.run(rooms.scenarios), name="scenario-sources")
            rooms.crons.start()
            await asyncio.Event().wait()
