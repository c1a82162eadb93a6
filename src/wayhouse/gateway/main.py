"""Runs the daemon: takes the lock, opens the state, starts the rooms in order, serves until it is told to stop.

The order is the point: the database before all, the ledger before the sweep (so that open changes are known), the listeners
after it (so that what answers is whole), and then what brings chutes back. SIGTERM and SIGINT stop it; open changes go on at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import msgspec

from wayhouse.base import codec, ids, log
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, ConflictError, PermanentError, WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.gateway import certificate, demo, settings
from wayhouse.gateway.assemble import Gateway, assemble
from wayhouse.gateway.firstboot import banner
from wayhouse.gateway.listeners import APPS, Server, bind_tcp, bind_unix, parse_address, server
from wayhouse.gateway.notify import notify
from wayhouse.gateway.settings import Settings
from wayhouse.host.drivers.shutdown import FakePower

logger = logging.getLogger(__name__)

PASSWORD = "WAYHOUSE_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of `wayhouse up`; None: as the settings say."""

    data: Path | None = None
    listen: str | None = None
    engine: str | None = None
    demo: bool = False
    config: Path | None = None
    insecure_default_login: bool = False


def run(options: Options, env: Mapping[str, str], out: TextIO = sys.stdout) -> int:
    """The whole life of the daemon; returns the exit code."""
    try:
        if options.demo:
            return _run_demo(options, env, out)
        return _run(options, env, out)
    except WayhouseError as error:
        return _fail(error.message)
    except PermissionError as error:
        return _fail(f"{error.filename} may not be written. Start as root, or use --data DIR.")
    except OSError as error:
        logger.debug("cannot start", exc_info=True)
        return _fail(f"{error.filename or 'The gateway'}: {error.strerror or error}.")
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 0  # told to stop while it started


def _run_demo(options: Options, env: Mapping[str, str], out: TextIO) -> int:
    if options.data is not None:
        raise BadInputError(
            "The demo removes its apps when it ends, so it takes a folder of its own. Leave --data out."
        )
    with demo.throwaway() as folder:
        return _run(msgspec.structs.replace(options, data=folder), env, out)


def _run(options: Options, env: Mapping[str, str], out: TextIO) -> int:
    paths = choose_paths(options, env)
    tree = read_settings(options, paths, env)
    for path in (paths.config, paths.data, paths.cache, paths.runtime):
        path.mkdir(parents=True, exist_ok=True, mode=0o750)
    with locked(paths.data / "lock"):
        asyncio.run(live(tree, paths, options, env, out))
    return 0


async def live(tree: Settings, paths: Paths, options: Options, env: Mapping[str, str], out: TextIO) -> None:
    """Until SIGTERM or SIGINT: while it starts they cut it short, later they stop it in good order."""
    clock, events = SystemClock(), Events()
    log.set_up(paths.data / "logs", events, level=tree.gateway.log_level)
    _on_signals(_this_task().cancel)
    host, port = parse_address(tree.gateway.listen)
    async with contextlib.AsyncExitStack() as closing:
        tcp = closing.enter_context(bind_tcp(host, port))
        port = tcp.getsockname()[1]
        database = Database(paths.data / "wayhouse.db")
        closing.callback(database.close)
        async with Tasks() as tasks:
            gateway = await assemble(
                tree,
                paths,
                database=database,
                events=events,
                clock=clock,
                tasks=tasks,
                env=env,
                instance=_instance(paths.data / "instance"),
                port=port,
                switch=FakePower() if options.demo else None,
            )
            closing.push_async_callback(
                gateway.engine.close
            )  # after the tasks, whose changes must not see it close
            closing.push_async_callback(gateway.forward.close)
            tls = certificate.files(tree.gateway, paths.config / "keys", clock)
            servers = _servers(gateway, tcp, paths, tls, closing)
            await gateway.ledger.start()
            await gateway.reconciler.sweep()
            stop = asyncio.Event()
            _on_signals(stop.set)
            # Last of what can fail or be cut short: the password that it makes is shown below and never again.
            first = await gateway.access.start(env.get(PASSWORD) or None)
            serving = [tasks.spawn(one.serve(sockets), name="http") for one, sockets in servers]
            await _until_started([one for one, _ in servers], serving)
            tasks.spawn(gateway.reconciler.align(), name="align")
            tasks.spawn(gateway.reconciler.keep_house(), name="housekeeping")
            out.write(banner(first, gateway, host=host, port=port, tls=tls, options_data=options.data))
            out.flush()
            notify("READY=1", env)
            if options.demo:
                await demo.furnish(gateway)
            await stop.wait()
            notify("STOPPING=1", env)
            if options.demo:
                await demo.clear(gateway)
            await _stop([one for one, _ in servers])


def choose_paths(options: Options, env: Mapping[str, str]) -> Paths:
    """`--data`, then `WAYHOUSE_DATA`; else the system's places for root and the user's own for others."""
    base = options.data or (Path(env["WAYHOUSE_DATA"]) if env.get("WAYHOUSE_DATA") else None)
    if base is not None:
        return Paths.under(base.absolute())
    return Paths.system() if os.geteuid() == 0 else Paths.user(env)


def read_settings(options: Options, paths: Paths, env: Mapping[str, str]) -> Settings:
    """The settings with the command line over them. Raises `BadInputError`."""
    tree = settings.load(paths, env, file=options.config)
    replace = msgspec.structs.replace
    if options.listen is not None:
        tree = replace(tree, gateway=replace(tree.gateway, listen=options.listen))
    if options.engine is not None:
        tree = replace(
            tree,
            chutes=codec.convert(
                {**_plain(tree.chutes), "engine": options.engine}, type(tree.chutes), what="--engine"
            ),
        )
    if options.insecure_default_login:
        tree = replace(tree, access=replace(tree.access, insecure_default_login=True))
    return tree


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One gateway for each data directory. Raises `ConflictError`."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"A gateway runs on {path.parent} already. `wayhouse status` shows it; --data DIR starts another."
            ) from None
        yield


def _servers(
    gateway: Gateway,
    tcp: socket.socket,
    paths: Paths,
    tls: tuple[Path, Path] | None,
    closing: contextlib.AsyncExitStack,
) -> list[tuple[Server, list[socket.socket]]]:
    local = []
    for path, mode in ((paths.socket, 0o660), (paths.runtime / APPS, 0o666)):
        local.append(closing.enter_context(bind_unix(path, mode)))
        closing.callback(path.unlink, missing_ok=True)
    bridge = _bridge_listener(gateway, tcp)
    if bridge is not None:
        local.append(closing.enter_context(bridge))
    if tls is None:
        return [(server(gateway.app), [tcp, *local])]
    return [(server(gateway.app, certificate=tls[0], key=tls[1]), [tcp]), (server(gateway.app), local)]


def _bridge_listener(gateway: Gateway, tcp: socket.socket) -> socket.socket | None:
    """Where containers reach the API when the gateway listens on loopback only: Docker's own bridge."""
    import psutil

    host, port = tcp.getsockname()[:2]
    if gateway.engine_info.name == "sandbox" or not host.startswith("127."):
        return None
    for name in ("docker0", "podman0", "cni-podman0"):
        for address in psutil.net_if_addrs().get(name, ()):
            if address.family == socket.AF_INET:
                with contextlib.suppress(WayhouseError):
                    return bind_tcp(address.address, port)
    return None


async def _until_started(servers: list[Server], serving: list[asyncio.Task[None]]) -> None:
    while not all(one.started for one in servers):
        if any(task.done() for task in serving):
            raise PermanentError("The gateway could not begin to serve; its log says why.")
        await asyncio.sleep(0.005)


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in one
    return task


def _on_signals(act: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, act)


async def _stop(servers: list[Server]) -> None:
    logger.info("stopping; open changes go on at the next start")
    for one in servers:
        one.should_exit = True
    for _ in range(40):
        if all(not one.started or not one.server_state.connections for one in servers):
            break
        await asyncio.sleep(0.05)


def _instance(path: Path) -> str:
    """A short name that tells this gateway's containers from those of another on the same machine."""
    with contextlib.suppress(FileNotFoundError):
        if instance := path.read_text(encoding="ascii").strip():
            return instance
    instance = ids.short_id(8)
    path.write_text(instance, encoding="ascii")
    return instance


def _fail(message: str) -> int:
    sys.stderr.write(f"wayhouse: {message}\n")
    return 1


def _plain(struct: msgspec.Struct) -> dict[str, object]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
