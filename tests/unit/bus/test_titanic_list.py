"""What is told of the requests that Titanic keeps, without a socket."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from wayhouse.bus.overview import DurableRequest, DurableRequests, durable_requests
from wayhouse.bus.titanic import Dispatcher, Send
from wayhouse.bus.titanic_list import LOOKED
from wayhouse.bus.titanic_model import TitanicSettings
from wayhouse.bus.titanic_services import TitanicServices
from wayhouse.bus.titanic_store import TitanicStore

WALL = 1_700_000_000.0


class Desk:
    def __init__(self, folder: Path) -> None:
        settings = TitanicSettings(page=5, request_ttl_s=100.0, reply_ttl_s=50.0)
        self.store = TitanicStore(folder / "titanic.db", WALL, settings)
        self.dispatcher = Dispatcher(settings)
        self.services = TitanicServices(self.store, self.dispatcher)

    def do(self, service: bytes, *body: bytes, now: float = 0.0) -> list[bytes]:
        """One transaction, and what the server does after it."""
        self.services.start()
        self.store.begin()
        answer = self.services.answer(service, list(body), now, WALL)
        self.store.commit()
        for waiting in self.services.accepted:
            self.dispatcher.add(waiting)
        for seq in self.services.closed:
            self.dispatcher.forget(seq)
        return answer

    def request(self, service: bytes = b"echo", body: bytes = b"12345") -> str:
        return self.do(b"titanic.request", service, body)[1].decode()

    def send(self) -> list[Send]:
        """Everything that may go out does."""
        self.dispatcher.go_on(knows_refusals=True)
        self.dispatcher.tick(0.0)
        for action in self.dispatcher.outbox():
            self.dispatcher.receive(action.lane, b"mmi.service", [b"200"], 0.0)
        self.dispatcher.tick(0.0)
        return [action for action in self.dispatcher.outbox() if isinstance(action, Send)]

    def finish(self, seq: int, *, is_answer: bool) -> None:
        self.dispatcher.forget(seq)
        self.store.begin()
        self.store.finish(seq, [b"done"], 0.0, is_answer=is_answer)
        self.store.commit()

    def list(self, *body: bytes, now: float = 0.0) -> DurableRequests:
        return durable_requests(self.do(b"titanic.list", *body, now=now))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def test_nothing_is_there(desk: Desk) -> None:
    found = desk.list()
    assert found.requests == []
    assert not found.is_cut
    assert found.counts.pop("bytes") > 0
    assert set(found.counts.values()) == {0}


def test_each_state_with_its_counts_newest_first(desk: Desk) -> None:
    answered, failed = desk.request(), desk.request(b"other\0once")
    desk.finish(1, is_answer=True)
    desk.finish(2, is_answer=False)
    sent = desk.request()
    assert [one.seq for one in desk.send()] == [3]
    waits = desk.request(b"nobody")
    found = desk.list(now=10.0)
    assert found.requests == [
        DurableRequest(uuid=waits, service="nobody", state="waiting", bytes=9, expires_s=90.0, attempts=0),
        DurableRequest(uuid=sent, service="echo", state="sent", bytes=9, expires_s=90.0, attempts=1),
        DurableRequest(uuid=failed, service="other", state="failed", once=True, bytes=9, expires_s=40.0),
        DurableRequest(uuid=answered, service="echo", state="answered", bytes=9, expires_s=40.0),
    ]
    del found.counts["bytes"]
    assert found.counts == {"waiting": 1, "sent": 1, "answered": 1, "failed": 1}
    for state, uuid in {"waiting": waits, "sent": sent, "answered": answered, "failed": failed}.items():
        assert [one.uuid for one in desk.list(state.encode()).requests] == [uuid]
    assert [one.uuid for one in desk.list(b"ech").requests] == [sent, answered]
    assert desk.list(b"no such").requests == []


def test_the_counts_are_those_of_the_disk(desk: Desk) -> None:
    """After whatever comes: closing, expiry, a transaction that is undone, a restart."""
    uuids = [desk.request() for _ in range(6)]
    desk.finish(1, is_answer=True)
    desk.finish(1, is_answer=False)
    desk.finish(2, is_answer=False)
    desk.finish(99, is_answer=True)
    desk.finish(3, is_answer=True)
    for uuid in (uuids[0], uuids[0], uuids[5]):
        desk.do(b"titanic.close", uuid.encode())
    assert desk.store.tally == desk.store._count() == {"requests": 4, "answered": 1, "failed": 1}
    desk.store.begin()
    desk.services.answer(b"titanic.close", [uuids[1].encode()], 0.0, WALL)
    desk.store.finish(4, [b"x"], 0.0, is_answer=True)
    desk.store.rollback()
    assert desk.store.tally == desk.store._count() == {"requests": 4, "answered": 1, "failed": 1}
    desk.store.begin()
    assert desk.store.sweep(1000.0) == 2
    desk.store.commit()
    assert desk.store.tally == desk.store._count() == {"requests": 2, "answered": 0, "failed": 0}
    again = TitanicStore(desk.store.path.parent / "other.db", WALL)
    assert again.tally["requests"] == 0
    again.close()


def test_it_is_bounded(desk: Desk) -> None:
    uuids = [desk.request() for _ in range(7)]
    found = desk.list()
    assert [one.uuid for one in found.requests] == uuids[:1:-1]
    assert found.is_cut
    assert [one.uuid for one in desk.list(b"", b"2").requests] == uuids[:4:-1]
    assert [one.uuid for one in desk.list(b"waiting", b"2").requests] == uuids[:4:-1]
    assert len(desk.list(b"", b"7000").requests) == 5


def test_a_search_looks_at_the_newest_only(desk: Desk) -> None:
    desk.request(b"oldest")
    row = "INSERT INTO requests SELECT ?1, randomblob(16), CAST('new' AS BLOB), 0, 0, x'' FROM requests WHERE seq = 1"
    desk.store.connection.executemany(row, [(seq,) for seq in range(2, LOOKED + 3)])
    desk.store.tally["requests"] += LOOKED + 1
    found = desk.list(b"oldest")
    assert found.requests == []
    assert found.is_cut
    assert [one.service for one in desk.list(b"waiting").requests] == ["oldest"]


@pytest.mark.parametrize("limit", [b"0", b"-1", b"x", b"1" * 10, "²".encode()])
def test_a_limit_that_is_none(desk: Desk, limit: bytes) -> None:
    assert desk.do(b"titanic.list", b"", limit)[0] == b"400"


def test_a_disk_that_fails_is_for_the_transaction(desk: Desk) -> None:
    desk.store.connection.execute("DROP TABLE sent")
    with pytest.raises(sqlite3.Error):
        desk.services.answer(b"titanic.list", [], 0.0, WALL)


@pytest.mark.parametrize("answer", [[], [b"200"], [b"500", b"{}"], [b"200", b"no json"], [b"200", b"[]"]])
def test_an_answer_that_is_not_understood_says_nothing(answer: list[bytes]) -> None:
    assert durable_requests(answer) == DurableRequests()
