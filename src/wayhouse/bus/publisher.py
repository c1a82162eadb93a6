"""RasPy's key/value clients: `KvPublisherClient` sends updates, `KvSubscriberClient` keeps a copy of a subtree.

Called by programs with threads; the asyncio ones are in `async_publisher.py`. Rules: nothing waits for ever; `shutdown` may come from
any thread; what is sent before `destroy` is given a second to leave.
"""

from __future__ import annotations

import threading
import time

import zmq

from wayhouse.base.errors import UnavailableError
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.drivers.frames import AnySocket
from wayhouse.bus.drivers.waker import Waker
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.model import BROKER_PORT
from wayhouse.bus.publishing import Following, OnChange, Publishing, update_frames
from wayhouse.bus.subscriber import Patience


class KvPublisherClient(Publishing):
    """One thread at a time. `form` SIMPLE or RASPY is for a server that knows three frames only; ours knows all."""

    def send(
        self,
        subtree: str | bytes = "subtree",
        key: str | bytes = "key",
        body: str | bytes = "body",
        *,
        ttl_s: float | None = None,
    ) -> None:
        """Update `/subtree/key`; an empty body deletes it, `ttl_s` does so after that time. Raises `UnavailableError` when the
        server takes nothing for 2.5 seconds."""
        frames = update_frames(subtree, key, body, ttl_s, self._form)
        try:
            self._socket.send_multipart(frames)
        except zmq.Again:
            raise UnavailableError("The key/value clone takes no updates: is the bus running?") from None

    def delete(self, subtree: str | bytes, key: str | bytes) -> None:
        self.send(subtree, key, b"")

    def destroy(self) -> None:
        self._socket.close()
        self._context.term()


class KvSubscriberClient(Following):
    """A copy of `subtree` in `kvmap`: full key to `KVMsg`. Making one waits up to `speed` seconds for the first snapshot, so that
    `kvmap` is usually filled at once; `run` keeps it so, in a thread of its own. Iterate over `dict(client.kvmap)`."""

    def __init__(  # noqa: PLR0913 - five are of the manual
        self,
        hostname: str = "localhost",
        subtree: str | bytes = "subtree",
        broker_ip: str = "127.0.0.1",
        broker_port: int = BROKER_PORT,
        speed: float = 1.0,
        *,
        on_change: OnChange | None = None,
        endpoints: Endpoints | None = None,
        patience: Patience | None = None,
        keys: Keys = NO_KEYS,
    ) -> None:
        endpoints = endpoints or Endpoints.of(broker_ip, broker_port)
        super().__init__(hostname, subtree, endpoints, on_change, patience, keys)
        self.speed = speed
        self._poller = zmq.Poller()
        self._waker = Waker()
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        self._destroyed = False
        self._poller.register(self._sockets.updates, zmq.POLLIN)
        self._poller.register(self._waker, zmq.POLLIN)
        self._run_until(time.monotonic() + speed, until_synchronised=True)

    def run(self) -> None:
        """Apply updates until `shutdown`."""
        self._run_until(None)

    def shutdown(self) -> None:
        self._stopping.set()
        self._waker.wake()

    def destroy(self) -> None:
        """Stops `run`, in whichever thread it is, and closes everything."""
        self.shutdown()
        with self._turn:
            if not self._destroyed:
                self._destroyed = True
                self._sockets.close()
                self._waker.close()
                self._context.term()

    def _run_until(self, end: float | None, *, until_synchronised: bool = False) -> None:
        with self._turn:
            while not (self._stopping.is_set() or self._destroyed):
                now = time.monotonic()
                if (end is not None and now >= end) or (until_synchronised and self.is_synchronised):
                    return
                self._step(now, end)

    def _step(self, now: float, end: float | None) -> None:
        moments = [now + self.speed, *(one for one in (self._machine.deadline(), end) if one is not None)]
        for socket, _ in self._poller.poll(round(max(0.0, min(moments) - now) * 1000 + 0.5)):
            if isinstance(socket, zmq.Socket):
                self._sockets.readable(socket, time.monotonic())
            else:
                self._waker.clear()
        self._machine.tick(time.monotonic())
        self._sockets.perform()
        self._tell()

    def _swap(self, old: AnySocket | None, new: AnySocket) -> None:
        if old is not None:
            self._poller.unregister(old)
        self._poller.register(new, zmq.POLLIN)
