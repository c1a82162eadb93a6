"""The parts list of the machine: every concrete class is named here, once, and handed to those who need it.

Read it from top to bottom to know the gateway. Nothing here decides anything.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import psutil

from wayhouse import __version__
from wayhouse.access.bus_keys import BusPeers
from wayhouse.access.service import Access
from wayhouse.api import endpoints, openapi, wire
from wayhouse.api.apps import Apps
from wayhouse.api.drivers.forward import HttpForward
from wayhouse.api.http import Api
from wayhouse.api.resources.auth import AuthResource
from wayhouse.api.resources.bus import BusResource
from wayhouse.api.resources.bus_peers import BusPeerResource
from wayhouse.api.resources.changes import ChangeResource
from wayhouse.api.resources.chutes import ChuteResource
from wayhouse.api.resources.clock import ClockResource
from wayhouse.api.resources.config import ConfigResource
from wayhouse.api.resources.crons import CronResource
from wayhouse.api.resources.devices import DeviceResource
from wayhouse.api.resources.info import InfoResource
from wayhouse.api.resources.overlays import OverlayResource
from wayhouse.api.resources.readings import ReadingResource
from wayhouse.api.resources.scenarios import ScenarioResource
from wayhouse.api.resources.system import SystemResource
from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.metrics import Metrics
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.chutes import tasks as chute_tasks
from wayhouse.chutes.bundle import ArchiveLimits
from wayhouse.chutes.containers import Surroundings
from wayhouse.chutes.directories import Directories
from wayhouse.chutes.drivers.download import SourceDownloader
from wayhouse.chutes.drivers.probe import SocketPorts, SocketProber
from wayhouse.chutes.engines.choose import choose
from wayhouse.chutes.health import Doctor
from wayhouse.chutes.logs import ChuteLogs
from wayhouse.chutes.model import Chute, ChuteSettings
from wayhouse.chutes.planner import ChutePlanner
from wayhouse.chutes.ports import Engine, EngineInfo
from wayhouse.chutes.reconcile import Reconciler
from wayhouse.chutes.service import Chutes
from wayhouse.chutes.state import ChuteStore
from wayhouse.chutes.states import States
from wayhouse.chutes.uploads import Uploads
from wayhouse.chutes.wishes import Kind
from wayhouse.gateway import settings as settings_tree
from wayhouse.gateway.assemble_things import assemble_things, count_things
from wayhouse.gateway.at_work import AtWork
from wayhouse.gateway.listeners import APPS
from wayhouse.gateway.settings import Settings
from wayhouse.gateway.things import Rooms, Things
from wayhouse.host import power
from wayhouse.host.drivers.shutdown import Shutdown
from wayhouse.host.machine_id import NodeId
from wayhouse.host.ports import PowerSwitch
from wayhouse.host.service import Host
from wayhouse.host.service import Surroundings as HostSurroundings
from wayhouse.ledger.service import Ledger
from wayhouse.portal.service import Portal
from wayhouse.runtime.sight import trace_box

FEATURES = ()
"""ParaDrop's words for what this gateway has; "hostapd-control" and "audio" come with their rooms."""


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """The machine, put together and not yet started. `app` is what the listeners serve."""

    access: Access
    ledger: Ledger
    chutes: Chutes
    engine: Engine
    engine_info: EngineInfo
    reconciler: Reconciler
    rooms: Rooms
    things: Things
    forward: HttpForward
    app: Any


async def assemble(  # noqa: PLR0913 - a parts list is as long as the machine has parts
    settings: Settings,
    paths: Paths,
    *,
    database: Database,
    events: Events,
    clock: Clock,
    tasks: Tasks,
    env: Mapping[str, str],
    instance: str,
    port: int,
    is_upgrade: bool = False,
    engine: Engine | None = None,
    switch: PowerSwitch | None = None,
) -> Gateway:
    """Build every room. `instance` tells this gateway's containers from another's on the same machine; `is_upgrade`: it succeeds one
    that runs; `engine` overrides the choice of the settings and `switch` what turns the machine off (demo, tests)."""
    metrics = Metrics()
    ledger = Ledger(database, events, clock, tasks)

    engine = engine or await choose(
        settings.chutes.engine,
        instance=instance,
        directory=paths.data / "sandbox",
        runtime=paths.runtime / "sandbox",
        apps_socket=paths.runtime / APPS,
        traces=paths.runtime / trace_box.FOLDER,
        socket=settings.chutes.docker_socket,
        environ=env,
    )
    engine_info = await engine.info()
    node = NodeId(paths.config / "node-id")

    store = ChuteStore(database, events)
    directories = Directories(
        paths, container_uid=settings.chutes.container_uid, min_free_bytes=settings.chutes.min_free_bytes
    )
    states = States(engine, clock)
    uploads = Uploads(directories, _downloader(settings.chutes, paths), settings.chutes)
    around = Surroundings(
        api_url="http://paradrop.io" if engine_info.name == "sandbox" else f"http://paradrop.io:{port}",
        extra_hosts={"paradrop.io": "host-gateway"},
        features=FEATURES,
        router_id=node.current() or None,
    )
    planner = ChutePlanner(
        engine=engine,
        store=store,
        directories=directories,
        uploads=uploads,
        machine_ports=SocketPorts(),
        settings=settings.chutes,
        around=around,
        clock=clock,
    )
    doctor = Doctor(
        engine,
        SocketProber(),
        clock,
        settle_s=settings.chutes.settle_s,
        web_wait_s=settings.chutes.web_wait_s,
    )
    tools = chute_tasks.Tools(engine, store, directories, doctor, stop_grace_s=settings.chutes.stop_grace_s)
    for kind in Kind:
        ledger.register(kind, planner, chute_tasks.ALL, tools)
    chutes = Chutes(
        ledger=ledger,
        store=store,
        directories=directories,
        uploads=uploads,
        engine=engine,
        states=states,
        logs=ChuteLogs(engine, store, events, clock),
    )

    for power_kind in power.KINDS:
        ledger.register(power_kind, power.PowerPlanner(), power.TASKS, switch or Shutdown())
    host = Host(
        clock,
        node,
        chutes=AtWork(chutes),
        surroundings=HostSurroundings(
            features=FEATURES,
            environ=env,
            settings=settings_tree.plain(settings),
            legacy_settings=settings_tree.legacy(settings, paths),
        ),
    )
    access = Access(
        database,
        paths.config / "keys",
        settings.access,
        clock,
        store,
        node_id=lambda: node.current() or None,
        homes=Path(settings.access.homes),
    )
    peers = BusPeers(
        paths.config / "keys",
        access.audit,
        secret_key=settings.bus.secret_key,
        credentials=settings.bus.credentials,
    )
    rooms = assemble_things(
        settings,
        paths,
        database=database,
        events=events,
        clock=clock,
        tasks=tasks,
        peers=peers,
        web_port=lambda name: web_port(chutes.find(name)),
    )

    version = wire.VersionView(
        version=__version__,
        engine=engine_info.name,
        engine_version=engine_info.version,
        engine_limits=engine_info.limits,
    )
    chute_resource = ChuteResource(chutes)

    @functools.cache
    def describe() -> dict[str, Any]:
        return openapi.describe(endpoints.ALL, version=__version__)

    resources = (
        AuthResource(access, lambda: settings.access.default_user),
        chute_resource,
        ChangeResource(ledger, chutes, chute_resource),
        ConfigResource(access.ssh_keys, host.settings(), host.pdid()),
        InfoResource(host),
        SystemResource(events, metrics, version, describe),
        DeviceResource(rooms.devices, events, rooms.pictures.of),
        ReadingResource(rooms.devices),
        CronResource(rooms.crons),
        ScenarioResource(rooms.scenarios, events),
        ClockResource(rooms.clock),
        BusResource(rooms.bus),
        BusPeerResource(peers, settings.bus.mechanism),
        OverlayResource(rooms.overlays, events, received=rooms.far.received),
    )
    portal = Portal(
        access=access,
        chutes=chutes,
        ledger=ledger,
        host=host,
        clock=clock,
        version=version,
        describe=describe,
        session_s=settings.access.jwt_lifetime_s,
        log_file=paths.data / "logs" / "wayhouse.log",
        devices=rooms.devices,
        crons=rooms.crons,
        scenarios=rooms.scenarios,
        bus=rooms.bus,
        pictures=rooms.pictures.of,
        overlays=rooms.overlays,
        received=rooms.far.received,
    )
    api = Api(
        endpoints.ALL,
        resources,
        access=access,
        audit=lambda who, action, target, client, outcome: access.audit.record(
            who, action, target, client=client, outcome=outcome
        ),
        owner_of=chute_resource.owner_of,
        settings=settings.api,
        metrics=metrics,
        otherwise=portal,
    )
    forward = HttpForward()
    _count(metrics, ledger, chutes)
    count_things(metrics, rooms)
    return Gateway(
        access=access,
        ledger=ledger,
        chutes=chutes,
        engine=engine,
        engine_info=engine_info,
        reconciler=Reconciler(engine, store, directories, ledger, clock),
        rooms=rooms,
        things=Things(rooms, events, tasks, is_upgrade=is_upgrade),
        forward=forward,
        app=Apps(lambda name: web_port(by_name(chutes, name)), settings.web, forward, api),
    )


def by_name(chutes: Chutes, name: str) -> Chute | None:
    """The chute of that name, also when it comes from a host name, in which capitals do not count."""
    return chutes.find(name) or next((one for key, one in chutes.all.items() if key.lower() == name), None)


def web_port(chute: Chute | None) -> int | None:
    """The host port of a running chute's page."""
    if chute is None or chute.spec.web is None or chute.desired != "running":
        return None
    web = chute.spec.web
    if chute.spec.services[web.service].requests.network_mode == "host":
        return web.port
    return chute.ports.get(web.service, {}).get(f"{web.port}/tcp")


def _downloader(settings: ChuteSettings, paths: Paths) -> SourceDownloader:
    limits = ArchiveLimits(
        archive_bytes=settings.max_archive_bytes, unpacked_bytes=settings.max_unpacked_bytes
    )
    return SourceDownloader(limits=limits, ssh_key=paths.config / "keys" / "node.key")


def _count(metrics: Metrics, ledger: Ledger, chutes: Chutes) -> None:
    process = psutil.Process()
    metrics.gauge("wayhouse_chutes", "Installed chutes.", lambda: [({}, float(len(chutes.all)))])
    metrics.gauge(
        "wayhouse_changes_open",
        "Changes that run or wait.",
        lambda: [({}, float(len(ledger.open_changes())))],
    )
    metrics.gauge(
        "process_resident_memory_bytes",
        "Memory of the gateway.",
        lambda: [({}, float(process.memory_info().rss))],
    )
    metrics.gauge(
        "process_cpu_seconds_total", "CPU time of the gateway.", lambda: [({}, sum(process.cpu_times()[:2]))]
    )
