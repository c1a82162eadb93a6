"""All overlays of this gateway, as the daemon wants them. Runs in the process of the links, told by `links_control.py`.

Rules: what the daemon wants is told as a whole, and what fits is left alone; one overlay that cannot begin takes no other with it, and is tried again
with longer and longer pauses, its reason shown meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.gateway_node import GatewayNode, Outside
from wayhouse.overlay.model import NoSuchOverlayError
from wayhouse.overlay.names import NameBook
from wayhouse.overlay.views import OverlayState, OverlayView

log = logging.getLogger(__name__)

AGAIN_S, AGAIN_MOST_S = 1.0, 60.0


class GatewayNodes:
    """`folder` has one folder for each overlay, by uid."""

    def __init__(self, outside: Outside, folder: Path, tasks: Tasks) -> None:
        self._outside, self._folder, self._tasks = outside, folder, tasks
        self._wanted: dict[str, Configuration] = {}
        self._nodes: dict[str, GatewayNode] = {}
        self._problems: dict[str, str] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()

    async def configure(self, wanted: Sequence[Configuration]) -> None:
        """These, and no others."""
        async with self._changing:
            by_name = {one.name: one for one in wanted}
            for name in self._running.keys() - by_name.keys():
                await self._end(name)
            for name, one in by_name.items():
                await self._want(name, one)

    def states(self) -> list[OverlayState]:
        return [self._state(name) for name in sorted(self._wanted)]

    def names(self) -> list[NameBook]:
        return [one.names for one in self._nodes.values()]

    def nodes(self) -> Mapping[str, GatewayNode]:
        """Those that have begun, by name."""
        return self._nodes

    def node(self, name: str) -> GatewayNode:
        """Raises `NoSuchOverlayError`, also for one that cannot begin."""
        try:
            return self._nodes[name]
        except KeyError:
            why = self._problems.get(name, "it is not set up")
            raise NoSuchOverlayError(f"The overlay `{name[:40]}` is not up: {why}") from None

    async def close(self) -> None:
        async with self._changing:
            for name in tuple(self._running):
                await self._end(name)

    async def _want(self, name: str, wanted: Configuration) -> None:
        node = self._nodes.get(name)
        if name in self._running and self._wanted[name] == wanted:
            return
        if node is not None and name in self._running and await _follows(node, wanted):
            self._wanted[name] = wanted
            return
        await self._end(name)
        self._wanted[name] = wanted
        self._running[name] = self._tasks.spawn(self._run(name), name=f"overlay {name}")

    async def _end(self, name: str) -> None:
        self._wanted.pop(name, None)
        self._problems.pop(name, None)
        running = self._running.pop(name, None)
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    async def _run(self, name: str) -> None:
        pause_s = AGAIN_S
        while True:
            try:
                await self._live(name)
            except (WayhouseError, OSError) as error:
                self._problems[name] = str(error)
                log.warning("overlay %s: %s", name, error)
            await self._outside.clock.sleep(pause_s)
            pause_s = min(AGAIN_MOST_S, pause_s * 2)

    async def _live(self, name: str) -> None:
        wanted = self._wanted[name]
        node = GatewayNode(wanted, self._outside, self._folder / wanted.uid)
        self._nodes[name] = node
        try:
            self._problems.pop(name, None)
            await node.run()
        finally:
            self._nodes.pop(name, None)
            with contextlib.suppress(TimeoutError):
                await node.withdraw()

    def _state(self, name: str) -> OverlayState:
        node, wanted = self._nodes.get(name), self._wanted[name]
        if node is not None:
            return node.state()
        return OverlayState(
            overlay=OverlayView(
                name=name,
                kind=wanted.kind,
                uid=wanted.uid,
                ip4=wanted.ip4,
                dns_name=f"{wanted.dns_name}.{name}",
                is_admin=wanted.is_admin,
                problem=self._problems.get(name, "It is about to begin."),
            )
        )


async def _follows(node: GatewayNode, wanted: Configuration) -> bool:
    try:
        return await node.change(wanted)
    except WayhouseError as error:
        node.problem = error.message
        return True
