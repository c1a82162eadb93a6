import asyncio
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parts.mosquitto import PROGRAM, Mosquitto
from wayhouse.base.clock import ManualClock, SystemClock
from wayhouse.base.errors import BadInputError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.devices.drivers.mqtt import MqttDriver
from wayhouse.devices.drivers.mqtt_connection import Message, MqttConnection
from wayhouse.devices.drivers.settings import MqttSettings, MqttTopic
from wayhouse.devices.model import (
    CommandNotAllowedError,
    DeviceGoneError,
    DeviceNotReadyError,
    NoSuchCommandError,
    Place,
)
from wayhouse.devices.service import Devices

TEMPERATURE = MqttTopic(name="cellar", oid="sensor.temperature", topic="c/t", value="temp")
LAMP = MqttTopic(name="lamp", oid="switch", topic="lamp/state", command_topic="lamp/set")


def settings(port=1, **more):
    return MqttSettings(host="127.0.0.1", port=port, **more)


@pytest.fixture
def broker(tmp_path):
    found = Mosquitto(tmp_path)
    found.start()
    yield found
    found.stop()


class Line:
    """What the driver's connection would be, without a broker."""

    is_up, reason = True, ""

    def __init__(self):
        self.topics, self.sent = [], []

    def open(self): ...

    def close(self): ...

    def subscribe(self, topics):
        self.topics += topics

    def unsubscribe(self, topics):
        self.topics = [one for one in self.topics if one not in topics]

    async def publish(self, message):
        self.sent.append((message.topic, message.payload))


class Listener:
    def __init__(self):
        self.facts, self.looks = [], 0

    def told(self, *fact):
        self.facts.append(fact)

    def gone(self, address, reason):
        self.facts.append((address, "gone"))

    def look(self):
        self.looks += 1


def driver(**more):
    found = MqttDriver(settings(**more), ManualClock(), host="here")
    found._line = Line()
    found.listen(Listener())
    return found


def announce(found, component="sensor", thing="x", **body):
    text = json.dumps({"state_topic": "s", "command_topic": "c"} | body).encode()
    found.heard(Message(f"homeassistant/{component}/{thing}/config", text))


async def addresses(found):
    return [one.address for one in await found.scan()]


async def test_values_are_told_as_they_come():
    found = driver(topics=(TEMPERATURE,))
    assert await addresses(found) == ["cellar"]
    place = Place("cellar", "sensor.temperature")
    with pytest.raises(DeviceNotReadyError):
        await found.read(place, "value", 0)
    found.heard(Message("c/t", b'{"temp": 9.5}'))
    assert found._listener.facts == [("cellar", "value", 9.5)]
    assert await found.read(place, "value", 0) == 9.5
    with pytest.raises(CommandNotAllowedError):
        await found.write(place, "value", 1.0, 0)
    with pytest.raises(NoSuchCommandError):
        await found.read(place, "power", 0)
    with pytest.raises(DeviceGoneError):
        await found.read(Place("attic", "switch"), "power", 0)


async def test_commands_go_to_their_topic():
    found = driver(topics=(LAMP,))
    await found.write(Place("lamp", "switch"), "power", True, 0)
    assert found._line.sent == [("lamp/set", b"ON")]


async def test_without_the_broker_nothing_is_there():
    found = driver(topics=(LAMP,))
    found.heard(Message("lamp/state", b"ON"))
    await found.scan()
    found._line.is_up, found._line.reason = False, "It is down."
    found.down("It is down.")
    assert found._listener.facts[-1] == ("lamp", "gone")
    assert await addresses(found) == []
    with pytest.raises(DeviceGoneError, match="It is down"):
        await found.read(Place("lamp", "switch"), "power", 0)
    found._line.is_up = True
    found.up()
    assert await addresses(found) == ["lamp"]
    with pytest.raises(DeviceNotReadyError):
        await found.read(Place("lamp", "switch"), "power", 0)


async def test_what_others_announce_joins_and_leaves():
    found = driver()
    announce(found, availability_topic="up", unique_id="u1")
    assert "s" in found._line.topics
    await found.scan()
    assert await addresses(found) == []
    found.heard(Message("up", b"online"))
    assert await addresses(found) == ["u1"]
    assert found._listener.looks == 2
    announce(found, availability_topic="up", unique_id="u1")
    assert await addresses(found) == ["u1"], "the same again changes nothing"
    found.heard(Message("up", b"offline"))
    assert found._listener.facts == [("u1", "gone")]
    found.heard(Message("homeassistant/sensor/x/config", b""))
    assert found._by_topic == {}
    assert found._line.topics == []


async def test_one_id_is_one_device_and_our_own_are_none():
    found = driver()
    announce(found, thing="a", unique_id="u1")
    announce(found, thing="b", unique_id="u1")
    announce(found, thing="wayhouse_here/c", unique_id="u2")
    announce(found, thing="wayhouse_there/c", unique_id="u3")
    await found.scan()
    assert await addresses(found) == ["u1", "u3"]


async def test_discovery_can_be_off_and_bad_announcements_are_said_once(caplog):
    off = driver(discover=False)
    announce(off)
    off.up()
    assert off._line.topics == []
    found = driver()
    for _ in range(3):
        found.heard(Message("homeassistant/sensor/x/config", b"rubbish"))
    assert len(caplog.records) == 1


def test_settings_that_do_not_fit():
    for topic in (
        MqttTopic(name="a", oid="nothing", topic="t"),
        MqttTopic(name="a", oid="sensor.wind", topic="t"),
        MqttTopic(name="a", topic="t", value="{% x %}"),
    ):
        with pytest.raises(BadInputError):
            MqttDriver(settings(topics=(topic,)), ManualClock())


@given(
    st.text(max_size=20) | st.sampled_from(["homeassistant/config", "homeassistant/sensor/x/config", "c/t"]),
    st.binary(max_size=30),
)
def test_no_message_breaks_it(topic, payload):
    driver(topics=(TEMPERATURE, LAMP)).heard(Message(topic, payload))


class Other:
    """Another program on the broker."""

    def __init__(self, port):
        self.got, self.connected = asyncio.Queue(), asyncio.Event()
        self.line = MqttConnection(settings(port), self, name="other")

    def up(self):
        self.connected.set()

    def down(self, reason): ...

    def heard(self, message):
        self.got.put_nowait((message.topic, message.payload))

    async def __aenter__(self):
        self.line.open()
        await asyncio.wait_for(self.connected.wait(), 20)
        return self

    async def __aexit__(self, *_):
        await self.line.closed()

    async def say(self, topic, text, *, retain=True):
        await self.line.publish(Message(topic, text.encode(), retain, 1))


async def until(what):
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Exception):
                if found := what():
                    return found
            await asyncio.sleep(0.02)


@pytest.mark.external
@pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")
async def test_under_a_server_with_a_real_broker(broker, database):
    mqtt = MqttDriver(settings(broker.port, topics=(TEMPERATURE, LAMP)), SystemClock(), host="here")
    devices = Devices(database, Events(), SystemClock(), [mqtt], hostname="here")
    async with Other(broker.port) as other, Tasks() as tasks:
        body = {"unique_id": "u", "name": "door", "state_topic": "d", "availability_topic": "up"}
        await other.say("homeassistant/binary_sensor/door/config", json.dumps(body))
        await other.say("up", "online")
        await other.say("d", "ON")
        devices.start(tasks)
        await until(lambda: devices.get("door").is_available)
        assert devices.last("door", "value").value is True
        assert not devices.get("cellar").is_available
        await other.say("c/t", '{"temp": 7}', retain=False)
        await until(lambda: devices.get("cellar").is_available)
        assert devices.last("cellar", "value").value == 7
        other.line.subscribe(["lamp/set"])
        await other.say("after/the/subscription", "")
        await devices.command("lamp", "power", True)
        assert await asyncio.wait_for(other.got.get(), 20) == ("lamp/set", b"ON")
        await other.say("up", "offline")
        await until(lambda: not devices.get("door").is_available)
        assert "offline" in devices.get("door").reason
        await other.say("up", "online")
        await until(lambda: devices.get("door").is_available)
        broker.stop()
        await until(lambda: not devices.get("door").is_available)
        assert "broker" in devices.get("cellar").reason
        broker.start()
        await until(lambda: other.line.is_up)
        await other.say("c/t", '{"temp": 8}')
        await until(lambda: devices.get("cellar").is_available)
    await mqtt.closed()
