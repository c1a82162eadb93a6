import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices.drivers.mqtt_connection import Message
from wayhouse.devices.drivers.mqtt_points import Channel, MqttDevice, Sign
from wayhouse.devices.drivers.mqtt_template import parse_command, parse_value
from wayhouse.devices.model import DeviceGoneError, DeviceNotReadyError
from wayhouse.devices.register import standard_register


def command(oid, name):
    return standard_register().new({"oid": oid, "name": "x"}).command(name)


def device(*channels, **more):
    return MqttDevice("x", "sensor.number", {}, channels, **more)


def power(**more):
    return Channel(command=command("switch", "power"), topic="state", command_topic="set", **more)


def dimmer(**more):
    return Channel(command=command("dimmer", "level"), command_topic="set", scale=100 / 255, **more)


def hear(found, topic, payload, now=0.0):
    return found.hear(Message(topic, payload), now)


def sent(channel, value):
    return [(one.topic, one.payload.decode()) for one in channel.messages(value)]


def test_values_of_each_kind():
    number = Channel(command=command("sensor.number", "value"), topic="t", value=parse_value("a"), scale=0.1)
    text = Channel(command=command("sensor.text", "value"), topic="t")
    assert hear(device(number), "t", b'{"a": "21"}') == {"value": pytest.approx(2.1)}
    assert hear(device(text), "t", b"dry") == {"value": "dry"}
    assert hear(device(power()), "state", b"on") == {"power": True}
    assert hear(device(power(on="1", off="0")), "state", b"0") == {"power": False}
    assert hear(device(number), "other", b"1") == {}


def test_what_cannot_be_used_is_not_ready_until_something_can():
    found = device(power())
    with pytest.raises(DeviceNotReadyError, match="Nothing has come"):
        found.read("power", 0)
    assert hear(found, "state", b"perhaps") == {}
    with pytest.raises(DeviceNotReadyError, match="neither"):
        found.read("power", 0)
    hear(found, "state", b"ON")
    assert found.read("power", 0) is True
    found.forget()
    with pytest.raises(DeviceNotReadyError):
        found.read("power", 0)


def test_what_is_sent():
    assert sent(power(tell_on="yes", tell_off="no"), value=True) == [("set", "yes")]
    number = Channel(
        command=command("number", "value"),
        command_topic="set",
        template=parse_command('{"v":{{ value }}}'),
        scale=0.1,
    )
    assert sent(number, 2.5) == [("set", '{"v":25}')]
    level = Channel(command=command("dimmer", "level"), command_topic="set")
    assert sent(level, 40) == [("set", "40")]


def test_a_lamp_that_says_on_and_brightness_on_two_topics():
    channel = dimmer(light="plain", topic="state", level_topic="level", level_command_topic="level/set")
    found = device(channel)
    assert hear(found, "level", b"255") == {}
    assert hear(found, "state", b"ON") == {"level": 100}
    assert hear(found, "level", b"1") == {"level": 1}
    assert hear(found, "state", b"OFF") == {"level": 0}
    assert sent(channel, 50) == [("level/set", "128"), ("set", "ON")]
    assert sent(channel, 0) == [("set", "OFF")]


def test_a_lamp_that_speaks_json():
    channel = dimmer(light="json", topic="state")
    found = device(channel)
    assert hear(found, "state", b'{"state":"ON","brightness":128}') == {"level": 50}
    assert hear(found, "state", b'{"state":"OFF"}') == {"level": 0}
    assert hear(found, "state", b"[]") == {}
    assert sent(channel, 50) == [("set", '{"state":"ON","brightness":128}')]
    assert sent(channel, 0) == [("set", '{"state":"OFF"}')]


@pytest.mark.parametrize(("mode", "there"), [("all", False), ("any", True), ("latest", False)])
def test_signs(mode, there):
    found = device(power(), signs=[Sign("one"), Sign("two", parse_value("s"), "up", "down")], mode=mode)
    assert "not said yet" in found.reason(0)
    hear(found, "one", b"online")
    hear(found, "two", b'{"s": "rubbish"}')
    assert found.is_there(0) is (mode != "all")
    hear(found, "two", b'{"s": "down"}')
    assert found.is_there(0) is there
    if not there:
        with pytest.raises(DeviceGoneError, match="offline"):
            found.read("power", 0)


def test_silence_can_mean_that_it_is_gone():
    found = device(power(), expire_after_s=60)
    hear(found, "state", b"ON", now=100)
    assert found.is_there(160)
    with pytest.raises(DeviceGoneError, match="60 s"):
        found.read("power", 161)


def test_what_is_never_heard_holds_what_was_told():
    found = device(Channel(command=command("switch", "power"), command_topic="set"))
    found.wrote("power", value=True)
    assert found.read("power", 0) is True


@given(
    st.sampled_from(["state", "level", "sign"]),
    st.binary(max_size=30) | st.sampled_from([b'{"brightness":1e999}', b"{}"]),
)
def test_no_message_breaks_it(topic, payload):
    found = [
        device(power(), signs=[Sign("sign")]),
        device(dimmer(light="plain", topic="state", level_topic="level", level_command_topic="l")),
        device(dimmer(light="json", topic="state")),
    ]
    for one in found:
        hear(one, topic, payload)
        with contextlib.suppress(DeviceGoneError, DeviceNotReadyError):
            one.read(next(iter(one.channels)), 0)
