import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.devices.service import Devices
from wayhouse.devices.verbs import DeviceVerbs


@pytest.fixture
def verbs(devices):
    return DeviceVerbs(devices, "fake")


async def ask(verbs, *frames):
    return [frame.decode() for frame in await verbs.answer([frame.encode() for frame in frames])]


async def test_names(verbs, database, events, clock, fake):
    assert await ask(verbs, "list_keys") == ["boiler|hall|lamp|roof|rtc|tv", "200"]
    assert await ask(verbs, "list") == ["boiler", "hall", "lamp", "roof", "rtc", "tv", "200"]


async def test_no_devices_no_frame(database, events, clock, fake):
    verbs = DeviceVerbs(Devices(database, events, clock, [fake]), "fake")
    assert await ask(verbs, "list_keys") == await ask(verbs, "list") == ["200"]


async def test_get_and_set(verbs):
    assert await ask(verbs, "set", "hall", "level", "40") == ["40", "200"]
    assert await ask(verbs, "get", "hall", "level") == ["40", "200"]
    assert await ask(verbs, "set", "tv-volume", "mute", "true") == ["true", "200"]
    assert (await ask(verbs, "get", "lamp", "commands"))[0].startswith("commands|config|")


async def test_info_config_and_poll(verbs):
    info, status = await ask(verbs, "info", "boiler")
    assert (json.loads(info)["oid"], status) == ("sensor.temperature", "200")
    assert await ask(verbs, "poll", "boiler", "5") == ["5", "200"]
    assert await ask(verbs, "poll", "boiler") == ["5", "200"]
    config, status = await ask(verbs, "config", "lamp", '{"name": "light"}')
    assert (json.loads(config), status) == ({"oid": "switch", "name": "light"}, "200")


async def test_new_rename_delete(verbs):
    device_id, status = await ask(verbs, "new", '{"oid": "switch", "name": "porch"}')
    assert status == "200"
    assert await ask(verbs, "rename", "porch", "door") == [device_id, "200"]
    assert await ask(verbs, "delete", "door") == ["200"]
    assert (await ask(verbs, "info", device_id))[-1] == "404"


async def test_the_main_value_and_what_was_last_known(verbs, clock):
    assert (await ask(verbs, "get", "boiler")) == (await ask(verbs, "get", "boiler", "value"))
    assert await ask(verbs, "get", "tv-volume") == await ask(verbs, "get", "tv-volume", "level")
    assert json.loads((await ask(verbs, "last", "lamp"))[0]) == {
        "value": False, "time": clock.wall(), "unit": "",
    }  # fmt: skip


async def test_moving_resetting_and_the_log_of_it(verbs, devices):
    device_id = devices.get("lamp").id
    assert await ask(verbs, "move", "lamp", "kitchen") == [device_id, "200"]
    assert await ask(verbs, "set", "lamp", "power", "true") == ["true", "200"]
    assert await ask(verbs, "reset", "lamp") == ["200"]
    assert await ask(verbs, "last", "lamp") == ["null", "200"]
    told, status = await ask(verbs, "log", "lamp", "2")
    assert status == "200"
    assert [(one["kind"], one["text"], one["who"]) for one in json.loads(told)] == [
        ("reset", "Failures and last values are forgotten.", "the bus"),
        ("command", "power = true", "the bus"),
    ]


async def test_templates(verbs):
    one, _ = await ask(verbs, "template", "switch")
    everything, _ = await ask(verbs, "template")
    assert json.loads(everything)["switch"] == json.loads(one)


async def test_readings(verbs, clock):
    now = str(clock.wall())
    found, status = await ask(verbs, "readings", "boiler", "value", "0", now, "100")
    assert status == "200"
    assert json.loads(found)[0]["count"] == 1


@pytest.mark.parametrize(
    ("frames", "status"),
    [
        ((), "500"),
        (("move", "hall"), "500"),
        (("reset", "nobody"), "404"),
        (("log", "hall", "x"), "400"),
        (("get",), "500"),
        (("get", "hall", "level", "x"), "500"),
        (("get", "nobody", "level"), "404"),
        (("get", "hall", "nothing"), "404"),
        (("set", "hall", "level", "101"), "400"),
        (("set", "boiler", "value", "1"), "405"),
        (("new", "{"), "400"),
        (("rename", "hall", "lamp"), "409"),
        (("readings", "boiler", "value", "x", "1"), "400"),
        (("readings", "boiler", "value", "0", "1e400"), "400"),
        (("readings", "boiler", "value", "0", "true"), "400"),
        (("template", "x"), "400"),
    ],
)
async def test_what_goes_wrong(verbs, frames, status):
    assert (await ask(verbs, *frames))[-1] == status


async def test_unknown_verbs(verbs):
    assert await ask(verbs, "dance", "x") == ["dance", "501"]


async def test_devices_of_other_drivers_are_not_found(devices):
    assert (await ask(DeviceVerbs(devices, "onewire"), "get", "lamp", "power"))[-1] == "404"
    assert (await ask(DeviceVerbs(devices, "onewire"), "list_keys"))[-1] == "404"


VERBS = [
    b"last",
    b"move",
    b"reset",
    b"log",
    b"info",
    b"get",
    b"set",
    b"config",
    b"poll",
    b"new",
    b"rename",
    b"template",
    b"readings",
]
FRAMES = st.sampled_from(
    [b"boiler", b"tv-volume", b"value", b"level", b"0", b"-1", b"{}", b"\xff"]
) | st.binary(max_size=20)


@given(st.lists(st.tuples(st.sampled_from(VERBS), st.lists(FRAMES, max_size=5)), max_size=5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_frames_break_it(verbs, requests):
    for verb, frames in requests:
        answer = await verbs.answer([verb, *frames])
        assert answer[-1].isdigit()
