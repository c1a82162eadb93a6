"""Two tunnels in one process, over UDP sockets on loopback, each with a pipe for an interface."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest

from tests.parts.old_ends import LARGE, SMALL, credentials, digest, key
from tests.unit.overlay.legacy.test_forwarding import four
from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import BadInputError, OutsideError
from wayhouse.overlay.drivers.tap_tunnel import TapTunnel, open_tap
from wayhouse.overlay.legacy import dtls, frames
from wayhouse.overlay.model import BadControlError, NoSuchPeerError
from wayhouse.overlay.ports import FrameTunnel, OutletEndpoint, PeerSetup, UdpEndpoint

IP = {SMALL: "10.9.0.1", LARGE: "10.9.0.2"}
ICC = b"\x00ipop\x03" + bytes(8) + b'{"hop": 1}'


class Pipe:
    """An interface whose other side is `far`."""

    def __init__(self, name: str, mac: bytes) -> None:
        self.name, self.mac = name, mac
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.fd = self.near.fileno()
        self.configured: list[tuple[str, ...]] = []
        self.can_reopen = True

    def configure(self, addresses, mtu) -> None:
        self.configured.append(tuple(addresses))

    def reopen(self) -> bool:
        return self.can_reopen

    def close(self) -> None:
        self.near.close()
        self.far.close()
        self.fd = -1


class Told:
    def __init__(self) -> None:
        self.events: list[tuple] = []

    def tunnel_established(self, public_key) -> None:
        self.events.append(("established", public_key))

    def tunnel_silent(self, public_key) -> None:
        self.events.append(("silent", public_key))

    def tunnel_unroutable(self, packet) -> None:
        raise AssertionError(packet)

    def tunnel_frame(self, frame, source) -> None:
        self.events.append(("frame", frame, source))

    def tunnel_troubled(self, public_key, why) -> None:
        self.events.append(("troubled", public_key, why))

    def of(self, kind: str) -> list[tuple]:
        return [event[1:] for event in self.events if event[0] == kind]


class Side:
    def __init__(self, uid: str, peer: str) -> None:
        self.uid, self.peer, self.key = uid, peer, key(peer)
        self.pipe = Pipe("tap0", b"\x02" + bytes.fromhex(uid)[:5])
        self.tunnel = TapTunnel(self.pipe, credentials(uid), clock=SystemClock())
        self.told, self.other = Told(), []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(("127.0.0.1", 0))
        self.tunnel.set_addresses([f"{IP[uid]}/24"], 1280)
        self.tunnel.start(self.told)

    def meet(self, public_key: bytes | None = None) -> None:
        self.key = public_key or self.key
        self.tunnel.set_peer(PeerSetup(public_key=self.key, allowed_ips=(f"{IP[self.peer]}/32",)))
        self.tunnel.adopt(self.sock, lambda data, source: self.other.append(data))

    def link(self, other: Side) -> None:
        self.tunnel.set_endpoint(self.key, UdpEndpoint(self.sock, other.sock.getsockname()))

    def send(self, frame: bytes) -> None:
        self.pipe.far.send(frame)

    async def receive(self) -> bytes:
        async with asyncio.timeout(5):
            return await asyncio.get_running_loop().sock_recv(self.pipe.far, 65536)

    def frame(self) -> bytes:
        return four(IP[self.uid], IP[self.peer])

    def close(self) -> None:
        self.tunnel.release(self.sock)
        self.tunnel.close()
        self.sock.close()


async def until(is_so) -> None:
    async with asyncio.timeout(8):
        while not is_so():
            await asyncio.sleep(0.005)


@pytest.fixture
async def sides():
    made = Side(SMALL, LARGE), Side(LARGE, SMALL)
    yield made
    for side in made:
        side.close()
    await asyncio.sleep(0)


async def linked(sides, keys=(None, None)):
    for side, public_key in zip(sides, keys, strict=True):
        side.meet(public_key)
    a, b = sides
    b.link(a)
    a.link(b)
    for side in sides:
        await until(lambda side=side: side.told.of("established"))
    return sides


async def test_frames_go_both_ways(sides):
    a, b = await linked(sides)
    assert isinstance(a.tunnel, FrameTunnel)
    for here, there in ((a, b), (b, a)):
        here.send(here.frame())
        assert await there.receive() == there.pipe.mac + here.frame()[6:]
        assert here.tunnel.figures()[here.key].sent_packets == 1
        assert there.tunnel.figures()[there.key].received_bytes == len(here.frame()) - 14
        assert there.tunnel.figures()[there.key].last_handshake is not None
    assert repr(a.tunnel) == "TapTunnel(tap0)"
    assert a.tunnel.mac == "02:11:11:11:11:11"


async def test_in_the_clear(sides):
    a, b = await linked(sides, [bytes.fromhex(LARGE), bytes.fromhex(SMALL)])
    a.send(a.frame())
    assert await b.receive() == b.pipe.mac + a.frame()[6:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(bytes.fromhex(SMALL + LARGE) + a.frame(), b.sock.getsockname())
    await until(lambda: b.other)
    assert b.tunnel.figures()[b.key].received_packets == 1


async def test_what_is_not_of_the_link_is_given_back(sides):
    _, b = await linked(sides)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"\x00\x01 STUN", b.sock.getsockname())
    await until(lambda: b.other == [b"\x00\x01 STUN"])


async def test_nonsense_changes_nothing(sides):
    a, b = await linked(sides)
    uids = bytes.fromhex(SMALL), bytes.fromhex(LARGE)
    for noise in (b"\x16" + os.urandom(60), b"\x17\xfe\xfd\x00\x01" + os.urandom(40), b"\x3f"):
        a.sock.sendto(noise, b.sock.getsockname())
        b.tunnel.deliver(b.key, noise)
    session = a.tunnel._peers[a.key].link
    wrong = four("192.0.2.1", IP[LARGE])
    for plaintext in (
        b"x",
        bytes(54),
        uids[1] + uids[0] + a.frame(),
        uids[0] + uids[0] + a.frame(),
        uids[0] + uids[1] + wrong,
        uids[0] + uids[1] + a.frame() + bytes(1500),
    ):
        assert session.send(plaintext)
    a.tunnel._flush(a.tunnel._peers[a.key])
    a.send(a.frame())
    assert await b.receive() == b.pipe.mac + a.frame()[6:]
    assert b.tunnel.figures()[b.key].dropped == 6
    assert b.tunnel.dropped == {"length": 2, "foreign-uid": 3, "foreign-source": 1}
    b.tunnel.deliver(b"nobody", b"x")
    assert b.tunnel.dropped["not-of-link"] == 1
    with pytest.raises(BlockingIOError):
        b.pipe.far.recv(1)


async def test_a_path_that_is_no_socket(sides):
    a, b = sides
    for side in sides:
        side.meet()
    a.tunnel.set_endpoint(a.key, OutletEndpoint(lambda data: b.tunnel.deliver(b.key, data)))
    b.tunnel.set_endpoint(b.key, OutletEndpoint(lambda data: a.tunnel.deliver(a.key, data)))
    a.tunnel.set_endpoint(a.key, None)
    a.tunnel.set_endpoint(a.key, OutletEndpoint(lambda data: b.tunnel.deliver(b.key, data)))
    await until(lambda: a.told.of("established") and b.told.of("established"))
    b.send(b.frame())
    assert await a.receive() == a.pipe.mac + b.frame()[6:]


async def test_a_certificate_that_was_not_told_is_told(sides):
    a, b = sides
    a.meet(bytes.fromhex(LARGE) + digest("3" * 40))
    b.meet()
    b.link(a)
    a.link(b)
    await until(lambda: a.told.of("troubled"))
    assert a.told.of("troubled")[0] == (a.key, dtls.WRONG_CERTIFICATE)
    a.send(a.frame())
    await until(lambda: a.tunnel.dropped["no-session"])
    assert not b.told.of("established")


async def test_the_end_is_told(sides):
    a, b = await linked(sides)
    b.tunnel.close()
    await until(lambda: a.told.of("silent"))
    assert not b.told.of("silent")


async def test_a_flight_is_repeated_until_somebody_is_there(sides):
    a, b = sides
    for side in sides:
        side.meet()
    a.link(b)  # nobody answers yet
    await asyncio.sleep(0.05)
    b.link(a)
    await until(lambda: b.told.of("established"))


async def test_frames_of_and_for_controllers(sides):
    a, b = await linked(sides)
    lost = four(IP[SMALL], "10.9.0.77")
    a.send(lost)
    await until(lambda: a.told.of("frame") == [(lost, "")])
    for _ in range(30):
        a.send(lost)
    await until(lambda: a.tunnel.dropped["too-many-for-controller"])
    a.tunnel.send_frame(LARGE, ICC)
    await until(lambda: b.told.of("frame") == [(ICC, SMALL)])
    a.tunnel.put_frame(LARGE, four("1.2.3.4", "5.6.7.8"))
    assert await a.receive() == a.pipe.mac + four("1.2.3.4", "5.6.7.8")[6:]
    with pytest.raises(NoSuchPeerError):
        a.tunnel.send_frame("3" * 40, ICC)
    for wrong in (bytes(13), bytes(1299)):
        with pytest.raises(BadControlError):
            a.tunnel.put_frame(LARGE, wrong)


async def test_arp_and_switching(sides):
    a, b = await linked(sides)
    asker = b"\x02\x44\x44\x44\x44\x44" + bytes((10, 9, 0, 50))
    asked = bytes((10, 9, 0, 2))
    request = b"\xff" * 6 + asker[:6] + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + asker + bytes(6) + asked
    a.send(request)
    answer = await a.receive()
    assert answer[20:22] == b"\x00\x02"
    for side in sides:
        side.tunnel.set_switching(is_on=True)
    a.send(request)
    answer = await a.receive()
    assert answer == frames.arp_answer(request, b.pipe.mac), "the other end's own answer"
    back = asker[:6] + b.pipe.mac + four(IP[LARGE], "10.9.0.50")[12:]
    b.send(back)
    assert await a.receive() == back, "as it is: somebody behind the interface"
    for side in sides:
        side.tunnel.set_switching(is_on=False)


async def test_peers_come_and_go(sides):
    a, b = await linked(sides)
    with pytest.raises(BadInputError):
        a.tunnel.set_peer(PeerSetup(public_key=key(SMALL), allowed_ips=()))
    with pytest.raises(BadInputError):
        a.tunnel.set_peer(PeerSetup(public_key=b"x", allowed_ips=()))
    a.tunnel.set_peer(PeerSetup(public_key=bytes.fromhex(LARGE), allowed_ips=()))
    assert list(a.tunnel.figures()) == [bytes.fromhex(LARGE)], "one for each uid"
    a.tunnel.remove_peer(bytes.fromhex(LARGE))
    a.tunnel.remove_peer(bytes.fromhex(LARGE))
    a.tunnel.set_endpoint(bytes.fromhex(LARGE), None)
    assert a.tunnel.figures() == {}
    b.send(b.frame())
    await until(lambda: a.other)
    with socket.socket() as stream, pytest.raises(OutsideError):
        a.tunnel.adopt(stream, lambda data, source: None)


async def test_an_interface_that_was_deleted_is_made_again(sides, monkeypatch):
    monkeypatch.setattr("wayhouse.overlay.drivers.tap_tunnel.REOPEN_EVERY_S", 0.01)
    a, b = await linked(sides)
    a.pipe.can_reopen = False
    a.tunnel._interface_failed(OSError(errno.EBADFD, "gone"))
    a.tunnel._interface_failed(OSError(errno.EIO, "down"))
    await asyncio.sleep(0.05)
    a.pipe.can_reopen = True
    await asyncio.sleep(0.05)
    a.send(a.frame())
    assert await b.receive() == b.pipe.mac + a.frame()[6:]
    assert a.tunnel.dropped["interface"] == 2


async def test_without_an_interface():
    from tests.parts.old_ends import identity

    tunnel = open_tap(None, identity(SMALL).tunnel_private_key, clock=SystemClock())
    tunnel.set_addresses(["10.9.0.1/24"], 1280)
    assert (tunnel.interface, tunnel.mac) == ("", "02:11:11:11:11:11")
    tunnel.close()
    with pytest.raises(BadInputError):
        open_tap(None, b"no key", clock=SystemClock())
