"""Finding a relay: servers in their order, over UDP and TCP on loopback, and what happens when they go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from tests.parts.turn_core import TurnOnLoopback
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers.relays import Relay, Relays, resolve
from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.stun import Host
from wayhouse.overlay.model import TurnServer

LONG_S = 10.0


class User:
    """A path that only wants to be relayed."""

    def __init__(self, tasks: Tasks) -> None:
        self.relays = Relays(self, tasks)
        self.told: list[str] = []
        self.data: list[tuple[Host, bytes]] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._sock.bind(("127.0.0.1", 0))
        self._loop.add_reader(self._sock, self._readable)

    def send_udp(self, server: Host, data: bytes) -> None:
        self._sock.sendto(data, server)

    def relay_up(self, relay: Relay) -> None:
        self.told.append(f"up {relay.server.transport}")

    def relay_down(self, relay: Relay) -> None:
        self.told.append(f"down {relay.server.transport}")

    def relay_data(self, relay: Relay, source: Host, data: bytes) -> None:
        self.data.append((source, data))

    def relay_busy(self) -> None:
        self._loop.call_soon(self._tick)

    def has_path(self) -> bool:
        return False

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG_S):
            while not condition():
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self.relays.close()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def relayed(self) -> Host:
        active = self.relays.active()
        assert active is not None
        assert active.allocation is not None
        assert active.allocation.relayed is not None
        return active.allocation.relayed

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.relays.tick(self._loop.time())
        deadline = self.relays.deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._tick)

    def _readable(self) -> None:
        data, server = self._sock.recvfrom(65536)
        if stun.is_stun(data):
            self.relays.hear(server, stun.decode(data))
        else:
            self.relays.unwrap(server, data)


def at(server: TurnOnLoopback, transport: str, password: str = "secret") -> tuple[TurnServer, Host]:
    where = ("127.0.0.1", server.port)
    return TurnServer(
        host=where[0], port=where[1], transport=transport, username="user", password=password
    ), where


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_data_goes_through(transport: str) -> None:
    async with TurnOnLoopback() as server, Tasks() as tasks:
        one, two = User(tasks), User(tasks)
        for user in (one, two):
            user.relays.start([at(server, transport)])
            assert user.relays.is_busy()
            await user.until(lambda user=user: user.told == [f"up {transport}"])  # type: ignore[misc]
            assert not user.relays.is_busy()
        active = one.relays.active()
        assert active is not None
        two.relays.send("relay0", one.relayed(), b"opens")
        await two.until(lambda: server.core.asked[stun.CHANNEL_BIND] == 1)
        await asyncio.to_thread(one.relays.outlet, active, two.relayed(), b"hello")
        await two.until(lambda: two.data == [(one.relayed(), b"hello")])
        one.relays.send("relay9", two.relayed(), b"nowhere")
        await one.close()
        await two.close()
        await asyncio.sleep(0.02)
        assert server.core.allocations == {}


async def test_the_next_server_is_tried_while_the_first_is_silent() -> None:
    async with TurnOnLoopback() as deaf, TurnOnLoopback() as server, Tasks() as tasks:
        deaf.core.is_deaf = True
        user = User(tasks)
        user.relays.start([at(deaf, "udp"), at(server, "tcp")])
        await user.until(lambda: user.told == ["up tcp"])
        await user.close()


async def test_a_refusal_is_told_and_the_next_is_taken() -> None:
    async with TurnOnLoopback() as server, Tasks() as tasks:
        user = User(tasks)
        user.relays.start([at(server, "udp", "wrong"), at(server, "tcp")])
        await user.until(lambda: user.told == ["up tcp"])
        assert user.relays.last_error == "udp:127.0.0.1: the relay refused: 401 Unauthorized"
        await user.close()


async def test_a_server_that_forgot_us_and_a_connection_that_ends() -> None:
    async with TurnOnLoopback() as server, Tasks() as tasks:
        user = User(tasks)
        user.relays.start([at(server, "udp")])
        await user.until(lambda: user.told == ["up udp"])
        server.core.forget()
        user.relays.probe()
        await user.until(lambda: user.told == ["up udp", "down udp", "up udp"])
        await user.close()
        other = User(tasks)
        other.relays.start([at(server, "tcp")])
        await other.until(lambda: other.told == ["up tcp"])
        server.drop()
        await other.until(lambda: other.told == ["up tcp", "down tcp", "up tcp"])
        other.relays.moved({"192.0.2.1"})
        await other.until(lambda: len(other.told) == 5)
        assert server.connections == 3
        await other.close()


async def test_nobody_listens() -> None:
    async with Tasks() as tasks:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        user = User(tasks)
        server = TurnServer(host="127.0.0.1", port=port, transport="tcp")
        user.relays.start([(server, ("127.0.0.1", port))])
        await user.until(lambda: "tcp:127.0.0.1" in user.relays.last_error)
        assert not user.relays.is_busy()
        await user.close()


async def test_a_tls_server_that_is_none() -> None:
    async with TurnOnLoopback() as server, Tasks() as tasks:
        user = User(tasks)
        user.relays.start([at(server, "tls")])
        await user.until(lambda: bool(user.relays.last_error))
        await user.close()


async def test_addresses_of_servers() -> None:
    assert await resolve("192.0.2.1", 5) == [("192.0.2.1", 5)]
    assert await resolve("2001:DB8::1", 5) == [("2001:db8::1", 5)]
    assert ("127.0.0.1", 5) in await resolve("localhost", 5)
    assert await resolve("no such host", 5) == []
    assert await resolve("x" * 300 + ".example", 5) == []
