"""The addresses of this machine, and being told when they change.

Used by `ice` for candidates; one `AddressWatch` serves a whole process. Left out are loopback, link-local IPv6, interfaces that are down, and those of
container engines, which are the same everywhere and lead nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable

import psutil

from wayhouse.overlay.ice.offer import LocalAddress

_CONTAINERS = re.compile(
    r"docker\d*|br-[0-9a-f]{12}|veth.*|virbr\d+(-nic)?|cni.*|podman\d*|lxcbr\d*|lxdbr\d*|flannel.*|cali.*"
)
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP: links, IPv4 and IPv6 addresses and routes."""
_SETTLE_S = 0.25
_FAR = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Where nobody is: only the way there is asked for."""


def local_addresses(ignored: tuple[str, ...] = ()) -> list[LocalAddress]:
    """Those of interfaces that are up; what the default routes go from comes first."""
    stats = psutil.net_if_stats()
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        if name in ignored or _CONTAINERS.fullmatch(name) or name not in stats or not stats[name].isup:
            continue
        useful = (one for one in addresses if one.family in _FAR and _is_useful(one.address))
        found += [LocalAddress(name, one.address, one.family == socket.AF_INET6) for one in useful]
    first = _route_sources()
    return sorted(found, key=lambda address: (address.host not in first, address.interface, address.host))


def _is_useful(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return False
    return not (address.version == 6 and address.is_link_local)


def _route_sources() -> tuple[str, ...]:
    """The addresses from which this machine speaks to the Internet. Nothing is sent."""
    found = []
    for family, far in _FAR.items():
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            found.append(str(probe.getsockname()[0]))
    return tuple(found)


class AddressWatch:
    """Calls who subscribed, on the event loop, after addresses or default routes have changed and settled for a moment."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []
        self._sock: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._known: tuple[object, ...] = ()

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Gives what ends the subscription."""
        self._listeners.append(changed)
        if self._sock is None:
            self._open()

        def unsubscribe() -> None:
            if changed in self._listeners:
                self._listeners.remove(changed)

        return unsubscribe

    def close(self) -> None:
        self._listeners.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._sock is not None and self._loop is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    def _open(self) -> None:
        self._sock = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._sock.bind((0, _GROUPS))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock, self._readable)
        self._known = self._signature()

    def _readable(self) -> None:
        """Only that something happened counts; a receive buffer that ran over (ENOBUFS) says so as well."""
        if self._sock is None or self._loop is None:
            return
        with contextlib.suppress(OSError):
            for _ in range(64):
                self._sock.recv(65536)
        if self._timer is None:
            self._timer = self._loop.call_later(_SETTLE_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._signature()
        if now != self._known:
            self._known = now
            for changed in tuple(self._listeners):
                changed()

    def _signature(self) -> tuple[object, ...]:
        return (*local_addresses(), *_route_sources())
