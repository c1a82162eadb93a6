"""The fake world: who reaches whom, cuts, loss, and real sockets that are lent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from wayhouse.overlay.drivers.fake_path import FakeNet, FakePath, NatKind
from wayhouse.overlay.model import Candidate, CandidateType, PathPolicy, PathSettings
from wayhouse.overlay.ports import Endpoint, OutletEndpoint, UdpEndpoint

A, B = "a" * 40, "b" * 40


class End:
    """One node's end, which gives its candidates to the other end."""

    def __init__(self, path: FakePath) -> None:
        self.path = path
        self.far: End | None = None
        self.told: list[str] = []
        self.endpoints: list[Endpoint] = []
        self.data: list[bytes] = []
        self.candidates: list[Candidate] = []

    def path_candidates(self, candidates: Sequence[Candidate], *, is_last: bool) -> None:
        self.candidates += candidates
        assert self.far is not None
        self.far.path.add_remote(candidates)

    def path_up(self, endpoint: Endpoint, local: Candidate, remote: Candidate) -> None:
        self.told.append(local.type.value)
        self.endpoints.append(endpoint)

    def path_lost(self, reason: str) -> None:
        self.told.append("lost")

    def path_data(self, data: bytes) -> None:
        self.data.append(data)


def ends(net: FakeNet, settings: PathSettings | None = None) -> tuple[End, End]:
    one, two = End(net.path(A, B, settings)), End(net.path(B, A))
    one.far, two.far = two, one
    one.path.start(one)
    two.path.start(two)
    return one, two


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
    await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ("none none", "host"),
        ("cone cone", "host"),
        ("none symmetric", "host"),
        ("cone symmetric", "relay"),
        ("symmetric symmetric", "relay"),
        ("none blocked", "relay"),
    ],
)
async def test_who_reaches_whom(kinds: str, told: str) -> None:
    net = FakeNet()
    for uid, kind in zip((A, B), kinds.split(), strict=True):
        net.add(uid, NatKind(kind))
    one, two = ends(net)
    await turns()
    assert (one.told, two.told) == ([told], [told])
    assert one.path.report().nat == kinds.split(maxsplit=1)[0]
    assert one.path.report().pairs[0].state == "succeeded"


async def test_without_a_relay_symmetric_ends_do_not_meet() -> None:
    net = FakeNet(has_relay=False)
    net.add(A, NatKind.SYMMETRIC)
    net.add(B, NatKind.SYMMETRIC)
    one, _ = ends(net)
    await turns()
    assert one.told == []
    assert one.path.report().last_error
    net.add(A, NatKind.SYMMETRIC, lan="home")
    net.add(B, NatKind.SYMMETRIC, lan="home")
    await turns()
    assert one.told == ["host"]


@pytest.mark.parametrize(
    ("policy", "told", "types"),
    [
        (PathPolicy.RELAY, ["relay"], {CandidateType.RELAYED}),
        (PathPolicy.DIRECT, ["host"], {CandidateType.HOST, CandidateType.SERVER_REFLEXIVE}),
        (PathPolicy.OFF, [], None),
    ],
)
async def test_policies(policy: PathPolicy, told: list[str], types: set[CandidateType] | None) -> None:
    one, _ = ends(FakeNet(), PathSettings(policy=policy))
    await turns()
    assert one.told == told
    assert types is None or {candidate.type for candidate in one.candidates} == types


async def test_data_loss_and_cuts() -> None:
    net = FakeNet(loss=0.5)
    one, two = ends(net)
    await turns()
    endpoint = one.endpoints[0]
    assert isinstance(endpoint, OutletEndpoint)
    await asyncio.to_thread(lambda: [endpoint.outlet(b"%d" % number) for number in range(10)])
    await turns()
    assert len(two.data) == 5
    net.cut(A)
    await turns()
    assert one.told == ["host", "lost"]
    endpoint.outlet(b"nowhere")
    await turns()
    net.heal(A)
    await turns()
    assert two.told == ["host", "lost", "host"]
    assert len(two.data) == 5
    net.block_direct()
    await turns()
    net.unblock()
    await turns()
    assert one.told[3:] == ["relay", "host"]


async def test_a_path_that_starts_on_the_relay() -> None:
    one, _ = ends(FakeNet(direct_after_s=0.001))
    await turns()
    await turns()
    assert one.told == ["relay", "host"]


async def test_early_data_and_a_restart() -> None:
    net = FakeNet()
    one, two = ends(net)
    two.path.take(b"early")
    assert two.data == []
    await turns()
    assert two.data == [b"early"]
    one.path.restart()
    await turns()
    assert [candidate.generation for candidate in one.candidates] == [0, 0, 0, 1, 1, 1]
    assert one.told == ["host"]


async def test_a_new_end_must_be_introduced_anew() -> None:
    net = FakeNet()
    one, two = ends(net)
    await turns()
    await two.path.close()
    await turns()
    assert one.told == ["host", "lost"]
    two.path = net.path(B, A)
    two.path.start(two)
    await turns()
    assert one.told == ["host", "lost"]
    two.path.add_remote(one.candidates)
    await turns()
    assert one.told == ["host", "lost", "host"]


async def test_sockets_are_lent() -> None:
    net = FakeNet(uses_sockets=True)
    one, two = ends(net)
    await turns()
    endpoint, back = one.endpoints[0], two.endpoints[0]
    assert isinstance(endpoint, UdpEndpoint)
    assert isinstance(back, UdpEndpoint)
    endpoint.sock.sendto(b"hello", endpoint.address)
    await turns()
    assert two.data == [b"hello"]
    other = two.path.lend(back.sock)
    endpoint.sock.sendto(b"again", endpoint.address)
    await turns()
    assert two.data == [b"hello"]
    data, address = back.sock.recvfrom(100)
    other(data, address)
    assert two.path.others == [b"again"]
    await one.path.close()
    await two.path.close()
