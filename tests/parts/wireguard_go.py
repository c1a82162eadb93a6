"""The real `wireguard-go` in a network namespace of its own, and a small driver for our device beside it: one packet at a time, no interface.

`with WireguardGo() as other:` starts it at 127.0.0.1 of the namespace, with 10.77.0.2 and fd77::2 on its interface. `Driver(other)` is our side, 10.77.0.1
and fd77::1. Needs root, /dev/net/tun, `ip`, `wg` and `wireguard-go`.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.parts.wireguard_wire import kind
from wayhouse.overlay.ports import PeerSetup
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.timing import Timing
from wayhouse.overlay.wireguard.traffic import Event

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
OURS, THEIRS, OURS_6, THEIRS_6 = "10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2"
PORT = 51820
LONG_S = 20.0


def missing() -> str:
    """Why it cannot run here; empty when it can."""
    absent = [name for name in ("ip", "wg", "wireguard-go") if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"needs {', '.join(absent)}"
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        return "needs root and /dev/net/tun"
    name = f"wg-{secrets.token_hex(4)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, env={"PATH": _PATH})
    subprocess.run(["ip", "netns", "del", name], capture_output=True, env={"PATH": _PATH})
    return "" if made.returncode == 0 else "network namespaces cannot be made here"


def base64_key(key: bytes) -> str:
    return base64.b64encode(key).decode()


class WireguardGo:
    """`public_key` is its own."""

    def __init__(self) -> None:
        name = secrets.token_hex(4)
        self.namespace, self.interface = f"wg-{name}", f"wg{name}"
        self.private_key = secrets.token_bytes(32)
        self.public_key = (
            X25519PrivateKey.from_private_bytes(self.private_key).public_key().public_bytes_raw()
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._ip("netns", "add", self.namespace)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(LONG_S)
        self._ip("netns", "del", self.namespace)

    def _start(self) -> None:
        inside = ["ip", "netns", "exec", self.namespace]
        self._ip("-n", self.namespace, "link", "set", "lo", "up")
        self._process = subprocess.Popen(
            [*inside, "wireguard-go", "-f", self.interface], stderr=subprocess.DEVNULL, env={"PATH": _PATH}
        )
        end = time.monotonic() + LONG_S
        while not self._is_there():
            assert self._process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        self.wg("listen-port", str(PORT), "private-key", "/dev/stdin", stdin=base64_key(self.private_key))
        for address in (f"{THEIRS}/24", f"{THEIRS_6}/64"):
            self._ip("-n", self.namespace, "addr", "add", address, "dev", self.interface)
        self._ip("-n", self.namespace, "link", "set", self.interface, "mtu", "1420", "up")

    def _is_there(self) -> bool:
        command = ["ip", "netns", "exec", self.namespace, "wg", "show", self.interface]
        return subprocess.run(command, capture_output=True, env={"PATH": _PATH}).returncode == 0

    def wg(self, *words: str, stdin: str = "") -> None:
        command = ["ip", "netns", "exec", self.namespace, "wg", "set", self.interface, *words]
        subprocess.run(command, input=stdin.encode(), check=True, env={"PATH": _PATH})

    def set_peer(self, public_key: bytes, *words: str, psk: bytes | None = None) -> None:
        more = ("preshared-key", "/dev/stdin") if psk else ()
        allowed = f"{OURS}/32,{OURS_6}/128"
        self.wg(
            *("peer", base64_key(public_key), *more, "allowed-ips", allowed, *words),
            stdin=base64_key(psk) if psk else "",
        )

    def show(self, what: str) -> dict[str, str]:
        """`wg show <interface> <what>` by public key."""
        command = ["ip", "netns", "exec", self.namespace, "wg", "show", self.interface, what]
        found = subprocess.run(command, capture_output=True, text=True, env={"PATH": _PATH}).stdout
        return dict(line.split("\t") for line in found.splitlines())

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets made by the calling thread stay in the namespace."""
        from pyroute2 import netns

        netns.pushns(self.namespace)
        try:
            yield
        finally:
            netns.popns()

    def udp(
        self, family: socket.AddressFamily = socket.AF_INET, address: tuple[str, int] = (THEIRS, 0)
    ) -> socket.socket:
        with self.inside():
            found = socket.socket(family, socket.SOCK_DGRAM)
        found.bind(address)
        found.settimeout(0)
        return found

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, env={"PATH": _PATH})


class Driver:
    """Our side. `log` are the kinds of what was sent and came, with `>` and `<` in front."""

    def __init__(
        self, other: WireguardGo, *, psk: bytes | None = None, timing: Timing | None = None, **options: Any
    ) -> None:
        self.other = other
        self.device = Device(secrets.token_bytes(32), timing=timing, **options)
        allowed = (f"{THEIRS}/32", f"{THEIRS_6}/128")
        setup = PeerSetup(public_key=other.public_key, allowed_ips=allowed, preshared_key=psk, keepalive_s=0)
        self.peer = self.device.set_peer(setup, self.now)
        self.log: list[str] = []
        self.events: list[Event] = []
        self.got: list[bytes] = []
        self.sock = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    @property
    def now(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def _open(self) -> socket.socket:
        return self.other.udp(address=("127.0.0.1", 0))

    def move(self) -> None:
        """To another port."""
        self.sock.close()
        self.sock = self._open()

    def aim(self) -> None:
        """Tell the device where the other is."""
        self.device.set_endpoint(self.other.public_key, ("127.0.0.1", PORT), self.now)

    def send(self, packet: bytes) -> None:
        for datagram in self.device.encrypt(self.peer, packet, self.now):
            self.post(self.peer.endpoint, datagram)
        self.step(0.0)

    def post(self, endpoint: Any, datagram: bytes) -> None:
        self.log.append(f">{kind(datagram)}")
        self.sock.sendto(datagram, endpoint)

    def until(self, holds: Callable[[], object], longest_s: float = LONG_S) -> None:
        end = self.now + longest_s
        while not holds():
            assert self.now < end, self.log
            self.step(0.05)

    def step(self, longest_s: float) -> None:
        wait = min(longest_s, max(0.0, self.device.deadline() - self.now))
        if select.select([self.sock], [], [], wait)[0]:
            datagram, source = self.sock.recvfrom(65536)
            self._receive(datagram, source)
        self.device.tick(self.now, time.time())
        self.events += self.device.events()
        for endpoint, datagram in self.device.outbox():
            self.post(endpoint, datagram)

    def _receive(self, datagram: bytes, source: tuple[str, int]) -> None:
        self.log.append(f"<{kind(datagram)}")
        if datagram[0] == 4:
            packet = self.device.decrypt(datagram, source, self.now)
            if packet:
                self.got.append(packet)
        else:
            self.device.receive_handshake(datagram, source, self.now)


def checksum(data: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return (~(total + (total >> 16)) & 0xFFFF).to_bytes(2)


def _ipv4(protocol: int, payload: bytes) -> bytes:
    head = struct.pack(
        ">BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0),
        *(socket.inet_aton(OURS), socket.inet_aton(THEIRS)),
    )
    return head[:10] + checksum(head) + head[12:] + payload


def echo(number: int, payload: bytes = b"wayhouse") -> bytes:
    """An ICMP echo request from us to them; the answer is `echo_number` of what comes."""
    body = struct.pack(">HH", 7, number) + payload
    return _ipv4(1, b"\x08\0" + checksum(b"\x08\0\0\0" + body) + body)


def echo_number(packet: bytes) -> int | None:
    if len(packet) < 28 or packet[0] != 0x45 or packet[9] != 1 or packet[20] != 0:
        return None
    return int.from_bytes(packet[26:28])


def echo_6(number: int) -> bytes:
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, text) for text in (OURS_6, THEIRS_6))
    body = struct.pack(">HH", 7, number) + b"wayhouse"
    pseudo = addresses + (4 + len(body)).to_bytes(4) + b"\0\0\0\x3a"
    message = b"\x80\0" + checksum(pseudo + b"\x80\0\0\0" + body) + body
    return b"\x60\0\0\0" + len(message).to_bytes(2) + b"\x3a\x40" + addresses + message


def udp(source_port: int, port: int, payload: bytes) -> bytes:
    """Without a checksum, which IPv4 allows."""
    return _ipv4(17, struct.pack(">HHHH", source_port, port, 8 + len(payload), 0) + payload)
