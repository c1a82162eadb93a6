import asyncio
import logging

import pytest

from tests.parts.old_nodes import OldHouse
from tests.parts.overlay_nodes import UIDS, House
from wayhouse.base.errors import ConflictError
from wayhouse.overlay.addressing import gen_ip6
from wayhouse.overlay.legacy.old_trust import OldTrust
from wayhouse.overlay.model import BadControlError, NoSuchPeerError, PathSettings, TurnServer
from wayhouse.overlay.notifications import EchoReplyTold, LocalState, Message, PeerState
from wayhouse.overlay.requests import Requests, path_settings
from wayhouse.overlay.tincan import (
    CreateLink,
    EchoReply,
    EchoRequest,
    Forward,
    Generation,
    GetState,
    RegisterSvc,
    SetCallback,
    SetIgnored,
    SetLocalIp,
    SetLogging,
    SetRemoteIp,
    SetSwitchmode,
    SetTranslation,
    SetTrimPolicy,
    TrimLink,
)
from wayhouse.overlay.trust import MemoryPins

A, B, C = UIDS[:3]
G0, G1 = Generation.G0, Generation.G1
SHA1 = ":".join(["AB"] * 20)
ALICE = RegisterSvc(username="alice@example.org", password="hunter2", host="192.0.2.1")


@pytest.fixture
async def driven():
    house = House()
    async with house.bare(A) as node, house.node(B):
        yield Requests(node, lambda request: house.exchange.signaller(request.username)), node


async def turns(number: int = 30) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def local_ip(**more) -> SetLocalIp:
    return SetLocalIp(uid=A, ip4="172.31.0.100", ip6=gen_ip6(A), **more)


async def test_from_the_beginning_to_a_link(driven):
    requests, node = driven
    assert requests.do(SetCallback(port=1), G0) == []
    with pytest.raises(ConflictError, match="set_local_ip"):
        requests.do(ALICE, G0)
    requests.do(local_ip(), G0)
    requests.do(ALICE, G0)
    requests.do(ALICE, G0)
    await turns()
    assert list(node.signallers) == ["alice@example.org"]
    (own,) = requests.do(GetState(), G0)
    assert isinstance(own, LocalState)
    assert own.uid == A
    requests.do(CreateLink(uid=B, fpr=node.peers[B].told_fingerprint), G0)
    requests.do(SetRemoteIp(uid=B, ip4="172.31.0.101", ip6=gen_ip6(B)), G0)
    _, peer = requests.do(GetState(), G0)
    assert isinstance(peer, PeerState)
    assert (peer.uid, peer.ip4, peer.fpr) == (B, "172.31.0.101", node.peers[B].told_fingerprint)
    requests.do(TrimLink(uid=B), G0)
    _, peer = requests.do(GetState(), G0)
    assert peer.fpr is None
    assert peer.ip4 == "172.31.0.101"


async def test_the_first_address_of_a_uid_counts(driven):
    requests, node = driven
    requests.do(local_ip(), G0)
    requests.do(SetRemoteIp(uid=B, ip4="172.31.0.101", ip6=gen_ip6(B)), G0)
    requests.do(SetRemoteIp(uid=B, ip4="172.31.0.102", ip6=gen_ip6(B)), G0)
    assert node.peers[B].ip4 == "172.31.0.101"
    for ip4 in ("172.31.0.101", "172.31.0.100"):
        with pytest.raises(ConflictError, match="belongs to another"):
            requests.do(SetRemoteIp(uid=C, ip4=ip4, ip6=gen_ip6(C)), G0)
    requests.do(SetRemoteIp(uid=C, ip4="127.0.0.1", ip6="::1"), Generation.G2)
    assert (node.peers[C].ip4, node.peers[C].ip6, node.peers[C].has_addresses) == ("", "", True)


async def test_messages_for_peers(driven):
    requests, node = driven
    requests.do(local_ip(), G1)
    requests.do(ALICE, G1)
    with pytest.raises(NoSuchPeerError):
        requests.do(Forward(kind="con_req", uid=C, data=SHA1), G1)
    await turns()
    requests.do(Forward(kind="anything", uid=B, data="x"), G1)
    with pytest.raises(BadControlError, match="nodes themselves"):
        requests.do(Forward(kind="wayhouse-list", uid=B, data="x"), G1)
    assert not any(isinstance(told, Message) for told in node.heard)


async def test_echo(driven):
    requests, _ = driven
    assert requests.do(EchoRequest(msg="hi"), G1) == [EchoReplyTold(msg="hi")]
    assert requests.do(EchoReply(msg="hi"), G1) == []


async def test_switches(driven):
    requests, node = driven
    logger = logging.getLogger("wayhouse.overlay")
    before = logger.level
    try:
        requests.do(SetLogging(logging=3), G0)
        assert logger.level == logging.DEBUG
        requests.do(SetLogging(flag=0), G0)
        assert logger.level == logging.CRITICAL
    finally:
        logger.setLevel(before)
    requests.do(SetTranslation(translate=0), G1)
    assert node.translates is False
    requests.do(SetTrimPolicy(trim_enabled=True), G1)
    requests.do(SetIgnored(network_ignore_list=("docker0",)), G1)
    assert node.path_settings.ignored_interfaces == ("docker0",)
    requests.do(SetSwitchmode(switchmode=0), G1)
    with pytest.raises(BadControlError, match="IP packets"):
        requests.do(SetSwitchmode(switchmode=1), G1)
    with pytest.raises(BadControlError, match="IP packets"):
        requests.do(local_ip(switchmode=1), G1)
    assert node.uid == A


async def test_without_accounts_of_its_own(driven):
    _, node = driven
    with pytest.raises(ConflictError, match="configuration"):
        Requests(node).do(ALICE, G0)


async def test_another_uid_is_refused(driven):
    requests, node = driven
    requests.do(local_ip(), G0)
    with pytest.raises(ConflictError, match="already"):
        requests.do(SetLocalIp(uid=C, ip4="172.31.0.100", ip6=gen_ip6(C)), G0)
    assert node.uid == A


def test_servers_of_a_request_replace_the_usual_ones():
    usual = PathSettings(stun=(("usual", 1),), turn=(TurnServer(host="usual"),), ignored_interfaces=("x",))
    assert path_settings(usual, CreateLink(uid=B, fpr=SHA1)) == usual
    found = path_settings(
        usual, CreateLink(uid=B, fpr=SHA1, stun="s:19302", turn="t", turn_user="u", turn_pass="p")
    )
    assert found.stun == (("s", 19302),)
    assert found.turn == tuple(
        TurnServer(host="t", port=3478, transport=way, username="u", password="p") for way in ("udp", "tcp")
    )
    assert found.ignored_interfaces == ("x",)


# A node that speaks as old ones do.


@pytest.fixture
async def old():
    house = OldHouse()
    trust = OldTrust(MemoryPins(), house.clock, allows_clear=True)
    async with house.bare(A, trust=trust) as node, house.node(B):
        yield Requests(node), node


async def test_switch_mode_where_links_carry_frames(old):
    requests, node = old
    with pytest.raises(ConflictError, match="set_local_ip"):
        requests.do(SetSwitchmode(switchmode=1), G1)
    requests.do(local_ip(switchmode=1), G1)
    assert node.tunnel.is_switch
    requests.do(SetSwitchmode(switchmode=0), G1)
    assert not node.tunnel.is_switch
    requests.do(SetSwitchmode(switchmode=1), G1)
    assert node.tunnel.is_switch
    (state,) = requests.do(GetState(), G1)
    assert state.mac == node.tunnel.mac


@pytest.mark.parametrize(("sec", "security"), [(True, "dtls"), (False, "none")])
async def test_encryption_is_the_controllers_choice(old, sec, security):
    requests, node = old
    requests.do(local_ip(), G1)
    cas = "a:1:udp:192.0.2.1:5:1:ufrag:pwd:local:eth0:0:1"
    requests.do(CreateLink(uid=B, fpr=SHA1, sec=sec, cas=cas), G1)
    assert node.peers[B].verified.security == security
    assert node.peers[B].link.fingerprint == (SHA1 if sec else "")
