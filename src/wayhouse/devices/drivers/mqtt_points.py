"""What a device on MQTT is made of: topics that it is heard on, topics that it is told on, and whether it is there.

Pure words and machines: messages go in with `hear`, facts and messages come out; `mqtt.py` owns the connection.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.drivers.mqtt_connection import Message
from wayhouse.devices.drivers.mqtt_template import CommandTemplate, Template, number, shown
from wayhouse.devices.model import DeviceGoneError, DeviceNotReadyError, Value

ONLINE, OFFLINE = "online", "offline"


class Sign(msgspec.Struct, frozen=True):
    """A topic that says whether the device is there."""

    topic: str
    value: Template = Template()
    here: str = ONLINE
    away: str = OFFLINE


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One command of a device over MQTT. `on` and `off` are what comes for true and false, `tell_on` and `tell_off`
    what is sent; numbers are multiplied by `scale` when they come. `light`: how a dimmer speaks, as Home Assistant has
    it: "plain" has its level on `level_topic` beside on and off, "json" both in one message."""

    command: Command
    topic: str = ""
    value: Template = Template()
    on: str = "ON"
    off: str = "OFF"
    scale: float = 1.0
    command_topic: str = ""
    template: CommandTemplate = CommandTemplate()
    tell_on: str = "ON"
    tell_off: str = "OFF"
    retain: bool = False
    qos: int = 1
    light: Literal["", "plain", "json"] = ""
    level_topic: str = ""
    level_value: Template = Template()
    level_command_topic: str = ""
    order: Literal["first", "last", "brightness"] = "last"
    """When a lamp is told that it is on: before its level, after it, or by its level alone."""

    def topics(self) -> set[str]:
        return {self.topic, self.level_topic} - {""}

    def read(self, value: Value) -> Value:
        """What came, as the command's value. Raises `DeviceNotReadyError`."""
        kind = self.command.valuetype
        if kind is ValueType.BOOL:
            return self._truth(value)
        if kind in {ValueType.STR, ValueType.SCH}:
            return shown(value)
        if kind in {ValueType.BYTE, ValueType.INT}:
            return round(number(value) * self.scale)
        return number(value) * self.scale if kind is ValueType.REAL else value

    def messages(self, value: Value) -> list[Message]:
        """What is sent for a value."""
        if self.light == "json":
            return [self._message(self.command_topic, codec.encode_json(self._state(value)).decode())]
        if self.light == "plain" and value and self.level_command_topic:
            level = shown(round(value / self.scale))
            brightness = self._message(self.level_command_topic, level)
            lit = self._message(self.command_topic, self.tell_on)
            return {"first": [lit, brightness], "last": [brightness, lit], "brightness": [brightness]}[
                self.order
            ]
        if self.light or self.command.valuetype is ValueType.BOOL:
            told: Value = self.tell_on if value else self.tell_off
        else:
            told = value / self.scale if isinstance(value, (int, float)) else value
        return [self._message(self.command_topic, self.template.of(told))]

    def _state(self, level: int) -> dict[str, Any]:
        return (
            {"state": self.tell_on, "brightness": round(level / self.scale)}
            if level
            else {"state": self.tell_off}
        )

    def _message(self, topic: str, text: str) -> Message:
        return Message(topic, text.encode(), self.retain, self.qos)

    def _truth(self, value: Value) -> bool:
        text = shown(value).strip().casefold()
        for said, meant in ((self.on, True), (self.off, False)):
            if text == said.casefold():
                return meant
        raise DeviceNotReadyError(f"{text[:40]!r} is neither {self.on[:40]!r} nor {self.off[:40]!r}.")


class MqttDevice:
    """One device: its channels, its newest values, its signs. `oid` and `config` are as `Found` has them.

    `mode`: whether all of its signs, any, or the latest that spoke must say that it is there.
    """

    def __init__(
        self,
        address: str,
        oid: str,
        config: dict[str, Any],
        channels: Sequence[Channel],
        *,
        signs: Sequence[Sign] = (),
        mode: Literal["all", "any", "latest"] = "latest",
        expire_after_s: float = 0,
    ) -> None:
        self.address = address
        self.oid = oid
        self.config = config
        self.channels = {one.command.name: one for one in channels}
        self._signs = tuple(signs)
        self._mode = mode
        self._expire_after_s = expire_after_s
        self._said: dict[str, bool] = {}
        self._latest: str | None = None
        self._values: dict[str, Value] = {}
        self._problems: dict[str, str] = {}
        self._is_lit: bool | None = None
        self._level: float | None = None
        self._heard_at = -math.inf

    def topics(self) -> set[str]:
        return {topic for one in self.channels.values() for topic in one.topics()} | {
            one.topic for one in self._signs
        }

    def forget(self) -> None:
        """The connection was lost: what is retained comes again, the rest is not known any more."""
        for kept in (self._said, self._values, self._problems):
            kept.clear()
        self._is_lit = self._level = self._latest = None
        self._heard_at = -math.inf

    def hear(self, message: Message, now: float) -> dict[str, Value]:
        """The commands that have a new value by this message. `now` is on the monotonic clock."""
        for sign in self._signs:
            if sign.topic == message.topic:
                self._hear_sign(sign, message.payload)
        facts: dict[str, Value] = {}
        for name, channel in self.channels.items():
            if message.topic not in channel.topics():
                continue
            try:
                value = self._value(channel, message)
            except DeviceNotReadyError as error:
                self._problems[name] = error.message
                self._values.pop(name, None)
                continue
            self._problems.pop(name, None)
            self._heard_at = now
            if value is not None:
                self._values[name] = facts[name] = value
        return facts

    def is_there(self, now: float) -> bool:
        return not self.reason(now)

    def reason(self, now: float) -> str:
        """Why it is not available; "" if it is."""
        if self._signs and not self._is_signed():
            return "It says that it is offline." if self._said else "It has not said yet that it is online."
        if (
            self._expire_after_s
            and math.isfinite(self._heard_at)
            and now - self._heard_at > self._expire_after_s
        ):
            return f"Nothing has come from it for more than {self._expire_after_s:g} s."
        return ""

    def read(self, command: str, now: float) -> Value:
        """The newest value. Raises `DeviceGoneError` and `DeviceNotReadyError`."""
        reason = self.reason(now)
        if reason:
            raise DeviceGoneError(reason)
        if command in self._values:
            return self._values[command]
        raise DeviceNotReadyError(self._problems.get(command, "Nothing has come on its topic yet."))

    def wrote(self, command: str, value: Value) -> None:
        """For what is never heard, what was told last is what holds."""
        if not self.channels[command].topics():
            self._values[command] = value

    def _hear_sign(self, sign: Sign, payload: bytes) -> None:
        with contextlib.suppress(DeviceNotReadyError):
            text = shown(sign.value.of(payload)).strip().casefold()
            if text in {sign.here.casefold(), sign.away.casefold()}:
                self._said[sign.topic] = text == sign.here.casefold()
                self._latest = sign.topic

    def _is_signed(self) -> bool:
        if self._mode == "latest":
            return self._latest is not None and self._said[self._latest]
        said = [self._said.get(one.topic, False) for one in self._signs]
        return all(said) if self._mode == "all" else any(said)

    def _value(self, channel: Channel, message: Message) -> Value:
        if channel.light == "json":
            return self._hear_json_light(channel, message.payload)
        if channel.light == "plain":
            return self._hear_light(channel, message)
        return channel.read(channel.value.of(message.payload))

    def _hear_light(self, channel: Channel, message: Message) -> Value:
        """On and off, and the level, come on two topics (or on one, found by two templates)."""
        if message.topic == channel.level_topic:
            with contextlib.suppress(DeviceNotReadyError):  # lamps that are off often say no brightness
                self._level = number(channel.level_value.of(message.payload)) * channel.scale
        if message.topic == channel.topic:
            text = shown(channel.value.of(message.payload)).strip().casefold()
            if text in {channel.on.casefold(), channel.off.casefold()}:
                self._is_lit = text == channel.on.casefold()
        return self._lit_level(is_told_by_level=not channel.topic)

    def _hear_json_light(self, channel: Channel, payload: bytes) -> Value:
        try:
            said = codec.decode_json(payload, dict[str, Any], what="message")
        except BadInputError as error:
            raise DeviceNotReadyError(error.message) from error
        if "brightness" in said and said["brightness"] is not None:
            self._level = number(said["brightness"]) * channel.scale
        if isinstance(said.get("state"), str):
            self._is_lit = said["state"].casefold() == channel.on.casefold()
        return self._lit_level(is_told_by_level=False)

    def _lit_level(self, *, is_told_by_level: bool) -> int | None:
        if self._is_lit is False:
            return 0
        if self._level is None:
            return 100 if self._is_lit else None
        if self._is_lit or is_told_by_level:
            return min(100, max(1 if self._is_lit else 0, round(self._level)))
        return None
