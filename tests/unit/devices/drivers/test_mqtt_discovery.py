import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.devices.drivers import mqtt_discovery
from wayhouse.devices.drivers.mqtt_connection import Message
from wayhouse.devices.register import standard_register

REGISTER = standard_register()


def parse(component, body, topic=None):
    payload = json.dumps(body).encode() if isinstance(body, dict) else body
    return mqtt_discovery.parse("ha", topic or f"ha/{component}/node/thing/config", payload, REGISTER)


ZIGBEE = {
    "availability": [{"topic": "zigbee2mqtt/bridge/state", "value_template": "{{ value_json.state }}"}],
    "device": {"identifiers": ["zigbee2mqtt_0x1"], "name": "bath.room", "manufacturer": "Aqara"},
    "device_class": "temperature",
    "name": "Temperature",
    "origin": {"name": "Zigbee2MQTT"},
    "state_class": "measurement",
    "state_topic": "zigbee2mqtt/bath",
    "unique_id": "0x1_temperature_zigbee2mqtt",
    "unit_of_measurement": "°C",
    "value_template": "{{ value_json.temperature }}",
}
TASMOTA = {
    "name": None,
    "dev": {"ids": ["A1"], "name": "Plug"},
    "~": "stat/plug/",
    "stat_t": "~RESULT",
    "val_tpl": "{{ value_json.POWER }}",
    "cmd_t": "cmnd/plug/POWER",
    "avty_t": "tele/plug/LWT",
    "pl_avail": "Online",
    "pl_not_avail": "Offline",
    "uniq_id": "A1_RL_1",
}


def test_a_thermometer_of_zigbee2mqtt():
    (found,) = parse("sensor", ZIGBEE)
    assert (found.address, found.oid) == ("0x1_temperature_zigbee2mqtt", "sensor.temperature")
    assert found.config == {"name": "bath room Temperature", "poll": 0, "unit": "°C"}
    assert REGISTER.check(found.config | {"oid": found.oid})
    assert found.topics() == {"zigbee2mqtt/bath", "zigbee2mqtt/bridge/state"}
    found.hear(Message("zigbee2mqtt/bridge/state", b'{"state":"online"}'), 0)
    assert found.hear(Message("zigbee2mqtt/bath", b'{"temperature":21.4}'), 0) == {"value": 21.4}
    assert found.is_there(0)


def test_a_plug_of_tasmota_in_short_keys():
    (found,) = parse("switch", TASMOTA)
    assert (found.oid, found.config["name"]) == ("switch", "Plug")
    assert found.topics() == {"stat/plug/RESULT", "tele/plug/LWT"}
    found.hear(Message("tele/plug/LWT", b"Online"), 0)
    assert found.hear(Message("stat/plug/RESULT", b'{"POWER":"OFF"}'), 0) == {"power": False}
    assert [one.topic for one in found.channels["power"].messages(value=True)] == ["cmnd/plug/POWER"]


@pytest.mark.parametrize(
    ("component", "body", "oid", "command"),
    [
        ("sensor", {"state_topic": "a"}, "sensor.text", "value"),
        ("sensor", {"state_topic": "a", "unit_of_measurement": "ppm"}, "sensor.number", "value"),
        ("sensor", {"state_topic": "a", "device_class": "humidity"}, "sensor.humidity", "value"),
        ("sensor", {"state_topic": "a", "device_class": "timestamp"}, "sensor.text", "value"),
        (
            "binary_sensor",
            {"state_topic": "a", "payload_on": True, "payload_off": False},
            "sensor.binary",
            "value",
        ),
        ("light", {"command_topic": "a"}, "switch", "power"),
        ("light", {"command_topic": "a", "brightness_command_topic": "b"}, "dimmer", "level"),
        ("light", {"command_topic": "a", "schema": "json", "brightness": True}, "dimmer", "level"),
        ("light", {"command_topic": "a", "schema": "json"}, "switch", "power"),
        (
            "number",
            {"command_topic": "a", "min": 5, "max": 30, "unit_of_measurement": "°C"},
            "number",
            "value",
        ),
        ("button", {"command_topic": "a"}, "button", "press"),
    ],
)
def test_kinds(component, body, oid, command):
    (found,) = parse(component, body)
    assert (found.oid, list(found.channels)) == (oid, [command])
    assert found.address == f"{component}/node/thing"
    assert REGISTER.check(found.config | {"oid": found.oid})


def test_values_and_bounds():
    (contact,) = parse(
        "binary_sensor",
        {
            "state_topic": "a",
            "payload_on": False,
            "payload_off": True,
            "value_template": "{{ value_json.contact }}",
        },
    )
    assert contact.hear(Message("a", b'{"contact": false}'), 0) == {"value": True}
    (number,) = parse("number", {"command_topic": "a", "min": 5, "max": 30})
    assert REGISTER.new(number.config | {"oid": "number"}).command("value").maximum == 30
    (lamp,) = parse("light", {"command_topic": "a", "state_topic": "s", "schema": "json"})
    assert [one.payload for one in lamp.channels["power"].messages(value=True)] == [b'{"state":"ON"}']
    assert lamp.hear(Message("s", b'{"state":"OFF"}'), 0) == {"power": False}


def test_a_device_with_several_components():
    body = {
        "dev": {"name": "Box"},
        "o": {"name": "box"},
        "availability_topic": "up",
        "cmps": {
            "a": {"p": "sensor", "state_topic": "t", "unique_id": "box_a", "name": "A"},
            "b": {"p": "switch", "command_topic": "c", "unique_id": "box_b", "name": "Box B"},
            "c": {"p": "camera"},
            "d": "rubbish",
        },
    }
    found = parse("device", body, "ha/device/box/config")
    assert [(one.address, one.config["name"]) for one in found] == [("box_a", "Box A"), ("box_b", "Box B")]
    assert all("up" in one.topics() for one in found)


def test_what_has_no_type_and_what_is_taken_back():
    assert parse("climate", {"name": "x"}) == []
    assert parse("light", {"schema": "template", "command_topic": "x"}) == []
    assert parse("sensor", b"") == []


@pytest.mark.parametrize(
    ("component", "body"),
    [
        ("sensor", {}),
        ("sensor", {"state_topic": "a/#"}),
        ("sensor", {"state_topic": "a", "value_template": "{% for x in y %}"}),
        ("switch", {"state_topic": "a"}),
        ("number", {"command_topic": "a", "min": "x"}),
        ("light", {"command_topic": "a", "brightness_command_topic": "b", "brightness_scale": 0}),
        ("device", {}),
        ("sensor", b"no json"),
        ("sensor", b"[1]"),
    ],
)
def test_announcements_that_are_refused(component, body):
    with pytest.raises(BadInputError):
        parse(component, body)


@pytest.mark.parametrize(
    "topic", ["ha/config", "ha/sensor/config", "ha/a/b/c/d/config", "x/sensor/a/config", "ha/sensor/a/b"]
)
def test_other_topics(topic):
    with pytest.raises(BadInputError):
        mqtt_discovery.place_of("ha", topic)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["a/b", "{{ value }}", "json"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *mqtt_discovery.SHORT,
        *mqtt_discovery.SHORT.values(),
        "name",
        "~",
        "min",
        "max",
        "schema",
        "brightness",
        "supported_color_modes",
    ]
)


@given(
    st.sampled_from(["sensor", "binary_sensor", "switch", "light", "number", "button", "device"]),
    st.dictionaries(KEYS, VALUES, max_size=8),
)
def test_no_announcement_breaks_it(component, body):
    with contextlib.suppress(BadInputError):
        for found in parse(component, {"state_topic": "s", "command_topic": "c"} | body):
            assert REGISTER.check(found.config | {"oid": found.oid})
            for topic in found.topics():
                found.hear(Message(topic, b"1"), 0)
