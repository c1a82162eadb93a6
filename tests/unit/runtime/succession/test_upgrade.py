"""The words of an upgrade: pieces that can be put together again, and nothing else accepted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import WayhouseError
from wayhouse.runtime.succession.passage import FDS_AT_ONCE
from wayhouse.runtime.succession.upgrade import (
    PARCELS_AT_ONCE,
    Assembled,
    Commit,
    Digest,
    Piece,
    Prepare,
    Refused,
    UpgradeFailedError,
    decode,
    demand,
    encode,
    parcels_of,
    pieces,
)

PARCELS = st.lists(
    st.tuples(
        st.dictionaries(st.text(max_size=5), st.one_of(st.integers(0, 9), st.binary(max_size=9)), max_size=3),
        st.lists(st.integers(0, 5000), max_size=FDS_AT_ONCE),
    ),
    max_size=200,
)


@given(PARCELS)
@settings(max_examples=40, deadline=None)
def test_pieces_make_up_what_was_packed(parcels: list[tuple[dict[str, object], list[int]]]) -> None:
    found = []
    for piece, fds in pieces("rpc", parcels):
        assert len(fds) <= FDS_AT_ONCE
        assert len(piece.states) <= PARCELS_AT_ONCE
        again = demand(decode(encode(piece)), Piece)
        found += parcels_of(again, fds)
    assert found == parcels


def test_what_cannot_move_is_told() -> None:
    with pytest.raises(UpgradeFailedError, match="descriptors"):
        list(pieces("rpc", [({}, [1] * (FDS_AT_ONCE + 1))]))


@pytest.mark.parametrize("counts", [[1], [-1, 2], [0, 0], [1, 1]])
def test_a_piece_that_is_not_whole(counts: list[int]) -> None:
    with pytest.raises(UpgradeFailedError, match="not whole"):
        parcels_of(Piece("rpc", [{}, {}], counts), [7])


@given(st.binary(max_size=60))
def test_what_is_no_message_is_refused(data: bytes) -> None:
    try:
        decode(data)
    except UpgradeFailedError as error:
        assert isinstance(error, WayhouseError)  # noqa: PT017 - most bytes are no message, a few are


def test_messages_come_in_their_order_only() -> None:
    assert demand(Commit(), Commit) == Commit()
    with pytest.raises(UpgradeFailedError, match="Commit came where Assembled was due"):
        demand(Commit(), Assembled)
    with pytest.raises(UpgradeFailedError, match="too old"):
        demand(Refused("the database is too old"), Assembled)
    offer = Prepare("Wayhouse 1", 1, ["rpc"], 5)
    assert decode(encode(offer)) == offer


def test_a_digest_tells_what_and_how_it_was_cut() -> None:
    digests = set()
    for parts in ([(b"ab", 0)], [(b"a", 0), (b"b", 0)], [(b"ab", 1)], [(b"", 0), (b"ab", 0)]):
        digest = Digest()
        for body, count in parts:
            digest.add(body, count)
        digests.add(str(digest))
    assert len(digests) == 4
