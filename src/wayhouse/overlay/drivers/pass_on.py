"""Carries the bytes of one connection to a port of this machine and back, while that is allowed.

Used by `door.py` for shared apps: TCP as it is, so WebSockets and everything else an app speaks come through. Rule: neither side can make it hold more than a
buffer, and it ends when the permission does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from wayhouse.base.clock import Clock
from wayhouse.base.tasks import Tasks

AT_ONCE = 64 * 1024
CONNECT_S = 5.0
LOOK_S = 1.0
LOCALHOST = "127.0.0.1"


async def pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    port: int,
    *,
    may_go_on: Callable[[], bool],
    clock: Clock,
) -> None:
    """Until both sides have ended. Raises `OSError` when nobody is at `port`."""
    async with asyncio.timeout(CONNECT_S):
        app_reader, app_writer = await asyncio.open_connection(LOCALHOST, port)
    ended = asyncio.Event()
    try:
        async with Tasks() as tasks:
            tasks.spawn(_watch(may_go_on, clock, ended), name="may it go on")
            tasks.spawn(_both(reader, app_writer, app_reader, writer, ended), name="passes on")
            await ended.wait()
    finally:
        app_writer.close()
        with contextlib.suppress(OSError):
            await app_writer.wait_closed()


async def _watch(may_go_on: Callable[[], bool], clock: Clock, ended: asyncio.Event) -> None:
    while may_go_on():
        await clock.sleep(LOOK_S)
    ended.set()


async def _both(
    reader: asyncio.StreamReader,
    app_writer: asyncio.StreamWriter,
    app_reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    ended: asyncio.Event,
) -> None:
    try:
        async with Tasks() as tasks:
            asking = tasks.spawn(_pump(reader, app_writer), name="to the app")
            answering = tasks.spawn(_pump(app_reader, writer), name="from the app")
            await asyncio.wait([asking, answering])
    finally:
        ended.set()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The end of one side is told to the other, which may still have something to say."""
    with contextlib.suppress(OSError):
        while data := await reader.read(AT_ONCE):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        if writer.can_write_eof():
            writer.write_eof()
