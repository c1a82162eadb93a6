import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parts.old_nodes import OldHouse
from tests.parts.overlay_nodes import UIDS, House, answer_everything
from wayhouse.base.errors import OutsideError
from wayhouse.overlay.addressing import gen_ip6
from wayhouse.overlay.drivers.control_socket import ControlSocket
from wayhouse.overlay.drivers.fake_signal import Sent
from wayhouse.overlay.model import LinkStatus
from wayhouse.overlay.requests import Requests

A, B = UIDS[:2]
EXAMPLE = Path(__file__).parents[4] / "examples" / "overlay" / "controller.py"
G1 = b"\x02\x01"


@pytest.fixture(autouse=True)
def logging_as_before():
    logger = logging.getLogger("wayhouse.overlay")
    before = logger.level
    yield
    logger.setLevel(before)


class Driver:
    """A controller's socket."""

    def __init__(self, port: int, family=socket.AF_INET6):
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(("", 0))
        self.to = ("::1" if family == socket.AF_INET6 else "127.0.0.1", port)
        self.port = self.sock.getsockname()[1]

    def send(self, head: bytes = b"", **fields):
        self.sock.sendto(head + json.dumps(fields).encode(), self.to)

    async def receive(self) -> bytes:
        async with asyncio.timeout(5):
            return await asyncio.get_running_loop().sock_recv(self.sock, 65536)

    async def hear(self, head: bytes = b"") -> dict:
        data = await self.receive()
        assert data.startswith(head + b"{")
        return json.loads(data[len(head) :])

    async def nothing(self):
        """Everything that was sent before is done when an echo comes back to another socket."""
        for _ in range(50):
            await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            self.sock.recv(65536)


@pytest.fixture
async def served():
    house = House()
    async with house.bare(A) as node, house.node(B) as other:
        control = ControlSocket(
            node, Requests(node, lambda request: house.exchange.signaller(request.username)), house.clock
        )
        port = control.open(0)
        with contextlib.ExitStack() as drivers:

            def driver(family=socket.AF_INET6) -> Driver:
                made = Driver(port, family)
                drivers.enter_context(made.sock)
                return made

            yield house, node, other, control, driver
        control.close()


async def begin(driver: Driver, head: bytes = b"") -> None:
    driver.send(head, m="set_cb_endpoint", ip="::", port=driver.port)
    driver.send(head, m="set_local_ip", uid=A, ip4="172.31.0.100", ip6=gen_ip6(A))
    driver.send(head, m="register_svc", username="a@b", password="p", host="h")


@pytest.mark.parametrize("family", [socket.AF_INET6, socket.AF_INET])
@pytest.mark.parametrize("head", [b"", G1, b"\x03\x01"])
async def test_each_is_answered_in_its_framing(served, family, head):
    driver = served[-1](family)
    driver.send(head, m="get_state")
    assert (await driver.hear(head))["type"] == "local_state"
    driver.sock.sendto(head + b"{x}", driver.to)
    assert await driver.hear(head) == {"error": "json parsing failed"}
    driver.send(head, m="echo_request", msg="hi")
    assert await driver.hear(head) == {"type": "echo_reply", "msg": "hi"}
    driver.send(head, m="trim_link", uid=B)
    assert "error" in await driver.hear(head)


async def test_the_first_generation_is_told_who_it_is_before_anything_else(served):
    _, node, other, _, make = served
    driver = make()
    await begin(driver)
    assert (await driver.hear())["_fpr"] == node.identity.fingerprint()
    told = await driver.hear()
    assert told == {"type": "con_req", "uid": B, "data": other.fingerprint}


async def test_later_generations_are_not_introduced(served):
    house, node, _, _, make = served
    driver = make()
    await begin(driver, G1)
    driver.send(G1, m="get_state", uid="", stats=False)
    assert (await driver.hear(G1))["_uid"] == A
    house.exchange.forge(Sent(B, A, "send_msg", "start"))
    assert await driver.hear(G1) == {"type": "send_msg", "uid": B, "data": "start"}
    assert node.introduces is False


async def test_a_controller_that_comes_later_is_told_of_who_is_there(served):
    _, node, other, _, make = served
    await begin(make(), G1)
    while B not in node.peers:
        await asyncio.sleep(0)
    late = make()
    late.send(m="set_cb_endpoint", ip="::1", port=late.port)
    assert (await late.hear())["type"] == "local_state"
    assert await late.hear() == {"type": "con_req", "uid": B, "data": other.fingerprint}


async def test_errors_of_signing_in_are_told(served):
    _, node, _, _, make = served
    driver = make()
    await begin(driver)
    await driver.hear()
    await driver.hear()
    node.signallers["a@b"].cut("The password is wrong.", is_final=True)
    told = await driver.hear()
    assert (told["type"], told["data"], told["why"]) == (
        "error",
        "1000:xmpp_connect_failed",
        "The password is wrong.",
    )


@pytest.mark.parametrize(("head", "offset"), [(b"", 54), (G1, 56)])
async def test_packets_that_nobody_may_get_go_to_the_controller(served, head, offset):
    house, _, _, _, make = served
    driver = make()
    driver.send(head, m="set_cb_endpoint", ip="::", port=driver.port)
    driver.send(head, m="set_local_ip", uid=A, ip4="172.31.0.100", ip6=gen_ip6(A))
    while A not in house.tunnels:
        await asyncio.sleep(0)
    packet = b"\x45" + bytes(15) + bytes((172, 31, 0, 7))
    house.tunnels[A].send(packet)
    data = await driver.receive()
    start = offset - 54
    assert data[start : start + 20].hex() == A
    assert data[start + 20 : start + 40] == bytes(20)
    assert data[offset - 2 : offset] == b"\x08\x00"
    assert data[offset:] == packet


async def test_the_callback_is_on_this_machine(served):
    driver = served[-1]()
    driver.send(m="set_cb_endpoint", ip="192.0.2.1", port=9)
    assert "this machine" in (await driver.hear())["error"]


async def test_packets_of_controllers_are_refused(served):
    driver = served[-1]()
    driver.sock.sendto(bytes(40) + b"e" * 14, driver.to)
    assert "Packets" in (await driver.hear())["error"]


async def test_whoever_may_not_drive_it_gets_nothing(served, caplog):
    house, node, _, _, _ = served
    control = ControlSocket(node, Requests(node), house.clock, allowed=frozenset({4_000_000}))
    port = control.open(0)
    driver = Driver(port)
    with driver.sock:
        for _ in range(20):
            driver.send(m="set_local_ip", uid=A, ip4="172.31.0.100", ip6=gen_ip6(A))
        for _ in range(100):
            await asyncio.sleep(0)
        await driver.nothing()
        assert node.uid == ""
        complaints = [record for record in caplog.records if "may not drive" in record.message]
        assert len(complaints) == 1, "logged now and then"
        house.clock.advance(60)
        driver.send(m="get_state")
        for _ in range(100):
            await asyncio.sleep(0)
        complaints = [record.message for record in caplog.records if "may not drive" in record.message]
        assert complaints[1].startswith("20 control messages")
    control.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_another_user_of_this_machine_gets_nothing(served, caplog):
    node, make = served[1], served[-1]
    port = make().to[1]
    program = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); "
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)\n"
        f"s.sendto(b'{{\"m\":\"get_state\"}}', ('127.0.0.1', {port}))\n"
        "try: print(s.recv(100))\nexcept TimeoutError: print('nothing')"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert out == b"nothing\n"
    assert "user 65534" in caplog.text
    assert node.uid == ""


async def test_a_port_in_use_is_told(served):
    house, node, _, _, make = served
    other = ControlSocket(node, Requests(node), house.clock)
    with pytest.raises(OutsideError, match="--control-port"):
        other.open(make().to[1])
    other.close()


async def test_the_seeds_controller_links_two_nodes():
    """The example, as it ships, in two processes; the nodes are here, on the fakes."""
    house = House()
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(house.bare(uid)) for uid in (A, B)]
        for node in nodes:
            control = ControlSocket(node, Requests(node, lambda _: house.exchange.signaller()), house.clock)
            stack.callback(control.close)
            words = [
                "alice@example.org",
                "secret",
                "192.0.2.1",
                "172.31.0.100",
                "--port",
                str(control.open(0)),
            ]
            command = [sys.executable, EXAMPLE, *words, "--wait", "0.2"]
            process = await asyncio.create_subprocess_exec(*map(str, command))
            stack.push_async_callback(process.wait)
            stack.callback(process.kill)
        async with asyncio.timeout(20):
            while any(
                [peer.link.status for peer in node.peers.values()] != [LinkStatus.ONLINE] for node in nodes
            ):
                await asyncio.sleep(0.02)
        a, b = nodes
        assert a.uid != b.uid
        assert list(a.peers) == [b.uid]
        for node, other in ((a, b), (b, a)):
            peer = node.peers[other.uid]
            assert (peer.ip4, peer.ip6) == ("172.31.0.101", str(gen_ip6(other.uid)))
            assert peer.link.fingerprint == other.fingerprint
        house.net.cut(b.uid)
        async with asyncio.timeout(20):
            while a.peers[b.uid].link.status is not LinkStatus.OFFLINE:
                await asyncio.sleep(0.02)
            house.clock.advance(60)
            while a.peers[b.uid].link.is_open:
                await asyncio.sleep(0.02)
        assert a.peers[b.uid].ip4 == "172.31.0.101", "trimmed, and its address is kept"


async def test_closing_lets_go(served):
    _, node, _, control, _ = served
    assert control.tell in node.told
    control.close()
    assert control.tell not in node.told
    control.close()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=120),
        st.tuples(
            st.sampled_from([b"", G1, b"\x03\x01"]),
            st.dictionaries(
                st.sampled_from(["m", "uid", "ip4", "ip6", "port", "ip", "data", "fpr", "cas", "username"]),
                st.one_of(
                    st.sampled_from(
                        [A, B, "get_state", "create_link", "set_remote_ip", "x", "1.2.3.4", "::9"]
                    ),
                    st.integers(),
                    st.none(),
                    st.text(max_size=5),
                ),
            ),
        ).map(lambda made: made[0] + json.dumps(made[1]).encode()),
    )
)
def test_no_datagram_raises_out_of_it(data):
    async def run():
        house = House()
        async with house.bare(A) as node:
            control = ControlSocket(node, Requests(node), house.clock)
            node.set_local_ip(A, "172.31.0.100", gen_ip6(A))
            control._take(("127.0.0.1", 9), data)
            control.close()

    asyncio.run(run())


# A node that speaks as old ones do.


@pytest.fixture
async def old():
    house = OldHouse()
    async with house.node(A) as node, house.node(B) as other:
        answer_everything(node)
        answer_everything(other)
        control = ControlSocket(node, Requests(node), house.clock)
        driver = Driver(control.open(0))
        with driver.sock:
            for _ in range(100):
                await asyncio.sleep(0)
            yield house, node, driver
        control.close()


@pytest.mark.parametrize("head", [b"", b"\x02\x02", b"\x03\x02"])
async def test_a_packet_of_a_controller_goes_into_the_interface(old, head):
    house, _, driver = old
    frame = b"\xff" * 12 + b"\x08\x00packet"
    driver.sock.sendto(head + bytes.fromhex(B) + bytes(20) + frame, driver.to)
    await driver.nothing()
    assert house.tunnels[A].received == [bytes.fromhex(B) + frame]


@pytest.mark.parametrize("kind", [3, 4])
async def test_controllers_reach_each_other_over_the_link(old, kind):
    house, node, driver = old
    frame = b"\x00ipop" + bytes((kind,)) + bytes(8) + b"{}"
    head = bytes((3, kind))
    driver.sock.sendto(head + bytes.fromhex(A) + bytes.fromhex(B) + frame, driver.to)
    await driver.nothing()
    assert house.tunnels[A].delivered == [(bytes.fromhex(B), frame)]
    driver.send(b"\x03\x01", m="set_cb_endpoint", ip="::", port=driver.port)
    await driver.nothing()
    node.tunnel_frame(frame, B)
    assert await driver.receive() == head + bytes.fromhex(B) + bytes(20) + frame
    lost = b"\xff" * 12 + b"\x08\x06arp"
    node.tunnel_frame(lost, "")
    assert await driver.receive() == b"\x03\x02" + bytes.fromhex(A) + bytes(20) + lost, "as it was"


async def test_words_of_controllers_that_are_none(old):
    _, _, driver = old
    uids = bytes.fromhex(A) + bytes.fromhex(B)
    driver.sock.sendto(b"\x03\x03" + uids + bytes(20), driver.to)
    assert "00:69:70:6f:70:03" in (await driver.hear(b"\x03\x01"))["error"]
    far = bytes.fromhex(A) + b"\x99" * 20
    driver.sock.sendto(b"\x03\x03" + far + b"\x00ipop\x03" + bytes(8), driver.to)
    assert "no link" in (await driver.hear(b"\x03\x01"))["error"]
