"""What is written when, and what becomes of what the disk does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.small_disk import on_a_small_disk
from wayhouse.bus.clone import Clone
from wayhouse.bus.clone_store import CloneStore
from wayhouse.bus.drivers.clone_saver import CloneSaver


class Kept:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "clone.db"
        self.clone = Clone(b"s" * 16, 0.0, sequence=100, keeps=True)
        self.store = CloneStore(self.path)
        self.saver = CloneSaver(self.store, self.clone, 0.0, 5.0)

    def put(self, key: bytes, body: bytes, lines: bytes = b"") -> None:
        self.clone.receive_update([key, b"\0" * 8, b"", lines, body], 0.0)

    def tick(self, now: float) -> None:
        self.saver.tick(now)
        if self.saver._thread is not None:
            self.saver._thread.join()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def on_disk(path: Path) -> dict[bytes, bytes]:
    store = CloneStore(path)
    found = dict(store.items())
    store.close()
    return found


def test_the_newest_values_are_written_now_and_then_and_at_the_end(kept: Kept) -> None:
    kept.put(b"/a", b"1")
    kept.put(b"/a", b"2")
    kept.put(b"/gone", b"1")
    kept.put(b"/gone", b"")
    kept.put(b"/passing", b"1", b"ttl=9\n")
    kept.tick(4.9)
    assert dict(kept.store.items()) == {}
    assert kept.saver.deadline() >= 5.0
    kept.tick(5.0)
    assert dict(kept.store.items()) == {b"/a": b"2"}
    assert kept.store.sequence() == kept.clone.sequence
    kept.put(b"/b", b"3")
    kept.put(b"/a", b"2", b"ttl=9\n")
    kept.saver.close(6.0)
    assert on_disk(kept.path) == {b"/b": b"3"}


def test_what_the_disk_did_not_take_is_written_later(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.put(b"/a", b"1")
    kept.put(b"/b", b"1")
    kept.store._connection.execute("PRAGMA query_only=1")
    kept.tick(5.0)
    assert "free space" in caplog.text
    kept.put(b"/a", b"2")
    kept.store._connection.execute("PRAGMA query_only=0")
    kept.tick(10.0)
    assert dict(kept.store.items()) == {b"/a": b"2", b"/b": b"1"}
    kept.saver.close(11.0)


def test_nothing_is_written_when_nothing_changed(kept: Kept) -> None:
    kept.tick(5.0)
    assert kept.saver._thread is None
    kept.saver.close(6.0)


def test_an_earlier_run_goes_on(kept: Kept, tmp_path: Path) -> None:
    kept.put(b"/a", b"1")
    kept.saver.close(1.0)
    store = CloneStore(kept.path)
    clone = Clone(b"t" * 16, 0.0, sequence=store.sequence(), keeps=True)
    clone.restore(store.items())
    clone.restore([(b"", b"no key"), (b"HUGZ", b"x")])
    assert list(clone.keys()) == [b"/a"]
    assert clone.sequence > 100
    assert clone.unsaved() == {}
    assert len(clone.events()) == 2
    store.close()


def test_a_full_disk_is_told_once_and_costs_no_memory(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.put(b"/old", b"1")
    kept.tick(5.0)
    kept.store._connection.execute("PRAGMA query_only=1")
    caplog.set_level("INFO")
    for number in range(10):
        kept.put(b"/passing/%d" % number, b"x")
        kept.tick(10.0 + 10 * number)
        kept.put(b"/passing/%d" % number, b"")
        kept.tick(15.0 + 10 * number)
    kept.put(b"/old", b"")
    kept.put(b"/new", b"1")
    kept.tick(200.0)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert kept.saver._failed == {b"/old": b"", b"/new": b"1"}
    kept.store._connection.execute("PRAGMA query_only=0")
    kept.tick(205.0)
    assert dict(kept.store.items()) == {b"/new": b"1"}
    assert "written again" in caplog.text
    kept.saver.close(206.0)


def test_a_saver_on_a_full_disk_lives_on_and_ends_in_order(tmp_path: Path) -> None:
    said = on_a_small_disk(
        """
from wayhouse.bus.clone import Clone
from wayhouse.bus.clone_store import CloneStore
from wayhouse.bus.drivers.clone_saver import CloneSaver
def saver():
    clone = Clone(b"s" * 16, 0.0, keeps=True)
    store = CloneStore(disk / "clone.db")
    clone.restore(store.items())
    return clone, CloneSaver(store, clone, 0.0, 5.0)
def put(clone, key, body):
    clone.receive_update([key, bytes(8), b"", b"", body], 0.0)
clone, parts = saver()
put(clone, b"/a", b"1")
parts.close(0.0)
for end in ("full", "free"):
    clone, parts = saver()
    fill()
    put(clone, b"/a", b"2" * 9000)
    parts.tick(5.0)
    put(clone, b"/b", b"3")
    if end == "free": filler.unlink()
    parts.close(6.0)
    store = CloneStore(disk / "clone.db")
    print({key: body[:1] for key, body in store.items()})
    store.close()
""",
        str(tmp_path),
    )
    assert said == "{b'/a': b'1'}\n{b'/a': b'2', b'/b': b'3'}\n"
