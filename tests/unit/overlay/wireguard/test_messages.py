"""The wire: sizes, types and padding."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay.wireguard import messages
from wayhouse.overlay.wireguard.messages import BadHandshakeError


@pytest.mark.parametrize(("kind", "size"), [(1, 148), (2, 92), (3, 64)])
def test_a_handshake_message_has_one_exact_length(kind: int, size: int) -> None:
    assert messages.handshake_type(messages.head(kind) + bytes(size - 4)) == kind
    for other in (size - 5, size - 3):
        with pytest.raises(BadHandshakeError):
            messages.handshake_type(messages.head(kind) + bytes(other))


def test_the_three_bytes_behind_the_type_are_zero() -> None:
    with pytest.raises(BadHandshakeError) as caught:
        messages.handshake_type(b"\1\0\1\0" + bytes(144))
    assert caught.value.reason == "malformed"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_comes_is_known_or_refused(datagram: bytes) -> None:
    with contextlib.suppress(BadHandshakeError):
        assert messages.handshake_type(datagram) in {1, 2, 3}
    if messages.is_data(datagram):
        messages.index_and_counter(datagram)


def test_data_is_at_least_a_header_and_a_tag() -> None:
    datagram = messages.data_header(0xAABBCCDD, 7) + bytes(16)
    assert messages.is_data(datagram)
    assert not messages.is_data(datagram[:-1])
    assert messages.index_and_counter(datagram) == (0xAABBCCDD, 7)
    assert datagram[:16].hex() == "04000000ddccbbaa0700000000000000"
    assert messages.nonce(7).hex() == "000000000700000000000000"


def test_padding_goes_up_to_a_multiple_of_16() -> None:
    assert [len(messages.padded(bytes(size))) for size in (0, 1, 16, 17)] == [0, 16, 16, 32]
