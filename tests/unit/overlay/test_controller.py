# covers: overlay/wishes.py, overlay/known_peer.py
from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.overlay_play import LARGE, LINK, ME, OWN, SMALL, VIA, Play, kinds
from tests.parts.overlay_world import fingerprint_of
from wayhouse.overlay.group import group_controller
from wayhouse.overlay.model import Heard, LinkStatus, PeerGone, PeerSeen, SignalDown, SignalUp
from wayhouse.overlay.tincan import CreateLink, Forward, TrimLink
from wayhouse.overlay.wishes import (
    ANNOUNCE,
    AddressConflict,
    Allowed,
    Claimed,
    Forgotten,
    LinkChanged,
    LinkGone,
    MoveTo,
    NetworkChanged,
    Own,
    Refused,
    SetAddress,
    Traffic,
    Unroutable,
)

IP6_OF_LARGE = "fd50:0dbc:41f2:4a3c:9999:9999:9999:9999"


def test_the_larger_uid_asks_at_once() -> None:
    play = Play()
    assert play.told(PeerSeen(SMALL, "", VIA)) == []
    assert play.after(1.0) == [Forward(kind="con_req", uid=SMALL, data=OWN.data)]


def test_the_smaller_uid_asks_if_it_was_not_asked() -> None:
    play = Play()
    play.told(PeerSeen(LARGE, "", VIA))
    assert play.after(2.9) == []
    assert kinds(play.after(1.2)) == ["con_req"]


def test_a_request_is_accepted_and_not_answered_by_another() -> None:
    play = Play()
    play.told(PeerSeen(LARGE, "", VIA))
    assert play.heard(LARGE, "con_req", f"{fingerprint_of(LARGE)} ip4=172.16.0.9") == [
        CreateLink(uid=LARGE, fpr=fingerprint_of(LARGE), cas="ip4=172.16.0.9"),
        SetAddress(LARGE, "172.16.0.9", IP6_OF_LARGE),
    ]
    assert play.after(30.0) == []


def test_if_both_asked_the_larger_uids_request_is_kept() -> None:
    play = Play()
    play.told(PeerSeen(SMALL, "", VIA))
    play.after(1.0)
    assert play.heard(SMALL, "con_req") == []
    assert kinds(play.heard(SMALL, "con_resp", f"{fingerprint_of(SMALL)} a b")) == LINK
    play.told(PeerSeen(LARGE, "", VIA))
    play.after(5.0)
    assert kinds(play.heard(LARGE, "con_req")) == LINK


def test_the_smaller_ones_request_counts_if_nothing_came_of_ours() -> None:
    play = Play()
    play.told(PeerSeen(SMALL, "", VIA))
    play.after(1.0)
    play.heard(SMALL, "con_req")
    assert kinds(play.after(2.1)) == LINK


def test_candidates_are_handed_on_to_the_link() -> None:
    play = Play()
    play.linked(LARGE)
    assert play.heard(LARGE, "con_resp", f"{fingerprint_of(LARGE)} c1 c2") == [
        CreateLink(uid=LARGE, fpr=fingerprint_of(LARGE), cas="c1 c2")
    ]


def test_an_answer_to_nothing_is_a_request() -> None:
    play = Play()
    assert kinds(play.heard(LARGE, "con_resp", f"{fingerprint_of(LARGE)} c1")) == LINK


def test_what_cannot_be_understood_is_counted() -> None:
    play = Play()
    for kind, data in (
        ("con_req", "hello"),
        ("con_req", ""),
        ("dance", fingerprint_of(LARGE)),
        ("send_msg", "{}"),
    ):
        assert play.heard(LARGE, kind, data) == []
    assert play.heard("x", "con_req") == []
    assert play.heard(ME, "con_req") == []
    assert play.controller.ignored == 6
    assert list(play.controller.peers()) == []


def test_links_outlive_signalling() -> None:
    play = Play()
    play.linked(LARGE)
    play.told(SignalUp(VIA))
    assert play.told(SignalDown(VIA, "gone")) == []
    assert play.after(3600.0) == []
    assert [peer.has_link for peer in play.controller.peers()] == [True]


def test_who_is_away_is_not_asked() -> None:
    play = Play()
    play.told(PeerSeen(SMALL, "", VIA))
    play.told(PeerSeen(SMALL, "", "mdns"))
    play.told(PeerGone(SMALL, VIA))
    assert kinds(play.after(1.0)) == ["con_req"]
    play.told(PeerGone(SMALL, "mdns"))
    assert play.after(3600.0) == []


def test_attempts_get_rarer_until_something_changes() -> None:
    play = Play()
    play.told(PeerSeen(SMALL, "", VIA))
    first, later = len(play.after(60.0)), len(play.after(3600.0))
    assert 2 <= first <= 4
    assert later <= 3600 / (0.75 * 300) + 5
    play.told(NetworkChanged())
    assert len(play.after(60.0)) >= 2
    play.after(3600.0)
    play.told(PeerSeen(SMALL, "another status", VIA))
    assert len(play.after(60.0)) >= 2


def test_the_refused_get_nothing() -> None:
    play = Play()
    play.linked(SMALL)
    assert kinds(play.told(Refused(SMALL))) == ["TrimLink"]
    assert play.heard(SMALL, "con_req") == []
    assert play.told(Unroutable(bytes([0x45]) + bytes(19))) == []
    assert play.after(600.0) == []
    play.controller.create_connection(SMALL, fingerprint_of(SMALL), "", play.now)
    assert play.controller.outbox() == []
    play.told(Allowed(SMALL))
    assert kinds(play.after(2.0)) == ["con_req"]


def test_the_forgotten_lose_link_and_address() -> None:
    play = Play()
    play.linked(LARGE)
    play.told(Claimed(LARGE, "172.16.0.9"))
    assert kinds(play.told(Forgotten(LARGE))) == ["TrimLink"]
    assert list(play.controller.peers()) == []
    assert play.controller.addresses.ip4_of(LARGE) == ""


def test_people_may_make_a_link() -> None:
    play = Play()
    play.controller.create_connection(LARGE, fingerprint_of(LARGE), "", play.now)
    assert kinds(play.controller.outbox()) == LINK
    play.controller.create_connection("nobody", fingerprint_of(LARGE), "", play.now)
    assert play.controller.outbox() == []


def test_a_new_address_of_ours_is_told_to_who_knows_us() -> None:
    play = Play()
    play.linked(LARGE)
    moved = Own("172.16.0.2", OWN.fingerprint, "ip4=172.16.0.2")
    play.told(moved)
    assert play.after(1.0) == [Forward(kind=ANNOUNCE, uid=LARGE, data=moved.data)]
    assert play.told(moved) == []
    assert play.after(600.0) == []


def test_a_new_address_of_a_peer_is_passed_on() -> None:
    play = Play()
    play.linked(LARGE)
    assert kinds(play.heard(LARGE, ANNOUNCE, f"{fingerprint_of(LARGE)} ip4=172.16.0.8")) == ["SetAddress"]
    assert play.told(Claimed(LARGE, "172.16.0.9"))[0].ip4 == "172.16.0.9"


def test_the_keeper_tells_and_the_loser_moves() -> None:
    play = Play()
    play.linked(LARGE)
    play.linked(SMALL)
    play.told(Claimed(LARGE, "172.16.0.9"))
    assert SetAddress(LARGE, "", IP6_OF_LARGE) in play.told(Claimed(LARGE, OWN.ip4))
    assert AddressConflict(OWN.ip4, ME, LARGE) in play.controller.events()
    assert isinstance(play.told(Claimed(SMALL, OWN.ip4))[-1], MoveTo)
    assert AddressConflict(OWN.ip4, SMALL, ME) in play.controller.events()


def test_words_are_believed_only_if_they_may_be() -> None:
    controller = group_controller(ME, OWN, reads_words=False)
    controller.receive(Heard(LARGE, "con_req", f"{fingerprint_of(LARGE)} ip4=172.16.0.9", VIA), 0.0)
    assert controller.outbox()[-1] == SetAddress(LARGE, "", IP6_OF_LARGE)


texts = st.sampled_from(
    [fingerprint_of(SMALL), f"{fingerprint_of(LARGE)} c ip4=172.16.0.1", "destroy", "destroy" + ME, "", "x y"]
)
uids = st.sampled_from([SMALL, LARGE, ME, "3" * 40, "nobody"])
vias = st.sampled_from([VIA, "mdns"])
numbers = st.integers(0, 3)
facts = st.one_of(
    st.builds(PeerSeen, uids, st.sampled_from(["", "s"]), vias),
    st.builds(PeerGone, uids, vias),
    st.builds(SignalDown, vias, st.just("")),
    st.builds(Heard, uids, st.sampled_from(["con_req", "con_resp", "send_msg", ANNOUNCE, "x"]), texts, vias),
    st.builds(LinkChanged, uids, st.sampled_from(LinkStatus)),
    st.builds(LinkGone, uids),
    st.builds(Traffic, uids, numbers, numbers),
    st.builds(Unroutable, st.sampled_from([b"", bytes([0x45]) + bytes(15) + bytes([172, 16, 0, 1])])),
    st.builds(Claimed, uids, st.sampled_from(["172.16.0.1", "172.16.0.9", "", "x"])),
    st.builds(Refused, uids),
    st.builds(Allowed, uids),
    st.builds(Forgotten, uids),
    st.builds(Own, st.sampled_from(["172.16.0.1", "172.16.0.3"]), st.just(OWN.fingerprint)),
    st.builds(NetworkChanged),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(facts, st.sampled_from([0.0, 0.5, 4.0, 20.0, 700.0])), max_size=40), st.booleans())
def test_whatever_it_is_told_it_stays_sane(steps: list[tuple[Any, float]], on_demand: bool) -> None:
    """It never raises, never speaks more than it may, trims only what it made, and comes to rest."""
    play = Play(on_demand=on_demand, burst=5, rate=1.0)
    links: set[str] = set()
    for fact, pause in steps:
        wishes = play.told(fact)
        if isinstance(fact, LinkGone):
            links.discard(fact.uid)
        for one in wishes + play.after(pause):
            if isinstance(one, CreateLink):
                links.add(one.uid)
            elif isinstance(one, TrimLink):
                assert one.uid in links
                links.remove(one.uid)
        assert {peer.uid for peer in play.controller.peers() if peer.has_link} == links
    spoken = [
        when for when, one in play.log if isinstance(one, Forward) and not one.data.startswith("destroy")
    ]
    assert all(sum(start <= one < start + 60 for one in spoken) <= 5 + 60 + 1 for start in spoken)
    assert play.controller.deadline() > play.now
