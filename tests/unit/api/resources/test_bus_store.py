"""Titanic's store over the API."""

import asyncio

import pytest

from tests.parts.bus_house import bus_house

STORE = "/api/v1/bus/store"


@pytest.fixture
async def live(tmp_path):
    async with bus_house(tmp_path) as one:
        async with asyncio.timeout(20):
            while (await one.ask("GET", STORE)).status != 200:
                await asyncio.sleep(0.02)
        yield one


async def put(house, place, value, **more):
    return await house.ask("PUT", f"{STORE}/{place}", {"value": value, **more})


async def test_a_value_with_its_revisions(live):
    first = (await put(live, "app/settings/colour", "red")).json()
    assert first == {
        "service": "app", "section": "settings", "key": "colour", "value": "red", "revision": 1, "ttl_s": None,
    }  # fmt: skip
    assert (await live.ask("GET", f"{STORE}/app/settings/colour")).json() == first
    second = (await put(live, "app/settings/colour", {"base64": "/wA="})).json()
    assert (second["value"], second["revision"]) == ({"base64": "/wA="}, 2)
    assert (await live.ask("DELETE", f"{STORE}/app/settings/colour")).json() == {"success": True}
    assert (await live.ask("GET", f"{STORE}/app/settings/colour")).status == 404
    history = (await live.ask("GET", f"{STORE}/app/settings/colour/history")).json()
    assert [(one["revision"], one["what"], one["value"]) for one in history] == [
        (3, "deleted", ""), (2, "set", {"base64": "/wA="}), (1, "set", "red"),
    ]  # fmt: skip
    assert history[0]["at"] >= history[2]["at"] > 1_700_000_000


async def test_compare_and_set(live):
    made = await put(live, "a/b/c", "1", if_revision=0, ttl_s=100)
    assert (made.json()["revision"], made.json()["ttl_s"]) == (1, 100)
    assert 99 < (await live.ask("GET", f"{STORE}/a/b/c")).json()["ttl_s"] <= 100
    late = await put(live, "a/b/c", "2", if_revision=0)
    assert (late.status, late.json()["code"], late.json()["revision"]) == (409, "store-revision", 1)
    assert "is at revision 1" in late.json()["detail"]
    gone = await put(live, "a/b/new", "2", if_revision=7)
    assert (gone.status, gone.json()["revision"]) == (409, 0)
    assert (await put(live, "a/b/c", "2", if_revision=1)).json()["revision"] == 2


async def test_names_at_each_level(live):
    for place in ("app/one/a", "app/one/b%2Fc", "app/two/x", "other/one/y"):
        assert (await put(live, place, "1")).status == 200

    async def names(query=""):
        found = (await live.ask("GET", STORE + query)).json()
        assert found["is_cut"] is False
        return found["names"]

    assert await names() == ["app", "other"]
    assert await names("?service=app") == ["one", "two"]
    assert await names("?service=app&section=one") == ["a", "b/c"]
    assert await names("?service=app&section=one&after=a") == ["b/c"]
    assert await names("?service=nobody") == []
    assert (await live.ask("GET", f"{STORE}?section=one")).status == 400
    assert (await live.ask("GET", f"{STORE}/app/one/b%2Fc")).json()["key"] == "b/c"


async def test_what_is_not_there(live):
    for method, place in (("GET", "a/b/c"), ("DELETE", "a/b/c"), ("GET", "a/b/c/history")):
        answer = await live.ask(method, f"{STORE}/{place}")
        assert answer.status == 404
        assert "'c'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("a/b/c", {"value": 1}),
        ("a/b/c", {"value": "x", "ttl_s": -1}),
        ("a/b/c", {"value": "x", "if_revision": -1}),
        ("a/b/c", {"value": "x", "if_revision": 10**18}),
        ("a/b/" + "k" * 1025, {"value": "x"}),
    ],
)
async def test_what_is_not_understood(house, place, body):
    assert (await house.ask("PUT", f"{STORE}/{place}", body)).status == 400


async def test_a_name_that_is_too_long_is_refused(house):
    for name in ("service", "after"):
        assert (await house.ask("GET", f"{STORE}?{name}={'x' * 1025}")).status == 400
