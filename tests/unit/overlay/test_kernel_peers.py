"""What the kernel's counters mean."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.kernel_peers import KEEPALIVE_BYTES, SILENCE_S, KernelPeer, News, Seen


def seen(sent: int = 0, received: int = 0, handshake: float | None = None) -> Seen:
    return Seen(sent_bytes=sent, received_bytes=received, handshake=handshake)


def met() -> KernelPeer:
    peer = KernelPeer()
    peer.placed()
    peer.look(seen(148, 0), 0.0)
    assert peer.look(seen(180, 92, 0.2), 1.0) == (News.ESTABLISHED,)
    return peer


def test_a_handshake_is_told_once() -> None:
    peer = met()
    assert peer.look(seen(180, 92, 0.2), 2.0) == ()
    assert peer.look(seen(500, 900, 0.2), 3.0) == ()
    assert peer.look(seen(700, 1000, 120.0), 121.0) == (News.ESTABLISHED,)


def test_the_clocks_of_the_kernel_and_ours_may_differ_a_little() -> None:
    peer = met()
    assert peer.look(seen(200, 300, 0.203), 2.0) == ()


def test_what_came_without_a_handshake_is_no_link() -> None:
    peer = KernelPeer()
    assert peer.look(seen(92, 148), 0.0) == ()


def test_data_without_an_answer_is_silence() -> None:
    peer = met()
    assert peer.look(seen(1000, 92, 0.2), 2.0) == ()
    assert peer.look(seen(2000, 92, 0.2), 2.0 + SILENCE_S - 0.1) == ()
    assert peer.look(seen(3000, 92, 0.2), 2.0 + SILENCE_S) == (News.SILENT,)
    assert peer.look(seen(4000, 92, 0.2), 40.0) == ()
    assert peer.look(seen(4000, 192, 0.2), 41.0) == (News.ESTABLISHED,)


def test_keepalives_want_no_answer() -> None:
    peer = met()
    for turn in range(1, 20):
        assert peer.look(seen(180 + turn * KEEPALIVE_BYTES, 92, 0.2), turn * 15.0) == ()


def test_another_endpoint_is_waited_for_anew() -> None:
    peer = met()
    peer.look(seen(1000, 92, 0.2), 2.0)
    peer.placed()
    assert peer.is_expecting
    assert peer.look(seen(1000, 92, 0.2), 30.0) == ()
    assert peer.look(seen(1100, 192, 0.2), 31.0) == (News.ESTABLISHED,)
    assert not peer.is_expecting


def test_an_interface_that_was_made_again_counts_from_nothing() -> None:
    peer = met()
    assert peer.look(seen(0, 0), 5.0) == ()
    assert peer.look(seen(148, 92, 6.0), 6.0) == (News.ESTABLISHED,)


def test_sums_go_on_when_the_kernel_counts_anew() -> None:
    peer = met()
    peer.look(seen(100, 50, 6.0), 6.0)
    assert (peer.figures.sent_bytes, peer.figures.received_bytes) == (280, 142)


def test_figures_are_of_the_last_look() -> None:
    peer = met()
    figures = peer.figures
    assert (figures.sent_bytes, figures.received_bytes) == (180, 92)
    assert (figures.last_handshake, figures.last_received) == (0.2, 1.0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5000), st.integers(0, 5000), st.none() | st.floats(0, 100), st.floats(0, 30)
        ),
        max_size=40,
    )
)
def test_silence_is_told_once_until_something_comes(
    looks: list[tuple[int, int, float | None, float]],
) -> None:
    peer, now, news = KernelPeer(), 0.0, []
    for sent, received, handshake, wait in looks:
        now += wait
        news += peer.look(seen(sent, received, handshake), now)
    assert (News.SILENT, News.SILENT) not in pairwise(news)
