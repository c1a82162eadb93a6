"""Devices that speak MQTT: plain topics out of the settings, and whatever announces itself as for Home Assistant.

Values come by themselves and are told at once; a read answers the newest. Availability is honest: without the broker,
or when its own sign says so, a device is not there, and what was known before is known no more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from wayhouse.base import ids
from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.devices.drivers import mqtt_discovery
from wayhouse.devices.drivers.mqtt_announce import node_of
from wayhouse.devices.drivers.mqtt_connection import Message, MqttConnection
from wayhouse.devices.drivers.mqtt_points import Channel, MqttDevice
from wayhouse.devices.drivers.mqtt_template import parse_command, parse_value
from wayhouse.devices.drivers.points import command_of, require_complete
from wayhouse.devices.drivers.settings import MqttSettings, MqttTopic
from wayhouse.devices.model import (
    CommandNotAllowedError,
    DeviceGoneError,
    Found,
    NoSuchCommandError,
    Place,
    Value,
)
from wayhouse.devices.ports import Listener
from wayhouse.devices.register import DeviceRegister, standard_register

log = logging.getLogger(__name__)

MAX_DISCOVERED = 1000
MAX_REFUSED = 1000


class MqttDriver:
    """`host` is the gateway's name on the broker: its own announcements are not taken for devices of others."""

    name = "mqtt"

    def __init__(
        self,
        settings: MqttSettings,
        clock: Clock,
        *,
        host: str = "localhost",
        register: DeviceRegister | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._register = register or standard_register()
        self._own_node = node_of(host)
        self._configured = {one.address: one for one in _configured(settings.topics, self._register)}
        self._announced: dict[str, list[MqttDevice]] = {}
        self._by_topic: dict[str, list[MqttDevice]] = {}
        self._payloads: dict[str, bytes] = {}
        self._refused: set[str] = set()
        self._is_new = True
        self._listener: Listener | None = None
        self._line = MqttConnection(settings, self, name=f"wayhouse-{ids.short_id()}")
        self._attend(self._configured.values())

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def scan(self) -> Sequence[Found]:
        """Those in the settings join at once; later, and those of others always, only while they are there."""
        self._line.open()
        now = self._clock.monotonic()
        is_first, self._is_new = self._is_new, False
        there = [one for one in self._devices() if self._line.is_up and one.is_there(now)]
        found = self._configured.values() if is_first else there
        return [Found(one.address, one.oid, one.config) for one in found]

    async def read(self, place: Place, command: str, now: float) -> Value:
        return self._find(place, command).read(command, self._clock.monotonic())

    async def write(self, place: Place, command: str, value: Value, now: float) -> None:
        device = self._find(place, command)
        channel = device.channels[command]
        if not channel.command_topic:
            raise CommandNotAllowedError(
                f"{command} of this device can only be read: it has no command topic."
            )
        reason = device.reason(self._clock.monotonic())
        if reason:
            raise DeviceGoneError(reason)
        for message in channel.messages(value):
            await self._line.publish(message)
        device.wrote(command, value)

    def close(self) -> None:
        self._line.close()

    async def closed(self) -> None:
        """Close, and wait until nothing of it runs any more."""
        await self._line.closed()

    def up(self) -> None:
        """The connection calls this, `down` and `heard`."""
        topics = set(self._by_topic)
        if self._settings.discover:
            prefix = self._settings.discovery_prefix
            topics |= {f"{prefix}/+/+/config", f"{prefix}/+/+/+/config"}
        self._line.subscribe(sorted(topics))
        self._look()

    def down(self, reason: str) -> None:
        for device in self._devices():
            device.forget()
            if self._listener is not None:
                self._listener.gone(device.address, f"There is no connection to the MQTT broker. {reason}")
        self._look()

    def heard(self, message: Message) -> None:
        """Nothing that comes can raise."""
        if message.topic.startswith(f"{self._settings.discovery_prefix}/") and message.topic.endswith(
            "/config"
        ):
            self._hear_announcement(message)
        for device in self._by_topic.get(message.topic, ()):
            self._hear(device, message)

    def _hear(self, device: MqttDevice, message: Message) -> None:
        now = self._clock.monotonic()
        was_there = device.is_there(now)
        facts = device.hear(message, now)
        reason = device.reason(now)
        if self._listener is None:
            return
        if reason and was_there:
            self._listener.gone(device.address, reason)
        if bool(reason) == was_there:
            self._look()
        for command, value in facts.items() if not reason else ():
            self._listener.told(device.address, command, value)

    def _hear_announcement(self, message: Message) -> None:
        if not self._settings.discover or self._payloads.get(message.topic) == message.payload:
            return
        before = self._announced.pop(message.topic, [])
        found = self._parsed(message)
        self._payloads.pop(message.topic, None)
        if found:
            self._payloads[message.topic] = message.payload
            self._announced[message.topic] = found
        self._ignore(before)
        self._attend(found)
        if found or before:
            self._look()

    def _parsed(self, message: Message) -> list[MqttDevice]:
        """As many as there is room for, without those that are known by another announcement."""
        prefix = self._settings.discovery_prefix
        try:
            place = mqtt_discovery.place_of(prefix, message.topic)[1]
            if place.split("/")[1] == self._own_node:
                return []
            found = mqtt_discovery.parse(prefix, message.topic, message.payload, self._register)
        except BadInputError as error:
            self._refuse(message.topic, error)
            return []
        known = {one.address for one in self._devices()}
        room = max(0, MAX_DISCOVERED - len(known))
        return [one for one in found if one.address not in known][:room]

    def _refuse(self, topic: str, error: WayhouseError) -> None:
        if topic not in self._refused and len(self._refused) < MAX_REFUSED:
            self._refused.add(topic)
            log.warning("what is announced at %s cannot be used: %s", topic[:200], error)

    def _attend(self, devices: Iterable[MqttDevice]) -> None:
        topics: set[str] = set()
        for device in devices:
            for topic in device.topics():
                self._by_topic.setdefault(topic, []).append(device)
                topics.add(topic)
        # Also what others listen to already: the broker sends what it has kept again, and the new device has to hear it.
        self._line.subscribe(sorted(topics))

    def _ignore(self, devices: Iterable[MqttDevice]) -> None:
        for device in devices:
            for topic in device.topics():
                left = [one for one in self._by_topic.pop(topic, ()) if one is not device]
                if left:
                    self._by_topic[topic] = left
                else:
                    self._line.unsubscribe([topic])

    def _look(self) -> None:
        if self._listener is not None:
            self._listener.look()

    def _devices(self) -> Iterator[MqttDevice]:
        yield from self._configured.values()
        for found in self._announced.values():
            yield from found

    def _find(self, place: Place, command: str) -> MqttDevice:
        device = next((one for one in self._devices() if one.address == place.address), None)
        if device is None:
            why = "It is not announced." if self._line.is_up else self._line.reason
            raise DeviceGoneError(f"The device is not to be found on the MQTT broker. {why}")
        if not self._line.is_up:
            raise DeviceGoneError(f"There is no connection to the MQTT broker. {self._line.reason}")
        if command not in device.channels:
            raise NoSuchCommandError(f"{place.address[:80]} has no {command[:80]!r} on MQTT.")
        return device


def _configured(topics: Sequence[MqttTopic], register: DeviceRegister) -> Iterator[MqttDevice]:
    """Topics of one name are one device. Raises `BadInputError`."""
    by_name: dict[str, list[MqttTopic]] = {}
    for one in topics:
        by_name.setdefault(one.name, []).append(one)
    for name, parts in by_name.items():
        require_complete(register, parts[0].oid, [one.command for one in parts], what=name)
        unit = next((one.unit for one in parts if one.unit), "")
        config = {"name": name, "poll": 0} | ({"unit": unit} if unit else {})
        channels = [_channel(one, register, config) for one in parts]
        expire_after_s = max(one.expire_after_s for one in parts)
        yield MqttDevice(name, parts[0].oid, config, channels, expire_after_s=expire_after_s)


def _channel(topic: MqttTopic, register: DeviceRegister, config: dict[str, object]) -> Channel:
    return Channel(
        command=command_of(register, topic.oid, config, topic.command, what=topic.name),
        topic=topic.topic,
        value=parse_value(topic.value),
        on=topic.payload_on,
        off=topic.payload_off,
        command_topic=topic.command_topic,
        template=parse_command(topic.command_template),
        tell_on=topic.payload_on,
        tell_off=topic.payload_off,
        retain=topic.retain,
    )
