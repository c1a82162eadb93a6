"""What is written when, and what becomes of what the disk does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert kept.saver.sockets() == []
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
