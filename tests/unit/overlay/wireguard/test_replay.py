"""The replay window against the plainest one that could be written."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay.wireguard.replay import WINDOW, ReplayWindow
from wayhouse.overlay.wireguard.timing import REJECT_AFTER_MESSAGES


class Plain:
    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.greatest = -1

    def accept(self, counter: int) -> bool:
        if (
            counter in self.seen
            or counter + WINDOW <= self.greatest
            or not 0 <= counter < REJECT_AFTER_MESSAGES
        ):
            return False
        self.seen.add(counter)
        self.greatest = max(self.greatest, counter)
        return True


near = st.integers(min_value=-3, max_value=300)
far = st.integers(min_value=0, max_value=3 * WINDOW)
anywhere = st.integers(min_value=0, max_value=(1 << 64) - 1)
runs = st.tuples(st.one_of(near, far), st.one_of(st.integers(1, 200), st.integers(8000, 9000)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(near, far, anywhere, runs), max_size=30))
def test_it_accepts_what_the_plain_one_accepts(steps: list[int | tuple[int, int]]) -> None:
    window, plain = ReplayWindow(), Plain()
    for step in steps:
        if isinstance(step, tuple):
            counters = list(range(step[0], step[0] + step[1]))
            assert window.accept_many(counters) == [plain.accept(counter) for counter in counters]
        else:
            assert window.accept(step) == plain.accept(step)


def test_the_edges() -> None:
    window = ReplayWindow()
    assert window.accept(0)
    assert not window.accept(0)
    assert window.accept(WINDOW)
    assert not window.accept(0)
    assert window.accept(1)
    assert window.accept(REJECT_AFTER_MESSAGES - 1)
    assert not window.accept(REJECT_AFTER_MESSAGES)
    assert not window.accept(WINDOW + 1)


def test_a_run_that_is_not_all_new_changes_nothing() -> None:
    window = ReplayWindow()
    assert window.accept_run(0, 10)
    assert not window.accept_run(9, 3)
    assert not window.accept_run(20, 0)
    assert not window.accept_run(REJECT_AFTER_MESSAGES - 1, 2)
    assert window.greatest == 9
    assert window.accept(10)


def test_many_with_a_gap_or_out_of_order() -> None:
    window = ReplayWindow()
    assert window.accept_many([]) == []
    assert window.accept_many([3, 1, 1, 7]) == [True, True, False, True]
    assert window.accept_many([4, 6, 5, 7]) == [True, True, True, False]
