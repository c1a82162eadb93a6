"""What the process of the links answers to the daemon, over the runtime's calls on a socket that only the gateway's own user can open.

Served by `links_process.py`, called by `drivers/link_child.py`. Rule: documents go in as a whole, states come out as a stream, one when they have
changed and at most one a second.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.gateway_nodes import GatewayNodes
from wayhouse.overlay.model import PathSettings
from wayhouse.overlay.netcheck import NetReport
from wayhouse.runtime.async_server import AsyncServer
from wayhouse.runtime.exceptions import AveException
from wayhouse.runtime.rpc.methods import rpc
from wayhouse.runtime.rpc.service import OWNER

FOLLOW_S = 1.0
ALIVE_TURNS = 5
"""A state is told again after so many turns, changed or not."""

Check = Callable[[PathSettings], Awaitable[NetReport]]


class LinksControl:
    proc_name = "wayhouse-links"

    def __init__(self, nodes: GatewayNodes, clock: Clock, check: Check) -> None:
        self._nodes, self._clock, self._check = nodes, clock, check

    @rpc
    async def configure(self, documents: str) -> None:
        wanted = codec.decode_json(documents, list[Configuration], what="documents of overlays")
        await self._nodes.configure(wanted)

    @rpc
    async def follow(self) -> AsyncIterator[str]:
        told, turns = "", 0
        while True:
            text, turns = codec.encode_json(self._nodes.states()).decode(), turns + 1
            if text != told or turns >= ALIVE_TURNS:
                told, turns = text, 0
                yield text
            await self._clock.sleep(FOLLOW_S)

    @rpc
    async def netcheck(self, name: str) -> str:
        try:
            settings = self._nodes.node(name).node.path_settings
            return codec.encode_json(await self._check(settings)).decode()
        except WayhouseError as error:
            raise _told(error) from error

    @rpc
    async def forget(self, name: str, uid: str) -> None:
        try:
            self._nodes.node(name).forget(uid)
        except WayhouseError as error:
            raise _told(error) from error


def links_server(control: LinksControl) -> AsyncServer:
    """Serves `control` to its own user and root, once it has a socket to listen on."""
    methods = ("configure", "follow", "netcheck", "forget", "PING", "INFO", "STATS")
    return AsyncServer(
        control, accounts={OWNER: {0, os.geteuid()}}, access={name: [OWNER] for name in methods}
    )


def _told(error: WayhouseError) -> AveException:
    return AveException({"message": error.message, "type": type(error).__name__})
