from __future__ import annotations

from tests.parts.overlay_play import LARGE, LINK, ME, SMALL, Play, kinds
from tests.parts.overlay_world import fingerprint_of
from wayhouse.overlay.model import LinkStatus, PeerGone
from wayhouse.overlay.tincan import Forward, TrimLink
from wayhouse.overlay.wishes import LinkChanged, LinkGone, Traffic

VIA = "xmpp:a@b"


def test_offline_for_twice_the_wait_is_trimmed() -> None:
    play = Play()
    play.linked(SMALL)
    assert play.told(LinkChanged(SMALL, LinkStatus.OFFLINE)) == []
    assert play.after(29.9) == []
    assert kinds(play.after(1.2)) == ["TrimLink", "con_req"]


def test_offline_for_a_moment_is_nothing() -> None:
    play = Play()
    play.linked(SMALL)
    play.told(LinkChanged(SMALL, LinkStatus.OFFLINE))
    play.after(10.0)
    play.told(LinkChanged(SMALL, LinkStatus.ONLINE))
    assert play.after(3600.0) == []


def test_a_link_that_never_came_up_is_trimmed_and_tried_later() -> None:
    play = Play()
    play.controller.create_connection(SMALL, fingerprint_of(SMALL), "", play.now)
    play.controller.outbox()
    assert play.after(59.0) == []
    assert kinds(play.after(2.0)) == ["TrimLink"]


def test_the_link_of_who_is_away_is_trimmed_and_not_asked_for() -> None:
    play = Play()
    play.linked(SMALL)
    play.told(PeerGone(SMALL, VIA))
    play.told(LinkChanged(SMALL, LinkStatus.OFFLINE))
    assert kinds(play.after(3600.0)) == ["TrimLink"]


def test_a_link_that_ended_by_itself_is_asked_for_again() -> None:
    play = Play()
    play.linked(SMALL)
    play.told(LinkGone(SMALL))
    assert kinds(play.after(2.0)) == ["con_req"]


def test_a_peer_that_began_anew_gets_a_new_link_when_the_old_one_is_down() -> None:
    play = Play()
    play.linked(LARGE)
    play.told(LinkChanged(LARGE, LinkStatus.OFFLINE))
    assert kinds(play.heard(LARGE, "con_req")) == ["TrimLink", *LINK]
    assert play.heard(LARGE, "con_req") == [], "the new one is a moment old"
    play.after(6.0)
    assert kinds(play.heard(LARGE, "con_req")) == ["TrimLink", *LINK]


def test_a_link_in_use_does_not_end_by_a_request() -> None:
    play = Play()
    play.linked(LARGE)
    play.told(Traffic(LARGE, 100, 100))
    assert play.heard(LARGE, "con_req") == []
    play.now += 10
    assert play.told(Traffic(LARGE, 100, 150)) == []
    assert play.after(3600.0) == []


def test_a_silent_link_does() -> None:
    play = Play()
    play.linked(LARGE)
    play.told(Traffic(LARGE, 100, 100))
    play.heard(LARGE, "con_req")
    play.now += 10
    assert kinds(play.told(Traffic(LARGE, 130, 100))) == ["TrimLink", *LINK]


def test_a_doubt_without_figures_passes_and_counts_when_the_link_goes_down() -> None:
    play = Play()
    play.linked(LARGE)
    play.heard(LARGE, "con_req")
    assert play.after(31.0) == []
    assert play.told(LinkChanged(LARGE, LinkStatus.OFFLINE)) == []
    play.told(LinkChanged(LARGE, LinkStatus.ONLINE))
    play.heard(LARGE, "con_req")
    assert kinds(play.told(LinkChanged(LARGE, LinkStatus.OFFLINE))) == ["TrimLink", *LINK]


def test_an_idle_link_is_ended_on_both_ends() -> None:
    play = Play(on_demand=True)
    play.heard(LARGE, "send_msg")
    play.told(LinkChanged(LARGE, LinkStatus.ONLINE))
    for amount in (0, 100, 100, 100):
        play.now += 15
        play.told(Traffic(LARGE, amount, 0))
    assert play.after(560.0) == []
    assert play.after(15.0) == [Forward(kind="send_msg", uid=LARGE, data="destroy" + ME), TrimLink(uid=LARGE)]
    play.heard(LARGE, "send_msg")
    assert play.heard(LARGE, "send_msg", "destroy" + LARGE) == [TrimLink(uid=LARGE)]


def test_a_peer_that_ended_an_idle_link_is_left_alone() -> None:
    """On-demand links are the peer's, not ours."""
    play = Play()
    play.linked(SMALL)
    assert kinds(play.heard(SMALL, "send_msg", "destroy" + SMALL)) == ["TrimLink"]
    assert play.after(3600.0) == []
    assert kinds(play.heard(SMALL, "con_req")) == LINK
