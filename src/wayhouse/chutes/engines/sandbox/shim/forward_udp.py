"""Carries datagrams between a published UDP port of the host and the service.

Each client address gets its own socket towards the service, so that answers find their way back; quiet ones are
closed, and beyond `MAX_CLIENTS` the quietest one goes.
"""

from __future__ import annotations

import socket
import time
from collections import OrderedDict
from typing import Any

from wayhouse.chutes.engines.sandbox.shim.loop import READ, Loop

MAX_CLIENTS = 1024
QUIET_S = 120.0
DATAGRAM_BYTES = 65535
BATCH = 64


class _Client:
    def __init__(self, inner: socket.socket, heard: float) -> None:
        self.inner = inner
        self.heard = heard


class Forward:
    """Datagrams that arrive at `outer` go to `address` of family `family`, and back."""

    def __init__(self, loop: Loop, outer: socket.socket, family: int, address: tuple[str, int]) -> None:
        self._loop = loop
        self._outer = outer
        self._family = family
        self._address = address
        self._clients: OrderedDict[Any, _Client] = OrderedDict()
        outer.setblocking(False)
        loop.watch(outer, READ, self._from_outside)
        loop.later(QUIET_S / 2, self._sweep)

    def _from_outside(self, _events: int) -> None:
        for _ in range(BATCH):
            try:
                data, peer = self._outer.recvfrom(DATAGRAM_BYTES)
            except OSError:
                return
            try:
                self._client(peer).inner.send(data)
            except OSError:
                self._drop(peer)

    def _client(self, peer: Any) -> _Client:
        client = self._clients.get(peer)
        if client is None:
            if len(self._clients) >= MAX_CLIENTS:
                self._drop(next(iter(self._clients)))
            inner = socket.socket(self._family, socket.SOCK_DGRAM)
            inner.setblocking(False)
            inner.connect(self._address)
            client = self._clients[peer] = _Client(inner, 0.0)
            self._loop.watch(inner, READ, lambda _events: self._from_inside(peer))
        client.heard = time.monotonic()
        self._clients.move_to_end(peer)
        return client

    def _from_inside(self, peer: Any) -> None:
        client = self._clients[peer]
        for _ in range(BATCH):
            try:
                data = client.inner.recv(DATAGRAM_BYTES)
                self._outer.sendto(data, peer)
            except BlockingIOError:
                return
            except OSError:
                self._drop(peer)
                return

    def _drop(self, peer: Any) -> None:
        client = self._clients.pop(peer, None)
        if client is not None:
            self._loop.forget(client.inner)
            client.inner.close()

    def _sweep(self) -> None:
        old = time.monotonic() - QUIET_S
        for peer in [peer for peer, client in self._clients.items() if client.heard < old]:
            self._drop(peer)
        self._loop.later(QUIET_S / 2, self._sweep)
