"""RasPy's key/value clients: `KvPublisherClient` sends updates, `KvSubscriberClient` keeps a copy of a subtree.

Called by programs with threads; the asyncio ones are in `async_publisher.py`. Rules: nothing waits for ever; `shutdown` may come from
any thread; what is sent before `destroy` is given a second to leave.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import zmq

from wayhouse.base.errors import UnavailableError
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.drivers.frames import AnySocket
from wayhouse.bus.drivers.subscriber_sockets import SubscriberSockets
from wayhouse.bus.drivers.waker import Waker
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.kvmsg import Form, KVMsg, to_bytes
from wayhouse.bus.model import BROKER_PORT, EndpointError
from wayhouse.bus.subscriber import Changed, Deleted, Patience, State, Subscriber

OnChange = Callable[[str, bytes | None], object]
"""Told of each key that changed, with its body, None when it is deleted."""
SEND_HWM = 10_000
SEND_TIMEOUT_MS = 2500
LINGER_MS = 1000


def subtree_path(subtree: str | bytes) -> bytes:
    """`/subtree/` of `subtree`; nothing of nothing, which is everything."""
    inner = to_bytes(subtree).strip(b"/")
    return b"/" + inner + b"/" if inner else b""


def update_frames(
    subtree: str | bytes, key: str | bytes, body: str | bytes, ttl_s: float | None, form: Form
) -> list[bytes]:
    """Raises `BadInputError` for a ttl in a form that cannot carry it, or what no line can hold."""
    if ttl_s is not None and form is not Form.CHP:
        raise UnavailableError("Only RFC 12's form carries a ttl: use Form.CHP.")
    full = (subtree_path(subtree) or b"/") + to_bytes(key)
    properties = {} if ttl_s is None else {"ttl": repr(float(ttl_s))}
    text = full.decode("utf-8", "surrogateescape")
    return KVMsg(0, text, to_bytes(body), os.urandom(16), properties).to_frames(form)


def push_socket(context: zmq.Context[AnySocket], address: str, keys: Keys) -> AnySocket:
    """Raises `EndpointError`."""
    socket = context.socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, SEND_HWM)
    socket.setsockopt(zmq.SNDTIMEO, SEND_TIMEOUT_MS)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    try:
        keys.apply(socket, address)
        socket.connect(address)
    except zmq.ZMQError as error:
        socket.close()
        raise EndpointError(f"No key/value clone can be reached at {address}: {error}") from error
    return socket


class KvPublisherClient:
    """One thread at a time. `form` SIMPLE or RASPY is for a server that knows three frames only; ours knows all."""

    def __init__(
        self,
        hostname: str = "localhost",
        broker_ip: str = "127.0.0.1",
        broker_port: int = BROKER_PORT,
        *,
        form: Form = Form.CHP,
        endpoints: Endpoints | None = None,
        keys: Keys = NO_KEYS,
    ) -> None:
        self.hostname = hostname
        self._form = form
        self._context: zmq.Context[AnySocket] = zmq.Context()
        endpoints = endpoints or Endpoints.of(broker_ip, broker_port)
        try:
            self._socket = push_socket(self._context, endpoints.collector, keys)
        except EndpointError:
            self._context.term()
            raise

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


class KvSubscriberClient:
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
        self.hostname = hostname
        self.speed = speed
        self._on_change = on_change
        endpoints = endpoints or Endpoints.of(broker_ip, broker_port)
        self._machine = Subscriber(subtree_path(subtree), time.monotonic(), patience)
        self._context: zmq.Context[AnySocket] = zmq.Context()
        self._poller = zmq.Poller()
        self._waker = Waker()
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        self._destroyed = False
        try:
            self._sockets = SubscriberSockets(
                self._context, self._machine, endpoints.snapshot, endpoints.publisher, self._swap, keys
            )
        except EndpointError:
            self._waker.close()
            self._context.term()
            raise
        self._poller.register(self._sockets.updates, zmq.POLLIN)
        self._poller.register(self._waker, zmq.POLLIN)
        self._run_until(time.monotonic() + speed, until_synchronised=True)

    @property
    def kvmap(self) -> dict[str, KVMsg]:
        return self._machine.kvmap

    @property
    def sequence(self) -> int:
        """That of the newest update in `kvmap`."""
        return self._machine.sequence

    @property
    def is_synchronised(self) -> bool:
        """Whether `kvmap` is complete, as far as is known."""
        return self._machine.state is State.LIVE

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

    def _tell(self) -> None:
        events = self._machine.events()
        if self._on_change is None:
            return
        for event in events:
            if isinstance(event, Changed):
                self._on_change(event.message.key or "", event.message.body)
            elif isinstance(event, Deleted):
                self._on_change(event.key, None)

    def _swap(self, old: AnySocket | None, new: AnySocket) -> None:
        if old is not None:
            self._poller.unregister(old)
        self._poller.register(new, zmq.POLLIN)
