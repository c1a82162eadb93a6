"""The overlay's interface: a TUN with offloads, so that the kernel hands over and takes TCP in pieces of up to 64 KiB. Used by `tunnel`.

Rule: failures of the system are `OutsideError`s that say what to do. Netlink is spoken in a thread of its own for as long as it takes, as
pyroute2 wants an event loop for itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import re
import struct
import threading
from collections.abc import Callable, Sequence

from wayhouse.base.errors import BadInputError, OutsideError

_TUNSETIFF, _TUNSETOFFLOAD, _TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_CSUM, _TSO4, _TSO6, _ECN, _USO4, _USO6 = 0x01, 0x02, 0x04, 0x08, 0x20, 0x40
LONGEST_NAME = 15
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
SMALLEST_MTU = 576
LARGEST_MTU = 65000
QUEUE_PACKETS = 1000
"""What the kernel keeps while the engine waits for its turn on a busy CPU."""
TUNNEL_OVERHEAD = 32
"""Bytes that a data message adds to a packet."""
LARGEST_BATCH = 65507
"""Bytes that one `sendmsg` with UDP_SEGMENT takes over IPv4."""


class Tun:
    """An open interface; it is gone when it is closed. `has_uso`: the kernel hands over UDP uncut as well."""

    def __init__(self, name: str) -> None:
        """Raises `BadInputError` for a name that cannot be one, `OutsideError` if the interface cannot be made."""
        raw = name.encode()
        if len(raw) > LONGEST_NAME or not _NAME.fullmatch(name):
            raise BadInputError(
                f"{name!r} cannot be the name of an interface; take up to {LONGEST_NAME} letters, digits, - and _."
            )
        self.name = name
        self.fd = self._open(raw)
        self.has_uso = self._set_offload()
        self.mtu = 1280

    def _open(self, name: bytes) -> int:
        try:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise OutsideError(
                f"/dev/net/tun cannot be opened ({error.strerror}); load the module tun, and run with CAP_NET_ADMIN."
            ) from None
        try:
            flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name, flags))
        except OSError as error:
            os.close(fd)
            why = "it is in use" if error.errno == errno.EBUSY else error.strerror
            raise OutsideError(
                f"The interface {self.name} cannot be made ({why}); take another name, or run with CAP_NET_ADMIN."
            ) from None
        return fd

    def _set_offload(self) -> bool:
        wanted = _CSUM | _TSO4 | _TSO6 | _ECN
        for more in (_USO4 | _USO6, 0):  # USO is there since Linux 6.2
            with contextlib.suppress(OSError):
                fcntl.ioctl(self.fd, _TUNSETOFFLOAD, wanted | more)
                return bool(more)
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.fd, _TUNSETOFFLOAD, 0)
        return False

    def configure(self, addresses: Sequence[str], mtu: int) -> None:
        """Have exactly `addresses`, in CIDR form, and be up. Raises `BadInputError` and `OutsideError`."""
        wanted = [_interface(text) for text in addresses]
        if not SMALLEST_MTU <= mtu <= LARGEST_MTU:
            raise BadInputError(f"An MTU of {mtu} is not possible; take {SMALLEST_MTU} to {LARGEST_MTU}.")
        if mtu < 1280 and any(address.version == 6 for address in wanted):
            raise BadInputError(f"IPv6 needs an MTU of at least 1280, not {mtu}.")
        _apart(lambda: self._configure(wanted, mtu))
        self.mtu = mtu

    def _configure(self, wanted: list[Interface], mtu: int) -> None:
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            with IPRoute() as netlink:
                index = netlink.link_lookup(ifname=self.name)[0]
                netlink.link("set", index=index, mtu=mtu, txqlen=QUEUE_PACKETS, state="up")
                # A packet of the kernel is to fit into one batch: a second send for the rest would cost as much as the first.
                most = max(1, LARGEST_BATCH // (mtu + TUNNEL_OVERHEAD + 16))
                with contextlib.suppress(NetlinkError):
                    netlink.link("set", index=index, gso_max_segs=min(most, 64))
                present = {}
                for message in netlink.get_addr(index=index):
                    address = ipaddress.ip_interface(
                        f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
                    )
                    present[address] = message
                for address in present.keys() - set(wanted):
                    if not address.is_link_local:
                        netlink.addr(
                            "del", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
                        )
                for address in wanted:
                    if address not in present:
                        netlink.addr(
                            "add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
                        )
        except (NetlinkError, OSError, IndexError) as error:
            raise OutsideError(
                f"The interface {self.name} cannot be set up ({error}); look whether it is still there and the addresses are free."
            ) from None

    def reopen(self) -> bool:
        """Make the interface again after somebody deleted it. Whether that worked."""
        try:
            fresh = self._open(self.name.encode())
        except OutsideError:
            return False
        os.close(self.fd)
        self.fd = fresh
        self.has_uso = self._set_offload()
        return True

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def _interface(text: str) -> Interface:
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        raise BadInputError(f"{text!r} is no address with a prefix; write it like 10.0.0.1/24.") from None


def broadcasts(addresses: Sequence[str]) -> frozenset[bytes]:
    """The broadcast addresses of the networks, 4 bytes each."""
    found = [_interface(text).network for text in addresses]
    return frozenset(
        network.broadcast_address.packed
        for network in found
        if network.version == 4 and network.prefixlen < 31
    )


def _apart(work: Callable[[], None]) -> None:
    """Do it in a thread of its own, and wait; its `WayhouseError`s are raised here."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - carried to the one who waits
            failed.append(error)

    thread = threading.Thread(target=run, name="wayhouse-netlink")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
