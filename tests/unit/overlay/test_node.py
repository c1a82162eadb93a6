"""Nodes on the fakes, in one process, under the seed's controller or by hand."""
# covers: overlay/peer.py, overlay/node_parts.py, overlay/hearing.py

import asyncio
import contextlib
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts import old_ends
from tests.parts.old_nodes import OldHouse
from tests.parts.overlay_nodes import UIDS, House, answer_everything
from wayhouse.base.errors import ConflictError
from wayhouse.overlay import binding, node_views
from wayhouse.overlay.addressing import gen_ip6
from wayhouse.overlay.drivers.fake_path import NatKind
from wayhouse.overlay.drivers.fake_signal import Sent
from wayhouse.overlay.ethernet import ethernet_frame
from wayhouse.overlay.hearing import MODERN
from wayhouse.overlay.identity import Digest, Identity
from wayhouse.overlay.link import LinkState
from wayhouse.overlay.membership import Administrator, Group, revoke
from wayhouse.overlay.model import (
    BadBindingError,
    Heard,
    LinkStatus,
    NoSuchPeerError,
    PathPolicy,
    PeerGone,
    PeerSeen,
    SignalDown,
    SignalUp,
)
from wayhouse.overlay.node import TRAFFIC_TICKS
from wayhouse.overlay.node_parts import NodeSettings
from wayhouse.overlay.notifications import ConStat, ErrorTold, Message
from wayhouse.overlay.stanzas import BadStanzaError
from wayhouse.overlay.tickets import Revocations
from wayhouse.overlay.tincan import Generation
from wayhouse.overlay.trust import Membership, MemoryPins, Trust
from wayhouse.overlay.wishes import (
    Allowed,
    Claimed,
    Forgotten,
    LinkChanged,
    LinkGone,
    Own,
    Refused,
    Traffic,
    Unroutable,
)

A, B, C = UIDS[:3]
ADMIN = Administrator(bytes(range(32)), "home")
KEY = b"k" * 32


async def turns(number: int = 60) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def pair(house=None, *, answers=True, a_more=None, b_more=None, **both):
    house = house or House()
    async with house.node(A, **both, **(a_more or {})) as a, house.node(B, **both, **(b_more or {})) as b:
        if answers:
            answer_everything(a)
            answer_everything(b)
        await turns()
        yield house, a, b


def membership(**more) -> Membership:
    group = Group(overlay="home", admin_key=ADMIN.public_key, secret=b"s" * 32)
    return Membership(group=group, ticket=ADMIN.ticket(KEY, **more), ticket_key=KEY)


def packet(source: str, destination: str) -> bytes:
    octets = [bytes(map(int, text.split("."))) for text in (source, destination)]
    return b"\x45" + bytes(11) + octets[0] + octets[1]


async def test_two_nodes_that_see_each_other_get_a_link():
    async with pair() as (house, a, b):
        for node, peer in ((a, b), (b, a)):
            link = node.peers[peer.uid].link
            assert link.status is LinkStatus.ONLINE
            assert link.fingerprint == peer.fingerprint
            assert node.heard[-1] == ConStat(uid=peer.uid, data=LinkStatus.ONLINE)
            assert LinkChanged(peer.uid, LinkStatus.ONLINE) in node.news
            setup = house.tunnels[node.uid].peers[Identity(_secret(peer.uid), peer.uid).tunnel_public_key]
            assert setup.allowed_ips == ("172.31.0.101/32", f"{gen_ip6(peer.uid)}/128")
            assert setup.translation == ("172.31.0.101", "172.31.0.100")
            assert setup.preshared_key is None


def _secret(uid: str) -> bytes:
    return hashlib.sha256(uid.encode()).digest()


async def test_who_this_node_is_is_said_once():
    house = House()
    async with house.bare(A) as node:
        assert (node.uid, node.fingerprint) == ("", "")
        with pytest.raises(ConflictError):
            _ = node.tunnel
        with pytest.raises(ConflictError, match="set_local_ip"):
            node.create_link(B, "AB")
        node.set_local_ip(A, "172.31.0.100", gen_ip6(A), (24, 64))
        node.set_local_ip(A, "172.31.0.7", gen_ip6(A), (24, 64))
        with pytest.raises(ConflictError, match="already"):
            node.set_local_ip(B, "172.31.0.100", gen_ip6(B), (24, 64))
        assert node.ip4 == "172.31.0.100"
        assert house.tunnels[A].addresses == ("172.31.0.100/24", f"{gen_ip6(A)}/64")
        assert house.tunnels[A].mtu == 1280
        await turns()
        assert node.news == [Own("172.31.0.100", node.fingerprint, "172.31.0.100")]


async def test_what_everybody_is_told():
    async with pair(answers=False, settings=NodeSettings(digest=Digest.SHA256)) as (_, a, _b):
        assert a.signaller.status == f"{a.fingerprint} {MODERN}"
        assert len(a.fingerprint) == 95


async def test_the_first_generation_is_introduced_by_presence():
    async with pair(answers=False) as (house, a, b):
        assert a.messages("con_req") == []
        a.introduces = True
        house.exchange.announce()
        await turns()
        assert a.messages("con_req") == [Message("con_req", B, b.fingerprint)]
        a.introduce_all()
        assert len(a.messages("con_req")) == 2


async def test_a_con_req_by_hand_makes_the_link_from_both_sides():
    async with pair(answers=False) as (_, a, b):
        a.ask(B, "con_req", a.fingerprint)
        assert a.peers[B].link.state is LinkState.ASKED
        await turns()
        assert b.messages("con_req") == [Message("con_req", A, a.fingerprint)]
        b.create_link(A, a.fingerprint)
        await turns()
        *_, answer = a.messages("con_resp")
        fingerprint, _, cas = answer.data.partition(" ")
        a.create_link(B, fingerprint, cas)
        await turns()
        *_, answer = b.messages("con_resp")
        b.create_link(A, *answer.data.split(" ", 1))
        await turns()
        assert a.peers[B].link.status is b.peers[A].link.status is LinkStatus.ONLINE


async def test_an_answer_may_come_while_our_own_addresses_are_sought():
    async with pair(answers=False) as (_, a, b):
        b.create_link(A, a.fingerprint)
        await turns()
        a.create_link(B, *a.messages("con_resp")[0].data.split(" ", 1))
        a.create_link(B, *a.messages("con_resp")[0].data.split(" ", 1))
        await turns()
        b.create_link(A, *b.messages("con_resp")[0].data.split(" ", 1))
        await turns()
        assert a.peers[B].link.status is LinkStatus.ONLINE


async def test_packets_pass_and_bytes_are_counted():
    async with pair() as (house, a, _b):
        house.tunnels[A].send(packet("172.31.0.101", "172.31.0.101"))
        for _ in range(TRAFFIC_TICKS):
            house.clock.advance(1)
            a.tick()
        await turns()
        assert Traffic(B, 20, 0) in a.news


async def test_a_packet_that_no_peer_may_get_is_told():
    async with pair() as (house, a, _):
        house.tunnels[A].send(packet("172.31.0.100", "172.31.0.250"))
        await turns()
        assert a.news[-1] == Unroutable(packet("172.31.0.100", "172.31.0.250"))


async def test_a_line_that_is_cut_and_comes_back():
    async with pair() as (house, a, _b):
        house.net.cut(B)
        await turns()
        assert a.peers[B].link.status is LinkStatus.OFFLINE
        assert a.peers[B].link.why
        assert house.tunnels[A].endpoints == {}
        house.net.heal(B)
        await turns()
        assert a.peers[B].link.status is LinkStatus.ONLINE
        assert [told.data for told in a.heard if isinstance(told, ConStat)] == ["online", "offline", "online"]


async def test_a_peer_that_does_not_answer_in_the_tunnel():
    async with pair() as (house, a, b):
        key = b.identity.tunnel_public_key
        a.tunnel_silent(key)
        assert a.peers[B].link.status is LinkStatus.OFFLINE
        a.tunnel_established(key)
        a.tunnel_established(b"?" * 32)
        a.tunnel_silent(b"?" * 32)
        assert a.peers[B].link.status is LinkStatus.ONLINE
        assert house.tunnels[A].endpoints


async def test_trimming_keeps_the_addresses():
    async with pair() as (house, a, b):
        a.trim_link(B)
        await turns()
        assert house.tunnels[A].peers == {}
        assert (a.peers[B].ip4, a.peers[B].link.is_open) == ("172.31.0.101", False)
        a.create_link(B, b.fingerprint)
        await turns(200)
        assert a.peers[B].link.status is LinkStatus.ONLINE, "the other side answers who asks again"
        with pytest.raises(NoSuchPeerError):
            a.trim_link(C)


async def test_a_peer_that_was_started_anew_is_linked_again():
    house = House()
    async with house.node(A) as a:
        answer_everything(a)
        for _ in range(2):
            async with house.node(B) as b:
                answer_everything(b)
                await turns(200)
                assert a.peers[B].link.status is b.peers[A].link.status is LinkStatus.ONLINE
            await turns()


async def test_without_a_proof_there_is_no_link():
    house = House()

    def cut_out(sent: Sent):
        words = [word for word in sent.data.split() if not word.startswith("wh1:")]
        return [Sent(sent.sender, sent.receiver, sent.kind, " ".join(words))]

    house.exchange.tamper = cut_out
    async with pair(house) as (_, a, _b):
        assert a.peers[B].link.state is LinkState.REFUSED
        assert "no proof" in a.peers[B].link.why
        assert LinkGone(B) in a.news
        assert house.tunnels[A].peers == {}


async def test_a_server_that_swaps_fingerprint_and_proof_is_believed_the_first_time_only():
    """Without a group; with one it is never believed."""
    house = House()
    mallory = Identity(b"m" * 32, B)

    def in_the_middle(sent: Sent):
        if sent.sender == B and sent.kind == "con_resp":
            trust = Trust(MemoryPins(), house.clock)
            cas = " ".join(sent.data.split()[1:-1])
            return [Sent(B, A, "con_resp", f"{mallory.fingerprint()} {cas} {trust.token(mallory, cas=cas)}")]
        return [sent]

    async with pair(house) as (_, a, b):
        assert a.peers[B].link.status is LinkStatus.ONLINE
        a.trim_link(B)
        house.exchange.tamper = in_the_middle
        a.create_link(B, b.fingerprint)
        await turns(200)
        assert a.peers[B].link.state is LinkState.REFUSED
        assert "another certificate than before" in a.peers[B].link.why
        a.forget(B)
        await turns()
        assert Forgotten(B) in a.news


async def test_messages_in_the_name_of_a_peer_do_not_harm_its_link():
    async with pair() as (house, a, b):
        (old, *_) = a.messages("con_resp")
        house.clock.advance(60)
        b.restart_paths()
        await turns()
        for data in (
            "",
            "x",
            a.fingerprint,
            f"{a.fingerprint} junk",
            f"{b.fingerprint} 1:1:udp:192.0.2.66:9:1:u:p:local:eth0:0:1",
            f"{b.fingerprint} {old.data.split(' ', 1)[1].replace('192', '193')}",
            old.data,
        ):
            for kind in ("con_resp", "con_req", "wayhouse-list"):
                house.exchange.forge(Sent(B, A, kind, data))
        await turns()
        with pytest.raises(BadBindingError, match="older"):
            a.create_link(B, *old.data.split(" ", 1))
        assert a.peers[B].link.status is LinkStatus.ONLINE


async def test_nobody_takes_another_peers_tunnel_key():
    async with pair() as (house, a, b):
        thief = Identity(b"t" * 32, C)
        for stolen, says in ((b.identity, "another one"), (a.identity, "own tunnel key")):
            token = _with_key(thief, stolen.tunnel_public_key)
            with pytest.raises(BadBindingError, match=says):
                a.create_link(C, thief.fingerprint(), token)
        assert a.peers[B].link.status is LinkStatus.ONLINE
        assert list(house.tunnels[A].peers) == [b.identity.tunnel_public_key]


def _with_key(identity: Identity, key: bytes) -> str:
    class Other:
        uid, certificate, sign, tunnel_public_key = identity.uid, identity.certificate, identity.sign, key

    return Trust(MemoryPins(), House().clock).token(Other)  # type: ignore[arg-type]


async def test_a_key_claimed_first_by_a_thief_goes_to_who_comes_with_it():
    """The thief cannot complete a handshake; the owner may come later."""
    async with pair(answers=False) as (_, a, b):
        thief = Identity(b"t" * 32, C)
        a.create_link(C, thief.fingerprint(), _with_key(thief, b.identity.tunnel_public_key))
        b.create_link(A, a.fingerprint)
        await turns()
        a.create_link(B, *a.messages("con_resp")[0].data.split(" ", 1))
        await turns()
        b.create_link(A, *b.messages("con_resp")[0].data.split(" ", 1))
        await turns()
        assert a.peers[C].link.state is LinkState.REFUSED
        assert a.peers[B].link.status is LinkStatus.ONLINE


async def test_members_of_a_group():
    async with pair(membership=membership(tags=("lab",)), settings=NodeSettings(translates=False)) as (
        house,
        a,
        b,
    ):
        setup = house.tunnels[A].peers[b.identity.tunnel_public_key]
        assert setup.preshared_key == membership().group.preshared_key(A, B)
        assert setup.translation is None
        assert Claimed(B, "172.31.0.100") in a.news
        assert a.peers[B].verified.ticket.tags == ("lab",)


async def test_who_is_no_member_gets_no_link():
    async with pair(a_more={"membership": membership()}) as (_, a, b):
        assert a.peers[B].link.state is LinkState.REFUSED
        assert "invitation" in a.peers[B].link.why
        assert b.peers[A].link.status is not LinkStatus.ONLINE


async def test_in_a_group_a_server_in_the_middle_gets_nowhere():
    """Not with a certificate of its own, not with the proof of a member beside it, not with the candidates changed."""
    house, place = House(), membership()
    mallory = Identity(b"m" * 32, B)
    for swap in ("certificate", "proof", "candidates"):

        def in_the_middle(sent: Sent, swap=swap):
            if sent.kind != "con_resp" or sent.sender != B:
                return [sent]
            *cas, token = sent.data.split()[1:]
            if swap == "candidates":
                return [Sent(B, A, sent.kind, sent.data.replace(":udp:1", ":udp:2"))]
            proof = binding.decode(token).proof if swap == "proof" else b""
            own = binding.encode(mallory, proof=proof, cas=" ".join(cas))
            return [Sent(B, A, sent.kind, f"{mallory.fingerprint()} {' '.join(cas)} {own}")]

        house.exchange.tamper = in_the_middle
        async with pair(house, membership=place) as (_, a, b):
            assert a.peers[B].link.state is LinkState.REFUSED, swap
            assert b.peers[A].link.status is not LinkStatus.ONLINE
            assert house.tunnels[A].peers == {}


async def test_a_list_of_revocations_gets_around_and_ends_links():
    house, place = House(), membership()
    listed = ADMIN.revocations(revoke(Revocations(overlay="home"), uids=frozenset({C})))
    async with pair(house, membership=place) as (_, a, b), house.node(C, membership=place) as c:
        answer_everything(c)
        await turns(200)
        assert a.peers[C].link.status is b.peers[C].link.status is LinkStatus.ONLINE
        assert a.trust.hear_revocations(listed)
        a.spread_revocations()
        await turns()
        for node in (a, b):
            assert node.trust.revocations == listed
            assert node.peers[C].link.state is LinkState.REFUSED
            assert "taken back" in node.peers[C].link.why
            assert LinkGone(C) in node.news
        assert a.peers[B].link.status is LinkStatus.ONLINE
        sent = [one for one in house.exchange.log if one.kind == "wayhouse-list"]
        assert len(sent) <= 4, "it ends"


async def test_a_list_comes_with_the_first_answer():
    house, place = House(), membership()
    listed = ADMIN.revocations(revoke(Revocations(overlay="home"), uids=frozenset({C})))
    trust = Trust(MemoryPins(), house.clock, place, listed)
    async with pair(house, a_more={"trust": trust}, b_more={"membership": place}) as (_, _a, b):
        assert b.trust.revocations == listed


async def test_a_membership_that_ends_while_the_link_is_online():
    house = House()
    place = membership(expires=int(house.clock.wall()) + 60)
    async with pair(house, membership=place) as (_, a, _b):
        assert a.peers[B].link.status is LinkStatus.ONLINE
        house.clock.advance(61)
        a.look_at_members()
        assert "expired" in a.peers[B].link.why


async def test_policies():
    async with pair() as (house, a, b):
        assert a.peers[B].link.is_relayed is False
        a.set_policy(B, PathPolicy.RELAY)
        a.create_link(B, b.fingerprint)
        await turns(200)
        assert a.peers[B].link.is_relayed is True
        a.set_policy(B, PathPolicy.RELAY)
        a.set_policy(B, PathPolicy.OFF)
        assert "switched off" in a.peers[B].link.why
        with pytest.raises(BadBindingError, match="switched off"):
            a.create_link(B, b.fingerprint)
        a.set_policy(B, None)
        await turns()
        facts = [fact for fact in a.news if isinstance(fact, Refused | Allowed | LinkGone)]
        assert facts[-3:] == [Refused(B), LinkGone(B), Allowed(B)]
        assert house.net


async def test_networks_behind_a_peer():
    async with pair() as (house, a, b):
        a.set_routes(B, ("192.168.7.0/24",))
        assert "192.168.7.0/24" in house.tunnels[A].peers[b.identity.tunnel_public_key].allowed_ips


async def test_an_address_has_one_owner():
    async with pair() as (_, a, _b):
        a.set_address(C, "172.31.0.101", gen_ip6(C))
        assert (a.peers[B].ip4, a.peers[B].ip6) == ("", gen_ip6(B))
        assert a.peers[C].ip4 == "172.31.0.101"
        a.set_address(B, "172.31.0.109", gen_ip6(B))
        assert a.peers[B].ip4 == "172.31.0.109"


async def test_moving_to_another_address():
    async with pair() as (house, a, b):
        a.move("172.31.0.55")
        await turns()
        assert house.tunnels[A].addresses[0] == "172.31.0.55/24"
        assert a.news[-1] == Own("172.31.0.55", a.fingerprint, "172.31.0.55")
        key = b.identity.tunnel_public_key
        assert house.tunnels[A].peers[key].translation == ("172.31.0.101", "172.31.0.55")
        a.set_translation(is_on=False)
        assert house.tunnels[A].peers[key].translation is None


async def test_signallers_come_and_go():
    async with pair(answers=False) as (house, a, _b):
        with pytest.raises(ConflictError, match="signed in"):
            a.add_signaller(a.signaller)
        a.signaller.cut("The server does not answer.")
        await turns()
        assert a.signals_down == {a.signaller.name: "The server does not answer."}
        assert any(isinstance(told, ErrorTold) and told.why for told in a.heard)
        a.signaller.restore()
        await turns()
        assert a.signals_down == {}
        second = house.exchange.signaller("second")
        a.add_signaller(second)
        await a.remove_signaller("second")
        await a.remove_signaller("second")
        assert list(a.signallers) == [a.signaller.name]


async def test_messages_for_peers():
    async with pair(answers=False) as (_, a, b):
        a.send(B, "send_msg", "hello")
        await turns()
        assert b.messages("send_msg") == [Message("send_msg", A, "hello")]
        with pytest.raises(NoSuchPeerError):
            a.send(C, "send_msg", "hello")
        for kind, data in (
            ("send_msg", "\x00"),
            ("send_msg", "\ud800"),
            ("send_msg", "x" * 70_000),
            ("a b", "x"),
        ):
            with pytest.raises(BadStanzaError):
                a.send(B, kind, data)


async def test_a_node_does_not_link_to_itself():
    async with pair() as (house, a, _):
        with pytest.raises(ConflictError):
            a.create_link(A, a.fingerprint)
        house.exchange.forge(Sent(A, A, "con_req", a.fingerprint))
        await turns()
        assert A not in a.peers


async def test_uids_that_are_none_are_passed_over():
    async with pair() as (house, a, _):
        house.exchange.forge(Sent("../../etc/passwd", A, "con_req", a.fingerprint))
        house.exchange.forge(Sent(B, A, "con_resp", "x" * 100_000))
        await turns()
        assert set(a.peers) == {B}


async def test_nats_that_need_a_relay():
    house = House()
    for uid in (A, B):
        house.net.add(uid, NatKind.SYMMETRIC)
    async with pair(house) as (_, a, _b):
        assert a.peers[B].link.is_relayed is True


async def test_its_clock_turns_the_links():
    async with pair() as (house, a, _):
        before = house.clock.monotonic()
        running = asyncio.ensure_future(a.run())
        await turns(20)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert house.clock.monotonic() > before + 3


@pytest.mark.parametrize("seed", range(12))
async def test_messages_lost_doubled_and_in_any_order_still_make_links(seed):
    import random

    house, dice = House(), random.Random(seed)
    held: list[Sent] = []

    def shake(sent: Sent):
        if sent.kind == "presence":
            return [sent]
        held.append(sent)
        out = []
        while held and dice.random() < 0.6:
            one = held[dice.randrange(len(held))]
            held.remove(one)
            out += [one] * dice.choice([0, 1, 1, 1, 2])
        return out

    house.exchange.tamper = shake
    async with pair(house) as (_, a, b):
        for _ in range(40):
            house.clock.advance(10)
            a.tick()
            b.tick()
            await turns(10)
            if a.peers[B].link.status is b.peers[A].link.status is LinkStatus.ONLINE:
                break
        assert a.peers[B].link.status is b.peers[A].link.status is LinkStatus.ONLINE


BITS = st.sampled_from(
    [
        "FPR",
        "TOKEN",
        "1:1:udp:192.0.2.66:9:1:u:p:local:eth0:0:1",
        "6=1,1,udp,2001:db8::1,9,1,u,p,local,eth0,0,1",
        "ip4=172.31.0.100",
        "wh1:AAAA",
        "destroy",
        "\x00",
        "\ud800",
        "x" * 70_000,
    ]
)
EVENTS = st.one_of(
    st.builds(
        Heard,
        st.sampled_from([A, B, C, "", "x" * 40]),
        st.sampled_from(["con_req", "con_resp", "send_msg", "wayhouse-list", "", "a b"]),
        st.lists(st.one_of(BITS, st.text(max_size=9)), max_size=4).map(" ".join),
        st.sampled_from(["fake2222", "other"]),
    ),
    st.builds(
        PeerSeen, st.sampled_from([A, B, C, ""]), st.one_of(BITS, st.text(max_size=9)), st.just("fake")
    ),
    st.builds(PeerGone, st.sampled_from([A, B, C, ""]), st.just("fake")),
    st.builds(SignalDown, st.just("other"), st.text(max_size=5)),
    st.builds(SignalUp, st.just("other")),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=8))
def test_whatever_signalling_says_the_link_stays(events):
    async def run():
        async with pair() as (_, a, b):
            token = a.messages("con_resp")[0].data.split()[-1]
            for event in events:
                if not isinstance(event, Heard):
                    a.hear(event)
                    continue
                data = event.data.replace("FPR", b.fingerprint).replace("TOKEN", token)
                a.hear(Heard(event.uid, event.kind, data, event.via))
            await turns()
            assert a.peers[B].link.status is LinkStatus.ONLINE
            assert set(a.peers) <= {B, C}

    asyncio.run(run())


# Nodes that speak as old ones do.


async def test_two_old_nodes_get_a_link():
    async with pair(OldHouse()) as (house, a, b):
        assert a.signaller.status == a.fingerprint, "nothing behind it"
        for node, peer in ((a, B), (b, A)):
            assert node.peer(peer).link.state is LinkState.ONLINE
            assert node.peer(peer).verified.security == "dtls"
            assert not node.peer(peer).link.is_modern
            (state,) = node_views.peer_states(node, Generation.G1)
            assert (state.security, state.fpr) == (
                "dtls",
                house.tunnels[peer].public_key[20:].hex(":").upper(),
            )
        told = [event.data for event in b.news if isinstance(event, Heard) and event.kind == "con_resp"]
        assert told
        assert not any("wh1" in data or data.endswith(" ") for data in told)


async def test_old_and_new_refuse_each_other():
    house, old_house = House(), OldHouse()
    old_house.exchange, old_house.net = house.exchange, house.net
    async with house.node(A) as a, old_house.node(B) as b:
        answer_everything(a)
        answer_everything(b)
        await turns()
        assert "older tincan" in a.peer(B).link.why
        assert "--legacy" in b.peer(A).link.why
        assert {a.peer(B).link.state, b.peer(A).link.state} == {LinkState.REFUSED}


async def test_a_server_that_swaps_an_old_fingerprint_is_believed_the_first_time_only():
    async with pair(OldHouse()) as (_, a, _b):
        liar = old_ends.identity(C).fingerprint()
        cas = "a:1:udp:192.0.2.1:5:1:ufrag:pwd:local:eth0:0:1"
        with pytest.raises(BadBindingError, match="another certificate than before"):
            a.create_link(B, liar, cas)
        assert a.peer(B).link.state is LinkState.ONLINE, "what works goes on"
        a.trim_link(B)
        with pytest.raises(BadBindingError, match="another certificate than before"):
            a.create_link(B, liar, cas)


async def test_what_a_tunnel_of_frames_tells():
    async with pair(OldHouse()) as (house, a, _b):
        frame = ethernet_frame(A, b"\x45packet")
        a.tunnel_frame(frame, "")
        a.tunnel_frame(b"\x00ipop\x03" + bytes(8) + b"{}", B)
        await turns()
        told = [one for one in a.news if isinstance(one, Unroutable)]
        assert told == [
            Unroutable(b"\x45packet", frame),
            Unroutable(b"", b"\x00ipop\x03" + bytes(8) + b"{}", B),
        ]
        a.peer(B).link.silent()
        a.tunnel_troubled(house.tunnels[B].public_key, "It shows another certificate.")
        assert a.peer(B).link.why == "It shows another certificate."
        a.tunnel_troubled(b"nobody", "x")
