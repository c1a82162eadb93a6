"""The index against a look at all records, and its cost by counting steps."""

from __future__ import annotations

import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.devices.record import Record
from wayhouse.devices.register import standard_register
from wayhouse.devices.roster_index import RosterIndex, words_of

MOST = 8
REGISTER = standard_register()
NAMES = st.sampled_from(["tv", "tv-volume", "tv 2", "tv 3", "lamp", "b"])
OIDS = st.sampled_from(["media.tv", "switch"])


def device(name: str, oid: str = "switch"):
    return REGISTER.new({"oid": oid, "name": name})


def record(record_id: str, name: str, oid: str = "switch", former: tuple[str, ...] = ()) -> Record:
    return Record(record_id, "fake", f"at {record_id}", device(name, oid), former)


def words(one: Record) -> set[str]:
    return {one.id, *words_of(one.device.name, type(one.device))}


STEP = st.tuples(
    st.sampled_from("abcd"), st.booleans(), NAMES, OIDS, st.lists(NAMES, max_size=2, unique=True)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=12))
def test_it_answers_as_a_look_at_all_would(steps) -> None:
    index, all_records = RosterIndex(), dict[str, Record]()
    for record_id, is_kept, name, oid, former in steps:
        one = all_records.get(record_id) or record(record_id, name)
        if not is_kept:
            all_records.pop(record_id, None)
            index.drop(one)
            continue
        one.device, one.former_names = device(name, oid), tuple(former)
        all_records[record_id] = one
        index.put(one)
        compare(index, list(all_records.values()))


def compare(index: RosterIndex, records: list[Record]) -> None:
    for one in records:
        assert index.at("fake", one.address) is one
    assert index.at("other", "at a") is None
    everything = set[str]().union(*map(words, records))
    for word in ("tv", "tv-volume", "lamp", "a"):
        holders = [one for one in records if one.device.name == word]
        former = [one for one in records if word in one.former_names]
        assert (index.named(word) or 0) in (holders or former or [0])
        assert sorted(one.id for one in index.formerly(word)) == sorted(one.id for one in former)
        tries = [word, *(f"{word} {number}" for number in range(2, MOST))]
        assert index.free(word, MOST) == next((name for name in tries if name not in everything), None)
    for except_for in (None, *records):
        others = set[str]().union(*(words(one) for one in records if one is not except_for))
        asked = {"tv", "tv-volume", "lamp-volume", "b", "c"}
        assert index.taken(asked, except_for) == asked & others


def steps_of(count: int) -> int:
    """How many lines run until so many devices of one name have joined."""
    index, lines = RosterIndex(), 0

    def follow(frame, event, _):
        nonlocal lines
        lines += event == "line" and frame.f_code.co_filename.endswith("roster_index.py")
        return follow

    before = sys.gettrace()
    sys.settrace(follow)
    try:
        for number in range(count):
            name = index.free("lamp", 2000)
            assert name is not None
            assert not index.taken(words_of(name, type(device(name))), None)
            index.put(record(str(number), name))
    finally:
        sys.settrace(before)
    return lines


def test_a_thousand_cost_ten_times_a_hundred() -> None:
    assert steps_of(1000) < 11 * steps_of(100)


def test_a_number_that_is_free_again_is_taken_first() -> None:
    index, made = RosterIndex(), list[Record]()
    for number in range(4):
        made.append(record(f"r{number}", index.free("lamp", 99) or ""))
        index.put(made[-1])
    assert [one.device.name for one in made] == ["lamp", "lamp 2", "lamp 3", "lamp 4"]
    index.drop(made[1])
    assert index.free("lamp", 99) == "lamp 2"
    index.drop(made[0])
    assert index.free("lamp", 99) == "lamp"
