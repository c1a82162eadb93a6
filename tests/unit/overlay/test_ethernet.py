from wayhouse.overlay.ethernet import ethernet_frame, mac_of, packet_in


def test_packets_get_a_frame_of_their_kind():
    uid = "ab" * 20
    four, six = ethernet_frame(uid, b"\x45rest"), ethernet_frame(uid, b"\x60rest")
    assert four[12:14] == b"\x08\x00"
    assert six[12:14] == b"\x86\xdd"
    assert four[14:] == b"\x45rest"
    assert four[6:12] == mac_of(uid)
    assert len(ethernet_frame(uid, b"")) == 14


def test_addresses_are_local_ones():
    assert mac_of("ff" * 20)[0] & 0b11 == 0b10
    assert ethernet_frame("ff" * 20, b"")[0] & 0b11 == 0b10


def test_the_packet_in_a_frame():
    uid = "ab" * 20
    assert packet_in(ethernet_frame(uid, b"\x45rest")) == b"\x45rest"
    assert packet_in(ethernet_frame(uid, b"\x60rest")) == b"\x60rest"
    assert packet_in(bytes(12) + b"\x08\x06" + b"arp") == b""
    assert packet_in(b"") == b""
