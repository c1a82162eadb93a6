"""Section `[devices]` of the settings: which drivers there are and what each is told. `choose.py` makes drivers of it.

Secrets are named by the file that holds them, never by their value. What makes no sense is refused when it is read.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from wayhouse.devices import names
from wayhouse.devices.model import BadDeviceError

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Text = Annotated[str, msgspec.Meta(max_length=256)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=31_622_400)]

MAX_POINTS = 1000
MAX_NUMBER = 1e12


def _check_name(name: str) -> None:
    try:
        names.check(name)
    except BadDeviceError as error:
        raise ValueError(error.message) from error


def _check_unique(found: list[str], what: str) -> None:
    twice = sorted({one for one in found if found.count(one) > 1})
    if twice:
        raise ValueError(f"the {what} {twice[0]!r} is there twice")


class MqttTopic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[devices.mqtt.topics]]`: a plain topic read as a command of a device; topics of one name make one device.

    `value` finds the value in what comes: a path in JSON ("temperature", "$.sensors[0].t") or a simple template
    ("{{ value_json.t | float }}"); empty: all of it. `command` is the command that it fills, empty: the main one of
    the type. `expire_after_s`: without a message for so long it is not available; 0: never.
    """

    name: str
    oid: Text = "sensor.number"
    command: Text = ""
    topic: Text = ""
    value: Text = ""
    unit: Annotated[str, msgspec.Meta(max_length=16)] = ""
    command_topic: Text = ""
    command_template: Text = ""
    payload_on: Text = "ON"
    payload_off: Text = "OFF"
    retain: bool = False
    expire_after_s: Seconds = 0

    def __post_init__(self) -> None:
        _check_name(self.name)
        for topic in (self.topic, self.command_topic):
            if any(sign in topic for sign in "+#\0"):
                raise ValueError(f"the topic {topic!r} must be one topic, without + and #")
        if not self.topic and not self.command_topic:
            raise ValueError(f"{self.name} needs a topic or a command_topic")


class MqttSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[devices.mqtt]`; without a `host` there is no MQTT. With `tls`, the broker's certificate is checked against
    `ca_file`, or else against the system's."""

    host: Text = ""
    port: Port | None = None
    version: Literal["3.1.1", "5"] = "3.1.1"
    tls: bool = False
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    username: Text = ""
    password_file: str | None = None
    client_id: Text = ""
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 30
    announce: bool = True
    take_commands: bool = True
    discover: bool = True
    discovery_prefix: Text = "homeassistant"
    prefix: Text = "wayhouse"
    topics: Annotated[tuple[MqttTopic, ...], msgspec.Meta(max_length=MAX_POINTS)] = ()

    def __post_init__(self) -> None:
        if not self.tls and (self.ca_file or self.certificate_file):
            raise ValueError("certificates are given, but tls is not true")
        for prefix in (self.prefix, self.discovery_prefix):
            if not prefix or any(sign in prefix for sign in "+#\0"):
                raise ValueError("prefix and discovery_prefix are topics without + and #")

    @property
    def effective_port(self) -> int:
        return self.port or (8883 if self.tls else 1883)


class ModbusPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[devices.modbus.hosts.points]]`: a coil or register read as a command of a device; points of one name make one
    device. The device's value is register * `scale` + `offset`. Addresses count from 0."""

    name: str
    address: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    kind: Literal["coil", "discrete", "holding", "input"] = "holding"
    type: Literal["u16", "i16", "u32", "i32", "f32"] = "u16"
    word_order: Literal["big", "little"] = "big"
    scale: Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)] = 1.0
    offset: Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)] = 0.0
    unit: Annotated[str, msgspec.Meta(max_length=16)] = ""
    oid: Text = ""
    command: Text = ""
    poll: Annotated[int, msgspec.Meta(ge=1, le=31_622_400)] = 60
    writable: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.scale == 0:
            raise ValueError(f"the scale of {self.name} must not be 0")
        if self.writable and self.kind in {"discrete", "input"}:
            raise ValueError(f"{self.name}: Modbus has no way to write a {self.kind} register")
        if self.address + self.words > 65_536:
            raise ValueError(
                f"{self.name}: a {self.type} at {self.address} would end beyond the last register"
            )

    @property
    def is_bit(self) -> bool:
        return self.kind in {"coil", "discrete"}

    @property
    def words(self) -> int:
        return 2 if not self.is_bit and self.type in {"u32", "i32", "f32"} else 1


class ModbusHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[devices.modbus.hosts]]`: one unit behind one address. Registers that are at most `max_gap` apart are read
    together; more than 0 is faster, but some devices refuse to read what they do not have."""

    host: Text
    port: Port = 502
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=5)] = 2.0
    max_gap: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    points: Annotated[tuple[ModbusPoint, ...], msgspec.Meta(max_length=MAX_POINTS)] = ()


class ModbusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `[devices.modbus]`."""

    hosts: Annotated[tuple[ModbusHost, ...], msgspec.Meta(max_length=64)] = ()


class GpioPin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[devices.gpio.pins]]`: `pin` as gpiozero has it: a BCM number ("17") or a name ("BOARD11"). `pull` and
    `debounce_s` are for inputs, `frequency_hz` for dimmers, `initial` (0 to 100 %) for both outputs."""

    name: str
    pin: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9:]{1,16}$")]
    kind: Literal["switch", "dimmer", "input"]
    active_low: bool = False
    pull: Literal["up", "down", "none"] = "none"
    debounce_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.02
    frequency_hz: Annotated[int, msgspec.Meta(ge=1, le=20_000)] = 100
    initial: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0

    def __post_init__(self) -> None:
        _check_name(self.name)


class GpioSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[devices.gpio]`; `factory` is gpiozero's way to the pins; "auto" takes the first that works here."""

    factory: Literal["auto", "lgpio", "rpigpio", "pigpio", "native", "mock"] = "auto"
    pins: Annotated[tuple[GpioPin, ...], msgspec.Meta(max_length=64)] = ()

    def __post_init__(self) -> None:
        _check_unique([one.name for one in self.pins], "name")
        _check_unique([one.pin.upper() for one in self.pins], "pin")


class CameraSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[devices.cameras]]`: a picture from an `url` (http or https) or from a `device` (/dev/video0). `poll` seconds
    between pictures that are taken unasked; 0: only when asked."""

    name: str
    url: Annotated[str, msgspec.Meta(max_length=2048)] = ""
    device: Annotated[str, msgspec.Meta(pattern="^(/dev/[A-Za-z0-9/_.:-]{1,200})?$")] = ""
    username: Text = ""
    password_file: str | None = None
    login: Literal["basic", "digest"] = "basic"
    ca_file: str | None = None
    width: Annotated[int, msgspec.Meta(ge=16, le=16_384)] = 1280
    height: Annotated[int, msgspec.Meta(ge=16, le=16_384)] = 720
    max_bytes: Annotated[int, msgspec.Meta(ge=1024, le=64 * 1024 * 1024)] = 8 * 1024 * 1024
    keep: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    poll: Seconds = 0

    def __post_init__(self) -> None:
        _check_name(self.name)
        if bool(self.url) == bool(self.device):
            raise ValueError(f"{self.name} needs either an url or a device")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{self.name}: the url begins with http:// or https://")
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            raise ValueError(
                f"{self.name}: put name and password into username and password_file, not the url"
            )


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `[devices]`. `fake` adds a house of devices that are not there. `onewire` is the folder with the
    kernel's 1-Wire devices ("" for none); by default the kernel's, if it is there."""

    fake: bool = False
    onewire: str | None = None
    mqtt: MqttSettings = MqttSettings()
    modbus: ModbusSettings = ModbusSettings()
    gpio: GpioSettings = GpioSettings()
    cameras: Annotated[tuple[CameraSettings, ...], msgspec.Meta(max_length=64)] = ()

    def __post_init__(self) -> None:
        _check_unique([one.name for one in self.cameras], "camera")
