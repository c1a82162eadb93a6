# covers: api/wire_devices.py
import json

import pytest

from tests.parts.devices_api import PNG
from wayhouse.access.policy import Right
from wayhouse.api.resources import devices as rows

LIST = "/api/v1/devices"


async def test_the_list_and_its_parts(home):
    names = [one["name"] for one in (await home.ask("GET", LIST)).json()]
    assert names == ["boiler", "hall", "lamp", "roof", "rtc", "tv"]
    await home.devices.move("lamp", "attic")
    assert [one["name"] for one in (await home.ask("GET", f"{LIST}?area=attic&driver=fake")).json()] == [
        "lamp"
    ]
    assert (await home.ask("GET", f"{LIST}?driver=zwave")).json() == []


async def test_one_device_by_every_name_it_has(home):
    found = (await home.ask("GET", f"{LIST}/boiler")).json()
    assert (found["oid"], found["is_available"], found["fullname"]) == (
        "sensor.temperature", True, "here.fake.boiler",
    )  # fmt: skip
    for name in (found["id"], "here.fake.boiler"):
        assert (await home.ask("GET", f"{LIST}/{name}")).json()["id"] == found["id"]
    missing = await home.ask("GET", f"{LIST}/nobody")
    assert (missing.status, missing.json()["code"]) == (404, "no-such-device")


async def test_a_life(home):
    order = {"driver": "fake", "config": {"oid": "switch", "name": "porch"}}
    made = await home.ask("POST", LIST, order)
    assert made.status == 201
    where = f"{LIST}/{made.json()['id']}"
    patched = (await home.ask("PATCH", where, {"name": "door", "area": "hall"})).json()
    assert (patched["name"], patched["area"]) == ("door", "hall")
    kept = (await home.ask("PUT", where, {"name": "gate", "poll": 5})).json()
    assert kept["config"] == {"oid": "switch", "name": "gate", "poll": 5}
    told = (await home.ask("GET", f"{where}/log")).json()
    assert [(one["kind"], one["who"]) for one in told] == [
        ("configured", "admin"), ("moved", "admin"), ("renamed", "admin"), ("added", "admin"),
    ]  # fmt: skip
    assert [one["kind"] for one in (await home.ask("GET", f"{where}/log?limit=1&before=2")).json()] == [
        "added"
    ]
    assert (await home.ask("DELETE", where)).json()["name"] == "gate"
    assert (await home.ask("GET", where)).status == 404
    assert [line[0].split()[0] for line in home.audit] == ["POST", "PATCH", "PUT", "DELETE"]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", LIST, {"driver": "zwave", "config": {"oid": "switch", "name": "x"}}, 404),
        ("POST", LIST, {"driver": "fake", "config": {"oid": "switch", "name": "lamp"}}, 409),
        ("POST", LIST, {"driver": "fake", "config": {"oid": "what", "name": "x"}}, 400),
        ("POST", LIST, {"driver": "fake", "config": {}, "more": 1}, 400),
        ("PATCH", LIST + "/lamp", {"name": "hall", "area": "x"}, 409),
        ("PATCH", LIST + "/lamp", {"nmae": "x"}, 400),
        ("PUT", LIST + "/lamp", {"name": "x.y"}, 400),
        ("PUT", LIST + "/hall/commands/level", {"value": 101}, 400),
        ("PUT", LIST + "/hall/commands/level", {"value": None}, 400),
        ("PUT", LIST + "/hall/commands/level", {}, 400),
        ("PUT", LIST + "/boiler/commands/value", {"value": 1}, 405),
        ("GET", LIST + "/hall/commands/nothing", None, 404),
        ("GET", LIST + "/hall/commands/reset", None, 405),
        ("GET", LIST + "/hall/log?limit=x", None, 400),
        ("GET", LIST + "/hall/picture", None, 404),
    ],
)
async def test_what_is_refused(home, method, target, body, status):
    answer = await home.ask(method, target, body)
    assert answer.status == status, answer
    assert answer.json()["detail"]


async def test_values_are_read_and_told(home):
    told = (await home.ask("PUT", f"{LIST}/tv-volume/commands/level", {"value": 7}, who="user")).json()
    assert told == {"value": 7, "time": home.clock.wall(), "unit": "%"}
    assert (await home.ask("GET", f"{LIST}/tv/commands/volume.level")).json()["value"] == 7
    before = (await home.ask("GET", f"{LIST}/boiler/commands/value")).json()
    home.clock.advance(300)
    assert (await home.ask("GET", f"{LIST}/boiler/commands/value")).json() == before
    fresh = (await home.ask("GET", f"{LIST}/boiler/commands/value?fresh=1")).json()
    assert (fresh["time"], fresh["value"] != before["value"]) == (home.clock.wall(), True)
    assert "commands|" in (await home.ask("GET", f"{LIST}/boiler/commands/commands")).json()["value"]


async def test_what_was_told_is_in_the_log_with_its_teller_also_when_it_failed(home):
    await home.ask("PUT", f"{LIST}/lamp/commands/power", {"value": True}, who="user")
    home.fake.unplug("lamp")
    assert (await home.ask("PUT", f"{LIST}/lamp/commands/power", {"value": False}, who="user")).status == 503
    kinds = [(one["kind"], one["who"]) for one in (await home.ask("GET", f"{LIST}/lamp/log")).json()[:3]]
    assert kinds == [("failed", "user"), ("unavailable", ""), ("command", "user")]


async def test_a_config_is_for_those_who_may_change_it(home):
    await home.devices.configure("tv", {"name": "tv", "password": "open sesame"})
    for target in (f"{LIST}/tv", LIST):
        assert "open sesame" not in (await home.ask("GET", target, who="user")).body.decode()
        assert "open sesame" in (await home.ask("GET", target)).body.decode()
    config = f"{LIST}/tv/commands/config"
    assert (await home.ask("GET", config, who="user")).status == 403
    assert (await home.ask("PUT", config, {"value": {"name": "x"}}, who="user")).status == 403
    assert (await home.ask("PUT", f"{LIST}/tv/commands/poll", {"value": 1}, who="user")).status == 403
    assert (await home.ask("GET", config)).json()["value"]["password"] == "open sesame"
    assert "open sesame" not in (await home.ask("GET", f"{LIST}/tv/log")).body.decode()
    async with home.websocket("/ws/devices", who="user") as socket:
        first = await socket.receive()
        await home.devices.move("tv", "x")
        assert "open sesame" not in first + await socket.receive()


async def test_guests_see_nothing_and_users_change_nothing(home):
    for row in rows.ROWS:
        if row.right is Right.SEE_DEVICES and hasattr(row, "method"):
            target = row.path.replace("{device}", "hall").replace("{command}", "level")
            assert (await home.ask("GET", target, who="guest")).status == 403
    order = {"driver": "fake", "config": {"oid": "switch", "name": "porch"}}
    assert (await home.ask("POST", LIST, order, who="user")).status == 403
    assert (await home.ask("DELETE", f"{LIST}/hall", who="user")).status == 403


async def test_pictures(home):
    answer = await home.ask("GET", f"{LIST}/tv/picture", who="user")
    assert (answer.body, answer.headers["content-type"]) == (PNG, "image/png")


async def test_types_drivers_and_areas(home):
    types = (await home.ask("GET", "/api/v1/device-types")).json()
    assert types["dimmer"]["commands"]["level"]["schema"]["maximum"] == 100
    (driver,) = (await home.ask("GET", "/api/v1/device-drivers")).json()
    assert (driver["name"], driver["is_well"], driver["counts"]["devices"]) == ("fake", True, 6)
    await home.devices.move("lamp", "attic")
    assert (await home.ask("GET", "/api/v1/areas")).json() == [{"name": "attic", "devices": 1}]


async def test_the_stream_tells_all_and_then_what_comes(home):
    async with home.websocket("/ws/devices") as socket:
        first = json.loads(await socket.receive())
        assert (first["event"], len(first["devices"])) == ("devices", 6)
        await home.devices.command("hall", "level", 40, who="ann")
        reading = json.loads(await socket.receive())
        assert (reading["event"], reading["name"], reading["value"]) == ("reading", "hall", 40)
        noted = json.loads(await socket.receive())
        assert (noted["event"], noted["entry"]["who"]) == ("noted", "ann")
        await home.devices.rename("hall", "stairs")
        changed = json.loads(await socket.receive())
        assert (changed["event"], changed["kind"], changed["device"]["name"]) == (
            "changed",
            "renamed",
            "stairs",
        )


async def test_the_stream_of_an_area(home):
    await home.devices.move("hall", "attic")
    async with home.websocket("/ws/devices?area=attic") as socket:
        assert [one["name"] for one in json.loads(await socket.receive())["devices"]] == ["hall"]
        await home.devices.command("lamp", "power", value=True)
        await home.devices.command("hall", "level", 3)
        assert json.loads(await socket.receive())["name"] == "hall"


async def test_a_stream_that_fell_behind_begins_anew(home):
    async with home.websocket("/ws/devices") as socket:
        await socket.receive()
        for _ in range(1200):
            await home.devices.command("lamp", "power", value=True)
        events = [json.loads(await socket.receive())["event"] for _ in range(3)]
        assert "devices" in events
