"""What the daemon answers on its control socket: which processes there are, and where each of them is right now.

Served by `control_server`, called by `wayhouse ps`, `wayhouse trace` and `wayhouse upgrade` over the runtime's RPC. Rules: only
the daemon's own user and root may call anything; the kernel says who calls; a part that is broken (an engine that does not
answer) hides its own processes and no others.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wayhouse import __version__
from wayhouse.base import codec
from wayhouse.base.errors import ConflictError, WayhouseError
from wayhouse.bus.service import Bus
from wayhouse.chutes.ports import Container
from wayhouse.gateway.lifeline import keeper_pid
from wayhouse.gateway.succession import Succession
from wayhouse.overlay.drivers.link_child import LinkChild
from wayhouse.runtime import trace
from wayhouse.runtime.async_server import AsyncServer
from wayhouse.runtime.exceptions import AveException
from wayhouse.runtime.rpc.methods import rpc
from wayhouse.runtime.rpc.service import OWNER
from wayhouse.runtime.sight import overview, trace_box
from wayhouse.runtime.sight.family import Label, Member

ROLE = "gateway"
BUILT_IN = ("PING", "INFO", "STATS", "TRACE", "SUBSCRIBE")
ENGINE_S = 2.0
"""How long the engine may take to say which containers there are: this must answer when other things do not."""

logger = logging.getLogger(__name__)

Containers = Callable[[], Awaitable[Iterable[Container]]]
Known = Callable[[], Mapping[int, Label]]


class GatewayControl:
    """`runtime` is the runtime directory; `known` says what is known of other processes (the keeper, the bus), by pid: role,
    whether they are ready."""

    proc_name = "wayhouse-gateway"

    def __init__(self, runtime: Path, *, containers: Containers, known: Known = dict) -> None:
        self._traces = runtime / trace_box.FOLDER
        self._containers = containers
        self._known = known
        self.succession: Succession | None = None
        """Set once the daemon serves."""

    @rpc
    async def ps(self) -> list[dict[str, Any]]:
        """Every process of the gateway, as `runtime.family.Member`s in the order of their tree."""
        plain: list[dict[str, Any]] = codec.to_builtins(await self._members())
        return plain

    @rpc
    async def trace(self, who: str | int | None = None) -> AsyncIterator[dict[str, Any]]:
        """The stacks of each process, as `runtime.sight.Trace`s; `who` is a pid, a name, a role or an app."""
        try:
            chosen = overview.choose(await self._members(), who)
        except overview.NoSuchProcessError as error:
            raise AveException({"message": error.message, "type": type(error).__name__}) from None
        for member in chosen:
            if member.pid == os.getpid():
                found = overview.traced(member, "own", trace.dump())
            else:
                found = await asyncio.to_thread(overview.look, self._traces, member)
            yield codec.to_builtins(found)

    @rpc
    async def upgrade(self) -> AsyncIterator[str]:
        """Have a successor take over, from what is installed now: each step in words. When it serves, this stream ends with
        `Restarting`, since the connection has moved to it; when nothing was changed, with the reason."""
        try:
            if self.succession is None:
                raise ConflictError("The gateway is still starting. Try again in a moment.")
            async for line in self.succession.upgrade():
                yield line
        except WayhouseError as error:
            raise AveException({"message": error.message, "type": type(error).__name__}) from None

    @rpc
    def version(self) -> str:
        """The version of the daemon that answers."""
        return __version__

    async def _members(self) -> list[Member]:
        known = {**self._known(), os.getpid(): Label(name=ROLE, role=ROLE, ready=True)}
        for one in await self._at_work():
            known |= dict(_labels(one))
        return await asyncio.to_thread(overview.see, self._traces, known)

    async def _at_work(self) -> Iterable[Container]:
        try:
            async with asyncio.timeout(ENGINE_S):
                return await self._containers()
        except (WayhouseError, TimeoutError, OSError) as error:
            logger.warning("the processes of apps cannot be shown: %s", error or "the engine does not answer")
            return ()


def control_server(control: GatewayControl) -> AsyncServer:
    """Serves `control` to its own user and root, once it has a socket to listen on."""
    methods = ("ps", "trace", "upgrade", "version", *BUILT_IN)
    return AsyncServer(
        control, accounts={OWNER: {0, os.geteuid()}}, access={name: [OWNER] for name in methods}
    )


def keeper_of(env: Mapping[str, str]) -> Mapping[int, Label]:
    """The keeper in front of this daemon, if there is one."""
    pid = keeper_pid(env)
    return {} if pid is None else {pid: Label(name="keeper", role="keeper", ready=True)}


def bus_processes(bus: Bus) -> Mapping[int, Label]:
    return {
        one.pid: Label(name=one.name, role="bus", ready=one.is_ready) for one in bus.processes() if one.pid
    }


def links_process(links: LinkChild) -> Mapping[int, Label]:
    """The process of the overlays, while there is one."""
    pid = links.pid
    return {pid: Label(name="links", role="overlay", ready=links.is_up)} if pid else {}


def _labels(one: Container) -> Iterator[tuple[int, Label]]:
    ready = one.state.state == "running"
    if one.shim is not None:
        yield (
            one.shim,
            Label(name=one.name, role="shim", belongs_to=one.chute, ready=ready, below="app"),
        )
    elif one.pid is not None:
        yield (
            one.pid,
            Label(name=one.name, role="container", belongs_to=one.chute, ready=ready, below="app"),
        )
