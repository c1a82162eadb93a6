import pytest

from tests.parts.overlay_nodes import UIDS, House
from wayhouse.base.errors import ConflictError
from wayhouse.overlay import peers
from wayhouse.overlay.model import NoSuchPeerError
from wayhouse.overlay.peer import Peer
from wayhouse.overlay.peers import Peers

A, B, C = UIDS[:3]


@pytest.fixture
async def known():
    async with House().node(A) as node:
        yield Peers(lambda uid: Peer(uid, node))


async def test_they_are_met_once(known):
    assert known.meet(B) is known.meet(B) is known.known(B)
    with pytest.raises(NoSuchPeerError):
        known.known(C)
    assert known.holder(b"k" * 32) is None


async def test_only_so_many_are_kept_and_those_with_a_link_always(known, monkeypatch):
    monkeypatch.setattr(peers, "MOST_PEERS", 3)
    linked, old, fresh = (known.meet(uid) for uid in UIDS[1:4])
    linked.link.create("AB", 0.0)
    linked.seen_at, old.seen_at, fresh.seen_at = 1.0, 2.0, 3.0
    known.meet(UIDS[5])
    assert set(known) == {linked.uid, fresh.uid, UIDS[5]}
    for peer in known.values():
        peer.link.create("AB", 0.0)
    with pytest.raises(ConflictError, match="trim"):
        known.meet(UIDS[6])


async def test_an_address_has_one_owner(known):
    known.set_address(known.meet(B), "172.31.0.101", "fd50::b")
    known.set_address(known.meet(C), "172.31.0.101", "fd50::c")
    assert (known[B].ip4, known[B].ip6) == ("", "fd50::b")
    known.set_address(known.meet(B), "172.31.0.102", "fd50::c")
    assert (known[C].ip4, known[C].ip6) == ("172.31.0.101", "")
    known.set_address(known[C], "", "")
    known.set_address(known[B], "", "")
    assert known[C].has_addresses
