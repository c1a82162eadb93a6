"""The built-in engine as a program, for tests and benchmarks that put one into each of two network namespaces.

`python -m tests.parts.engine_process '<json>'` with the fields of `Setup`; prints `ready`, then answers each line of standard input with a
line of JSON: `figures`, `dropped`, `is_compiled`, `events`, `mtu <n>`, `endpoint <host> <port>`, `send <hex> <host> <port>`; ends at its end.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import msgspec

from wayhouse.overlay.engine.loop import the_native
from wayhouse.overlay.engine.tunnel import EngineTunnel
from wayhouse.overlay.ports import PeerSetup, UdpEndpoint
from wayhouse.overlay.wireguard.timing import Timing


class Setup(msgspec.Struct, kw_only=True):
    """Keys in hex; `local` and `remote` are (host, port), no `remote` listens only."""

    interface: str
    private_key: str
    peer_key: str
    local: tuple[str, int]
    remote: tuple[str, int] | None = None
    addresses: list[str]
    allowed_ips: list[str]
    mtu: int = 1420
    keepalive_s: int = 15
    preshared_key: str = ""
    timing: dict[str, float] = {}
    channel: int | None = None


class Program:
    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.events: list[str] = []
        self.other: list[str] = []

    def tunnel_established(self, public_key: bytes) -> None:
        self.events.append("established")

    def tunnel_silent(self, public_key: bytes) -> None:
        self.events.append("silent")

    def tunnel_unroutable(self, packet: bytes) -> None:
        self.events.append("unroutable")

    async def run(self) -> None:
        setup = self.setup
        timing = msgspec.convert(setup.timing, Timing)
        self.tunnel = EngineTunnel(setup.interface, bytes.fromhex(setup.private_key), timing=timing)
        try:
            await self._talk()
        finally:
            self.tunnel.close()

    async def _talk(self) -> None:
        setup, tunnel = self.setup, self.tunnel
        family = socket.AF_INET6 if ":" in setup.local[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind(tuple(setup.local))
        tunnel.start(self)
        tunnel.set_addresses(setup.addresses, setup.mtu)
        tunnel.adopt(self.sock, lambda data, address: self.other.append(data.hex()))
        self.key = bytes.fromhex(setup.peer_key)
        preshared = bytes.fromhex(setup.preshared_key) or None
        tunnel.set_peer(
            PeerSetup(
                public_key=self.key,
                allowed_ips=tuple(setup.allowed_ips),
                preshared_key=preshared,
                keepalive_s=setup.keepalive_s,
            )
        )
        if setup.remote is not None:
            self._place(*setup.remote)
        print("ready", flush=True)  # noqa: T201 - a program
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(self._answer(line.split())), flush=True)  # noqa: T201 - a program
        self.sock.close()

    def _place(self, host: str, port: int) -> None:
        address = (host, port, 0, 0) if ":" in host else (host, port)
        endpoint = UdpEndpoint(sock=self.sock, address=address, channel=self.setup.channel)
        self.tunnel.set_endpoint(self.key, endpoint)

    def _answer(self, words: list[str]) -> Any:  # noqa: PLR0911 - one for each word
        match words:
            case ["figures"]:
                return msgspec.to_builtins(self.tunnel.figures()[self.key])
            case ["dropped"]:
                return dict(self.tunnel.dropped())
            case ["is_compiled"]:
                return the_native() is not None
            case ["events"]:
                return self.events
            case ["other"]:
                return self.other
            case ["mtu", mtu]:
                return self.tunnel.set_addresses(self.setup.addresses, int(mtu))
            case ["endpoint", host, port]:
                return self._place(host, int(port))
            case ["send", data, host, port]:
                return self.sock.sendto(bytes.fromhex(data), (host, int(port)))
        return "what?"


if __name__ == "__main__":
    asyncio.run(Program(msgspec.json.decode(sys.argv[1], type=Setup)).run())
