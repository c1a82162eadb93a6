"""The kernel's WireGuard as a tunnel, over a card that stands for the kernel. With the real one: tests/e2e/test_overlay_kernel_wireguard.py."""

# covers: overlay/drivers/kernel_place.py

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.parts.fake_card import FakeCard
from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import BadInputError, OutsideError, UnavailableError
from wayhouse.overlay.drivers.kernel_tunnel import KernelTunnel
from wayhouse.overlay.ports import OutletEndpoint, PeerSetup, UdpEndpoint

PRIVATE = bytes(range(1, 33))
OWN = X25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
LOW, HIGH = bytes(32), b"\xff" * 32
WIREGUARD = b"\4\0\0\0" + bytes(28)
STUN = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)


class House:
    """A tunnel over a fake card, and what it told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.cards: list[FakeCard] = []
        self.tunnel = KernelTunnel("wh-test", PRIVATE, make_card=self._make)
        (self.card,) = self.cards

    def _make(self, name: str, private_key: bytes) -> FakeCard:
        self.cards.append(FakeCard(name, private_key))
        return self.cards[-1]

    def tunnel_established(self, public_key: bytes) -> None:
        self.told.append(("established", public_key))

    def tunnel_silent(self, public_key: bytes) -> None:
        self.told.append(("silent", public_key))

    def tunnel_unroutable(self, packet: bytes) -> None:
        raise AssertionError("never told")


def peer(key: bytes = LOW, **more: object) -> PeerSetup:
    return PeerSetup(public_key=key, allowed_ips=("10.0.0.2/32",), **more)  # type: ignore[arg-type]


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(5.0)
    return sock


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10.0):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.fixture
async def house():
    made = House()
    made.tunnel.set_addresses(["10.0.0.1/24"], 1280)
    made.tunnel.start(made)
    yield made
    made.tunnel.close()


@pytest.fixture
def sock():
    with udp() as found:
        yield found


async def test_a_straight_peer_is_the_kernels(house, sock) -> None:
    house.tunnel.set_peer(peer())
    house.tunnel.set_endpoint(LOW, UdpEndpoint(sock, ("198.51.100.7", 4000)))
    await until(lambda: ("peer", LOW, None, True) in house.card.log)
    assert house.card.endpoints[LOW] == ("198.51.100.7", 4000)
    assert f"198.51.100.7 . 4000 : {sock.getsockname()[1]}" in house.card.table
    words = [one[:1] + one[2:] for one in house.card.log if one[0] in ("peer", "remove")]
    assert words == [
        ("peer", None, False),
        ("remove",),
        ("peer", ("198.51.100.7", 4000), False),
        ("peer", None, True),
    ]


async def test_of_two_kernels_one_begins_later(house, sock) -> None:
    house.tunnel.set_peer(peer(HIGH))
    house.tunnel.set_endpoint(HIGH, UdpEndpoint(sock, ("198.51.100.7", 4000)))
    await until(lambda: house.card.endpoints)
    assert ("peer", HIGH, None, True) not in house.card.log
    await until(lambda: ("peer", HIGH, None, True) in house.card.log)


@pytest.mark.parametrize("kind", ["relay", "outlet", "link-local", "nowhere"])
async def test_what_the_kernel_cannot_reach_goes_over_loopback(house, sock, kind) -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()
    with udp() as relay:
        endpoints = {
            "relay": UdpEndpoint(sock, relay.getsockname(), channel=0x4001, is_relayed=True),
            "outlet": OutletEndpoint(got.put_nowait),
            "link-local": UdpEndpoint(sock, ("fe80::1", 4000, 0, 2)),
            "nowhere": None,
        }
        house.tunnel.set_peer(peer())
        house.tunnel.set_endpoint(LOW, UdpEndpoint(sock, ("198.51.100.7", 4000)))
        house.tunnel.set_endpoint(LOW, endpoints[kind])
        await until(lambda: house.card.endpoints.get(LOW, ("",))[0] == "127.0.0.1")
        assert "elements" not in house.card.table or kind != "nowhere"
        house.card.sock.sendto(WIREGUARD, house.card.endpoints[LOW])
        if kind == "relay":
            data = await asyncio.to_thread(relay.recv, 2000)
            assert data == b"\x40\x01\0\x20" + WIREGUARD
        elif kind == "outlet":
            assert await asyncio.wait_for(got.get(), 5.0) == WIREGUARD


async def test_stun_stays_with_the_path(house, sock) -> None:
    other: asyncio.Queue[bytes] = asyncio.Queue()
    with udp() as far:
        house.tunnel.set_peer(peer())
        house.tunnel.adopt(sock, lambda data, _: other.put_nowait(data))
        house.tunnel.set_endpoint(LOW, UdpEndpoint(sock, far.getsockname()))
        far.sendto(STUN, sock.getsockname())
        assert await asyncio.wait_for(other.get(), 5.0) == STUN
        far.sendto(WIREGUARD, sock.getsockname())
        assert await asyncio.to_thread(house.card.sock.recv, 2000) == WIREGUARD
        assert other.empty()


async def test_relayed_datagrams_lose_their_prefix(house, sock) -> None:
    other: asyncio.Queue[bytes] = asyncio.Queue()
    with udp() as relay, udp() as stranger:
        house.tunnel.set_peer(peer())
        house.tunnel.adopt(sock, lambda data, _: other.put_nowait(data))
        house.tunnel.set_endpoint(
            LOW, UdpEndpoint(sock, relay.getsockname(), channel=0x4001, is_relayed=True)
        )
        relay.sendto(b"\x40\x01\0\x20" + WIREGUARD, sock.getsockname())
        assert await asyncio.to_thread(house.card.sock.recv, 2000) == WIREGUARD
        for forged in (b"\x40\x02\0\x20" + WIREGUARD, b"\x40\x01\0\x20" + WIREGUARD):
            stranger.sendto(forged, sock.getsockname())
            assert await asyncio.wait_for(other.get(), 5.0) == forged


async def test_released_sockets_are_not_read_and_lead_nowhere(house, sock) -> None:
    house.tunnel.set_peer(peer())
    house.tunnel.adopt(sock, lambda *_: None)
    house.tunnel.set_endpoint(LOW, UdpEndpoint(sock, ("198.51.100.7", 4000)))
    house.tunnel.release(sock)
    house.tunnel.release(sock)
    await until(lambda: house.card.endpoints.get(LOW, ("",))[0] == "127.0.0.1")
    assert "198.51.100.7" not in house.card.table


async def test_news_and_figures_are_told(house, sock) -> None:
    house.tunnel.set_peer(peer())
    house.tunnel.set_endpoint(LOW, UdpEndpoint(sock, ("198.51.100.7", 4000)))
    house.card.counted = {LOW: (180, 92, SystemClock().wall()), b"x" * 32: (1, 1, 1.0)}
    await until(lambda: house.told)
    assert house.told == [("established", LOW)]
    figures = house.tunnel.figures()[LOW]
    assert (figures.sent_bytes, figures.received_bytes) == (180, 92)
    assert figures.last_handshake is not None


async def test_without_a_path_nothing_is_told(house) -> None:
    house.tunnel.set_peer(peer())
    house.card.counted = {LOW: (180, 92, SystemClock().wall())}
    await until(lambda: house.tunnel.figures()[LOW].received_bytes)
    assert house.told == []


async def test_a_deleted_interface_comes_back(house, sock) -> None:
    house.tunnel.set_peer(peer())
    house.tunnel.set_endpoint(LOW, UdpEndpoint(sock, ("198.51.100.7", 4000)))
    house.card.is_gone = True
    await until(lambda: ("remake",) in house.card.log)
    await until(lambda: house.card.log[-1] == ("peer", LOW, None, True))
    assert house.card.endpoints[LOW] == ("198.51.100.7", 4000)
    assert house.card.log.count(("configure", ("10.0.0.1/24",), 1280)) == 2


async def test_a_peer_goes(house, sock) -> None:
    house.tunnel.set_peer(peer())
    house.tunnel.set_endpoint(LOW, UdpEndpoint(sock, ("198.51.100.7", 4000)))
    house.tunnel.remove_peer(LOW)
    house.tunnel.remove_peer(LOW)
    house.tunnel.set_endpoint(LOW, None)
    house.tunnel.deliver(LOW, WIREGUARD)
    await until(lambda: house.card.log[-1] == ("remove", LOW))
    assert house.tunnel.figures() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        peer(OWN),
        peer(b"short"),
        peer(preshared_key=b"short"),
        peer(keepalive_s=70000),
        peer(translation=("10.0.0.1", "10.0.0.2")),
        PeerSetup(public_key=LOW, allowed_ips=("everywhere",)),
    ],
)
async def test_a_wrong_peer_changes_nothing(house, wrong) -> None:
    with pytest.raises(BadInputError):
        house.tunnel.set_peer(wrong)
    assert house.tunnel.figures() == {}


async def test_wrong_settings(house, sock) -> None:
    with pytest.raises(BadInputError):
        house.tunnel.set_addresses(["nowhere"], 1280)
    house.card.refusal = "The interface cannot be set up."
    with pytest.raises(OutsideError):
        house.tunnel.set_addresses(["10.0.0.1/24"], 1280)
    with socket.socket() as tcp, pytest.raises(OutsideError):
        house.tunnel.adopt(tcp, lambda *_: None)
    with pytest.raises(BadInputError):
        KernelTunnel("wh-test", b"short", make_card=FakeCard)
    with pytest.raises(BadInputError):
        KernelTunnel("no such name", PRIVATE, make_card=FakeCard)


async def test_no_wireguard_in_the_kernel() -> None:
    def refuse(_: str, __: bytes) -> FakeCard:
        raise OutsideError("none here")

    with pytest.raises(OutsideError, match="none here"):
        KernelTunnel("wh-test", PRIVATE, make_card=refuse)


async def test_after_close_it_is_over() -> None:
    house = House()
    house.tunnel.start(house)
    house.tunnel.close()
    house.tunnel.close()
    assert house.card.log == [("close",)]
    assert "table inet wayhouse_wh-test_ports {" not in house.card.table
    with pytest.raises(UnavailableError):
        house.tunnel.set_addresses(["10.0.0.1/24"], 1280)
    assert repr(house.tunnel) == "KernelTunnel(wh-test)"
