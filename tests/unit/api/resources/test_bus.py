# covers: api/resources/bus_asking.py
"""The bus over the API, with real processes; and without any."""

import asyncio

import msgspec
import pytest

from tests.parts.bus_house import bus_house
from wayhouse.api.resources.bus import status_of
from wayhouse.api.resources.bus_asking import names_like
from wayhouse.bus.model import OK


@pytest.fixture
async def live(tmp_path):
    async with bus_house(tmp_path) as one:

        async def shout(body):
            return [*(frame.upper() for frame in body), OK]

        one.gateway.rooms.bus.serve({"localhost.shout": shout})
        async with asyncio.timeout(20):
            while "titanic.list" not in await services(one):
                await asyncio.sleep(0.02)
        yield one


async def services(house):
    return {one["name"]: one for one in (await house.ask("GET", "/api/v1/bus/services")).json()}


async def ask(house, **order):
    return await house.ask("POST", "/api/v1/bus/call", order)


async def test_a_call_and_its_reply(live):
    answer = await ask(live, service="localhost.shout", request=["ahoy", {"base64": "/wA="}])
    assert answer.status == 200
    told = answer.json()
    assert told.pop("took_s") > 0
    assert told == {"reply": ["AHOY", {"base64": "/wA="}, "200"], "status": 200, "id": None}


async def test_a_durable_call_with_and_without_an_id(live):
    name = "0123456789abcdef" * 2
    order = {"service": "localhost.shout", "request": ["once more"], "durable": True}
    for _ in range(2):
        answer = (await ask(live, **order, id=name)).json()
        assert (answer["reply"], answer["status"], answer["id"]) == (["ONCE MORE", "200"], 200, name)
    assert (await ask(live, **order)).json()["reply"] == ["ONCE MORE", "200"]
    found = (await live.ask("GET", "/api/v1/bus/requests")).json()
    assert [(one["uuid"], one["state"]) for one in found["requests"]] == [(name, "answered")]
    assert found["counts"]["answered"] == 1
    other = await ask(live, **{**order, "request": ["something else"]}, id=name)
    assert (other.status, other.json()["code"], other.json()["id"]) == (502, "bus-request-failed", name)


async def test_a_durable_call_that_waits_is_found_again(live):
    order = {"service": "localhost.later", "request": ["x"], "durable": True, "timeout_s": 0.5}
    answer = await ask(live, **order)
    assert (answer.status, answer.json()["code"]) == (504, "bus-no-answer")
    assert answer.json()["id"] in answer.json()["detail"]
    found = (await live.ask("GET", "/api/v1/bus/requests?filter=waiting&limit=5")).json()
    assert [one["uuid"] for one in found["requests"]] == [answer.json()["id"]]

    async def later(body):
        return [b"done", OK]

    live.gateway.rooms.bus.serve({"localhost.later": later})
    again = await ask(live, **{**order, "timeout_s": 20}, id=answer.json()["id"])
    assert again.json()["reply"] == ["done", "200"]


async def test_a_service_that_nobody_serves_is_told_at_once(live):
    async with asyncio.timeout(5):
        answer = await ask(live, service="localhost.shuot", timeout_s=50)
    told = answer.json()
    assert (answer.status, told["code"], told["similar"]) == (404, "bus-no-such-service", ["localhost.shout"])
    assert "localhost.shout" in told["detail"]
    assert "wait" in told["detail"]
    told = (await ask(live, service="shout")).json()
    assert told["similar"] == ["localhost.shout"]
    told = (await ask(live, service="ßomething else\n|=")).json()
    assert (told["code"], told["similar"]) == ("bus-no-such-service", [])
    assert "bus services" in told["detail"]


async def test_what_the_broker_answers_itself_needs_no_worker(live):
    assert (await ask(live, service="mmi.echo", request=["x"])).json()["reply"] == ["x", "200"]
    assert (await ask(live, service="mmi.nonsense", request=["x"])).json()["status"] == 501


async def test_a_call_that_waits_for_a_worker(live):
    answer = await ask(live, service="localhost.nobody", timeout_s=0.2, wait=True)
    assert (answer.status, answer.json()["code"]) == (504, "bus-no-answer")
    assert "bus services" in answer.json()["detail"]
    waiting = asyncio.ensure_future(ask(live, service="localhost.tardy", timeout_s=30, wait=True))
    async with asyncio.timeout(20):
        while (await services(live)).get("localhost.tardy", {}).get("queued") != 1:
            await asyncio.sleep(0.02)

    async def tardy(body):
        return [b"at last", OK]

    live.gateway.rooms.bus.serve({"localhost.tardy": tardy})
    assert (await waiting).json()["reply"] == ["at last", "200"]


async def test_what_this_gateway_serves_is_waited_for_while_it_comes_back(live):
    async def slow(body):
        return [OK]

    live.gateway.rooms.bus.serve({"localhost.back": slow})
    assert (await ask(live, service="localhost.back")).json()["reply"] == ["200"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("fake", ["here.fake.devices", "there.fake.devices"]),
        ("HERE.core.CRON", ["here.core.cron"]),
        ("here.cor.cron", ["here.core.cron", "here.core.scenario"]),
        ("xyz", []),
        ("", []),
    ],
)
def test_names_like_another(wanted, found):
    names = ["here.core.cron", "here.core.scenario", "here.fake.devices", "there.fake.devices"]
    assert names_like(wanted, names) == found


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"service": ""},
        {"service": "x" * 256},
        {"service": "a\0once"},
        {"service": "ä" * 200},
        {"service": "a", "request": ["\ud800"]},
        {"service": "a", "timeout_s": 0},
        {"service": "a", "timeout_s": 1e9},
        {"service": "a", "request": [1]},
        {"service": "a", "request": [{"base64": "?"}]},
        {"service": "a", "id": "0" * 32},
        {"service": "a", "id": "no", "durable": True},
        {"service": "a\0once", "durable": True, "timeout_s": 1},
        {"service": "a", "nonsense": 1},
    ],
)
async def test_a_call_that_is_not_understood(house, order):
    assert (await ask(house, **order)).status == 400


async def test_services_workers_and_overview(live):
    await ask(live, service="localhost.shout", request=["x"])
    async with asyncio.timeout(20):
        while (found := await services(live))["localhost.shout"]["done"] != 1:  # figures may be a moment old
            await asyncio.sleep(0.02)
    assert found["titanic.list"]["workers"] == 1
    workers = (await live.ask("GET", "/api/v1/bus/workers?service=localhost.shout")).json()
    assert [(one["service"], one["done"]) for one in workers] == [("localhost.shout", 1)]
    assert len((await live.ask("GET", "/api/v1/bus/workers")).json()) == len(found)
    overview = (await live.ask("GET", "/api/v1/bus")).json()
    assert {one["name"] for one in overview["processes"] if one["is_ready"]} == {"bus", "titanic"}
    assert overview["broker"]["counters"]["replies"] > 0
    assert overview["durable"]["waiting"] == 0


async def test_an_overview_each_second(live):
    async with live.websocket("/ws/bus") as first, live.websocket("/ws/bus") as second:
        seen = [msgspec.json.decode(await one.receive()) for one in (first, second, first)]
    uptimes = [one["broker"]["uptime_s"] for one in seen]
    assert uptimes[0] == uptimes[1]
    assert uptimes[2] > uptimes[0]


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "/api/v1/bus/services", None),
        ("GET", "/api/v1/bus/workers", None),
        ("GET", "/api/v1/bus/requests", None),
        ("GET", "/api/v1/bus/keys", None),
        ("PUT", "/api/v1/bus/keys?key=/a", {"value": "x"}),
        ("DELETE", "/api/v1/bus/keys?key=/a", None),
        ("POST", "/api/v1/bus/call", {"service": "a"}),
        ("POST", "/api/v1/bus/call", {"service": "a", "durable": True}),
        ("GET", "/api/v1/bus/store", None),
        ("GET", "/api/v1/bus/store/a/b/c", None),
    ],
)
async def test_without_the_bus_everything_says_what_to_do(house, method, target, body):
    answer = await house.ask(method, target, body)
    assert (answer.status, answer.json()["code"]) == (503, "bus-away")
    assert "wayhouse bus status" in answer.json()["detail"]


async def test_the_overview_is_there_without_the_bus(house):
    answer = await house.ask("GET", "/api/v1/bus")
    assert answer.status == 200
    assert [one["is_ready"] for one in answer.json()["processes"]] == [False, False]
    assert answer.json()["durable"] == {}


async def test_titanic_alone_is_away(live):
    bus = live.gateway.rooms.bus
    supervisor = bus.supervised()
    await supervisor.stop("titanic")
    answer = await live.ask("GET", "/api/v1/bus/store/a/b/c")
    assert (answer.status, answer.json()["code"]) == (503, "bus-away")
    assert "titanic" in answer.json()["detail"]
    assert (await ask(live, service="localhost.shout", request=["x"])).json()["reply"] == ["X", "200"]
    assert (await bus.overview()).durable == {}
    supervisor.start("titanic")
    async with asyncio.timeout(20):
        while (await live.ask("GET", "/api/v1/bus/store/a/b/c")).status != 404:
            await asyncio.sleep(0.05)


def test_where_a_status_is():
    assert status_of("localhost.x", [b"a", b"404"]) == 404
    assert status_of("titanic.reply", [b"300"]) == 300
    assert status_of("titanic.request", [b"200", b"00" * 16]) == 200
    assert status_of("titanic.store", [b"x", b"500"]) == 500
    assert status_of("foreign", [b"anything"]) is None
    assert status_of("foreign", []) is None
