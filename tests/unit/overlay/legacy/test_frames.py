from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.legacy import frames

A, B = bytes(range(20)), bytes(range(20, 40))
MAC, OTHER = b"\x02\x11\x11\x11\x11\x11", b"\x02\x22\x22\x22\x22\x22"
IP4 = b"\x45" + bytes(11) + bytes((172, 31, 0, 100, 172, 31, 0, 101))
IP6 = b"\x60" + bytes(7) + b"\xfd" + bytes(14) + b"\x01" + b"\xfd" + bytes(14) + b"\x02"
ASKED = bytes((172, 31, 0, 101))


def ethernet(destination: bytes, source: bytes, packet: bytes) -> bytes:
    return destination + source + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00") + packet


def request(asked: bytes = ASKED) -> bytes:
    asker = OTHER + bytes((172, 31, 0, 100))
    return b"\xff" * 6 + OTHER + b"\x08\x06" + b"\x00\x01\x08\x00\x06\x04\x00\x01" + asker + bytes(6) + asked


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20), st.binary(max_size=100))
def test_what_was_wrapped_comes_out(source, destination, frame):
    found = frames.unwrap(frames.wrap(source, destination, frame))
    assert found == (None if len(frame) < 14 else (source, destination, frame))


def test_where_everything_is():
    frame = ethernet(MAC, OTHER, IP4)
    record = frames.wrap(A, B, frame)
    assert (record[:20], record[20:40], record[40:46], record[46:52]) == (A, B, MAC, OTHER)
    assert record[52:54] == b"\x08\x00"
    assert record[54:] == IP4


def test_addresses():
    four, six = ethernet(MAC, OTHER, IP4), ethernet(MAC, OTHER, IP6)
    assert (frames.source_ip(four), frames.destination_ip(four)) == (IP4[12:16], IP4[16:20])
    assert (frames.source_ip(six), frames.destination_ip(six)) == (IP6[8:24], IP6[24:40])
    assert (frames.destination_mac(four), frames.source_mac(four)) == (MAC, OTHER)
    assert frames.destination_mac(frames.with_destination(four, OTHER)) == OTHER
    assert frames.destination_ip(four[:33]) is None
    assert frames.destination_ip(six[:53]) is None
    assert frames.source_ip(four[:14] + b"\x65" + four[15:]) is None, "IPv6 where IPv4 was promised"
    assert not frames.is_ip(request())


def test_who_is_many():
    assert frames.is_for_many(bytes((224, 0, 0, 251)))
    assert frames.is_for_many(bytes((172, 31, 0, 255)))
    assert not frames.is_for_many(bytes((240, 0, 0, 1)))
    assert not frames.is_for_many(ASKED)
    assert not frames.is_for_many(b"\xff" + bytes(15))
    assert frames.is_group(b"\xff" * 6)
    assert not frames.is_group(MAC)


def test_arp():
    assert frames.asked_address(request()) == ASKED
    answer = frames.arp_answer(request(), MAC)
    assert len(answer) == 42
    assert answer[:14] == OTHER + MAC + b"\x08\x06"
    assert answer[20:22] == b"\x00\x02"
    assert answer[22:32] == MAC + ASKED
    assert answer[32:42] == OTHER + bytes((172, 31, 0, 100))
    assert frames.asked_address(answer) is None
    assert frames.asked_address(request()[:41]) is None


def test_words_between_controllers():
    for kind in (3, 4):
        assert frames.icc_kind(b"\x00ipop" + bytes((kind,)) + bytes(8) + b"{}") == kind
    assert frames.icc_kind(b"\x00ipop\x05" + bytes(8)) is None
    assert frames.icc_kind(b"\x00ipop\x03" + bytes(7)) is None


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x08\x00", b"\x86\xdd", b"\x08\x06"]))
def test_nothing_raises(data, kind):
    frame = data[:12] + kind + data[12:]
    for look in (
        frames.source_ip,
        frames.destination_ip,
        frames.asked_address,
        frames.icc_kind,
        frames.is_ip,
    ):
        look(frame)
    frames.unwrap(frame)
