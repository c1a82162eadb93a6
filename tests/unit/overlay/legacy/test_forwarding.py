import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.overlay.legacy.test_frames import IP4, IP6, MAC, OTHER, ethernet, request
from wayhouse.base.errors import BadInputError
from wayhouse.overlay.engine.checksums import ones_sum
from wayhouse.overlay.legacy import frames
from wayhouse.overlay.legacy.forwarding import (
    Answered,
    Dropped,
    Forwarding,
    ToController,
    ToInterface,
    ToPeers,
)
from wayhouse.overlay.ports import PeerSetup

OWN, A, B = b"\x00" * 19 + b"\x01", b"\xaa" * 20, b"\xbb" * 20
VIEW = ("172.31.0.101", "172.31.0.100")


def four(source: str, destination: str, payload: bytes = b"") -> bytes:
    head = b"\x45\x00" + (20 + len(payload)).to_bytes(2, "big") + bytes(4) + b"\x40\x01"
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    total = 0xFFFF - ones_sum(head + bytes(2) + addresses)
    return ethernet(OTHER, OTHER, head + total.to_bytes(2, "big") + addresses + payload)


def six(source: str, destination: str) -> bytes:
    addresses = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed
    return ethernet(OTHER, OTHER, b"\x60" + bytes(7) + addresses)


def setup(*allowed: str, translation: tuple[str, str] | None = None) -> PeerSetup:
    return PeerSetup(public_key=b"", allowed_ips=allowed, translation=translation)


@pytest.fixture
def table() -> Forwarding:
    made = Forwarding(OWN, MAC)
    made.set_addresses(["172.31.0.100/24", "fd50::1/64"])
    made.set_peer(A, setup("172.31.0.101/32", "fd50::a/128"))
    made.set_peer(B, setup("172.31.0.102/32", "fd50::b/128"))
    return made


def test_by_the_inner_address(table):
    assert table.leaving(four("172.31.0.100", "172.31.0.101")) == ToPeers((A,))
    assert table.leaving(six("fd50::1", "fd50::b")) == ToPeers((B,))


@pytest.mark.parametrize("many", ["224.0.0.251", "239.1.2.3", "172.31.0.255", "255.255.255.255"])
def test_what_is_for_many_goes_to_all(table, many):
    assert table.leaving(four("172.31.0.100", many)) == ToPeers((A, B))


@pytest.mark.parametrize("frame", [four("172.31.0.100", "172.31.0.7"), six("fd50::1", "ff02::2")])
def test_what_nobody_may_get_is_the_controllers(table, frame):
    assert table.leaving(frame) == ToController(frame)
    table.remove_peer(A)
    gone = four("172.31.0.100", "172.31.0.101")
    assert table.leaving(gone) == ToController(gone)


def test_arp_is_answered_here(table):
    answer = table.leaving(request())
    assert isinstance(answer, ToInterface)
    assert answer.frame[20:22] == b"\x00\x02"
    assert table.leaving(request(bytes((172, 31, 0, 7)))) == Dropped("arp")
    assert table.leaving(request(bytes((172, 31, 0, 100)))) == Dropped("arp"), "whether somebody else has it"


def test_what_is_no_packet_goes_nowhere(table):
    assert table.leaving(b"short") == Dropped("short")
    assert table.leaving(MAC + OTHER + b"\x88\xcc" + bytes(50)) == Dropped("no-ip")
    assert table.arriving(A, MAC + OTHER + b"\x88\xcc" + bytes(50)) == Dropped("no-ip")
    assert table.arriving(A, request()) == Dropped("no-ip")


def test_what_comes_gets_our_ethernet_address(table):
    frame = four("172.31.0.101", "172.31.0.100")
    assert table.arriving(A, frame) == ToInterface(MAC + frame[6:])
    assert table.arriving(A, six("fd50::a", "fd50::1")) == ToInterface(MAC + six("fd50::a", "fd50::1")[6:])


@pytest.mark.parametrize(
    "frame",
    [
        four("172.31.0.102", "172.31.0.100"),
        four("172.31.0.100", "172.31.0.100"),
        four("192.0.2.1", "172.31.0.100"),
        six("fd50::b", "fd50::1"),
        six("fe80::1", "fd50::1"),
    ],
)
def test_a_peer_sends_from_its_own_addresses(table, frame):
    assert table.arriving(A, frame) == Dropped("foreign-source")


def test_addresses_are_translated(table):
    table.set_peer(A, setup("172.31.0.101/32", translation=VIEW))
    verdict = table.arriving(A, four("172.31.0.100", "172.31.0.109", b"x" * 9))
    assert verdict == ToInterface(MAC + four(*VIEW, b"x" * 9)[6:])
    verdict = table.arriving(A, four("172.31.0.100", "224.0.0.251"))
    assert verdict == ToInterface(MAC + four(VIEW[0], "224.0.0.251")[6:])
    frame = six("fd50::a", "fd50::1")
    assert table.arriving(A, frame) == Dropped("foreign-source"), "no IPv6 address any more"
    table.set_peer(A, setup("172.31.0.101/32"))
    assert isinstance(table.arriving(A, four(*VIEW)), ToInterface)


def test_a_setup_that_is_wrong_changes_nothing(table):
    for wrong in (setup("10.0.0.0/33"), setup("10.0.0.1/32", translation=("x", "172.31.0.100"))):
        with pytest.raises(BadInputError):
            table.set_peer(A, wrong)
    assert table.leaving(four("172.31.0.100", "172.31.0.101")) == ToPeers((A,))


def test_controllers_among_themselves(table):
    frame = b"\x00ipop\x03" + bytes(8) + b"{}"
    assert table.arriving(A, frame) == ToController(frame)
    table.is_switch = True
    assert table.arriving(A, frame) == ToController(frame)


def test_what_a_controller_gives(table):
    table.set_peer(A, setup("172.31.0.101/32", translation=VIEW))
    assert table.of_controller(A, four("1.2.3.4", "5.6.7.8")) == MAC + four(*VIEW)[6:]
    assert (
        table.of_controller(b"\xcc" * 20, four("1.2.3.4", "5.6.7.8")) == MAC + four("1.2.3.4", "5.6.7.8")[6:]
    )
    table.is_switch = True
    assert table.of_controller(A, request()) == request()


# As a switch.

HOST = b"\x02\x33\x33\x33\x33\x33"


@pytest.fixture
def switch(table) -> Forwarding:
    table.is_switch = True
    return table


def test_a_switch_learns_where_addresses_are(switch):
    to_host = ethernet(HOST, OTHER, IP4)
    assert switch.leaving(ethernet(HOST, OTHER, IP6)) == ToController(ethernet(HOST, OTHER, IP6))
    asked = request(bytes((172, 31, 0, 7)))
    assert switch.arriving(B, asked[:6] + HOST + asked[12:]) == ToInterface(asked[:6] + HOST + asked[12:])
    assert switch.leaving(to_host) == ToPeers((B,))
    from_host = ethernet(OTHER, HOST, IP4)
    assert switch.arriving(A, from_host) == ToInterface(from_host), "another peer's now"
    assert switch.leaving(to_host) == ToPeers((A,))
    switch.remove_peer(A)
    assert switch.leaving(ethernet(HOST, OTHER, IP6)) == ToController(ethernet(HOST, OTHER, IP6))


def test_a_switch_sends_broadcasts_to_all(switch):
    asked = request(bytes((172, 31, 0, 7)))
    assert switch.leaving(asked) == ToPeers((A, B))


def test_a_switch_answers_for_itself(switch):
    asked = request(bytes((172, 31, 0, 100)))
    answer = frames.arp_answer(asked, MAC)
    assert switch.leaving(asked) == ToInterface(answer)
    assert switch.arriving(A, asked) == Answered(answer)


def test_a_switch_takes_up_nodes_that_know_no_ethernet_addresses(switch):
    frame = four("172.31.0.101", "172.31.0.100")
    assert switch.arriving(A, frame) == ToInterface(MAC + frame[6:])


def test_a_switch_does_not_learn_itself_or_groups_or_without_end(switch):
    switch.arriving(A, ethernet(OTHER, MAC, IP4))
    switch.arriving(A, ethernet(OTHER, b"\xff" * 6, IP4))
    assert not switch._macs
    for number in range(5000):
        switch.arriving(A, ethernet(OTHER, b"\x02" + number.to_bytes(5, "big"), IP4))
    assert len(switch._macs) == 4096


@given(
    st.binary(min_size=14, max_size=90),
    st.booleans(),
    st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06"]),
)
def test_nothing_raises(data, is_switch, kind):
    table = Forwarding(OWN, MAC)
    table.set_addresses(["172.31.0.100/24"])
    table.set_peer(A, setup("0.0.0.0/0", "::/0", translation=VIEW))
    table.is_switch = is_switch
    for frame in (data, data[:12] + kind + data[14:]):
        table.leaving(frame)
        table.arriving(A, frame)
        table.of_controller(A, frame)
