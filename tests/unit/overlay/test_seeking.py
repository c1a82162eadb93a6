from __future__ import annotations

from tests.parts.overlay_play import LARGE, LINK, ME, OWN, SMALL, Play, kinds
from tests.parts.overlay_world import fingerprint_of
from wayhouse.overlay.group import group_controller
from wayhouse.overlay.model import Heard, PeerSeen
from wayhouse.overlay.peer_book import Settings
from wayhouse.overlay.tincan import CreateLink, Forward
from wayhouse.overlay.wishes import Claimed, Unroutable

VIA = "xmpp:a@b"
TO_LARGE = Unroutable(bytes([0x45]) + bytes(15) + bytes([172, 16, 0, 9]))
KNOWN = f"{fingerprint_of(LARGE)} ip4=172.16.0.9"


def idle() -> Play:
    """A node with on-demand links that knows one idle peer."""
    play = Play(on_demand=True)
    play.told(PeerSeen(LARGE, "", VIA))
    play.heard(LARGE, "con_req", KNOWN)
    play.after(5.0)
    return play


def test_idle_peers_are_told_who_we_are_now_and_then() -> None:
    play = Play(on_demand=True)
    play.told(PeerSeen(LARGE, "", VIA))
    assert kinds(play.after(2.0)) == ["con_req"]
    assert play.heard(LARGE, "con_req", KNOWN) == [], "it was just told"
    assert play.after(600.0) == []
    assert kinds(play.heard(LARGE, "con_req", KNOWN)) == ["con_req"], "it may have forgotten"
    assert 3 <= len(play.after(3600.0)) <= 6


def test_a_packet_makes_the_link() -> None:
    play = idle()
    assert play.told(TO_LARGE)[:2] == [
        Forward(kind="send_msg", uid=LARGE, data=OWN.data),
        CreateLink(uid=LARGE, fpr=fingerprint_of(LARGE), cas=""),
    ]
    assert play.told(TO_LARGE) == []


def test_a_packet_wakes_also_who_did_not_prove_its_address() -> None:
    controller = group_controller(ME, OWN, Settings(on_demand=True), reads_words=False)
    controller.receive(Heard(LARGE, "con_req", KNOWN, VIA), 0.0)
    controller.receive(TO_LARGE, 10.0)
    wishes = controller.outbox()
    assert kinds(wishes)[-3:] == ["send_msg", *LINK]
    assert wishes[-1].ip4 == ""
    controller.receive(Claimed(LARGE, "172.16.0.9"), 11.0)
    assert controller.outbox()[-1].ip4 == "172.16.0.9"


def test_the_other_end_makes_it_too() -> None:
    play = idle()
    assert kinds(play.heard(LARGE, "send_msg", KNOWN)) == LINK


def test_a_peer_whose_fingerprint_is_not_known_is_called() -> None:
    play = Play(on_demand=True)
    play.heard(LARGE, "announce", KNOWN)
    peer = next(play.controller.peers())
    peer.fingerprint = ""
    assert kinds(play.told(TO_LARGE)) == ["send_msg"]
    assert play.told(TO_LARGE) == [], "not for each packet"
    assert kinds(play.heard(LARGE, "con_resp", f"{KNOWN} c")) == LINK


def test_links_that_do_not_come_up_are_not_tried_for_each_packet() -> None:
    play = idle()
    made = 0
    for _ in range(3600):
        made += kinds(play.told(TO_LARGE)).count("CreateLink")
        play.after(1.0)
    assert 2 <= made <= 30


def test_packets_for_nobody_do_nothing() -> None:
    play = idle()
    for packet in (b"", b"x", bytes([0x45]) + bytes(15) + bytes([172, 16, 0, 77])):
        assert play.told(Unroutable(packet)) == []


def test_without_on_demand_a_packet_hastens_nothing_but_wakes_who_rests() -> None:
    play = Play()
    play.linked(SMALL)
    play.heard(SMALL, "con_resp", f"{fingerprint_of(SMALL)} ip4=172.16.0.9")
    play.heard(SMALL, "send_msg", "destroy")
    assert play.after(600.0) == []
    play.told(TO_LARGE)
    assert kinds(play.after(2.0)) == ["con_req"]


def test_a_flood_of_requests_waits_for_tokens() -> None:
    play = Play(burst=3, rate=1.0)
    made = [
        wish for number in range(20) for wish in play.heard(f"{number:040x}", "con_req", fingerprint_of("x"))
    ]
    assert kinds(made).count("CreateLink") == 3
    assert kinds(play.after(5.5)).count("CreateLink") == 5
    assert kinds(play.after(12.0)).count("CreateLink") == 12
