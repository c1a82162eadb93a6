"""ZeroMQ sockets on an asyncio loop without `zmq.asyncio`: a callback per socket, called while there is something to read.

Called by the asyncio clients and workers. Rule: a socket's descriptor tells only of changes, and a send may swallow one, so EVENTS is
looked at again after each reading and each sending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wayhouse.bus.drivers.frames import AnySocket, is_readable


class Edge:
    """Watches `socket` until `close`. `on_readable` takes what it likes; it is called again while something is left."""

    def __init__(self, socket: AnySocket, on_readable: Callable[[AnySocket], object]) -> None:
        self._socket = socket
        self._on_readable = on_readable
        self._loop = asyncio.get_running_loop()
        self._fd = int(socket.fileno())
        self._again: asyncio.Handle | None = None
        self._open = True
        self._loop.add_reader(self._fd, self._turn)
        self.look()

    def look(self) -> None:
        """To be called after each send."""
        if self._open and self._again is None:
            self._again = self._loop.call_soon(self._turn)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._fd)
            if self._again is not None:
                self._again.cancel()

    def _turn(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._open and is_readable(self._socket):
            self._on_readable(self._socket)
            self.look()
