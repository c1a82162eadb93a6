from __future__ import annotations

import pytest

from tests.parts.overlay_play import LARGE, OWN, Play, kinds
from tests.parts.overlay_world import fingerprint_of
from wayhouse.overlay import peer_book
from wayhouse.overlay.group import GroupAddresses, group_controller
from wayhouse.overlay.model import Heard, PeerGone, PeerSeen
from wayhouse.overlay.social import social_controller
from wayhouse.overlay.wishes import Claimed, NoAddressLeft, Own, SetAddress, TooManyPeers

VIA = "mdns"


def uid(number: int) -> str:
    return f"{number:040x}"


def test_who_is_away_the_longest_makes_room() -> None:
    play = Play()
    for number in range(peer_book.MOST_PEERS):
        play.told(PeerSeen(uid(number), "", VIA))
        play.now += 0.001
    play.told(PeerSeen(LARGE, "", VIA))
    assert play.controller.events() == [TooManyPeers(LARGE)]
    play.told(PeerGone(uid(7), VIA))
    play.told(PeerGone(uid(3), VIA))
    play.told(PeerSeen(LARGE, "", VIA))
    known = {peer.uid for peer in play.controller.peers()}
    assert LARGE in known
    assert uid(7) not in known or uid(3) not in known
    assert len(known) == peer_book.MOST_PEERS


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_book, "MOST_PEERS", 8)
    play = Play()
    for number in range(1, 200):
        play.heard(uid(number), "announce", f"{fingerprint_of('x')} ip4=172.16.0.{number}")
        play.now += 1
    addresses = play.controller.addresses
    assert isinstance(addresses, GroupAddresses)
    assert max(len(addresses._claims), len(addresses._claim_of), len(addresses._by_ip6)) <= 8 + 1


def test_a_peer_without_an_address_is_reached_by_ipv6() -> None:
    given = {uid(number): f"172.31.0.{number}" for number in range(101, 255)}
    own = Own("172.31.0.100", OWN.fingerprint)
    controller = social_controller("5" * 40, own, given=given)
    controller.receive(Heard(LARGE, "con_req", fingerprint_of(LARGE), VIA), 0.0)
    assert controller.outbox()[-1] == SetAddress(LARGE, "", "fd50:0dbc:41f2:4a3c:9999:9999:9999:9999")
    assert controller.events() == [NoAddressLeft(LARGE)]


def test_the_loser_is_told_by_the_keeper() -> None:
    play = Play()
    play.linked(LARGE)
    assert kinds(play.told(Claimed(LARGE, OWN.ip4))) == ["SetAddress", "announce"]


def test_a_full_network_is_told() -> None:
    from ipaddress import IPv4Network

    controller = group_controller(
        "5" * 40, Own("10.0.0.1", OWN.fingerprint), subnet=IPv4Network("10.0.0.0/30")
    )
    for number, ip4 in ((2, "10.0.0.2"), (1, "10.0.0.1")):
        controller.receive(Heard(uid(number), "con_req", f"{fingerprint_of('x')} ip4={ip4}", VIA), 0.0)
    assert controller.events()[-1] == NoAddressLeft("5" * 40)
