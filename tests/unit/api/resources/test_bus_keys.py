"""The keys of the clone over the API: looked through, published, deleted, followed."""

import asyncio

import msgspec
import pytest

from tests.parts.asgi import RefusedError
from tests.parts.bus_house import bus_house
from wayhouse.api.resources import bus_keys
from wayhouse.api.resources.bus_keys import Changes

KEYS = "/api/v1/bus/keys"


@pytest.fixture
async def live(tmp_path):
    async with bus_house(tmp_path) as one:
        yield one


async def put(house, key, value, **more):
    answer = await house.ask("PUT", f"{KEYS}?key={key}", {"value": value, **more})
    assert answer.status == 200, answer


async def keys(house, query=""):
    answer = await house.ask("GET", KEYS + query)
    assert answer.status == 200, answer
    return answer.json()


async def until_there(house, key):
    async with asyncio.timeout(20):
        while (await keys(house, f"?prefix={key}"))["total"] == 0:
            pass


async def test_what_is_published_is_found_by_its_prefix(live):
    await put(live, "/house/mode", "day")
    await put(live, "/house/raw", {"base64": "/wA="})
    await put(live, "/household/x", "1")
    await until_there(live, "/household/x")
    found = await keys(live, "?prefix=/house/")
    assert found["keys"] == [
        {"key": "/house/mode", "value": "day", "bytes": 3, "is_cut": False},
        {"key": "/house/raw", "value": {"base64": "/wA="}, "bytes": 2, "is_cut": False},
    ]
    assert (found["total"], found["is_cut"]) == (2, False)
    assert (await keys(live, "?prefix=/house"))["total"] == 3
    assert (await keys(live, "?prefix=ouse"))["total"] == 0
    cut = await keys(live, "?prefix=/house&limit=1")
    assert ([one["key"] for one in cut["keys"]], cut["total"], cut["is_cut"]) == (["/house/mode"], 3, True)


async def test_a_long_value_is_cut_off(live):
    await put(live, "/long", "ä" * 100_000)
    await until_there(live, "/long")
    (one,) = (await keys(live, "?prefix=/long"))["keys"]
    assert (one["bytes"], one["is_cut"], one["value"]) == (200_000, True, "ä" * 65536)


async def test_an_answer_has_its_bounds(live, monkeypatch):
    monkeypatch.setattr(bus_keys, "MOST_BYTES", 5)
    for at in range(4):
        await put(live, f"/b/{at}", "1234")
    await until_there(live, "/b/3")
    found = await keys(live, "?prefix=/b/")
    assert (len(found["keys"]), found["total"], found["is_cut"]) == (2, 4, True)


async def test_changes_are_followed_and_deleted_is_null(live):
    await put(live, "/a/old", "1")
    await until_there(live, "/a/old")
    async with (
        live.websocket("/ws/bus/keys?prefix=/a/") as news,
        live.websocket("/ws/bus/keys?prefix=/a/o&values=1") as everything,
    ):
        assert await frame(news) == await frame(everything) == {"total": 1}
        assert (await frame(everything))["change"]["value"] == "1"
        await put(live, "/b/else", "x")
        await put(live, "/a/new", "2", ttl_s=3600)
        assert (await frame(news))["change"] == {
            "key": "/a/new",
            "value": "2",
            "bytes": 1,
            "is_cut": False,
        }
        answer = await live.ask("DELETE", f"{KEYS}?key=/a/old")
        assert answer.status == 200
        gone = {"change": {"key": "/a/old", "value": None, "bytes": 0, "is_cut": False}}
        assert await frame(news) == await frame(everything) == gone


async def frame(socket):
    return msgspec.json.decode(await socket.receive())


async def test_a_key_with_a_ttl_goes_by_itself(live):
    async with live.websocket("/ws/bus/keys?prefix=/t/") as news:
        await frame(news)
        await put(live, "/t/x", "1", ttl_s=0.2)
        assert (await frame(news))["change"]["value"] == "1"
        assert (await frame(news))["change"]["value"] is None


async def test_there_are_only_so_many_followers(live, monkeypatch):
    monkeypatch.setattr(bus_keys, "MOST_FOLLOWING", 1)
    async with live.websocket("/ws/bus/keys") as one:
        await frame(one)
        with pytest.raises(RefusedError) as refused:
            async with live.websocket("/ws/bus/keys"):
                pass
    assert refused.value.answer.status == 429


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {"value": "x"}),
        ("?key=no-slash", {"value": "x"}),
        ("?key=/", {"value": "x"}),
        ("?key=/a//b", {"value": "x"}),
        ("?key=/a/", {"value": "x"}),
        ("?key=/a%00b", {"value": "x"}),
        ("?key=/" + "a" * 1024, {"value": "x"}),
        ("?key=/a", {"value": ""}),
        ("?key=/a", {"value": "x", "ttl_s": 0}),
        ("?key=/a", {"value": "x", "ttl_s": "1"}),
        ("?key=/a", {"value": None}),
    ],
)
async def test_what_is_no_key_or_no_value_is_refused(house, query, body):
    assert (await house.ask("PUT", KEYS + query, body)).status == 400


async def test_the_gateway_publishes_only_so_much(live, monkeypatch):
    monkeypatch.setattr("wayhouse.bus.outlet.MAX_KEYS", 0)
    assert (await live.ask("PUT", f"{KEYS}?key=/a", {"value": "x"})).status == 429


async def test_of_a_key_that_changes_quickly_the_newest_is_told():
    changes = Changes("/a/")
    changes.put("/a/x", b"1")
    changes.put("/a/y", b"1")
    changes.put("/b/z", b"1")
    changes.put("/a/x", b"2")
    assert [await changes.fetch(), await changes.fetch()] == [("/a/y", b"1"), ("/a/x", b"2")]
    changes.put("/a/x", b"3")
    changes.clear()
    waiting = asyncio.ensure_future(changes.fetch())
    await asyncio.sleep(0)
    changes.put("/a/x", None)
    assert await waiting == ("/a/x", None)
