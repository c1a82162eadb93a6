"""The interface of a node that speaks as old ones do: a TAP, which gives and takes Ethernet frames. Used by `tap_tunnel.py`.

It is set up as tincan's was: no ARP, no multicast. Rule: failures of the system are `OutsideError`s that say what to do; netlink is spoken in a thread of
its own for as long as it takes, as pyroute2 wants an event loop for itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from wayhouse.base.errors import BadInputError, OutsideError

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_IFF_NOARP, _IFF_MULTICAST = 0x80, 0x1000
LONGEST_NAME = 15
SMALLEST_MTU, LARGEST_MTU = 1280, 9000
GONE = frozenset({errno.EBADFD, errno.ENODEV})
"""What a descriptor says whose interface was deleted."""


class FrameInterface(Protocol):
    """What the tunnel needs of an interface; `fd` may be read once it is readable."""

    name: str
    fd: int
    mac: bytes

    def configure(self, addresses: Sequence[str], mtu: int) -> None:
        """Have exactly these addresses, and be up. Raises `BadInputError`, `OutsideError`."""
        ...

    def reopen(self) -> bool:
        """Make it again after somebody deleted it. Whether that worked."""
        ...

    def close(self) -> None: ...


class Tap:
    """An open interface; it is gone when it is closed."""

    def __init__(self, name: str, mac: bytes) -> None:
        """Raises `BadInputError` for a name that cannot be one, `OutsideError` if it cannot be made."""
        if not 0 < len(name.encode()) <= LONGEST_NAME or "/" in name:
            raise BadInputError(
                f"{name!r} cannot be the name of an interface; take up to {LONGEST_NAME} letters."
            )
        self.name, self.mac = name, mac
        self.fd = self._open()
        self._wanted: tuple[Sequence[str], int] = ((), SMALLEST_MTU)

    def _open(self) -> int:
        try:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise OutsideError(
                f"/dev/net/tun cannot be opened ({error.strerror}); load the module tun, and run with CAP_NET_ADMIN."
            ) from None
        try:
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", self.name.encode(), _IFF_TAP | _IFF_NO_PI))
        except OSError as error:
            os.close(fd)
            why = "it is in use, or no TAP" if error.errno in {errno.EBUSY, errno.EINVAL} else error.strerror
            raise OutsideError(
                f"The interface {self.name} cannot be made ({why}); take another name, or run with CAP_NET_ADMIN."
            ) from None
        return fd

    def configure(self, addresses: Sequence[str], mtu: int) -> None:
        try:
            wanted = {ipaddress.ip_interface(text) for text in addresses}
        except ValueError:
            raise BadInputError("An address of the interface is written like 10.0.0.1/24.") from None
        if not SMALLEST_MTU <= mtu <= LARGEST_MTU:
            raise BadInputError(f"The MTU of this interface is {SMALLEST_MTU} to {LARGEST_MTU}, not {mtu}.")
        _apart(lambda: self._configure(wanted, mtu))
        self._wanted = (tuple(addresses), mtu)

    def _configure(self, wanted: set[Any], mtu: int) -> None:
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            with IPRoute() as netlink:
                index = netlink.link_lookup(ifname=self.name)[0]
                address = self.mac.hex(":")
                netlink.link("set", index=index, mtu=mtu, address=address)
                mask = _IFF_NOARP | _IFF_MULTICAST
                netlink.link("set", index=index, flags=_IFF_NOARP, change=mask)
                netlink.link("set", index=index, state="up")
                self._set_addresses(netlink, index, wanted)
        except (NetlinkError, OSError, IndexError) as error:
            raise OutsideError(
                f"The interface {self.name} cannot be set up ({error}); look whether it is still there and the addresses are free."
            ) from None

    def _set_addresses(self, netlink: Any, index: int, wanted: set[Any]) -> None:
        present = {
            ipaddress.ip_interface(f"{one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}")
            for one in netlink.get_addr(index=index)
        }
        for verb, which in (("del", present - wanted), ("add", wanted - present)):
            for one in which:
                if verb == "add" or not one.is_link_local:
                    netlink.addr(verb, index=index, address=str(one.ip), prefixlen=one.network.prefixlen)

    def reopen(self) -> bool:
        try:
            fresh = self._open()
        except OutsideError:
            return False
        with contextlib.suppress(OSError):
            os.close(self.fd)
        self.fd = fresh
        with contextlib.suppress(OutsideError):
            self.configure(*self._wanted)
        return True

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class NoTap:
    """What stands in its place when there is to be none, so that links can be tried out without being root: nothing comes out of it, and what is
    written into it goes nowhere once its buffer is full."""

    name = ""

    def __init__(self, mac: bytes) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.fd = self._near.fileno()
        self.mac = mac

    def configure(self, addresses: Sequence[str], mtu: int) -> None:
        """It has none."""

    def reopen(self) -> bool:
        """It cannot be taken away."""
        return False

    def close(self) -> None:
        self._near.close()
        self._far.close()
        self.fd = -1


def _apart(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1, "wayhouse-netlink") as pool:
        pool.submit(work).result()
