"""Snapshots on their way out: complete, in bounded pieces, at the peer's pace."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.bus.kvmsg import KTHXBAI, Form
from wayhouse.bus.snapshots import (
    KVPAGE,
    PAGE_ITEMS,
    PAGED_PEER,
    PIECE,
    TURN,
    WINDOW,
    Copy,
    Snapshots,
    Stream,
    read_page,
)

OURS = PAGED_PEER + b"1"
LAST = b"\0" * 7 + b"\x09"


def items_of(count: int, body: bytes = b"v") -> list[tuple[bytes, bytes, bytes]]:
    return [(b"/k/%d" % number, LAST, body) for number in range(count)]


def snapshots_of(count: int, *, body: bytes = b"v", form: Form = Form.CHP, **options: float) -> Snapshots:
    return Snapshots(
        form, lambda subtree: Copy(items_of(count, body), LAST, subtree, b"server=x\n"), **options
    )  # type: ignore[arg-type]


def only(snapshots: Snapshots, now: float = 0.0) -> Stream:
    (stream,) = snapshots.ready(now)
    return stream


@pytest.mark.parametrize("count", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_plain_peer_gets_each_key_then_the_end(count: int) -> None:
    snapshots = snapshots_of(count)
    snapshots.ask(b"peer", b"/k/")
    got = []
    while found := snapshots.ready(0.0):
        piece = found[0].piece()
        assert len(piece) <= PIECE + 1
        found[0].sent(len(piece), 0.0)
        got += piece
        snapshots.tick(0.0)
    assert got[:-1] == [[b"peer", key, LAST, b"", b"", b"v"] for key, _, _ in items_of(count)]
    assert got[-1] == [b"peer", KTHXBAI, LAST, b"", b"", b"/k/"]
    assert not snapshots.active


@settings(deadline=None)
@given(st.integers(0, 700), st.lists(st.integers(1, 300), min_size=1, max_size=8))
def test_a_pipe_that_is_full_loses_nothing(count: int, room: list[int]) -> None:
    snapshots = snapshots_of(count)
    snapshots.ask(b"peer", b"")
    got, now, rooms = [], 0.0, itertools.cycle([0, *room])
    while (moment := snapshots.deadline(now)) is not None:
        now = max(now, moment)
        for stream in snapshots.ready(now):
            piece = stream.piece()
            taken = min(next(rooms), len(piece))
            got += piece[:taken]
            stream.sent(taken, now)
            if taken < len(piece):
                stream.blocked(now)
        snapshots.tick(now)
    assert [one[1] for one in got] == [*(key for key, _, _ in items_of(count)), KTHXBAI]


def test_a_client_of_ours_gets_pages_for_its_credit() -> None:
    count = (WINDOW + 2) * PAGE_ITEMS + 5
    snapshots = snapshots_of(count)
    snapshots.ask(OURS, b"")
    got = []
    for _ in range(WINDOW):
        stream = only(snapshots)
        got += stream.piece()
        stream.sent(1, 0.0)
    assert snapshots.ready(0.0) == []
    for _ in range(3):
        snapshots.more(OURS)
        stream = only(snapshots)
        got += stream.piece()
        stream.sent(1, 0.0)
    stream = only(snapshots)
    (end,) = stream.piece()
    stream.sent(1, 0.0)
    snapshots.tick(0.0)
    assert all(one[:2] == [OURS, KVPAGE] for one in got)
    assert [item for one in got for item in read_page(one[2])] == items_of(count)
    assert end == [OURS, KTHXBAI, LAST, b"", b"server=x\n", b""]
    assert snapshots.deadline(0.0) is None


def test_large_bodies_make_smaller_pages() -> None:
    snapshots = snapshots_of(10, body=b"x" * 200_000)
    snapshots.ask(OURS, b"")
    (page,) = only(snapshots).piece()
    assert len(read_page(page[2])) == 2


def test_credit_cannot_be_hoarded() -> None:
    snapshots = snapshots_of(PAGE_ITEMS * 20)
    snapshots.ask(OURS, b"")
    stream = only(snapshots)
    for _ in range(100):
        snapshots.more(OURS)
    for _ in range(WINDOW):
        stream.piece()
        stream.sent(1, 0.0)
    assert not stream.may_send


def test_a_page_that_could_not_be_sent_is_sent_again() -> None:
    snapshots = snapshots_of(PAGE_ITEMS + 1)
    snapshots.ask(OURS, b"")
    stream = only(snapshots)
    first = stream.piece()
    stream.sent(0, 0.0)
    stream.blocked(0.0)
    assert snapshots.ready(0.0) == []
    assert only(snapshots, 0.1).piece() == first


def test_in_three_frames_our_client_gets_the_facts_behind() -> None:
    snapshots = snapshots_of(0, form=Form.SIMPLE)
    snapshots.ask(OURS, b"")
    assert only(snapshots).piece() == [[OURS, KTHXBAI, LAST, b"", b"server=x\n"]]


def test_waits_between_tries_grow_and_end_with_success() -> None:
    snapshots = snapshots_of(1000)
    snapshots.ask(b"peer", b"")
    stream = only(snapshots)
    waits = []
    for _ in range(8):
        stream.blocked(0.0)
        waits.append(stream.blocked_until)
    assert waits == sorted(waits)
    assert waits[-1] < 0.1
    stream.sent(1, 5.0)
    stream.blocked(5.0)
    assert stream.blocked_until == pytest.approx(5.001)


def test_who_stands_still_is_dropped() -> None:
    snapshots = snapshots_of(1000, stall_s=30.0)
    snapshots.ask(b"peer", b"")
    only(snapshots).blocked(0.0)
    assert snapshots.tick(30.0) == 0
    assert snapshots.tick(30.1) == 1
    assert snapshots.active == {}


def test_who_asks_again_begins_again() -> None:
    snapshots = snapshots_of(1000)
    snapshots.ask(b"peer", b"/a/")
    only(snapshots).sent(PIECE, 0.0)
    snapshots.ask(b"peer", b"/b/")
    assert only(snapshots).piece()[0][1] == b"/k/0"


def test_too_many_askers_wait_and_then_are_refused() -> None:
    snapshots = snapshots_of(1000, active=2, waiting=2)
    for name in (b"a", b"b"):
        assert snapshots.ask(name, b"")
        snapshots.ready(0.0)
    assert snapshots.ask(b"c", b"")
    assert snapshots.ask(b"d", b"")
    assert snapshots.ask(b"d", b"/other/")
    assert not snapshots.ask(b"e", b"")
    snapshots.ready(0.0)
    assert set(snapshots.active) == {b"a", b"b"}
    snapshots.drop(b"a")
    snapshots.ready(0.0)
    assert set(snapshots.active) == {b"b", b"c"}


def test_all_have_their_turn() -> None:
    snapshots = snapshots_of(10_000)
    for number in range(3 * TURN):
        snapshots.ask(b"%d" % number, b"")
        snapshots.ready(0.0)
    seen = set()
    for _ in range(3):
        for stream in snapshots.ready(0.0):
            seen.add(stream.identity)
    assert len(seen) == 3 * TURN


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_page_or_refused(frame: bytes) -> None:
    try:
        read_page(frame)
    except BadInputError:
        return
