"""The kernel's WireGuard by netlink: one interface, its peers, and the table of ports beside it. Used by `kernel_tunnel.py`, in its worker thread alone.

Rules: failures of the system are `OutsideError`s that say what to do; keys go by netlink, never over a command line; an interface that is not ours is
never touched (ours has an alias), one of ours that a crash left is taken away.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import ipaddress
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

from wayhouse.base.errors import OutsideError
from wayhouse.overlay.ports import PeerSetup

ALIAS = "wayhouse overlay"
NFT_TIMEOUT_S = 10.0


class GoneError(Exception):
    """The interface was deleted."""


class Card:
    """The interface `name`, which listens on `port`. Raises `OutsideError` if this kernel has no WireGuard, or the interface cannot be made."""

    def __init__(self, name: str, private_key: bytes) -> None:
        from pyroute2 import IPRoute, WireGuard

        if shutil.which("nft") is None:
            raise OutsideError(
                "The kernel's WireGuard needs the program nft here; install the package nftables."
            )
        self.name, self._private_key = name, private_key
        self.port = 0
        self._netlink = IPRoute()
        try:
            self.make()
            self._wireguard = WireGuard()
            self._set(private_key=_text(private_key))
            with _told(f"The interface {name} cannot be set up"):
                self._netlink.link("set", index=self._index(), state="up")  # then it has a port
            self.port = int(self._read()[0].get_attr("WGDEVICE_A_LISTEN_PORT") or 0)
        except BaseException:
            self._netlink.close()
            raise

    def __repr__(self) -> str:
        return f"Card({self.name})"

    def make(self) -> None:
        """Raises `OutsideError`."""
        with _told(f"The interface {self.name} of the kernel's WireGuard cannot be made"):
            for index in self._netlink.link_lookup(ifname=self.name):
                (link,) = self._netlink.get_links(index)
                if link.get_attr("IFLA_IFALIAS") != ALIAS:
                    raise OutsideError(f"There is an interface {self.name} already; take another name.")
                self._netlink.link("del", index=index)
            self._netlink.link("add", ifname=self.name, kind="wireguard")
            self._netlink.link("set", index=self._index(), ifalias=ALIAS)

    def remake(self) -> None:
        """After somebody deleted it: with its key and port, without peers and addresses. Raises `OutsideError`."""
        self.make()
        self._set(private_key=_text(self._private_key), listen_port=self.port)

    def configure(self, addresses: Sequence[str], mtu: int) -> None:
        """Have exactly `addresses`, in CIDR form, and be up. Raises `OutsideError`."""
        wanted = {ipaddress.ip_interface(text) for text in addresses}
        with _told(f"The interface {self.name} cannot be set up"):
            index = self._index()
            self._netlink.link("set", index=index, mtu=mtu, state="up")
            present = {
                ipaddress.ip_interface(f"{one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}")
                for one in self._netlink.get_addr(index=index)
            }
            for one in (address for address in present - wanted if not address.is_link_local):
                self._netlink.addr("del", index=index, address=str(one.ip), prefixlen=one.network.prefixlen)
            for one in wanted - present:
                self._netlink.addr("add", index=index, address=str(one.ip), prefixlen=one.network.prefixlen)

    def set_peer(self, peer: PeerSetup, endpoint: tuple[str, int] | None = None, *, keepalive: bool) -> None:
        """Its sessions stay, without an `endpoint` that too; a keepalive that begins is sent at once. Raises `OutsideError`."""
        networks = [str(ipaddress.ip_network(text, strict=False)) for text in peer.allowed_ips]
        place = {} if endpoint is None else {"endpoint_addr": endpoint[0], "endpoint_port": endpoint[1]}
        self._set(
            peer={
                "public_key": _text(peer.public_key),
                "preshared_key": _text(peer.preshared_key or bytes(32)),
                "persistent_keepalive": peer.keepalive_s if keepalive else 0,
                "replace_allowed_ips": True,
                "allowed_ips": networks,
                **place,
            }
        )

    def remove_peer(self, public_key: bytes) -> None:
        self._set(peer={"public_key": _text(public_key), "remove": True})

    def peers(self) -> dict[bytes, tuple[int, int, float]]:
        """By public key: bytes sent, bytes received, wall seconds of the last handshake (0: none). Raises `GoneError`, `OutsideError`."""
        found: dict[bytes, tuple[int, int, float]] = {}
        for message in self._read():
            for peer in message.get_attr("WGDEVICE_A_PEERS") or ():
                key = base64.b64decode(peer.get_attr("WGPEER_A_PUBLIC_KEY"))
                last = peer.get_attr("WGPEER_A_LAST_HANDSHAKE_TIME")
                if last is not None:  # else it is the rest of the one before
                    figures = (peer.get_attr(f"WGPEER_A_{way}_BYTES") or 0 for way in ("TX", "RX"))
                    found[key] = (*figures, last["tv_sec"] + last["tv_nsec"] / 1e9)
        return found

    def exchange_ports(self, table: str) -> None:
        """Put a text of `port_exchange` into the kernel. Raises `OutsideError`."""
        try:
            subprocess.run(
                ["nft", "-f", "-"],
                input=table.encode(),
                capture_output=True,
                check=True,
                timeout=NFT_TIMEOUT_S,
            )
        except subprocess.CalledProcessError as error:
            said = " ".join(error.stderr.decode(errors="replace").split())[:300]
            raise OutsideError(f"nft did not take the ports of the overlay: {said}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OutsideError(
                f"nft cannot be run ({type(error).__name__}); look at the package nftables."
            ) from None

    def close(self) -> None:
        with contextlib.suppress(OutsideError), _told(f"The interface {self.name} cannot be taken away"):
            for index in self._netlink.link_lookup(ifname=self.name):
                self._netlink.link("del", index=index)
        self._wireguard.close()
        self._netlink.close()

    def _index(self) -> int:
        found: list[int] = self._netlink.link_lookup(ifname=self.name)
        return found[0]

    def _set(self, **what: Any) -> None:
        with _told(f"The kernel's WireGuard did not take a setting of {self.name}"):
            self._wireguard.set(self.name, **what)

    def _read(self) -> list[Any]:
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            return list(self._wireguard.info(self.name))
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                raise GoneError from None
            raise OutsideError(f"The kernel's WireGuard does not tell of {self.name} ({error}).") from None


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except (NetlinkError, OSError, IndexError) as error:
        why = error.args[-1] if error.args else error
        raise OutsideError(
            f"{what} ({why}); load the module wireguard, run with CAP_NET_ADMIN, and look at `ip link`."
        ) from None
