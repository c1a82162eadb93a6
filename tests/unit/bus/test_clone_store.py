"""The clone's keys on disk."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

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
