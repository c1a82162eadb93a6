"""`python -m wayhouse.overlay.links_process`: all overlays of this gateway in a process of its own, which carries the packets.

Started by the gateway's supervision (`drivers/link_child.py`). Rules: it knows nothing but what the daemon tells it over its control socket; READY is told
when that can be done; SIGTERM and SIGINT, and the end of the gateway, end it in order.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.bus.drivers.lifeline import follow
from wayhouse.overlay.drivers.name_service import NameService
from wayhouse.overlay.drivers.netcheck import check_net
from wayhouse.overlay.drivers.outside import RealOutside
from wayhouse.overlay.gateway_nodes import GatewayNodes
from wayhouse.overlay.links_control import LinksControl, links_server
from wayhouse.runtime import systemd
from wayhouse.runtime.sight import trace_box

log = logging.getLogger(__name__)

FOLDER = "overlay"


async def serve(options: argparse.Namespace, ended: asyncio.Event) -> None:
    clock = SystemClock()
    async with Tasks() as tasks:
        outside = RealOutside(clock, tasks)
        nodes = GatewayNodes(outside, options.data / FOLDER, tasks)
        control = LinksControl(nodes, clock, check_net)
        try:
            async with links_server(control) as server, NameService(nodes, clock):
                server.listen(_listening(options.socket))
                systemd.ready(os.environ, f"overlays are told at {options.socket}")
                tasks.spawn(_beat(clock), name="heartbeat")
                await ended.wait()
                systemd.stopping(os.environ)
                await nodes.close()
        finally:
            outside.close()


def main(argv: Sequence[str] | None = None) -> int:
    """0 after an orderly end, 1 when it could not begin, 2 for arguments that are not understood."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s: %(message)s")
    with contextlib.ExitStack() as held:
        if options.traces is not None:
            held.enter_context(trace_box.armed(options.traces, name="links", role="overlay"))
        try:
            asyncio.run(_run(options))
        except (WayhouseError, OSError) as error:
            log.error("%s", error)  # noqa: TRY400 - it says what to do, a trace does not
            return 1
    return 0


async def _run(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if options.lifeline is not None:
        follow(options.lifeline, lambda: loop.call_soon_threadsafe(ended.set))
    await serve(options, ended)


async def _beat(clock: SystemClock) -> None:
    """Signs of life, from the loop that does the work."""
    limit_s = systemd.watchdog_s(os.environ)
    while limit_s is not None:
        systemd.watchdog(os.environ)
        await clock.sleep(limit_s / 2)


def _listening(path: Path) -> socket.socket:
    """Open to this user alone from the first moment."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(mask)
    sock.listen(16)
    return sock


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wayhouse-links", description="The overlays of a gateway; started by it."
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--socket", required=True, type=Path, metavar="PATH")
    parser.add_argument(
        "--traces", type=Path, metavar="DIR", help="where `wayhouse trace` finds this process"
    )
    parser.add_argument(
        "--lifeline", type=Path, metavar="FILE", help="end once nobody else has the lock on FILE"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
