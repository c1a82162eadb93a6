"""Order per resource, width over all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wayhouse.ledger.schedule import Schedule


def test_same_resource_waits() -> None:
    schedule = Schedule()
    for number, resource in enumerate(["a", "a", "b"], start=1):
        schedule.add(number, resource)
    assert schedule.start() == [1, 3]
    assert schedule.start() == []
    schedule.finish(1)
    assert schedule.start() == [2]


def test_width_is_kept() -> None:
    schedule = Schedule(width=2)
    for number in range(5):
        schedule.add(number, str(number))
    assert schedule.start() == [0, 1]


def test_remove_only_queued() -> None:
    schedule = Schedule()
    schedule.add(1, "a")
    assert schedule.remove(1)
    schedule.add(2, "a")
    schedule.start()
    assert not schedule.remove(2)


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 5))
def test_everything_runs_once_in_order_of_its_resource(resources: list[str], width: int) -> None:
    schedule = Schedule(width)
    for number, resource in enumerate(resources):
        schedule.add(number, resource)
    order: list[int] = []
    while running := (schedule.start(), schedule.running)[1]:
        assert len(running) <= width
        assert len({resources[number] for number in running}) == len(running)
        order.append(running[0])
        schedule.finish(running[0])
    assert sorted(order) == list(range(len(resources)))
    for resource in "abc":
        mine = [number for number in order if resources[number] == resource]
        assert mine == sorted(mine)
