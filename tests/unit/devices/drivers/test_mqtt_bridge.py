import asyncio
import json

import pytest

from tests.parts.mosquitto import PROGRAM, Mosquitto
from wayhouse.base.clock import SystemClock
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.devices.drivers.fake import FakeDriver
from wayhouse.devices.drivers.mqtt_bridge import MqttBridge
from wayhouse.devices.drivers.mqtt_connection import Message, MqttConnection
from wayhouse.devices.drivers.settings import MqttSettings
from wayhouse.devices.service import Devices

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed"),
]


class Assistant:
    """Home Assistant's side: keeps the newest of each topic."""

    def __init__(self, port):
        self.kept, self.news, self.connected = {}, asyncio.Event(), asyncio.Event()
        self.line = MqttConnection(MqttSettings(host="127.0.0.1", port=port), self, name="assistant")

    def up(self):
        self.line.subscribe(["#"])
        self.connected.set()

    def down(self, reason): ...

    def heard(self, message):
        self.kept[message.topic] = message.payload.decode()
        self.news.set()

    async def until(self, what):
        async with asyncio.timeout(20):
            while not what():
                self.news.clear()
                await self.news.wait()

    async def say(self, topic, text, *, retain=False):
        await self.line.publish(Message(topic, text.encode(), retain, 1))

    def config(self, unique):
        found = [text for topic, text in self.kept.items() if topic.endswith(f"/{unique}/config") and text]
        return json.loads(found[0]) if found else None


@pytest.fixture
def broker(tmp_path):
    found = Mosquitto(tmp_path)
    found.start()
    yield found
    found.stop()


@pytest.fixture
async def assistant(broker):
    found = Assistant(broker.port)
    found.line.open()
    await asyncio.wait_for(found.connected.wait(), 20)
    yield found
    await found.line.closed()


@pytest.fixture
async def house(database, broker):
    """Devices that are read, and a bridge that is not yet started."""
    events = Events()
    devices = Devices(database, events, SystemClock(), [FakeDriver()], hostname="here")
    await devices._servers["fake"].round()
    settings = MqttSettings(host="127.0.0.1", port=broker.port)
    return devices, MqttBridge(devices, events, settings, host="here")


async def test_devices_are_shown_with_values_and_commanded(house, assistant):
    devices, bridge = house
    lamp, boiler = devices.get("lamp").id, devices.get("boiler").id
    async with Tasks() as tasks:
        bridge.start(tasks)
        await assistant.until(lambda: assistant.kept.get("wayhouse/here/status") == "online")
        config = assistant.config(f"{lamp}_power")
        assert assistant.kept[config["state_topic"]] == "false"
        assert [assistant.kept[one["topic"]] for one in config["availability"]] == ["online", "online"]
        await assistant.say(config["command_topic"], config["payload_on"])
        await assistant.until(lambda: assistant.kept[config["state_topic"]] == "true")
        assert devices.last("lamp", "power").value is True
        await assistant.say(config["command_topic"], "rubbish")
        await assistant.say("wayhouse/here/nothing/power/set", "true")
        tv = assistant.config(f"{devices.get('tv').id}_volume_level")
        await assistant.say(tv["command_topic"], "33")
        await assistant.until(lambda: assistant.kept.get(tv["state_topic"]) == "33")
        assert assistant.config(f"{boiler}_value")["device_class"] == "temperature"
        assert bridge.is_connected
        await devices.rename("lamp", "light")
        await assistant.until(lambda: assistant.config(f"{lamp}_power")["device"]["name"] == "light")
        await devices.delete("light")
        await assistant.until(lambda: assistant.config(f"{lamp}_power") is None)
    await assistant.until(lambda: assistant.kept["wayhouse/here/status"] == "offline")


async def test_what_went_while_it_was_away_is_taken_back_and_kept_commands_are_not_done(house, assistant):
    devices, bridge = house
    stale = "homeassistant/switch/wayhouse_here/old_power/config"
    others = "homeassistant/switch/wayhouse_there/old_power/config"
    lamp = devices.get("lamp").id
    await assistant.say(stale, "{}", retain=True)
    await assistant.say(others, "{}", retain=True)
    await assistant.say(f"wayhouse/here/{lamp}/power/set", "true", retain=True)
    async with Tasks() as tasks:
        bridge.start(tasks)
        await assistant.until(lambda: assistant.kept.get(stale) == "")
        await assistant.until(lambda: assistant.kept.get("wayhouse/here/status") == "online")
        assert assistant.kept[others] == "{}"
        assert devices.last("lamp", "power").value is False


async def test_it_shows_all_again_when_the_broker_comes_back_or_home_assistant_asks(house, assistant, broker):
    _, bridge = house
    async with Tasks() as tasks:
        bridge.start(tasks)
        await assistant.until(lambda: assistant.kept.get("wayhouse/here/status") == "online")
        assistant.kept.clear()
        await assistant.say("homeassistant/status", "online")
        await assistant.until(lambda: assistant.kept.get("wayhouse/here/status") == "online")
        broker.stop()
        assistant.kept.clear()
        broker.start()
        await assistant.until(lambda: assistant.kept.get("wayhouse/here/status") == "online")
        assert bridge.is_connected
