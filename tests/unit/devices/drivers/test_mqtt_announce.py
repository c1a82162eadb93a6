import json
import re

from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices.drivers.mqtt_announce import Topics, announcements, availability, node_of, state
from wayhouse.devices.drivers.mqtt_discovery import parse
from wayhouse.devices.model import DeviceView
from wayhouse.devices.register import standard_register

REGISTER = standard_register()
TOPICS = Topics("wayhouse", "homeassistant", "my.host")


def announced(oid, **more):
    config = {"oid": oid, "name": "thing"} | more
    view = DeviceView(
        id="abc", name="thing", fullname="h.d.thing", oid=oid, driver="d", address="a", config=config
    )
    commands = REGISTER.new(config).all_commands()
    return {one.topic: json.loads(one.payload) for one in announcements(TOPICS, view, commands)}


def test_a_thermometer():
    ((topic, body),) = announced("sensor.temperature").items()
    assert topic == "homeassistant/sensor/wayhouse_my_host/abc_value/config"
    assert body["state_topic"] == "wayhouse/my_host/abc/value"
    assert body["unit_of_measurement"] == "°C"
    assert body["device_class"] == "temperature"
    assert [one["topic"] for one in body["availability"]] == [
        "wayhouse/my_host/status",
        "wayhouse/my_host/abc/available",
    ]
    assert body["device"]["name"] == "thing"


def test_an_entity_of_the_right_kind_for_each_command():
    kinds = {oid: [topic.split("/")[1] for topic in announced(oid)] for oid in REGISTER.oids()}
    assert kinds["switch"] == ["switch"]
    assert kinds["dimmer"] == ["light"]
    assert kinds["sensor.binary"] == ["binary_sensor"]
    assert kinds["number"] == ["number"]
    assert kinds["button"] == ["button"]
    assert kinds["media.camera"] == ["switch", "button"]
    assert sorted(kinds["media.tv"]) == ["button"] * 4 + ["number"] * 2 + ["switch"] * 2


def test_without_commands_all_is_a_sensor():
    view = DeviceView(id="i", name="n", fullname="f", oid="switch", driver="d", address="a")
    commands = REGISTER.new({"oid": "switch", "name": "n"}).all_commands()
    (only,) = announcements(TOPICS, view, commands, is_commandable=False)
    assert "/binary_sensor/" in only.topic
    assert b"command_topic" not in only.payload


def test_we_understand_our_own_announcements():
    for oid in ("sensor.temperature", "switch", "dimmer", "sensor.binary", "number", "button", "sensor.text"):
        for topic, body in announced(oid).items():
            (found,) = parse("homeassistant", topic, json.dumps(body).encode(), REGISTER)
            assert found.oid == oid


def test_states_and_commands():
    assert state(TOPICS, "abc", "power", value=True).payload == b"true"
    assert state(TOPICS, "abc", "value", 21.0).payload == b"21"
    assert state(TOPICS, "abc", "picture", {}) is None
    assert len(state(TOPICS, "abc", "value", "x" * 999).payload) == 255
    assert TOPICS.meant("wayhouse/my_host/abc/volume.level/set") == ("abc", "volume.level")
    assert TOPICS.meant("wayhouse/my_host/abc/power") is None
    assert TOPICS.meant("wayhouse/other/abc/power/set") is None
    view = DeviceView(
        id="abc", name="n", fullname="f", oid="switch", driver="d", address="a", is_available=True
    )
    assert availability(TOPICS, view).payload == b"online"


@given(st.text(max_size=30))
def test_any_host_makes_a_topic(host):
    assert re.fullmatch("wayhouse_[A-Za-z0-9_-]*", node_of(host))
