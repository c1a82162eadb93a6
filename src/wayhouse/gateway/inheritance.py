"""What a successor takes over from the daemon that runs: its sockets and its lock first, its connections last.

Called by `main.py` and `life.py` of a daemon that was started with `--heir`. Rule: until `take` has the elder's word, nothing
is done that anybody could see or that would be left on disk.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Any

from wayhouse import __version__
from wayhouse.base.database import Database
from wayhouse.gateway.assemble import Gateway
from wayhouse.gateway.http_moving import HttpConnections
from wayhouse.gateway.sockets import as_socket
from wayhouse.gateway.things import CHILDREN, LINKS, THINGS
from wayhouse.runtime.async_server import AsyncServer
from wayhouse.runtime.succession import heir
from wayhouse.runtime.succession.children_part import ChildrenAdopter
from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.rpc_part import RpcAdopter
from wayhouse.runtime.succession.upgrade import Adopter, UpgradeFailedError

GROUND, HTTP, RPC = "ground", "http", "rpc"
KNOWN = frozenset({GROUND, "work", HTTP, THINGS, "disk", CHILDREN, LINKS, RPC})
LOCK = "lock"
FAREWELL_S = 2.0
SELF_CALL_S = 3.0


class Inheritance:
    """`sockets` are the listening ones by name, `lock` keeps others off the data."""

    def __init__(self, successor: heir.Heir, ground: Mapping[str, socket.socket], lock: int) -> None:
        self._heir = successor
        self.sockets = dict(ground)
        self.lock = lock

    async def take(
        self, gateway: Gateway, database: Database, http: HttpConnections, rpc: AsyncServer
    ) -> None:
        """Adopt what moves, and go on where the elder left off: calls at once, then changes. Raises `UpgradeFailedError`."""
        calls = RpcAdopter(rpc)
        children, links = ChildrenAdopter(), ChildrenAdopter()
        adopters: dict[str, Adopter] = {HTTP: http, CHILDREN: children, LINKS: links, RPC: calls}

        async def call_self() -> None:
            await calls.call_self()
            await call_health(gateway.app)

        await self._heir.adopt(adopters, call_self)
        calls.go_on()
        database.confirm()
        await gateway.rooms.bus.start(children.moved)
        gateway.rooms.links.start(links.moved)
        await gateway.ledger.start()

    async def farewell(self) -> None:
        """The elder has let go of everything and told the service manager who serves now, or is dead."""
        await self._heir.farewell(FAREWELL_S)
        self._heir.close()


async def inherit(passage: Passage) -> Inheritance:
    """Meet the elder at the other end of `passage` and wait until it rests. Raises `WayhouseError`."""
    successor = heir.Heir(passage, program=f"Wayhouse {__version__}")
    ground = await successor.prepare(KNOWN)
    found: dict[str, socket.socket] = {}
    lock = -1
    for state, fds in ground.get(GROUND, ()):
        name, fd = _named(state, fds)
        if name == LOCK:
            lock = fd
        elif (sock := as_socket(fd)) is not None:
            found[name] = sock
    if lock < 0:
        raise UpgradeFailedError("The elder did not hand over the lock on its data.")
    return Inheritance(successor, found, lock)


async def call_health(app: Any) -> None:
    """Serve one request of this process's own. Raises `UpgradeFailedError`."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/healthz", "raw_path": b"/healthz", "query_string": b"", "root_path": "", "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 0),
    }  # fmt: skip
    try:
        async with asyncio.timeout(SELF_CALL_S):
            await app(scope, receive, send)
    except Exception as error:  # the upgrade is taken back, whatever is wrong with it
        why = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise UpgradeFailedError(f"The successor does not answer its own request ({why}).") from error
    if not sent or sent[0].get("status") != 200:
        raise UpgradeFailedError("The successor does not answer its own request.")


def _named(state: dict[str, Any], fds: list[int]) -> tuple[str, int]:
    name = state.get("name")
    if not isinstance(name, str) or len(fds) != 1:
        for fd in fds:
            os.close(fd)
        raise UpgradeFailedError("What the elder hands over is not understood.")
    return name, fds[0]
