"""`Passage`: messages with any number of descriptors between a process and its successor, on an asyncio loop.

Called by both sides of a hot upgrade (`elder.py`, `heir.py`). Rules: a message is whole or it does not come at all, descriptors
belong to the message that they came with, each wait has an end, and what cannot be delivered is closed.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from wayhouse.runtime.exceptions import ConnectionClosed, Timeout

MAX_BODY = 256 * 1024 * 1024
FDS_AT_ONCE = 253
_HEAD = struct.Struct(">II")  # bytes of the body, number of descriptors
_ROOM = socket.CMSG_SPACE(FDS_AT_ONCE * 4)
_READ_AT_ONCE = 256 * 1024


class Passage:
    """One end of a socket pair; `close` closes what was received and not taken."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._bytes = bytearray()
        self._fds: deque[int] = deque()

    def fileno(self) -> int:
        return self._sock.fileno()

    async def send(self, body: bytes, fds: Sequence[int] = (), *, timeout: float) -> None:
        """The descriptors stay open here. Raises `ValueError` for more than `FDS_AT_ONCE`, `Timeout` or `ConnectionClosed`."""
        if len(fds) > FDS_AT_ONCE:
            raise ValueError(f"{len(fds)} descriptors do not fit into a message, {FDS_AT_ONCE} do")
        async with _within(timeout):
            rest = memoryview(_HEAD.pack(len(body), len(fds)) + body)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            while rest:
                count = await self._send(rest, rights)
                rest, rights = rest[count:], []

    async def receive(self, *, timeout: float) -> tuple[bytes, list[int]]:
        """The next message; the caller owns its descriptors. Raises `Timeout` or `ConnectionClosed`."""
        async with _within(timeout):
            while (message := self._take()) is None:
                await self._read()
        return message

    def close(self) -> None:
        self._sock.close()
        while self._fds:
            os.close(self._fds.popleft())

    async def _send(self, piece: memoryview, rights: Sequence[Any]) -> int:
        """How many bytes went; the descriptors go with the first."""
        while True:
            try:
                return self._sock.sendmsg([piece], rights)
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await self._until(loop.add_writer, loop.remove_writer)
            except OSError as error:
                raise ConnectionClosed from error

    async def _read(self) -> None:
        try:
            data, rights, flags, _ = self._sock.recvmsg(_READ_AT_ONCE, _ROOM, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            loop = asyncio.get_running_loop()
            await self._until(loop.add_reader, loop.remove_reader)
            return
        except OSError as error:
            raise ConnectionClosed from error
        for level, kind, packed in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._fds.extend(array.array("i", packed[: len(packed) - len(packed) % 4]))
        if not data or flags & socket.MSG_CTRUNC:
            raise ConnectionClosed
        self._bytes += data

    def _take(self) -> tuple[bytes, list[int]] | None:
        if len(self._bytes) < _HEAD.size:
            return None
        size, count = _HEAD.unpack_from(self._bytes)
        if size > MAX_BODY:
            raise ConnectionClosed
        if len(self._bytes) < _HEAD.size + size or len(self._fds) < count:
            return None
        body = bytes(self._bytes[_HEAD.size : _HEAD.size + size])
        del self._bytes[: _HEAD.size + size]
        return body, [self._fds.popleft() for _ in range(count)]

    async def _until(self, add: Callable[..., Any], remove: Callable[[int], Any]) -> None:
        fd = self._sock.fileno()
        ready = asyncio.Event()
        add(fd, ready.set)
        try:
            await ready.wait()
        finally:
            with contextlib.suppress(ValueError, OSError):
                remove(fd)


@contextlib.asynccontextmanager
async def _within(timeout: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout):
            yield
    except TimeoutError:
        raise Timeout("timed out") from None
