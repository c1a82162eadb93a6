"""The clone's server machine: what it publishes, keeps, refuses and lets expire."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.bus.clone import BEAT, Clone, Expired, Limits, Refused, Stalled, read_ttl
from wayhouse.bus.kvmsg import HUGZ, ICANHAZ, KTHXBAI, Form
from wayhouse.bus.snapshots import PAGED_PEER

SERVER = b"s" * 16


def clone_of(form: Form = Form.CHP, **options: object) -> Clone:
    return Clone(SERVER, 0.0, form=form, **options)  # type: ignore[arg-type]


def seq(number: int) -> bytes:
    return struct.pack("!Q", number)


def snapshot(clone: Clone, subtree: bytes = b"", identity: bytes = b"peer") -> list[list[bytes]]:
    clone.receive_request([identity, ICANHAZ, subtree], 0.0)
    got: list[list[bytes]] = []
    while found := clone.snapshots.ready(0.0):
        piece = found[0].piece()
        found[0].sent(len(piece), 0.0)
        got += [one[1:] for one in piece if one[0] == identity]
        clone.snapshots.tick(0.0)
    return got


def put(clone: Clone, key: bytes, body: bytes, lines: bytes = b"", now: float = 0.0) -> None:
    clone.receive_update([key, b"\0" * 8, b"", lines, body], now)


def test_updates_of_all_forms_are_numbered_published_and_kept() -> None:
    clone = clone_of()
    clone.receive_update([b"/a", b"\0" * 8, b"u" * 16, b"x=1\n", b"1"], 0.0)
    clone.receive_update([b"/b", b"\0" * 8, b"2"], 0.0)
    clone.receive_update([b"/c", b"\0" * 4, b"3"], 0.0)
    assert clone.outbox() == [
        [b"/a", seq(1), b"u" * 16, b"x=1\n", b"1"],
        [b"/b", seq(2), b"", b"", b"2"],
        [b"/c", seq(3), b"", b"", b"3"],
    ]
    assert clone.outbox() == []
    assert snapshot(clone) == [
        [b"/a", seq(1), b"", b"", b"1"],
        [b"/b", seq(2), b"", b"", b"2"],
        [b"/c", seq(3), b"", b"", b"3"],
        [KTHXBAI, seq(3), b"", b"", b""],
    ]


@pytest.mark.parametrize(("form", "packed"), [(Form.SIMPLE, seq(1)), (Form.RASPY, b"\0\0\0\1")])
def test_the_three_frames_of_old_clients(form: Form, packed: bytes) -> None:
    clone = clone_of(form)
    put(clone, b"/a", b"1")
    assert clone.outbox() == [[b"/a", packed, b"1"]]
    assert snapshot(clone, b"/a") == [[b"/a", packed, b"1"], [KTHXBAI, packed, b"/a"]]


def test_a_snapshot_of_a_subtree() -> None:
    clone = clone_of()
    for key in (b"/device/a", b"/event/b", b"/device/c"):
        put(clone, key, b"v")
    assert [one[0] for one in snapshot(clone, b"/device/")] == [b"/device/a", b"/device/c", KTHXBAI]
    clone.receive_request([b"peer", ICANHAZ], 0.0)
    assert clone.snapshots.deadline(0.0) == 0.0


def test_a_snapshot_shows_one_moment() -> None:
    clone = clone_of()
    for number in range(1000):
        put(clone, b"/%d" % number, b"old")
    clone.receive_request([b"peer", ICANHAZ, b""], 0.0)
    (stream,) = clone.snapshots.ready(0.0)
    for number in range(1000):
        put(clone, b"/%d" % number, b"" if number % 2 else b"new")
    got = []
    while not stream.is_done:
        piece = stream.piece()
        stream.sent(len(piece), 0.0)
        got += piece
    assert [one[-1] for one in got[:-1]] == [b"old"] * 1000
    assert got[-1][2] == seq(1000)


def test_an_empty_body_deletes_and_is_published() -> None:
    clone = clone_of()
    put(clone, b"/a", b"1")
    put(clone, b"/a", b"")
    put(clone, b"/never", b"")
    assert [one[0] + one[4] for one in clone.outbox()] == [b"/a1", b"/a", b"/never"]
    assert len(clone) == 0


def test_a_ttl_deletes_in_time() -> None:
    clone = clone_of()
    put(clone, b"/a", b"1", b"ttl=10\n")
    put(clone, b"/b", b"1", b"ttl=0.5\n")
    clone.outbox()
    assert clone.deadline(0.0) == 0.5
    clone.tick(0.5)
    assert clone.events() == [Expired(b"/b")]
    assert clone.outbox() == [[b"/b", seq(3), b"", b"", b""]]
    assert [one[0] for one in snapshot(clone)] == [b"/a", KTHXBAI]


def test_a_renewed_key_lives_on_and_a_plain_one_for_ever() -> None:
    clone = clone_of()
    put(clone, b"/a", b"1", b"ttl=10\n", 0.0)
    put(clone, b"/b", b"1", b"ttl=10\n", 0.0)
    put(clone, b"/a", b"2", b"ttl=10\n", 5.0)
    put(clone, b"/b", b"2", b"", 5.0)
    clone.tick(10.0)
    assert clone.events() == []
    clone.tick(15.0)
    assert clone.events() == [Expired(b"/a")]


def test_a_key_that_is_renewed_all_the_time_does_not_grow_the_queue() -> None:
    clone = clone_of()
    for number in range(20_000):
        put(clone, b"/a", b"1", b"ttl=100\n", number / 1000)
    assert len(clone._queue) < 2000


@pytest.mark.parametrize(
    "lines", [b"ttl=x\n", b"ttl=-1\n", b"ttl=nan\n", b"ttl=inf\n", b"ttl=1e30\n", b"ttl\n"]
)
def test_a_ttl_that_is_none_is_refused(lines: bytes) -> None:
    clone = clone_of()
    put(clone, b"/a", b"1", lines)
    assert clone.outbox() == []
    assert [type(one) for one in clone.events()] == [Refused]


def test_no_ttl_is_no_ttl() -> None:
    assert read_ttl(b"a=1\n") == read_ttl(b"ttl=0\n") == 0.0


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"a", b"b"],
        [b"", seq(0), b"v"],
        [b"HUGZ", seq(0), b"v"],
        [b"HUGZ=/a/", seq(0), b"v"],
        [b"KTHXBAI", seq(0), b"v"],
        [b"k" * 1025, seq(0), b"v"],
        [b"k", seq(0), b"short", b"", b"v"],
        [b"k", seq(0), b"", b"junk", b"v"],
        [b"k", b"", b"", b"", b"v", b"more"],
    ],
)
def test_what_is_no_update_is_refused(frames: list[bytes]) -> None:
    clone = clone_of()
    clone.receive_update(frames, 0.0)
    assert clone.outbox() == []
    (refused,) = clone.events()
    assert isinstance(refused, Refused)
    assert refused.code == "bad-input"


@given(
    st.lists(
        st.lists(st.binary(max_size=20) | st.sampled_from([ICANHAZ, HUGZ, seq(1)]), max_size=6), max_size=20
    )
)
def test_nothing_that_comes_stops_it(messages: list[list[bytes]]) -> None:
    clone = clone_of()
    for frames in messages:
        clone.receive_update(frames, 0.0)
        clone.receive_request(frames, 0.0)
        clone.receive_subscription(frames[0] if frames else b"", 0.0)
        clone.snapshots.ready(0.0)
    put(clone, b"/alive", b"1")
    assert clone.outbox()[-1][0] == b"/alive"
    assert snapshot(clone, b"/alive")[0][4] == b"1"


def test_a_full_map_takes_no_more_but_changes_and_deletes() -> None:
    clone = clone_of(limits=Limits(keys=2, total_bytes=100, body_bytes=50))
    put(clone, b"/a", b"1")
    put(clone, b"/b", b"1")
    put(clone, b"/c", b"1")
    put(clone, b"/a", b"2" * 51)
    put(clone, b"/a", b"2" * 50)
    put(clone, b"/b", b"2" * 50)
    assert [one.code for one in clone.events() if isinstance(one, Refused)] == [
        "unavailable",
        "too-large",
        "unavailable",
    ]
    put(clone, b"/a", b"")
    put(clone, b"/b", b"2" * 50)
    put(clone, b"/c", b"1")
    assert clone.events() == []
    assert len(clone) == 2


def test_reports_are_bounded() -> None:
    clone = clone_of()
    for _ in range(2000):
        clone.receive_update([b"junk"], 0.0)
    assert len(clone.events()) == 1000


def test_hugz_each_second_is_as_the_rfc_has_it() -> None:
    clone = clone_of()
    assert clone.deadline(0.0) == 1.0
    clone.tick(0.9)
    assert clone.outbox() == []
    clone.tick(1.0)
    assert clone.outbox() == [[HUGZ, seq(0), b"", b"", b""]]
    assert clone.deadline(1.0) == 2.0


def test_a_watched_subtree_gets_beats_with_its_count() -> None:
    clone = clone_of(sequence=100)
    put(clone, b"/device/a", b"1")
    clone.outbox()
    clone.receive_subscription(b"\1" + BEAT + b"/device/", 0.0)
    facts = b"server=%s\nsequence=101\ncount=101\n" % SERVER.hex().encode()
    assert clone.outbox() == [[BEAT + b"/device/", seq(0), b"", facts, b""]]
    put(clone, b"/device/a", b"2")
    put(clone, b"/event/a", b"2")
    clone.outbox()
    clone.tick(1.0)
    beats = clone.outbox()
    assert beats[0][0] == HUGZ
    assert b"sequence=103\ncount=102\n" in beats[1][3]
    end = snapshot(clone, b"/device/", PAGED_PEER + b"1")[-1]
    assert b"count=102\n" in end[3]
    assert snapshot(clone, b"/device/")[-1][3] == b""
    clone.receive_subscription(b"\0" + BEAT + b"/device/", 0.0)
    clone.tick(2.0)
    assert len(clone.outbox()) == 1


def test_not_everything_can_be_watched() -> None:
    clone = clone_of(limits=Limits(watched=1))
    for topic in (BEAT + b"/a/", BEAT + b"/b/", b"/c/", BEAT + b"x" * 2000):
        clone.receive_subscription(b"\1" + topic, 0.0)
    assert [one[0] for one in clone.outbox()] == [BEAT + b"/a/"]
    assert [one.code for one in clone.events() if isinstance(one, Refused)] == ["unavailable"]


def test_a_snapshot_that_nobody_takes_is_given_up() -> None:
    clone = clone_of()
    clone.receive_request([b"peer", ICANHAZ, b""], 0.0)
    clone.snapshots.ready(0.0)
    clone.tick(31.0)
    assert clone.events() == [Stalled(1)]


def test_raspys_numbers_wrap() -> None:
    clone = clone_of(Form.RASPY, sequence=2**31 - 2)
    for _ in range(3):
        put(clone, b"/a", b"1")
    assert [one[1] for one in clone.outbox()] == [b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\1"]
