"""Introductions over a real XMPP server: who hears whom, what is refused and why, and how fast all are back after a failure."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aioice.turn import create_turn_endpoint
from slixmpp import ClientXMPP
from slixmpp.xmlstream import ET

from tests.parts.prosody import DOMAIN, PROGRAM, TURN_SECRET, Prosody, certificate, free_port
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.account import Tls, XmppAccount
from wayhouse.overlay.drivers.xmpp import XmppSignaller
from wayhouse.overlay.model import (
    Heard,
    NoSuchPeerError,
    PeerGone,
    PeerSeen,
    SignalDown,
    SignalEvent,
    SignalUp,
    TurnServer,
)

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None or os.getuid() != 0, reason="needs prosody, and to be root"),
]
A, B, C = "a" * 40, "b" * 40, "c" * 40
PASSWORDS = {name: f"{name}-3f9c52aa" for name in ("alice", "bob", "carol", "dave", "erin")}
TURNSERVER = shutil.which("turnserver", path="/usr/bin:/usr/sbin:/usr/local/bin")
LONG_S = 15.0
NUMBERS = itertools.count(os.getpid() % 200)


class Node:
    """A signaller and what it told."""

    def __init__(self, signaller: XmppSignaller) -> None:
        self.signaller = signaller
        self.events: list[SignalEvent] = []

    async def until(self, is_so: Callable[[SignalEvent], bool], start: int = 0) -> SignalEvent:
        deadline = time.monotonic() + LONG_S
        while time.monotonic() < deadline:
            for event in self.events[start:]:
                if is_so(event):
                    return event
            await asyncio.sleep(0.005)
        raise AssertionError(f"not among {self.events}")

    async def sees(self, uid: str, start: int = 0) -> PeerSeen:
        event = await self.until(lambda event: isinstance(event, PeerSeen) and event.uid == uid, start)
        assert isinstance(event, PeerSeen)
        return event

    async def hears(self, uid: str, kind: str, data: str, start: int = 0) -> None:
        await self.until(lambda event: event == Heard(uid, kind, data, self.signaller.name), start)

    async def down(self, start: int = 0) -> SignalDown:
        event = await self.until(lambda event: isinstance(event, SignalDown), start)
        assert isinstance(event, SignalDown)
        return event


class Nodes:
    """Starts nodes, and stops them at the end; then no task is left."""

    def __init__(self, server: Prosody, tasks: Tasks) -> None:
        self._server = server
        self._tasks = tasks
        self._nodes: list[Node] = []

    def node(self, name: str, uid: str, status: str = "", **settings: Any) -> Node:
        usual = {
            "jid": f"{name}@{DOMAIN}",
            "password": PASSWORDS[name],
            "host": self._server.address,
            "port": self._server.port,
            "pin": self._server.pin,
        }
        node = Node(XmppSignaller(XmppAccount(**(usual | settings)), self._tasks))
        node.signaller.start(uid, status, node.events.append)
        self._nodes.append(node)
        return node

    async def stop(self) -> None:
        await asyncio.gather(*(node.signaller.stop() for node in self._nodes))


@asynccontextmanager
async def nodes(server: Prosody) -> AsyncIterator[Nodes]:
    before = asyncio.all_tasks()
    async with Tasks() as tasks:
        group = Nodes(server, tasks)
        try:
            yield group
        finally:
            await group.stop()
    assert asyncio.all_tasks() == before


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prosody]:
    one = Prosody(tmp_path_factory.mktemp("prosody"), PASSWORDS, ["alice", "bob"])
    one.start()
    yield one
    one.stop()


async def test_two_accounts_see_each_other_and_speak_both_ways(
    server: Prosody, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with nodes(server) as group:
        alice, bob = group.node("alice", A, "AA:BB"), group.node("bob", B)
        assert await alice.sees(B) == PeerSeen(B, "", f"xmpp:alice@{DOMAIN}")
        assert (await bob.sees(A)).status == "AA:BB"
        assert alice.events[0] == SignalUp(f"xmpp:alice@{DOMAIN}")
        candidates = " ".join(f"id{n}:1:udp:192.0.2.{n}:5000:1:ufrag:pwd:local:eth0:0:7" for n in range(40))
        alice.signaller.send(B, "con_req", "AA:BB")
        bob.signaller.send(A, "con_resp", f"CC:DD {candidates}")
        alice.signaller.send(B, "send_msg", "<&>\"' ümläut\n𝄞")
        alice.signaller.send(B, "anything.else", "x" * 65_507)
        await bob.hears(A, "con_req", "AA:BB")
        await alice.hears(B, "con_resp", f"CC:DD {candidates}")
        await bob.hears(A, "send_msg", "<&>\"' ümläut\n𝄞")
        await bob.hears(A, "anything.else", "x" * 65_507)
        with pytest.raises(NoSuchPeerError):
            alice.signaller.send(C, "con_req", "")
        await bob.signaller.stop()
        assert await alice.until(lambda event: isinstance(event, PeerGone)) == PeerGone(
            B, alice.signaller.name
        )
        assert PASSWORDS["alice"] not in repr(alice.signaller) + repr(alice.signaller.__dict__)
    assert not any(
        PASSWORDS["alice"] in text or "<auth" in text or "con_req" in text for text in caplog.messages
    )


async def test_devices_of_one_account_need_no_roster(server: Prosody) -> None:
    async with nodes(server) as group:
        one, other = group.node("carol", A), group.node("carol", B)
        await one.sees(B)
        await other.sees(A)
        one.signaller.send(B, "con_req", "x")
        await other.hears(A, "con_req", "x")


async def test_the_status_is_told_again_and_again(server: Prosody) -> None:
    async with nodes(server) as group:
        alice = group.node("alice", A)
        group.node("bob", B, "F", presence_s=0.05)
        await alice.sees(B)
        for _ in range(3):
            await alice.sees(B, len(alice.events))


async def test_a_stranger_is_not_heard_and_not_answered(server: Prosody) -> None:
    async with nodes(server) as group:
        alice = group.node("alice", A)
        await alice.until(lambda event: isinstance(event, SignalUp))
        async with raw(server, "carol", f"tincan{C}") as carol:
            target = f"alice@{DOMAIN}/tincan{A}"
            carol.send_presence(pto=target, pstatus="let me in")
            carol.send_presence(pto=f"alice@{DOMAIN}", ptype="subscribe")
            for element in (
                "{jabber:iq:tincan}query",
                "{urn:xmpp:ping}ping",
                "{http://jabber.org/protocol/disco#info}query",
            ):
                assert await condition(carol, target, ET.Element(element)) == "service-unavailable"
        assert alice.events == [SignalUp(alice.signaller.name)]


async def test_friends_who_are_named_befriend_each_other(server: Prosody) -> None:
    async with nodes(server) as group:
        erin = group.node("erin", B, friends=frozenset({f"dave@{DOMAIN}"}))
        await erin.until(lambda event: isinstance(event, SignalUp))
        dave = group.node("dave", A, friends=frozenset({f"erin@{DOMAIN}"}), invites=True)
        await dave.sees(B)
        await erin.sees(A)
        erin.signaller.send(A, "con_req", "x")
        await dave.hears(B, "con_req", "x")
    async with nodes(server) as group:  # the server's roster has them now
        dave, erin = group.node("dave", A), group.node("erin", B)
        await dave.sees(B)
        await erin.sees(A)


async def test_a_wrong_password_is_told_once_and_not_tried_again(server: Prosody) -> None:
    async with nodes(server) as group:
        before = server.log().count("Client connected")
        alice = group.node("alice", A, password="wrong")
        down = await alice.down()
        assert down == SignalDown(alice.signaller.name, "The server refuses the name or the password.", True)
        await asyncio.sleep(1.0)
        assert alice.events == [down]
        assert server.log().count("Client connected") - before == 1


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.DIRECT])
async def test_the_server_is_recognised_by_its_certificate(server: Prosody, tls: Tls, tmp_path: Path) -> None:
    port = server.port if tls is Tls.STARTTLS else server.direct_port
    other = str(certificate(tmp_path))
    async with nodes(server) as group:
        good = {"tls": tls, "port": port}
        pinned = group.node("alice", A, **good)
        signed = group.node("bob", B, **good, pin="", ca_file=str(server.certificate))
        await pinned.sees(B)
        await signed.sees(A)
        misled = group.node("carol", C, **good, pin="0" * 64)
        assert "another certificate than the pinned one" in (await misled.down()).reason
        for settings in ({"pin": ""}, {"pin": "", "ca_file": other}):
            strange = group.node("carol", C, **good, **settings)
            down = await strange.down()
            assert "certificate is not trusted" in down.reason
            assert not down.is_final
        lost = group.node("carol", C, **good, pin="", ca_file=str(tmp_path / "none.pem"))
        assert "CA file cannot be read" in (await lost.down()).reason


async def test_a_server_without_tls_is_told_nothing(tmp_path: Path) -> None:
    changes = {'"tls"; ': "", "c2s_require_encryption = true": "c2s_require_encryption = false"}
    naked = Prosody(tmp_path, {"alice": PASSWORDS["alice"]}, changes=changes)
    naked.start()
    try:
        async with nodes(naked) as group:
            assert "offers no TLS" in (await group.node("alice", A).down()).reason
        assert "Authenticated" not in naked.log()
    finally:
        naked.stop()


async def test_the_sign_in_is_bound_to_the_channel_where_both_can(tmp_path: Path) -> None:
    changes = {"ssl = {": 'ssl = { protocol = "tlsv1_2";', "log = { info": "log = { debug"}
    old = Prosody(tmp_path, {"alice": PASSWORDS["alice"]}, changes=changes)
    old.start()
    try:
        async with nodes(old) as group:
            await group.node("alice", A).until(lambda event: isinstance(event, SignalUp))
        assert "mechanism='SCRAM-SHA-1-PLUS'" in old.log()
    finally:
        old.stop()


async def test_a_node_that_died_is_back_under_its_name(server: Prosody) -> None:
    async with nodes(server) as group:
        alice, bob = group.node("alice", A), group.node("bob", B)
        await alice.sees(B)
        assert bob.signaller._running is not None
        bob.signaller._running.cancel()  # the server holds its session for two minutes
        await asyncio.sleep(0.1)
        mark = len(alice.events)
        again = group.node("bob", B, "new")
        await again.sees(A)
        assert (await alice.sees(B, mark)).status == "new"
        alice.signaller.send(B, "send_msg", "there you are")
        await again.hears(A, "send_msg", "there you are")


async def test_all_are_back_when_the_server_was_killed(tmp_path: Path) -> None:
    server = Prosody(tmp_path, {name: PASSWORDS[name] for name in ("alice", "bob")}, ["alice", "bob"])
    server.start()
    try:
        async with nodes(server) as group:
            alice, bob = group.node("alice", A), group.node("bob", B)
            await alice.sees(B)
            await bob.sees(A)
            server.kill()
            await alice.down()
            await bob.down()
            with pytest.raises(NoSuchPeerError):
                alice.signaller.send(B, "send_msg", "into the void")
            server.start()
            began, marks = time.monotonic(), (len(alice.events), len(bob.events))
            await alice.sees(B, marks[0])
            await bob.sees(A, marks[1])
            alice.signaller.send(B, "send_msg", "back")
            await bob.hears(A, "send_msg", "back")
            logging.getLogger(__name__).info("back %.2f s after the server", time.monotonic() - began)
            assert not any(isinstance(event, PeerGone) for event in alice.events)
    finally:
        server.stop()


@contextmanager
def server_behind_a_cable(folder: Path) -> Iterator[tuple[Prosody, Callable[[str], None]]]:
    """A server in a namespace of its own; the function sets the cable `up` or `down`."""
    number = next(NUMBERS)
    name, near, far = f"wh-sig-{number}", f"whs{number}a", f"whs{number}b"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        ip("addr", "add", f"198.18.{number}.1/30", "dev", near)
        ip("link", "set", near, "up")
        for words in (("addr", "add", f"198.18.{number}.2/30", "dev", far), ("link", "set", far, "up")):
            ip("-n", name, *words)
        ip("-n", name, "link", "set", "lo", "up")
        accounts = {one: PASSWORDS[one] for one in ("alice", "bob")}
        server = Prosody(
            folder,
            accounts,
            ["alice", "bob"],
            address=f"198.18.{number}.2",
            netns=name,
            changes={"log = { info": "log = { debug"},
        )
        server.start()
        try:
            yield server, lambda state: ip("-n", name, "link", "set", far, state)
        finally:
            server.stop()
    finally:
        ip("netns", "del", name)


async def test_a_network_that_was_gone_is_taken_up_again(tmp_path: Path) -> None:
    with server_behind_a_cable(tmp_path) as (server, cable):
        async with nodes(server) as group:
            quick = {"ping_s": 0.2, "ping_timeout_s": 0.4}
            alice, bob = group.node("alice", A, **quick), group.node("bob", B, **quick)
            await alice.sees(B)
            await bob.sees(A)
            alice.signaller.send(B, "send_msg", "before")
            await bob.hears(A, "send_msg", "before")
            cable("down")
            assert "does not answer" in (await alice.down()).reason
            await bob.down()
            cable("up")
            began, marks = time.monotonic(), (len(alice.events), len(bob.events))
            alice.signaller.hurry()
            for node, mark in ((alice, marks[0]), (bob, marks[1])):
                await node.until(lambda event: isinstance(event, SignalUp), mark)
            alice.signaller.send(B, "send_msg", "after")
            await bob.hears(A, "send_msg", "after")
            logging.getLogger(__name__).info("back %.2f s after the cable", time.monotonic() - began)
            assert not any(isinstance(event, PeerGone) for event in (*alice.events, *bob.events))
            assert "mod_smacks session resumed" in server.log()


async def test_the_server_tells_of_its_relay(server: Prosody) -> None:
    async with nodes(server) as group:
        alice = group.node("alice", A)
        await alice.until(lambda event: isinstance(event, SignalUp))
        services = await alice.signaller.services()
        assert services.stun == (("192.0.2.10", 3478),)
        assert [(one.host, one.port, one.transport) for one in services.turn] == [
            ("192.0.2.10", 3478, "udp"),
            ("192.0.2.10", 3478, "tcp"),
        ]
        assert all(isinstance(one, TurnServer) and one.username and one.password for one in services.turn)
        assert services.expires is not None
        assert abs(services.expires - time.time() - 86_400) < 60
        assert services.turn[0].username.startswith(str(int(services.expires)))
        assert services.turn[0].password not in repr(services)


@pytest.mark.skipif(TURNSERVER is None, reason="needs coturn")
async def test_the_credentials_that_it_tells_open_the_relay(server: Prosody, tmp_path: Path) -> None:
    port = free_port()
    words = f"-n -L 127.0.0.1 -p {port} -r {DOMAIN} --use-auth-secret --no-tls --no-dtls --no-cli --allow-loopback-peers"
    files = ["--pidfile", str(tmp_path / "turn.pid"), "--db", str(tmp_path / "turn.db"), "-l", "stdout"]
    command = [str(TURNSERVER), *words.split(), f"--static-auth-secret={TURN_SECRET}", *files]
    relay = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with nodes(server) as group:
            alice = group.node("alice", A)
            await alice.until(lambda event: isinstance(event, SignalUp))
            one = (await alice.signaller.services()).turn[0]
            transport, _ = await create_turn_endpoint(
                asyncio.DatagramProtocol, ("127.0.0.1", port), one.username, one.password
            )
            assert transport.get_extra_info("sockname")[1]
            transport.close()
            await asyncio.sleep(0.2)
    finally:
        relay.terminate()
        relay.wait(10)


@asynccontextmanager
async def raw(server: Prosody, name: str, resource: str) -> AsyncIterator[ClientXMPP]:
    """Somebody with a client of their own."""
    client = ClientXMPP(f"{name}@{DOMAIN}/{resource}", PASSWORDS[name])
    client.ca_certs = server.certificate
    client.enable_direct_tls = False
    started = asyncio.Event()
    client.add_event_handler("session_start", lambda _: started.set())
    client.connect(server.address, server.port)
    try:
        async with asyncio.timeout(LONG_S):
            await started.wait()
        client.send_presence()
        yield client
    finally:
        client.abort()
        client._run_out_filters.cancel()
        await asyncio.sleep(0.05)
        for schedule in tuple(client.scheduled_events):
            client.cancel_schedule(schedule)


async def condition(client: ClientXMPP, target: str, element: ET.Element) -> str:
    """What a question is answered with."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    iq = client.make_iq(itype="get", ito=target)
    iq.append(element)
    iq.send(callback=lambda reply: answer.set_result(reply["error"]["condition"])).add_done_callback(
        lambda future: future.exception()
    )
    async with asyncio.timeout(LONG_S):
        return await answer


HOSTILE = [
    "<query xmlns='jabber:iq:tincan'/>",
    "<query xmlns='jabber:iq:tincan'><type>con_req</type><type>con_resp</type><data>x</data></query>",
    "<query xmlns='jabber:iq:tincan'><type>two words</type><data>x</data></query>",
    f"<query xmlns='jabber:iq:tincan'><type>{'t' * 5000}</type><data>x</data></query>",
    f"<query xmlns='jabber:iq:tincan'><type>send_msg</type><data>{'x' * 200_000}</data></query>",
    f"<query xmlns='jabber:iq:tincan'><type>send_msg</type><data>{'<b>' * 15}{'</b>' * 15}</data></query>",
    f"<query xmlns='jabber:iq:tincan'>{'<data/>' * 5000}</query>",
    "<query xmlns='jabber:iq:roster'><item jid='mallory@evil.example' subscription='both'/></query>",
    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>a@b/c</jid></bind>",
    "<services xmlns='urn:xmpp:extdisco:2'><service type='turn' host='evil' port='1'/></services>",
]


async def test_what_a_hostile_friend_sends_changes_nothing(server: Prosody) -> None:
    async with nodes(server) as group:
        alice = group.node("alice", A)
        await alice.until(lambda event: isinstance(event, SignalUp))
        async with raw(server, "bob", f"tincan{B}-suffix") as bob:
            await alice.sees(B)
            mark = len(alice.events)
            for number, content in enumerate(HOSTILE):
                for kind in ("get", "set", "result", "error"):
                    bob.send_raw(
                        f"<iq type='{kind}' id='h{number}' to='alice@{DOMAIN}/tincan{A}'>{content}</iq>"
                    )
            for resource in (f"tincan{A}", "tincan", "tincan" + "Z" * 40, "laptop"):
                bob.send_raw(
                    f"<presence to='alice@{DOMAIN}/{resource}'><status>{'s' * 9000}</status></presence>"
                )
            bob.send_raw(f"<message to='alice@{DOMAIN}/tincan{A}' type='chat'><body>hello</body></message>")
            good = "<query xmlns='jabber:iq:tincan'><data>fine</data><type>con_req</type></query>"
            bob.send_raw(f"<iq type='get' id='good' to='alice@{DOMAIN}/tincan{A}'>{good}</iq>")
            await alice.hears(B, "con_req", "fine", mark)
            told = [event for event in alice.events[mark:] if not isinstance(event, PeerSeen)]
            assert told == [Heard(B, "con_req", "fine", alice.signaller.name)]
            assert all(event.status == "" for event in alice.events[mark:] if isinstance(event, PeerSeen))
        await alice.until(lambda event: isinstance(event, PeerGone))


def test_the_pin_is_what_openssl_prints(server: Prosody) -> None:
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(server.certificate), "-noout", "-fingerprint", "-sha256"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    account = XmppAccount(jid="a@b", password="p", pin=shown.strip().partition("=")[2])
    assert account.plain_pin == server.pin
    assert ssl.OPENSSL_VERSION_INFO >= (1, 1)
