"""The life of the daemon: opens the state, starts the rooms in order, serves until it is told to stop or has a successor.

Called by `main.py`. The order is the point: the database before all, the ledger before the sweep (so that open changes are known), the
listeners after it (so that what answers is whole), and then what brings chutes back. A successor builds the same machine on
what its elder hands over, and does nothing that can be seen before the elder has let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import msgspec

from wayhouse.access.model import FirstBoot
from wayhouse.base import ids, log
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.gateway import certificate, demo, serving, sockets
from wayhouse.gateway.assemble import Gateway, assemble
from wayhouse.gateway.control import (
    GatewayControl,
    bus_processes,
    control_server,
    keeper_of,
    links_process,
)
from wayhouse.gateway.firstboot import banner
from wayhouse.gateway.heartbeat import beat
from wayhouse.gateway.housekeeping import Housekeeping
from wayhouse.gateway.http_moving import HttpConnections
from wayhouse.gateway.inheritance import Inheritance
from wayhouse.gateway.lifeline import keeper_fd
from wayhouse.gateway.listeners import parse_address
from wayhouse.gateway.settings import Settings
from wayhouse.gateway.sockets import Sockets
from wayhouse.gateway.succession import Disk, Ground, Http, Succession, Work
from wayhouse.gateway.terminal import Terminal
from wayhouse.gateway.things import CHILDREN, LinksPart
from wayhouse.host.drivers.shutdown import FakePower
from wayhouse.runtime import process_table, systemd
from wayhouse.runtime.async_server import AsyncServer
from wayhouse.runtime.sight import overview, trace_box
from wayhouse.runtime.succession.children_part import ChildrenPart
from wayhouse.runtime.succession.rpc_part import RpcAhead, RpcPart
from wayhouse.runtime.succession.upgrade import Part

STOP_S = 5.0
PASSWORD = "WAYHOUSE_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon starts with. `lock` is the descriptor that keeps others off the data; `data` what --data said;
    `inheritance` what an elder hands over, None for a start of its own."""

    tree: Settings
    paths: Paths
    data: Path | None
    is_demo: bool
    lock: int = -1
    inheritance: Inheritance | None = None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """All that is built before anything is served."""

    gateway: Gateway
    database: Database
    listening: Sockets
    servers: serving.Servers
    tls: tuple[Path, Path] | None
    control: GatewayControl
    control_socket: socket.socket


async def live(birth: Birth, env: MutableMapping[str, str], out: TextIO) -> None:
    """Until SIGTERM or SIGINT (while it starts they cut it short, later they stop it in good order), or until a successor
    serves. Raises `WayhouseError` when it cannot start."""
    events = Events()
    process_table.set_proc_name("wayhouse")
    log.set_up(birth.paths.data / "logs", events, level=birth.tree.gateway.log_level)
    _on_signals(_this_task().cancel)
    traces = birth.paths.runtime / trace_box.FOLDER
    with trace_box.armed(traces, name="gateway", role="gateway"):
        await _live(birth, env, out, events)


async def _live(birth: Birth, env: MutableMapping[str, str], out: TextIO, events: Events) -> None:
    async with contextlib.AsyncExitStack() as closing, Tasks() as tasks:
        machine = await _build(birth, env, events, tasks, closing)
        rooms = machine.gateway.rooms
        async with rooms.bus, rooms.links, control_server(machine.control) as rpc:
            await Service(birth, machine, rpc, tasks, env, out).run()


async def _build(
    birth: Birth,
    env: MutableMapping[str, str],
    events: Events,
    tasks: Tasks,
    closing: contextlib.AsyncExitStack,
) -> Machine:
    paths, clock = birth.paths, SystemClock()
    given = sockets.from_manager(env) if birth.inheritance is None else birth.inheritance.sockets
    listening = closing.enter_context(Sockets(given, lent=birth.inheritance is not None))
    web = listening.tcp("web", *parse_address(birth.tree.gateway.listen))
    database = Database(paths.data / "wayhouse.db", on_trial=birth.inheritance is not None)
    closing.callback(database.close)
    gateway = await assemble(
        birth.tree,
        paths,
        database=database,
        events=events,
        clock=clock,
        tasks=tasks,
        env=env,
        instance=instance_of(paths.data / "instance"),
        port=web.getsockname()[1],
        is_upgrade=birth.inheritance is not None,
        switch=FakePower() if birth.is_demo else None,
    )
    closing.push_async_callback(gateway.engine.close)  # after the tasks, whose changes must not see it close
    closing.push_async_callback(gateway.forward.close)
    closing.callback(gateway.rooms.devices.close)
    tls = certificate.files(birth.tree.gateway, paths.config / "keys", clock)
    machine = Machine(
        gateway=gateway,
        database=database,
        listening=listening,
        servers=serving.open_servers(gateway, listening, paths, tls),
        tls=tls,
        control=GatewayControl(
            paths.runtime,
            containers=gateway.engine.containers,
            known=lambda: {
                **keeper_of(env),
                **bus_processes(gateway.rooms.bus),
                **links_process(gateway.rooms.links),
            },
        ),
        control_socket=listening.unix("control", paths.runtime / overview.SOCKET, 0o600),
    )
    listening.drop_unwanted()
    return machine


class Service:
    """From the moment that the machine is built to its end."""

    def __init__(
        self,
        birth: Birth,
        machine: Machine,
        rpc: AsyncServer,
        tasks: Tasks,
        env: MutableMapping[str, str],
        out: TextIO,
    ) -> None:
        self._birth = birth
        self._machine = machine
        self._rpc = rpc
        self._tasks = tasks
        self._env = env
        self._out = out
        self._http = HttpConnections([one for one, _ in machine.servers])
        self._housekeeping = Housekeeping(machine.gateway.reconciler, tasks)
        self._stop = asyncio.Event()
        self._terminal = Terminal()

    async def run(self) -> None:
        await self._begin()
        self._succession = Succession(
            self._parts(), self._env, self._tasks, refusal=_refusal(self._birth), over=self._stop.set
        )
        self._hear()
        await self._open()
        self._housekeeping.carry_on()
        if self._birth.inheritance is not None:
            await self._birth.inheritance.farewell()  # what the drivers want is free now
        self._machine.gateway.things.carry_on()
        self._tell_ready()
        self._tasks.spawn(beat(self._env), name="heartbeat")
        if self._birth.is_demo:
            await demo.furnish(self._machine.gateway)
        await self._stop.wait()
        await self._succession.give_up()
        if not self._succession.is_over:
            await self._end()

    def _hear(self) -> None:
        """The signals of whoever runs this, and the end of the keeper, after which nobody would."""
        _on_signals(self._stop.set)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        keeper = keeper_fd(self._env)
        if keeper is not None:
            loop.add_reader(keeper, self._stop.set)

    def _hang_up(self) -> None:
        if self._terminal.is_gone():
            self._stop.set()
        else:
            self._succession.begin()

    async def _begin(self) -> None:
        gateway, inheritance = self._machine.gateway, self._birth.inheritance
        if inheritance is not None:
            await inheritance.take(gateway, self._machine.database, self._http, self._rpc)
            self._machine.listening.take_over()
            gateway.things.load()
            return
        gateway.things.load()
        gateway.rooms.links.start()
        await gateway.rooms.bus.start()
        await gateway.ledger.start()
        await gateway.reconciler.sweep()

    async def _open(self) -> None:
        # Last of what can fail or be cut short: the password that it makes is shown now and never again.
        first = await self._machine.gateway.access.start(self._env.get(PASSWORD) or None)
        self._machine.control.succession = self._succession
        self._rpc.listen(self._machine.control_socket)
        servers = self._machine.servers
        running = [self._tasks.spawn(one.serve(sockets), name="http") for one, sockets in servers]
        await serving.until_started([one for one, _ in servers], running)
        if self._birth.inheritance is None:
            self._welcome(first)
        else:
            self._http.go_on()

    def _welcome(self, first: FirstBoot | None) -> None:
        machine = self._machine
        bus = machine.gateway.rooms.bus
        host, port = machine.listening.names()["web"].getsockname()[:2]
        text = banner(
            first,
            machine.gateway,
            host=host,
            port=port,
            tls=machine.tls,
            bus=bus.endpoints()["broker"] if bus.is_enabled else "nowhere: the bus is switched off",
            options_data=self._birth.data,
        )
        self._out.write(text)
        self._out.flush()

    def _tell_ready(self) -> None:
        if self._birth.inheritance is not None:
            systemd.main_pid(self._env, os.getpid())
        self._machine.listening.store(self._env)  # now that the manager listens to this process
        systemd.ready(self._env)

    async def _end(self) -> None:
        systemd.stopping(self._env)
        self._machine.listening.withdraw(self._env)
        if self._birth.is_demo:
            await demo.clear(self._machine.gateway)
        await serving.stop([one for one, _ in self._machine.servers])
        await self._machine.gateway.things.rest(STOP_S)

    def _parts(self) -> tuple[Part, ...]:
        machine = self._machine
        ahead = RpcAhead(self._rpc)
        return (
            Ground(machine.listening, self._birth.lock),
            Work(machine.gateway.ledger, self._housekeeping),
            Http(self._http),
            machine.gateway.things,
            Disk(machine.database),
            *self._children(),
            LinksPart(machine.gateway.rooms.links),
            ahead,
            RpcPart(self._rpc, ahead),
        )

    def _children(self) -> tuple[Part, ...]:
        bus = self._machine.gateway.rooms.bus
        return (ChildrenPart(bus.supervised(), CHILDREN),) if bus.is_enabled else ()


def _refusal(birth: Birth) -> str:
    """Why this daemon cannot be upgraded, "" if it can."""
    return "A demo is not upgraded: stop it and start it anew." if birth.is_demo else ""


def _on_signals(act: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, act)


def instance_of(path: Path) -> str:
    """A short name that tells this gateway's containers from those of another on the same machine."""
    with contextlib.suppress(FileNotFoundError):
        if instance := path.read_text(encoding="ascii").strip():
            return instance
    instance = ids.short_id(8)
    path.write_text(instance, encoding="ascii")
    return instance


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in one
    return task
