"""What is installed: on disk before anyone is told, and the same after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.parts.chute_lab import app, chute, light
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.chutes.model import ChuteChanged, Desired, NoSuchChuteError
from wayhouse.chutes.state import ChuteStore


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(tmp_path / "state.db")
    yield found
    found.close()


async def test_what_is_saved_is_found_again(database: Database) -> None:
    everything = light(
        health={"http": "/", "port": 8000},
        interfaces={"wlan0": {"type": "wifi-ap", "ssid": "x"}},
        requests={"port-bindings": {80: 8080}, "cpu-fraction": 0.5},
    )
    one = chute(
        app(version=2.5, environment={"A": "ü"}, services={"main": everything}),
        ports={"main": {"80/tcp": 8080}},
    )
    await ChuteStore(database, Events()).save(one)
    again = ChuteStore(database, Events())
    assert again.get("hello") == one
    assert again.chute_of("token-hello") == "hello"


async def test_a_saved_chute_replaces_the_one_before(database: Database) -> None:
    store = ChuteStore(database, Events())
    for name in ("a", "b"):
        await store.save(chute(app(name)))
    await store.save(msgspec.structs.replace(store.get("a"), token="new", desired=Desired.STOPPED))
    assert list(store.all) == ["a", "b"], "a chute keeps its place in lists"
    assert (store.chute_of("token-a"), store.chute_of("new")) == (None, "a")
    assert [one.token for one in ChuteStore(database, Events()).all.values()] == ["new", "token-b"]


async def test_what_is_forgotten_is_gone(database: Database) -> None:
    store = ChuteStore(database, Events())
    await store.save(chute())
    await store.forget("hello")
    await store.forget("hello")
    assert (store.find("hello"), store.chute_of("token-hello")) == (None, None)
    assert dict(ChuteStore(database, Events()).all) == {}
    with pytest.raises(NoSuchChuteError, match="No chute found with id: hello"):
        store.get("hello")


async def test_everybody_is_told_once_it_is_on_disk(database: Database) -> None:
    events = Events()
    store = ChuteStore(database, events)
    with events.subscribe(ChuteChanged) as heard:
        one = chute()
        await store.save(one)
        assert database.read("SELECT name FROM chutes") == [("hello",)]
        await store.forget("hello")
        assert [await anext(heard), await anext(heard)] == [
            ChuteChanged("hello", one),
            ChuteChanged("hello", None),
        ]
    assert store.generation == 2


async def test_what_cannot_be_written_changes_nothing(database: Database) -> None:
    events = Events()
    store = ChuteStore(database, events)
    database._writer.execute("PRAGMA query_only=ON")
    with events.subscribe(ChuteChanged) as heard:
        with pytest.raises(Exception, match="Free space"):
            await store.save(chute())
        heard.close()
        assert [event async for event in heard] == []
    database._writer.execute("PRAGMA query_only=OFF")
    assert dict(store.all) == {}


def test_nobody_changes_it_from_outside(database: Database) -> None:
    with pytest.raises(TypeError):
        ChuteStore(database, Events()).all["x"] = chute()
