import asyncio

from tests.parts.overlay_nodes import UIDS, House, answer_everything
from wayhouse.overlay import node_views
from wayhouse.overlay.addressing import gen_ip6
from wayhouse.overlay.drivers.fake_path import NatKind
from wayhouse.overlay.model import LinkStatus, PathPolicy
from wayhouse.overlay.notifications import LOCAL_IP4_BEFORE, NO_FINGERPRINT
from wayhouse.overlay.tincan import Generation

A, B, C = UIDS[:3]


async def turns(number: int = 60) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_before_it_is_said_who_this_node_is():
    async with House().bare(A) as node:
        told = node_views.local_state(node)
        assert (told.uid, told.ip4, told.fpr) == ("", LOCAL_IP4_BEFORE, NO_FINGERPRINT)
        assert node_views.peer_states(node, Generation.G1) == []
        assert node_views.link_views(node) == []


async def test_the_states_of_peers():
    house = House()
    async with house.node(A) as a, house.node(B) as b, house.node(C):
        answer_everything(a)
        a.introduces = False
        answer_everything(b)
        await turns()
        house.clock.advance(7)
        a.create_link(B, b.fingerprint)
        assert node_views.local_state(a).fpr == a.fingerprint
        (linked,) = node_views.peer_states(a, Generation.G0, stats=True)
        assert (linked.uid, linked.ip4, linked.ip6) == (B, "172.31.0.101", gen_ip6(B))
        assert (linked.status, linked.security, linked.relayed) == (LinkStatus.ONLINE, "wireguard", False)
        assert (linked.fpr, linked.last_time, linked.xmpp_time) == (b.fingerprint, 7, 7)
        assert (linked.stats[0].local_type, linked.stats[0].rem_type) == ("local", "local")
        assert linked.stats[0].rem_addr
        (text,) = node_views.peer_states(a, Generation.G0, uid=B, stats=True, as_text=True)
        assert text.stats == "1:1:1:0:0:0:0:0:0:0 "
        assert text.stats_cons.endswith(" ")
        seen = {told.uid: told for told in node_views.peer_states(a, Generation.G1)}
        assert set(seen) == {B, C}
        assert seen[B].stats is None
        assert (seen[C].fpr, seen[C].last_time, seen[C].xmpp_time, seen[C].state) == (
            None,
            None,
            7,
            "introduced",
        )
        assert seen[C].status is LinkStatus.OFFLINE
        assert node_views.peer_states(a, Generation.G1, uid="d" * 40) == []


async def test_links_for_people():
    house = House()
    house.net.add(A, NatKind.SYMMETRIC)
    house.net.add(B, NatKind.SYMMETRIC)
    async with house.node(A) as a, house.node(B) as b, house.node(C) as c:
        for node in (a, b, c):
            answer_everything(node)
        await turns(200)
        house.clock.advance(3)
        views = {view.uid: view for view in node_views.link_views(a)}
        assert list(views) == [B, C]
        relayed = views[B]
        assert (relayed.status, relayed.state, relayed.is_relayed) == (LinkStatus.ONLINE, "online", True)
        assert "another port for each peer" in relayed.why
        assert relayed.nat == "symmetric"
        assert relayed.local.startswith("relay ")
        assert (relayed.online_age_s, relayed.seen_age_s, relayed.handshake_age_s) == (3.0, 3.0, 3.0)
        assert relayed.fingerprint == b.fingerprint
        assert relayed.via == a.signaller.name
        assert relayed.pairs
        (signal,) = node_views.signal_views(a)
        assert (signal.name, signal.is_up, signal.reason) == (a.signaller.name, True, "")


async def test_why_a_link_is_as_it_is():
    house = House()
    house.net.has_relay = False
    house.net.add(A, NatKind.SYMMETRIC)
    house.net.add(B, NatKind.SYMMETRIC)
    async with house.node(A) as a, house.node(B) as b:

        def why() -> str:
            peer = a.peers[B]
            return node_views.why(peer, peer.report())

        await turns()
        assert "nobody asked" in why()
        a.ask(B, "con_req", a.fingerprint)
        assert "has not answered" in why()
        a.create_link(B, b.fingerprint)
        assert "addresses" in why()
        answer_everything(a)
        answer_everything(b)
        house.exchange.announce()
        await turns(200)
        assert why() == "Paths are being tried; the last one failed: no pair works"
        house.net.has_relay = True
        house.net.judge()
        await turns()
        assert "another port" in why()
        a.set_policy(B, PathPolicy.RELAY)
        a.create_link(B, b.fingerprint)
        await turns(200)
        assert "set to be" in why()
        house.net.cut(B)
        await turns()
        assert why() == "the peer does not answer any more"
