import contextlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.devices.drivers.settings import DeviceSettings, MqttSettings

ALL = """
fake = true
onewire = "/tmp/w1"
[mqtt]
host = "broker"
tls = true
ca_file = "/etc/ca.pem"
username = "me"
password_file = "/etc/wayhouse/mqtt"
[[mqtt.topics]]
name = "cellar"
topic = "c/t"
[[modbus.hosts]]
host = "meter"
points = [{name = "p", address = 0, kind = "input", type = "f32", unit = "W"}]
[gpio]
factory = "mock"
pins = [{name = "relay", pin = "17", kind = "switch"}]
[[cameras]]
name = "door"
url = "http://door/now.jpg"
"""


def read(text):
    return codec.convert(tomllib.loads(text), DeviceSettings, what="settings")


def test_nothing_is_there_unless_it_is_asked_for():
    empty = read("")
    assert (empty.fake, empty.onewire, empty.mqtt.host, empty.cameras) == (False, None, "", ())
    assert empty == DeviceSettings()


def test_a_whole_section():
    found = read(ALL)
    assert found.mqtt.effective_port == 8883
    assert MqttSettings().effective_port == 1883
    assert found.modbus.hosts[0].points[0].words == 2
    assert found.gpio.pins[0].pin == "17"


@pytest.mark.parametrize(
    "text",
    [
        "nothing = 1",
        "[mqtt]\npassword = 'x'",
        "[mqtt]\nca_file = 'x'",
        "[mqtt]\nprefix = 'a/#'",
        "[mqtt]\nport = 0",
        "[mqtt]\nversion = '4'",
        "[[mqtt.topics]]\nname = 'a'",
        "[[mqtt.topics]]\nname = 'a'\ntopic = 'a/+'",
        "[[mqtt.topics]]\nname = 'a.b'\ntopic = 'a'",
        "[[modbus.hosts]]\nhost = 'x'\npoints = [{name = 'a', address = 65536}]",
        "[[modbus.hosts]]\nhost = 'x'\npoints = [{name = 'a', address = 65535, type = 'u32'}]",
        "[[modbus.hosts]]\nhost = 'x'\npoints = [{name = 'a', address = 0, scale = 0.0}]",
        "[[modbus.hosts]]\nhost = 'x'\npoints = [{name = 'a', address = 0, kind = 'input', writable = true}]",
        "[[modbus.hosts]]\nhost = 'x'\nunit = 256",
        "[gpio]\npins = [{name = 'a', pin = '1', kind = 'motor'}]",
        "[gpio]\npins = [{name = 'a', pin = '1', kind = 'switch'}, {name = 'b', pin = '1', kind = 'switch'}]",
        "[gpio]\npins = [{name = 'a', pin = '1', kind = 'switch'}, {name = 'a', pin = '2', kind = 'switch'}]",
        "[[cameras]]\nname = 'a'",
        "[[cameras]]\nname = 'a'\nurl = 'http://x'\ndevice = '/dev/video0'",
        "[[cameras]]\nname = 'a'\nurl = 'file:///etc/passwd'",
        "[[cameras]]\nname = 'a'\nurl = 'http://me:secret@x/'",
        "[[cameras]]\nname = 'a'\ndevice = '-i /dev/video0'",
        "[[cameras]]\nname = 'a'\nurl = 'http://x'\n[[cameras]]\nname = 'a'\nurl = 'http://y'",
    ],
)
def test_what_makes_no_sense_is_refused(text):
    with pytest.raises(BadInputError) as caught:
        read(text)
    assert "secret" not in caught.value.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats(),
        lambda inside: (
            st.lists(inside, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "mqtt",
                        "modbus",
                        "gpio",
                        "cameras",
                        "hosts",
                        "points",
                        "pins",
                        "topics",
                        "name",
                        "host",
                        "url",
                        "address",
                    ]
                ),
                inside,
            )
        ),
        max_leaves=8,
    )
)
def test_nothing_breaks_it(tree):
    with contextlib.suppress(BadInputError):
        codec.convert(tree, DeviceSettings, what="settings")
