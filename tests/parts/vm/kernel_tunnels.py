"""Runs inside the virtual machine: `KernelTunnel`s against each other and against the built-in engine, through a NAT between two namespaces, with and
without a relay. Says what passed as it goes."""

# ruff: noqa: T201 - what is printed is the answer

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pyroute2 import IPRoute, WireGuard

from tests.parts.vm.inside import INNER, NAMES, OUTER, Fork, both_ways, echoes, inside, lay_wire, run
from wayhouse.overlay.drivers.kernel_tunnel import KernelTunnel
from wayhouse.overlay.engine.tunnel import EngineTunnel
from wayhouse.overlay.ports import Address, PeerSetup, UdpEndpoint

CARD = "wh-lab"
PORTS = (5001, 5002)
"""Of the sockets that stand for ICE's."""
PSK = bytes(range(32))
RELAY_PORT = 3478
NEEDED = (IPRoute, WireGuard)
"""Imported here, once, for what imports them late."""
MADE = {"kernel": KernelTunnel, "engine": EngineTunnel}
STUN = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)


class End:
    """One side, as a node would hold it: a tunnel and one lent socket. Answers lines on standard input."""

    def __init__(self, kind: str, side: int, keys: list[X25519PrivateKey], outer: int) -> None:
        self._kind, self._side, self._outer = kind, side, outer
        self._own = keys[side].private_bytes_raw()
        self._peer = keys[1 - side].public_key().public_bytes_raw()
        self.events: list[str] = []
        self.other: list[str] = []

    def tunnel_established(self, public_key: bytes) -> None:
        self.events.append("established")

    def tunnel_silent(self, public_key: bytes) -> None:
        self.events.append("silent")

    def tunnel_unroutable(self, packet: bytes) -> None:
        self.events.append("unroutable")

    async def run(self) -> None:
        self._sock = socket.socket(socket.AF_INET6 if self._outer == 6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("", PORTS[self._side]))
        self._tunnel = MADE[self._kind](CARD, self._own)
        try:
            side = self._side
            self._tunnel.set_addresses([f"{INNER[4][side]}/24", f"{INNER[6][side]}/64"], 1380)
            self._tunnel.start(self)
            self._set_peer()
            self._tunnel.adopt(self._sock, self._hear_other)
            await self._talk()
        finally:
            self._tunnel.close()
            self._sock.close()

    def _set_peer(self) -> None:
        allowed = (f"{INNER[4][1 - self._side]}/32", f"{INNER[6][1 - self._side]}/128")
        self._tunnel.set_peer(PeerSetup(public_key=self._peer, allowed_ips=allowed, preshared_key=PSK))

    async def _talk(self) -> None:
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(self._answer(line.split())), flush=True)

    def _hear_other(self, data: bytes, address: Address) -> None:
        self.other.append(data.hex())

    def _answer(self, words: list[str]) -> Any:
        match words:
            case ["events"]:
                return self.events
            case ["other"]:
                return self.other
            case ["figures"]:
                found = self._tunnel.figures()[self._peer]
                return [found.sent_bytes, found.received_bytes, found.last_handshake]
            case ["cpu"]:
                return time.process_time()
        self._do(words)
        return "done"

    def _do(self, words: list[str]) -> None:
        match words:
            case ["place", host, port]:
                self._tunnel.set_endpoint(self._peer, UdpEndpoint(self._sock, self._full(host, port)))
            case ["relayed", host, port, channel]:
                address = self._full(host, port)
                endpoint = UdpEndpoint(self._sock, address, channel=int(channel), is_relayed=True)
                self._tunnel.set_endpoint(self._peer, endpoint)
            case ["lost"]:
                self._tunnel.set_endpoint(self._peer, None)
            case ["send", data, host, port]:
                self._sock.sendto(bytes.fromhex(data), self._full(host, port))
            case ["forget"]:
                self._tunnel.remove_peer(self._peer)
                self._set_peer()
            case _:
                raise AssertionError(words)

    @staticmethod
    def _full(host: str, port: str) -> Address:
        return (host, int(port), 0, 0) if ":" in host else (host, int(port))


def _live(end: End) -> None:
    asyncio.run(end.run())


class Ends:
    def __init__(self, kinds: tuple[str, str], outer: int = 4) -> None:
        keys = [X25519PrivateKey.generate() for _ in range(2)]
        self.kinds, self.outer = kinds, outer
        ends = [End(kind, side, keys, outer) for side, kind in enumerate(kinds)]
        self.sides = [Fork(side, partial(_live, end)) for side, end in enumerate(ends)]
        for one in self.sides:
            assert one.line() == "ready"

    def place(self) -> None:
        for side, one in enumerate(self.sides):
            one.ask(f"place {OUTER[self.outer][1 - side]} {PORTS[1 - side]}")

    def until_established(self, count: int = 1) -> float:
        began = time.monotonic()
        for one in self.sides:
            one.wait_for("events", lambda events: events.count("established") >= count)
        return round(time.monotonic() - began, 2)

    def close(self) -> None:
        assert [one.close() for one in self.sides] == [0, 0]


def say(*words: object) -> None:
    print(f"{time.monotonic():7.1f}", *words, flush=True)


def straight(kinds: tuple[str, str], outer: int, seconds: float) -> None:
    ends = Ends(kinds, outer)
    try:
        ends.place()
        took = ends.until_established()
        for side in (0, 1):
            for version in (4, 6):
                for size in (8, 1332, 8000):
                    assert echoes(side, 3, size, version) == 3, (side, version, size)
        for side in (0, 1):
            host, port = OUTER[outer][1 - side], PORTS[1 - side]
            ends.sides[side].ask(f"send {STUN.hex()} {host} {port}")
            ends.sides[1 - side].wait_for("other", lambda other: STUN.hex() in other)
            ends.sides[side].ask(f"send {'04000000' + '00' * 28} {host} {port}")
        before = [one.ask("cpu") for one in ends.sides]
        counts = both_ways(seconds, (4,))
        used = [round(one.ask("cpu") - was, 2) for one, was in zip(ends.sides, before, strict=True)]
        say(
            kinds,
            "outer",
            outer,
            "up after",
            took,
            "s; bytes",
            counts,
            "in",
            seconds,
            "s; CPU of the processes",
            used,
            [one.ask("figures") for one in ends.sides],
        )
    finally:
        ends.close()


def lost_and_found(kinds: tuple[str, str]) -> None:
    """The path is lost, and comes again; a peer is removed on one side."""
    ends = Ends(kinds)
    try:
        ends.place()
        ends.until_established()
        for one in ends.sides:
            one.ask("lost")
        time.sleep(2)
        assert echoes(0, 2, 8) == 0
        ends.place()
        took = ends.until_established(2)
        assert echoes(0, 3, 8) == 3
        say(kinds, "lost, and again after", took)
        ends.sides[1].ask("forget")
        ends.sides[1].ask(f"place {OUTER[4][0]} {PORTS[0]}")
        took = ends.until_established(2)
        assert echoes(0, 10, 8) >= 8
        say(kinds, "keys lost by one side")
        for side in (0, 1):
            if kinds[side] == "kernel":
                run("ip", "-n", NAMES[side], "link", "del", CARD)
        time.sleep(4)
        assert echoes(1, 10, 8) >= 5
        say(kinds, "interface deleted and made again")
    finally:
        ends.close()


def relay() -> None:
    """Stands for a TURN server: datagrams of each channel go to whoever else has sent in it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((OUTER[4][1], RELAY_PORT))
        print("ready", flush=True)
        known: list[Any] = []
        while True:
            data, address = sock.recvfrom(65535)
            known = [*(one for one in known if one != address), address]
            for one in known[:-1]:
                sock.sendto(data, one)


def relayed(kinds: tuple[str, str], seconds: float) -> None:
    """Over a relay, then straight, then over the relay again."""
    server = Fork(1, relay)
    assert server.line() == "ready"
    ends = Ends(kinds)
    is_told = kinds == (
        "kernel",
        "kernel",
    )  # the engine tells no handshake when its session goes on over another way
    try:
        for turn in (1, 2):
            for one in ends.sides:
                one.ask(f"relayed {OUTER[4][1]} {RELAY_PORT} 16385")
            took = ends.until_established(2 * turn - 1 if is_told else 1)
            assert echoes(0, 5, 1000) == 5
            counts = both_ways(seconds, (6,))
            say(kinds, "relayed: up after", took, "s; bytes", counts)
            ends.place()
            ends.until_established(2 * turn if is_told else 1)
            assert echoes(0, 5, 1000) == 5
    finally:
        ends.close()
        server.kill()


def behind_nat(kinds: tuple[str, str], seconds: float) -> None:
    """The first side is behind a NAT that gives it another port; its ICE socket has opened the way, as consent does."""
    ends = Ends(kinds)
    rules = f"table ip nat {{ chain out {{ type nat hook postrouting priority 100; udp sport {PORTS[0]} masquerade to :6001; }}; }}"
    inside(0, "nft", "-f", "-", stdin=rules)
    try:
        ends.sides[0].ask(f"send {STUN.hex()} {OUTER[4][1]} {PORTS[1]}")
        ends.sides[1].wait_for("other", bool)
        ends.sides[0].ask(f"place {OUTER[4][1]} {PORTS[1]}")
        ends.sides[1].ask(f"place {OUTER[4][0]} 6001")
        took = ends.until_established()
        assert echoes(1, 5, 1000) == 5
        say(kinds, "behind a NAT: up after", took, "s; bytes", both_ways(seconds, (4,)))
    finally:
        ends.close()
        inside(0, "nft", "delete", "table", "ip", "nat")


def main(seconds: float) -> None:
    lay_wire()
    say("ready")
    for kinds in (("kernel", "kernel"), ("kernel", "engine"), ("engine", "kernel"), ("engine", "engine")):
        straight(kinds, 4, seconds)
    straight(("kernel", "kernel"), 6, seconds)
    lost_and_found(("kernel", "kernel"))
    lost_and_found(("kernel", "engine"))
    relayed(("kernel", "kernel"), seconds)
    relayed(("kernel", "engine"), seconds)
    behind_nat(("kernel", "kernel"), seconds)
    assert "wh-lab" not in inside(0, "nft", "list", "tables")
    assert CARD not in inside(0, "ip", "link")


if __name__ == "__main__":
    main(float(sys.argv[1]))
    print("all is well", os.uname().release)
