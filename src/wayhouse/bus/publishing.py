"""What the key/value clients for threads and those for asyncio have in common: how one speaks to the clone, and what is told of a copy.

Called by `publisher` and `async_publisher`, whose clients are made of it, and by whoever publishes without one. Rule: nothing here waits.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

import zmq

from wayhouse.base.errors import UnavailableError
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.drivers.frames import AnySocket
from wayhouse.bus.drivers.subscriber_sockets import SubscriberSockets
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


class Publishing:
    """`form` SIMPLE or RASPY is for a server that knows three frames only; ours knows all."""

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
        """Raises `EndpointError`."""
        self.hostname = hostname
        self._form = form
        self._context: zmq.Context[AnySocket] = zmq.Context()
        endpoints = endpoints or Endpoints.of(broker_ip, broker_port)
        try:
            self._socket = push_socket(self._context, endpoints.collector, keys)
        except EndpointError:
            self._context.term()
            raise


class Following(ABC):
    """A copy of a subtree: full key to `KVMsg`."""

    def __init__(
        self,
        hostname: str,
        subtree: str | bytes,
        endpoints: Endpoints,
        on_change: OnChange | None,
        patience: Patience | None,
        keys: Keys,
    ) -> None:
        """Raises `EndpointError`."""
        self.hostname = hostname
        self._on_change = on_change
        self._machine = Subscriber(subtree_path(subtree), time.monotonic(), patience)
        self._context: zmq.Context[AnySocket] = zmq.Context()
        try:
            self._sockets = SubscriberSockets(
                self._context, self._machine, endpoints.snapshot, endpoints.publisher, self._swap, keys
            )
        except EndpointError:
            self._context.term()
            raise

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

    def _tell(self) -> None:
        events = self._machine.events()
        if self._on_change is None:
            return
        for event in events:
            if isinstance(event, Changed):
                self._on_change(event.message.key or "", event.message.body)
            elif isinstance(event, Deleted):
                self._on_change(event.key, None)

    @abstractmethod
    def _swap(self, old: AnySocket | None, new: AnySocket) -> None:
        """The snapshot's socket is another one now."""
