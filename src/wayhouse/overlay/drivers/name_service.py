"""Serves each overlay's names at this gateway's own address in it, and has systemd-resolved ask there where it runs.

Used by `links_process.py`. Rule: names are a comfort: what cannot be served is told in the log once, and no link suffers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers.dns import DnsServer
from wayhouse.overlay.gateway_nodes import GatewayNodes

log = logging.getLogger(__name__)

PORT = 53
LOOK_S = 1.0
RESOLVED = Path("/run/systemd/resolve")
_TIMEOUT_S = 5.0


class NameService:
    """An async context."""

    def __init__(self, nodes: GatewayNodes, clock: Clock, port: int = PORT) -> None:
        self._nodes, self._clock, self._port = nodes, clock, port
        self._servers: dict[str, tuple[str, DnsServer | None]] = {}
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.spawn(self._run(), name="names")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)
        for name in tuple(self._servers):
            await self._end(name)

    async def _run(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Have a server at each address that is there now, and nowhere else."""
        wanted = {name: node.node.ip4 for name, node in self._nodes.nodes().items() if node.node.ip4}
        for name, (address, _) in tuple(self._servers.items()):
            if wanted.get(name) != address:
                await self._end(name)
        for name, address in wanted.items():
            if name not in self._servers:
                await self._begin(name, address)

    async def _begin(self, name: str, address: str) -> None:
        server = DnsServer(self._nodes.names, [address], self._port)
        try:
            await server.start()
        except WayhouseError as error:
            log.warning("overlay %s: %s", name, error)
            self._servers[name] = (address, None)
            return
        self._servers[name] = (address, server)
        await self._tell_resolved(self._nodes.node(name).interface, address, name)

    async def _end(self, name: str) -> None:
        _, server = self._servers.pop(name)
        if server is not None:
            await server.stop()

    async def _tell_resolved(self, interface: str, address: str, zone: str) -> None:
        if not await asyncio.to_thread(RESOLVED.is_dir) or shutil.which("resolvectl") is None:
            return
        for words in (("dns", interface, address), ("domain", interface, f"~{zone}")):
            with contextlib.suppress(OSError, TimeoutError):
                process = await asyncio.create_subprocess_exec(
                    "resolvectl",
                    *words,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                )
                async with asyncio.timeout(_TIMEOUT_S):
                    await process.wait()
