"""Durable requests on disk: what was committed is there after a restart, what was not is not; its time never jumps."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from wayhouse.base.errors import PermanentError
from wayhouse.bus.titanic_model import DAY_S, Order, TitanicSettings, Waiting
from wayhouse.bus.titanic_store import TitanicStore

WALL = 1_700_000_000.0


def opened(folder: Path, wall: float = WALL, **changes: float) -> TitanicStore:
    return TitanicStore(folder / "titanic.db", wall, TitanicSettings(**changes))  # type: ignore[arg-type]


def added(
    store: TitanicStore, body: bytes = b"body", *, once: bool = False, uuid: bytes | None = None
) -> tuple[bytes, Waiting]:
    return store.add(Order(b"echo", [body, b""], once, uuid=uuid), 0.0, WALL)


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.begin()
    uuid, waiting = added(store)
    sent, _ = added(store, once=True)
    store.mark_sent(waiting.seq + 1)
    store.commit()
    store.begin()
    lost, _ = added(store)
    store.close()

    store = opened(tmp_path)
    assert [(one.seq, was_sent) for one, was_sent in store.unfinished()] == [(1, False), (2, True)]
    assert store.body(1) == [b"body", b""]
    found = store.find(uuid)
    assert found is not None
    assert found.order == Order(b"echo", [b"body", b""], uuid=uuid)
    assert store.find(sent)
    assert store.find(lost) is None
    store.close()


def test_a_reply_is_kept_until_closed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    uuid, waiting = added(store)
    assert store.reply_of(uuid) == (False, None)
    store.finish(waiting.seq, [b"done", b""], 0.0, is_answer=True)
    store.finish(waiting.seq, [b"a second answer"], 0.0, is_answer=True)
    assert store.reply_of(uuid) == (True, [b"done", b""])
    assert not list(store.unfinished())
    assert store.counts() == {"requests": 1, "replies": 1}
    assert store.close_request(uuid, 0.0) == waiting.seq
    assert store.close_request(uuid, 0.0) is None
    assert store.reply_of(uuid) is None
    assert store.counts() == {"requests": 0, "replies": 0}
    store.finish(waiting.seq, [b"late"], 0.0, is_answer=True)
    assert store.counts() == {"requests": 0, "replies": 0}
    store.close()


def test_a_note_that_is_void(tmp_path: Path) -> None:
    store = opened(tmp_path)
    _, waiting = added(store, once=True)
    store.mark_sent(waiting.seq)
    store.mark_sent(waiting.seq)
    store.unmark_sent(waiting.seq)
    assert [was_sent for _, was_sent in store.unfinished()] == [False]
    store.close()


def test_replies_expire_and_requests_do_not(tmp_path: Path) -> None:
    store = opened(tmp_path, reply_ttl_s=100.0)
    uuid, waiting = added(store)
    still, _ = added(store)
    store.finish(waiting.seq, [b"done"], 50.0, is_answer=True)
    assert store.sweep(149.0) == 0
    assert store.sweep(150.0) == 1
    assert store.reply_of(uuid) is None
    assert store.reply_of(still) == (False, None)
    store.close()


def test_uuids_rise_even_when_the_clock_falls(tmp_path: Path) -> None:
    store = opened(tmp_path)
    made = [store._make_uuid(WALL - number) for number in range(20)]
    assert [one[:6] for one in made] == [made[0][:6]] * 20
    assert len(set(made)) == 20
    assert all(one[6] >> 4 == 7 and one[8] >> 6 == 2 for one in made)
    store.close()


def test_a_uuid_is_taken_once(tmp_path: Path) -> None:
    store = opened(tmp_path)
    added(store, uuid=b"u" * 16)
    with pytest.raises(sqlite3.IntegrityError):
        added(store, uuid=b"u" * 16)
    store.close()


def test_its_time_goes_on_after_a_stop_and_no_clock_moves_it(tmp_path: Path) -> None:
    def restarted(now: float, stop_wall: float, start_wall: float) -> float:
        store.begin()
        store._noted = -1e9
        store.keep_clock(now, stop_wall)
        store.commit()
        store.close()
        again = opened(tmp_path, start_wall)
        time = again.time(0.0)
        again.close()
        return time

    store = opened(tmp_path)
    assert store.time(5.0) == 5.0
    assert restarted(100.0, WALL, WALL + 60) == 160.0
    store = opened(tmp_path)
    assert restarted(200.0, WALL, 0.0) == 200.0, "a box without a clock starts in 1970"
    store = opened(tmp_path)
    assert restarted(300.0, 0.0, WALL) == 300.0, "which is set later"
    store = opened(tmp_path)
    assert restarted(400.0, WALL, WALL + DAY_S) == 400.0 + DAY_S


def test_the_clock_is_not_noted_on_an_idle_disk(tmp_path: Path) -> None:
    store = opened(tmp_path)
    before = store.connection.total_changes
    for second in range(1000):
        store.begin()
        store.keep_clock(float(second), WALL)
        store.commit()
    assert store.connection.total_changes == before
    added(store)
    store.keep_clock(1001.0, WALL)
    assert store.connection.total_changes == before + 2
    store.close()


def test_it_says_when_it_is_full(tmp_path: Path) -> None:
    store = opened(tmp_path, max_disk_bytes=400_000)
    assert not store.is_full
    uuids = [added(store, b"x" * 10_000)[0] for _ in range(40)]
    assert store.is_full
    for uuid in uuids:
        store.close_request(uuid, 0.0)
    assert not store.is_full
    store.close()


def test_a_uuid_is_known_for_some_time_after_it_was_closed(tmp_path: Path) -> None:
    store = opened(tmp_path, closed_ttl_s=100.0, max_closed=3)
    uuids = [added(store)[0] for _ in range(5)]
    for second, uuid in enumerate(uuids):
        assert not store.was_closed(uuid, 0.0)
        store.close_request(uuid, float(second))
    assert store.was_closed(uuids[0], 99.0)
    assert not store.was_closed(uuids[0], 100.0)
    assert store.sweep_closed(50.0) == 2
    assert [store.was_closed(uuid, 50.0) for uuid in uuids] == [False, False, True, True, True]
    assert store.sweep_closed(103.0) == 2
    assert store.sweep_closed(200.0) == 1
    assert store.sweep_closed(200.0) == 0
    store.close()


def test_a_file_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    store = opened(tmp_path)
    uuid, _ = added(store)
    store.connection.execute("DROP TABLE closed")
    store.connection.execute("PRAGMA user_version=1")
    store.close()
    store = opened(tmp_path)
    store.close_request(uuid, 0.0)
    assert store.was_closed(uuid, 1.0)
    store.close()


def test_a_file_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "titanic.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(PermanentError, match="backup"):
        opened(tmp_path)
    with pytest.raises(PermanentError):
        opened(tmp_path / "titanic.db")


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.connection.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(PermanentError, match="newer"):
        opened(tmp_path)
