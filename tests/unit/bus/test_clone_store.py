"""The clone's keys on disk."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from tests.parts.small_disk import on_a_small_disk
from wayhouse.base.errors import PermanentError
from wayhouse.bus.clone_store import CloneStore


def test_batches_are_there_after_a_restart(tmp_path: Path) -> None:
    store = CloneStore(tmp_path / "deep" / "clone.db")
    assert (list(store.items()), store.sequence()) == ([], 0)
    store.write({b"/a": b"1", b"/b": b"2", b"/\xff": b"\0"}, 7)
    store.write({b"/a": b"", b"/b": b"3", b"/never": b""}, 1 << 60)
    store.close()
    store = CloneStore(tmp_path / "deep" / "clone.db")
    assert (dict(store.items()), store.sequence()) == ({b"/b": b"3", b"/\xff": b"\0"}, 1 << 60)
    assert store.path.stat().st_mode & 0o777 == 0o600
    store.close()


def test_a_batch_that_the_disk_does_not_take_is_not_there_in_part(tmp_path: Path) -> None:
    store = CloneStore(tmp_path / "clone.db")
    store._connection.execute("PRAGMA max_page_count=8")
    with pytest.raises(sqlite3.Error):
        store.write({b"%d" % number: b"x" * 10_000 for number in range(10)}, 1)
    store.write({b"/a": b"1"}, 2)
    assert dict(store.items()) == {b"/a": b"1"}
    store.close()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clone.db").write_bytes(content)
    store = CloneStore(tmp_path / "clone.db")
    store.write({b"/a": b"1"}, 1)
    store.close()
    assert (tmp_path / "clone.damaged").read_bytes() == content
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_file_in_use_or_of_a_newer_version_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CloneStore(tmp_path / "clone.db")
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: real(*given, timeout=0.01, **named))
    with pytest.raises(PermanentError, match="another bus"):
        CloneStore(tmp_path / "clone.db")
    store._connection.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(PermanentError, match="newer"):
        CloneStore(tmp_path / "clone.db")
    with pytest.raises(PermanentError):
        CloneStore(tmp_path)
    assert not (tmp_path / "clone.damaged").exists()


def test_a_new_file_on_a_full_disk_says_so_and_is_made_later(tmp_path: Path) -> None:
    said = on_a_small_disk(
        """
from wayhouse.bus.clone_store import CloneStore
fill()
try: CloneStore(disk / "clone.db")
except Exception as error: print(type(error).__name__, error)
filler.unlink()
store = CloneStore(disk / "clone.db")
store.write({b"/a": b"1"}, 1)
print(dict(store.items()), names(disk))
""",
        str(tmp_path),
    )
    assert said.startswith("UnavailableError The keys of the clone")
    assert "Free some space" in said
    assert said.endswith("{b'/a': b'1'} ['clone.db', 'clone.db-wal']\n")


def test_an_old_file_on_a_full_disk_is_read_and_stays_whole(tmp_path: Path) -> None:
    said = on_a_small_disk(
        """
import sqlite3
from wayhouse.bus.clone_store import CloneStore
store = CloneStore(disk / "clone.db")
store.write({b"/a": b"1", b"/b": b"2"}, 7)
store.close()
fill()
for _ in range(3):
    store = CloneStore(disk / "clone.db")
    try: store.write({b"/a": b"", b"/b": b"x" * 9000, b"/c": b"y" * 9000}, 8)
    except sqlite3.Error as error: print(error)
    print(dict(store.items()), store.sequence())
    store.close()
filler.unlink()
store = CloneStore(disk / "clone.db")
store.write({b"/a": b"", b"/c": b"3"}, 8)
print(dict(store.items()), store.sequence(), names(disk))
""",
        str(tmp_path),
    )
    full = "database or disk is full\n{b'/a': b'1', b'/b': b'2'} 7\n"
    assert said == full * 3 + "{b'/b': b'2', b'/c': b'3'} 8 ['clone.db', 'clone.db-wal']\n"


def test_what_is_to_be_deleted_is_only_what_is_there(tmp_path: Path) -> None:
    store = CloneStore(tmp_path / "clone.db")
    store.write({b"/a": b"1"}, 1)
    assert store.needed({b"/a": b"", b"/b": b"", b"/c": b"3"}) == {b"/a": b"", b"/c": b"3"}
    store.close()
