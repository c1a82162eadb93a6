"""Two real paths in one process, over a relay on loopback: told, lent, kept, and found again."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.parts.turn_core import TurnOnLoopback
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers.ice import IcePath
from wayhouse.overlay.ice import stun
from wayhouse.overlay.model import Candidate, CandidateType, PathPolicy, PathSettings, TurnServer
from wayhouse.overlay.ports import Endpoint, OutletEndpoint, UdpEndpoint

LONG_S = 10.0


class End:
    def __init__(self, path: IcePath) -> None:
        self.path = path
        self.far: End | None = None
        self.candidates: list[Candidate] = []
        self.lasts = 0
        self.endpoints: list[Endpoint] = []
        self.pairs: list[tuple[Candidate, Candidate]] = []
        self.lost: list[str] = []
        self.data: list[bytes] = []

    def path_candidates(self, candidates: Sequence[Candidate], *, is_last: bool) -> None:
        self.candidates += candidates
        self.lasts += is_last
        if self.far is not None and candidates:
            self.far.path.add_remote(candidates)

    def path_up(self, endpoint: Endpoint, local: Candidate, remote: Candidate) -> None:
        self.endpoints.append(endpoint)
        self.pairs.append((local, remote))

    def path_lost(self, reason: str) -> None:
        self.lost.append(reason)

    def path_data(self, data: bytes) -> None:
        self.data.append(data)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def two_ends(
    transport: str, *, is_started: bool = True
) -> AsyncIterator[tuple[TurnOnLoopback, End, End]]:
    async with TurnOnLoopback() as server, Tasks() as tasks:
        relay = TurnServer(
            host="127.0.0.1", port=server.port, transport=transport, username="user", password="secret"
        )
        settings = PathSettings(turn=(relay,), policy=PathPolicy.RELAY, use_ipv6=False)
        one, two = (End(IcePath(settings, tasks, is_controlling=role)) for role in (True, False))
        one.far, two.far = two, one
        if is_started:
            one.path.start(one)
            two.path.start(two)
            await until(lambda: bool(one.endpoints and two.endpoints))
        yield server, one, two
        await one.path.close()
        await two.path.close()


async def test_over_a_channel() -> None:
    async with two_ends("udp") as (_, one, two):
        endpoint, other = one.endpoints[-1], two.endpoints[-1]
        assert isinstance(endpoint, UdpEndpoint)
        assert isinstance(other, UdpEndpoint)
        assert endpoint.channel == 0x4000
        assert endpoint.is_relayed
        assert {one.type for one in one.candidates} == {CandidateType.RELAYED}
        await until(lambda: one.lasts > 0)
        word = b"\4\0\0\0 to a tunnel"
        endpoint.sock.sendto(b"\x40\0" + len(word).to_bytes(2, "big") + word, endpoint.address)
        await until(lambda: two.data == [word])
        give_back = two.path.lend(other.sock)
        endpoint.sock.sendto(b"\x40\0" + len(word).to_bytes(2, "big") + word, endpoint.address)
        await asyncio.sleep(0.05)
        assert two.data == [word]
        data, address = other.sock.recvfrom(2000)
        assert two.path.lend(other.sock) is not None
        give_back(data, address)
        assert two.data == [word, word]
        give_back(b"", address)
        give_back(b"\0\1\0\0\x21\x12\xa4\x42too short", address)


async def test_over_a_stream_and_back_after_it_ended() -> None:
    async with two_ends("tcp") as (server, one, two):
        endpoint = one.endpoints[-1]
        assert isinstance(endpoint, OutletEndpoint)
        endpoint.outlet(b"\4\0\0\0 hello")
        await until(lambda: two.data == [b"\4\0\0\0 hello"])
        before = len(one.endpoints)
        server.drop()
        await until(lambda: len(one.endpoints) > before)
        later = one.endpoints[-1]
        assert isinstance(later, OutletEndpoint)
        await until(lambda: later.outlet(b"\4\0\0\0 again") is None and b"\4\0\0\0 again" in two.data)


async def test_a_restart_keeps_the_path() -> None:
    async with two_ends("udp") as (_, one, two):
        one.path.restart()
        await asyncio.sleep(0.1)
        assert one.lost == two.lost == []
        report = one.path.report()
        assert report.last_error == ""
        assert report.pairs[0].state == "succeeded"
        assert report.pairs[0].local_type is CandidateType.RELAYED
        local, remote = one.pairs[-1]
        assert (local.type, remote.type) == (CandidateType.RELAYED, CandidateType.RELAYED)


async def test_introduced_before_it_starts() -> None:
    async with two_ends("udp", is_started=False) as (_, one, two):
        one.path.start(one)
        await until(lambda: bool(one.candidates))
        two.path.add_remote(one.candidates)
        two.path.start(two)
        await until(lambda: bool(one.endpoints and two.endpoints))


async def test_why_there_is_none() -> None:
    async with TurnOnLoopback() as server, Tasks() as tasks:
        relay = TurnServer(host="127.0.0.1", port=server.port, username="user", password="wrong")
        path = IcePath(PathSettings(turn=(relay,), policy=PathPolicy.RELAY), tasks, is_controlling=True)
        end = End(path)
        path.start(end)
        await until(lambda: "refused" in path.report().last_error)
        await until(lambda: end.lasts > 0)
        assert end.candidates == []
        assert "wrong" not in path.report().last_error + repr(relay)
        with pytest.raises(ValueError, match="not the path's"), socket.socket() as stranger:
            path.lend(stranger)
        await path.close()
        path.restart()
        path.add_remote([])


async def test_off() -> None:
    async with Tasks() as tasks:
        path = IcePath(PathSettings(policy=PathPolicy.OFF), tasks, is_controlling=True)
        end = End(path)
        path.start(end)
        await until(lambda: end.lasts == 1)
        path.restart()
        assert end.candidates == []
        assert path.report().nat == "unknown"
        await path.close()


async def test_a_nat_is_seen_through_stun() -> None:
    """The server on loopback sees the socket as it is; without one the host's own addresses are all."""
    async with TurnOnLoopback() as server, Tasks() as tasks:
        settings = PathSettings(stun=(("127.0.0.1", server.port),), policy=PathPolicy.DIRECT)
        path = IcePath(settings, tasks, is_controlling=True)
        end = End(path)
        path.start(end)
        await until(lambda: any(one.type is CandidateType.SERVER_REFLEXIVE for one in end.candidates))
        seen = next(one for one in end.candidates if one.type is CandidateType.SERVER_REFLEXIVE)
        assert seen.host == "127.0.0.1"
        await until(lambda: end.lasts > 0)
        await path.close()


async def test_any_datagrams() -> None:
    """Real messages with bits turned over, and noise, at a path that works: it goes on working."""
    dice = random.Random(5)
    async with two_ends("udp") as (_, one, two):
        endpoint = one.endpoints[-1]
        assert isinstance(endpoint, UdpEndpoint)
        give = one.path.lend(endpoint.sock)
        address = endpoint.address
        data = stun.encode(
            stun.DATA,
            stun.INDICATION,
            bytes(12),
            [
                (stun.XOR_PEER_ADDRESS, stun.xor_address(("192.0.2.1", 5), bytes(12))),
                (stun.DATA_VALUE, b"abc"),
            ],
        )
        for sample in (
            data,
            stun.encode(stun.BINDING, stun.REQUEST, bytes(12), [(stun.USERNAME, b"a:b")], key=b"k"),
            b"\x40\0\0\4abcd",
        ):
            for _ in range(300):
                changed = bytearray(sample)
                for _ in range(dice.randint(0, 4)):
                    changed[dice.randrange(len(changed))] = dice.randrange(256)
                give(bytes(changed[: dice.randint(0, len(changed))]), address)
                give(dice.randbytes(dice.randint(0, 60)), ("192.0.2.7", 1))
        assert one.lost == two.lost == []
        assert one.path.report().pairs[0].state == "succeeded"
