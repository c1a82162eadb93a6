"""What Titanic does now and then, in virtual time."""

from __future__ import annotations

from pathlib import Path

from wayhouse.bus.titanic_expiry import SWEEP_S, Expiry
from wayhouse.bus.titanic_model import Order, TitanicSettings
from wayhouse.bus.titanic_records import Records
from wayhouse.bus.titanic_store import TitanicStore

WALL = 1_700_000_000.0
KEY = (b"s", b"x", b"k")


def test_values_and_replies_expire_in_their_time(tmp_path: Path) -> None:
    store = TitanicStore(tmp_path / "titanic.db", WALL, TitanicSettings(reply_ttl_s=100.0))
    expiry, records = Expiry(store), Records(store)
    assert expiry.deadline() == 0.0
    assert expiry.sweep(0.0, WALL) == []
    assert expiry.deadline() == SWEEP_S
    records.put(KEY, b"v", 0.0, WALL, ttl_s=7.0)
    uuid, waiting = store.add(Order(b"echo", [b""]), 0.0, WALL)
    store.finish(waiting.seq, [b"done"], 0.0, is_answer=True)
    assert expiry.sweep(1.0, WALL) == []
    assert expiry.deadline() == 7.0
    (gone,) = expiry.sweep(7.0, WALL)
    assert gone.key == KEY
    assert expiry.sweep(99.0, WALL) == []
    assert store.reply_of(uuid)
    expiry.sweep(99.0 + SWEEP_S, WALL)
    assert store.reply_of(uuid) is None
    store.close()


def test_much_is_removed_a_little_at_a_time(tmp_path: Path) -> None:
    store = TitanicStore(tmp_path / "titanic.db", WALL)
    expiry, records = Expiry(store), Records(store)
    store.begin()
    for number in range(1200):
        records.put((b"s", b"x", b"%d" % number), b"v", 0.0, WALL, ttl_s=1.0)
    store.commit()
    gone, turns = 0, 0
    while expiry.deadline() <= 2.0:
        gone += len(expiry.sweep(2.0, WALL))
        turns += 1
    assert (gone, turns) == (1200, 3)
    store.close()
