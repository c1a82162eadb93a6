"""Both twins, the compiled one too."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.mover import BOTH, codec
from wayhouse.bus.model import MalformedError
from wayhouse.bus.zmtp import commands

LARGE = 1 << 20
frames = st.one_of(st.binary(max_size=20), st.sampled_from([b"", b"x" * 255, b"y" * 256, b"z" * 70_000]))
messages = st.lists(frames, min_size=1, max_size=6)
stream = st.lists(st.one_of(messages, st.binary(max_size=300).map(bytes)), max_size=6)


@pytest.fixture(params=BOTH, scope="module")
def twin(request):
    return codec(request.param)


def wire(twin, one):
    return twin.encode(one, 0) if isinstance(one, list) else commands.frame(one)


@given(sent=stream, cuts=st.lists(st.integers(1, 400), max_size=8))
def test_however_it_is_cut_it_comes_back(twin, sent, cuts):
    data = b"".join(wire(twin, one) for one in sent)
    into, rest = [[b"me"]], b""
    for cut in [*cuts, len(data)]:
        rest, data = rest + data[:cut], data[cut:]
        taken, wanted = twin.decode(rest, into, LARGE)
        rest = rest[taken:]
        assert len(rest) < wanted
    assert into == [*([b"me", *one] if isinstance(one, list) else one for one in sent), [b"me"]]
    assert rest == b""


@given(data=st.binary(max_size=60), most=st.integers(0, 300))
@settings(max_examples=500)
def test_the_twins_agree_on_any_bytes(data, most):
    seen = []
    for kind in BOTH:
        into = [[b"me", b"begun"]]
        try:
            seen.append((codec(kind).decode(data, into, most), into))
        except MalformedError as error:
            seen.append((str(error), into))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\1x",
        b"\5\1x\0\0",
        b"\1\1x\4\1y",
        b"\2" + (LARGE + 1).to_bytes(8, "big"),
        b"\2" + b"\xff" * 8,
        b"\2" + b"\x80" + bytes(7),
        b"\1\xff" + b"x" * 255 + b"\2" + (LARGE - 200).to_bytes(8, "big"),
    ],
)
def test_what_is_none_or_too_large_is_told_before_it_is_there(twin, data):
    with pytest.raises(MalformedError):
        twin.decode(data, [[b"me"]], LARGE)


def test_a_message_has_no_end_of_frames(twin):
    into = [[b"me"]]
    with pytest.raises(MalformedError):
        twin.decode(b"\1\0" * 20_000, into, LARGE)


def test_the_next_frame_says_how_much_it_wants(twin):
    assert twin.decode(b"", [[b"me"]], LARGE) == (0, 2)
    assert twin.decode(b"\0", [[b"me"]], LARGE) == (0, 2)
    assert twin.decode(b"\2\0\0", [[b"me"]], LARGE) == (0, 9)
    assert twin.decode(b"\2" + (5000).to_bytes(8, "big"), [[b"me"]], LARGE) == (0, 5009)
    assert twin.decode(b"\1\1a\0\7b", [[b"me"]], LARGE) == (3, 9)


def test_what_is_no_message_is_an_exception(twin):
    for wrong in ([1], ["text"], [None]):
        with pytest.raises(TypeError):
            twin.encode(wrong, 0)


def test_nothing_is_kept_and_nothing_let_go_twice(twin):
    frame = b"counted" * 100
    before = sys.getrefcount(frame)
    for _ in range(1000):
        data = twin.encode([frame, frame], 0)
        into = [[frame]]
        twin.decode(data, into, LARGE)
        with pytest.raises(MalformedError):
            twin.decode(data + b"\x08\0", [[frame]], LARGE)
    del data, into
    assert sys.getrefcount(frame) == before
