"""What the titanic services answer, without a socket."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.bus.titanic import Dispatcher
from wayhouse.bus.titanic_model import SERVICES, TitanicSettings, build_label, parse_uuid
from wayhouse.bus.titanic_services import FULL, TAKEN, TitanicServices
from wayhouse.bus.titanic_store import TitanicStore

WALL = 1_700_000_000.0


class Desk:
    def __init__(self, folder: Path) -> None:
        limits = TitanicSettings(max_open=3, max_body_bytes=1000, page=5)
        self.store = TitanicStore(folder / "titanic.db", WALL, limits)
        self.services = TitanicServices(self.store, Dispatcher(limits))
        self.services.start()

    def ask(self, service: bytes, *body: bytes) -> list[bytes]:
        return self.services.answer(service, list(body), 0.0, WALL)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def test_request_reply_close(desk: Desk) -> None:
    status, uuid = desk.ask(b"titanic.request", b"echo", b"a", b"b")
    assert status == b"200"
    assert len(uuid) == 32
    (waiting,) = desk.services.accepted
    assert waiting.service == b"echo"
    assert desk.services.bodies == {waiting.seq: [b"a", b"b"]}
    assert desk.ask(b"titanic.reply", uuid) == [b"300"]
    desk.store.finish(waiting.seq, [b"x", b"y"], 0.0, is_answer=True)
    for _ in range(2):
        assert desk.ask(b"titanic.reply", uuid.upper()) == [b"200", b"x", b"y"]
    assert desk.ask(b"titanic.close", uuid) == [b"200"]
    assert desk.services.closed == [waiting.seq]
    assert desk.ask(b"titanic.reply", uuid) == [b"400"]
    assert desk.ask(b"titanic.close", uuid) == [b"200"]


def test_why_there_is_no_reply(desk: Desk) -> None:
    _, uuid = desk.ask(b"titanic.request", b"echo", b"a")
    desk.store.finish(1, [b"it expired"], 0.0, is_answer=False)
    assert desk.ask(b"titanic.reply", uuid) == [b"500", b"it expired"]


def test_asking_again_with_an_id_is_not_asking_twice(desk: Desk) -> None:
    label = build_label(b"echo", uuid=b"u" * 16)
    assert desk.ask(b"titanic.request", label, b"a") == [b"200", b"75" * 16]
    assert desk.ask(b"titanic.request", label, b"a") == [b"200", b"75" * 16]
    assert len(desk.services.accepted) == 1
    assert desk.ask(b"titanic.request", label, b"b") == [b"400", TAKEN]
    (waiting,) = desk.services.accepted
    desk.store.finish(waiting.seq, [b"done"], 0.0, is_answer=True)
    assert desk.ask(b"titanic.request", label, b"a") == [b"200", b"75" * 16]
    assert desk.ask(b"titanic.close", b"75" * 16) == [b"200"]
    assert desk.ask(b"titanic.request", label, b"a") == [b"200", b"75" * 16]
    assert desk.ask(b"titanic.reply", b"75" * 16) == [b"400"]
    assert len(desk.services.accepted) == 1


def test_status_of_many(desk: Desk) -> None:
    _, uuid = desk.ask(b"titanic.request", b"echo", b"a")
    assert desk.ask(b"titanic.status", uuid, b"?", b"00" * 16) == [b"200", b"300", b"400", b"400"]
    assert desk.ask(b"titanic.status", *[uuid] * 6)[0] == b"400"


def test_it_is_full(desk: Desk) -> None:
    for _ in range(3):
        assert desk.ask(b"titanic.request", b"echo", b"a")[0] == b"200"
    assert desk.ask(b"titanic.request", b"echo", b"a") == [b"500", FULL]


def test_what_is_malformed_is_said(desk: Desk) -> None:
    status, text = desk.ask(b"titanic.request")
    assert (status, text[:4]) == (b"400", b"Name")
    assert desk.ask(b"titanic.request", b"echo", b"x" * 1000)[0] == b"400"
    assert desk.ask(b"titanic.reply") == [b"400"]
    assert desk.ask(b"titanic.close") == [b"200"]


def test_a_disk_that_fails_is_for_the_transaction(desk: Desk) -> None:
    desk.store.connection.execute("DROP TABLE requests")
    with pytest.raises(sqlite3.Error):
        desk.ask(b"titanic.request", b"echo", b"a")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(SERVICES),
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"set", b"echo", b"echo\0once", b"00" * 16]), max_size=7
    ),
)
def test_whatever_comes_is_answered(desk: Desk, service: bytes, body: list[bytes]) -> None:
    answer = desk.ask(service, *body)
    assert answer
    assert answer[0] in {b"200", b"300", b"400", b"500"} or service == b"titanic.store"
    if service == b"titanic.request" and answer[0] == b"200":
        assert parse_uuid(answer[1])
