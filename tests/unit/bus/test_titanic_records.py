"""Values under service, section and key: revisions, history, expiry, bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.bus.titanic_model import TitanicSettings
from wayhouse.bus.titanic_records import DELETED, EXPIRED, SET, NoSectionError, Records, RevisionError
from wayhouse.bus.titanic_store import TitanicStore

WALL = 1_700_000_000.0
KEY = (b"service", b"section", b"key")


def make(folder: Path, **changes: Any) -> tuple[TitanicStore, Records]:
    store = TitanicStore(folder / "titanic.db", WALL, TitanicSettings(**changes))
    return store, Records(store)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    store, records = make(tmp_path, history=4, tombstones=10)
    yield records
    store.close()


def test_a_value_is_what_was_put(records: Records) -> None:
    assert records.get(KEY, 0.0) is None
    revision = records.put(KEY, b"%(x)s\0\xff", 0.0, WALL)
    found = records.get(KEY, 0.0)
    assert found is not None
    assert (found.value, found.revision, found.expires) == (b"%(x)s\0\xff", revision, None)
    assert records.get((b"service", b"section", b"KEY"), 0.0) is None, "names have their case"


def test_revisions_rise_over_all_keys(records: Records) -> None:
    other = (b"a", b"b", b"c")
    revisions = [records.put(key, b"x", 0.0, WALL) for key in (KEY, other, KEY)]
    assert revisions == sorted(set(revisions))


def test_compare_and_set(records: Records) -> None:
    first = records.put(KEY, b"1", 0.0, WALL, expected=0)
    second = records.put(KEY, b"2", 0.0, WALL, expected=first)
    with pytest.raises(RevisionError) as caught:
        records.put(KEY, b"3", 0.0, WALL, expected=first)
    assert caught.value.revision == second
    records.delete(KEY, WALL)
    with pytest.raises(RevisionError) as caught:
        records.put(KEY, b"3", 0.0, WALL, expected=second)
    assert caught.value.revision == 0
    records.put(KEY, b"3", 0.0, WALL, expected=0)


def test_delete_of_a_key_a_section_a_service(records: Records) -> None:
    keys = [(b"s", section, key) for section in (b"1", b"2") for key in (b"a", b"b")]
    for key in keys:
        records.put(key, b"x", 0.0, WALL)
    assert records.delete(keys[0], WALL) == 1
    assert records.delete(keys[0], WALL) == 0, "the section is there, the key need not be"
    assert records.delete(keys[0][:2], WALL) == 1
    with pytest.raises(NoSectionError):
        records.delete(keys[0], WALL)
    with pytest.raises(NoSectionError):
        records.delete((b"s", b"1"), WALL)
    assert records.delete((b"s",), WALL) == 2
    assert records.delete((b"s",), WALL) == 0
    assert records.names((), None, 10) == []


def test_names_in_order_and_on(records: Records) -> None:
    for name in (b"", b"b", b"a", b"\xff"):
        records.put((b"s", b"x", name), b"", 0.0, WALL)
    assert records.names((b"s", b"x"), None, 10) == [b"", b"a", b"b", b"\xff"]
    assert records.names((b"s", b"x"), b"a", 1) == [b"b"]
    assert records.names((b"s",), None, 10) == [b"x"]
    assert records.names((), None, 10) == [b"s"]
    assert records.names((b"other",), None, 10) == []


def test_a_value_expires_with_an_event(records: Records) -> None:
    assert records.next_expiry() is None
    records.put(KEY, b"x", 100.0, WALL, ttl_s=5.0)
    assert records.next_expiry() == 105.0
    assert records.get(KEY, 104.9)
    assert records.get(KEY, 105.0) is None, "before it is removed, too"
    assert records.expire(104.9, WALL) == []
    (gone,) = records.expire(105.0, WALL)
    assert (gone.what, gone.key) == (EXPIRED, KEY)
    assert records.next_expiry() is None
    assert [one.what for one in records.history(KEY, 10)] == [EXPIRED, SET]


def test_a_new_value_without_a_time_stays(records: Records) -> None:
    records.put(KEY, b"x", 0.0, WALL, ttl_s=5.0)
    records.put(KEY, b"y", 0.0, WALL)
    assert records.expire(99.0, WALL) == []
    assert records.get(KEY, 99.0)


def test_history_is_bounded_and_the_newest_first(records: Records) -> None:
    for number in range(10):
        records.put(KEY, b"%d" % number, 0.0, WALL + number)
    found = records.history(KEY, 99)
    assert [one.value for one in found] == [b"9", b"8", b"7", b"6"]
    assert found[0].time == WALL + 9


def test_changes_since_a_revision(records: Records) -> None:
    first = records.put(KEY, b"1", 0.0, WALL)
    records.put((b"s", b"x", b"k"), b"2", 0.0, WALL)
    records.delete((b"s", b"x", b"k"), WALL)
    found = records.changes(first, 10)
    assert [(one.what, one.key[2]) for one in found] == [(SET, b"k"), (DELETED, b"k")]
    assert records.changes(found[-1].revision, 10) == []


def test_what_was_deleted_long_ago_is_gone_for_good(records: Records) -> None:
    old = (b"s", b"x", b"old")
    records.put(old, b"x", 0.0, WALL)
    records.delete(old, WALL)
    for number in range(20):
        records.put(KEY, b"%d" % number, 0.0, WALL)
    assert records.sweep() == 1
    assert records.history(old, 10) == []
    assert records.sweep() == 0
    assert records.get(KEY, 0.0)


def test_one_message_of_history_is_bounded(tmp_path: Path) -> None:
    store, records = make(tmp_path, max_body_bytes=250)
    for _ in range(5):
        records.put(KEY, b"x" * 100, 0.0, WALL)
    assert len(records.changes(0, 10)) == 2
    records.put(KEY, b"x" * 1000, 0.0, WALL)
    assert len(records.history(KEY, 10)) == 1
    store.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("pdse"), st.integers(0, 1), st.integers(0, 1), st.binary(max_size=3)))
)
def test_it_is_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int, bytes]]
) -> None:
    store, records = make(tmp_path_factory.mktemp("records"), history=2, tombstones=3)
    wanted: dict[tuple[bytes, bytes, bytes], bytes] = {}
    for name, section, number, value in steps:
        key = (b"s", b"%d" % section, b"%d" % number)
        if name == "p":
            records.put(key, value, 0.0, WALL)
            wanted[key] = value
        elif name == "d":
            try:
                records.delete(key, WALL)
                wanted.pop(key, None)
            except NoSectionError:
                assert key not in wanted
        elif name == "s":
            records.sweep()
        elif name == "e":
            records.delete((b"s",), WALL)
            wanted.clear()
        for one in [(b"s", b"%d" % a, b"%d" % b) for a in (0, 1) for b in (0, 1)]:
            found = records.get(one, 0.0)
            assert (found.value if found else None) == wanted.get(one)
    store.close()
