"""The second page of the parts list (`assemble.py`): the bus, the devices and what automates them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wayhouse.access.bus_keys import BusPeers
from wayhouse.automation.clocksync import ClockSync
from wayhouse.automation.cron_service import CronManager
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.metrics import Metrics
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.bus.processes import KeyFiles
from wayhouse.bus.service import Bus
from wayhouse.devices.drivers.choose import drivers_of
from wayhouse.devices.drivers.peers import PeersDriver
from wayhouse.devices.drivers.settings import MqttSettings
from wayhouse.devices.register import DeviceRegister, standard_register
from wayhouse.devices.service import Devices
from wayhouse.gateway.bus_metrics import count_bus
from wayhouse.gateway.far_devices import FarDevices
from wayhouse.gateway.pictures import Pictures
from wayhouse.gateway.scenario_actions import ScenarioActions
from wayhouse.gateway.scenario_sources import ScenarioSources
from wayhouse.gateway.settings import Settings
from wayhouse.gateway.things import Rooms
from wayhouse.overlay.drivers.door import Door
from wayhouse.overlay.drivers.link_child import LinkChild
from wayhouse.overlay.service import Overlays
from wayhouse.overlay.views import OverlayChanged
from wayhouse.runtime.sight import proc_stat

if TYPE_CHECKING:
    from wayhouse.devices.drivers.mqtt_bridge import MqttBridge

LOCK_FILE = "lock"
"""In the data folder: whoever holds a lock on it is the gateway of that folder."""


def assemble_things(
    settings: Settings,
    paths: Paths,
    *,
    database: Database,
    events: Events,
    clock: Clock,
    tasks: Tasks,
    peers: BusPeers,
    web_port: Callable[[str], int | None] = lambda _: None,
) -> Rooms:
    """`peers`: of the bus, over TCP. `web_port`: where the page of a running chute is on this machine."""
    bus = Bus(
        settings.bus,
        data=paths.data,
        runtime=paths.runtime,
        lock=paths.data / LOCK_FILE,
        keys=lambda: _key_files(peers),
    )
    links = LinkChild(
        data=paths.data,
        runtime=paths.runtime,
        lock=paths.data / LOCK_FILE,
        changed=lambda name: events.publish(OverlayChanged(name)),
    )
    overlays = Overlays(database, clock, links, events=events)
    links.revoked = lambda name, text: tasks.spawn(overlays.note_revocations(name, text), name="revocations")
    register = standard_register()
    far = FarDevices(overlays, bus, register, events=events, clock=clock)
    drivers = [
        *drivers_of(
            settings.devices,
            clock=clock,
            pictures=paths.data / "pictures",
            host=bus.hostname,
            register=register,
        ),
        PeersDriver(far),
    ]
    devices = Devices(database, events, clock, drivers, hostname=bus.hostname, register=register)
    far.know(devices)
    crons = CronManager(database, clock, events, tasks, place=settings.place, boot=proc_stat.boot_id())
    sources = ScenarioSources(bus, devices, events)
    scenarios = ScenarioManager(
        database,
        clock,
        events,
        tasks,
        actions=ScenarioActions(bus, devices),
        sources=sources,
        crons=crons,
        place=settings.place,
        boot=proc_stat.boot_id(),
        settings=settings.scenarios,
    )
    return Rooms(
        links=links,
        overlays=overlays,
        bus=bus,
        devices=devices,
        crons=crons,
        scenarios=scenarios,
        sources=sources,
        clock=ClockSync(settings.clock, clock, events, tasks),
        pictures=Pictures(devices, drivers),
        far=far,
        door=Door(overlays, devices, bus, events=events, clock=clock, web_port=web_port),
        mqtt=_mqtt(settings.devices.mqtt, devices, events, register),
    )


def _mqtt(
    settings: MqttSettings, devices: Devices, events: Events, register: DeviceRegister
) -> MqttBridge | None:
    if not (settings.host and settings.announce):
        return None
    from wayhouse.devices.drivers.mqtt_bridge import MqttBridge

    return MqttBridge(devices, events, settings, host=devices.hostname, register=register)


def _key_files(peers: BusPeers) -> KeyFiles:
    peers.prepare()
    return KeyFiles(peers.secret_key, peers.credentials)


def count_things(metrics: Metrics, rooms: Rooms) -> None:
    """What `/metrics` tells of them; none of it asks another process."""
    metrics.gauge(
        "wayhouse_devices",
        "Devices by driver, and whether they answer.",
        lambda: [
            ({"driver": driver, "available": word}, float(count))
            for driver in rooms.devices.drivers()
            for word, count in _availability(rooms.devices, driver)
        ],
    )
    metrics.gauge("wayhouse_scenarios", "Scenarios.", lambda: [({}, float(len(rooms.scenarios.scenarios)))])
    metrics.gauge("wayhouse_crons", "Jobs.", lambda: [({}, float(len(rooms.crons.jobs)))])
    metrics.gauge("wayhouse_bus_up", "Whether the bus answers.", lambda: [({}, float(rooms.bus.is_up))])
    metrics.reading_counter(
        "wayhouse_bus_restarts_total",
        "How often a process of the bus was started anew.",
        lambda: [({"process": one.name}, float(one.restarts)) for one in rooms.bus.processes()],
    )
    metrics.gauge(
        "wayhouse_bus_published_keys",
        "Keys that the gateway publishes on the clone.",
        lambda: [({}, float(len(rooms.bus.outlet)))],
    )
    count_bus(metrics, rooms.bus)
    metrics.gauge(
        "wayhouse_overlay_peers",
        "Peers by overlay, and how they are linked.",
        lambda: [
            ({"overlay": one.name, "link": word}, float(count))
            for one in rooms.overlays.list()
            for word, count in (
                ("direct", one.online - one.relayed),
                ("relayed", one.relayed),
                ("none", one.peers - one.online),
            )
        ],
    )


def _availability(devices: Devices, driver: str) -> list[tuple[str, int]]:
    views = devices.all(driver=driver)
    here = sum(one.is_available for one in views)
    return [("yes", here), ("no", len(views) - here)]
