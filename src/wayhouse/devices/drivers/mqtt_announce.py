"""The gateway's devices in the words of Home Assistant's MQTT discovery. Pure: a device in, topics and payloads out.

Topics: `<prefix>/<host>/status` (the gateway itself, with the will), `<prefix>/<host>/<device id>/available`,
`.../<command>` (its value, retained) and `.../<command>/set`. They go by ids, so that a new name changes no topic.
"""

from __future__ import annotations

import re
from typing import Any

from wayhouse.base import codec
from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.drivers.mqtt_connection import Message
from wayhouse.devices.drivers.mqtt_points import OFFLINE, ONLINE
from wayhouse.devices.drivers.mqtt_template import shown
from wayhouse.devices.model import DeviceView, Value

CLASSES = {
    "sensor.energy": "energy",
    "sensor.humidity": "humidity",
    "sensor.light": "illuminance",
    "sensor.power": "power",
    "sensor.pressure": "pressure",
    "sensor.temperature": "temperature",
    "sensor.wind": "wind_speed",
}
NUMBERS = {ValueType.BYTE, ValueType.INT, ValueType.REAL}
MAX_STATE = 255
"""Home Assistant takes no longer state."""
FAR = 1e9


def node_of(host: str) -> str:
    """The gateway's part of discovery topics, which allow letters, digits, `_` and `-` alone."""
    return "wayhouse_" + re.sub(r"[^A-Za-z0-9_-]", "_", host)


class Topics:
    """All topics of one gateway."""

    def __init__(self, prefix: str, discovery_prefix: str, host: str) -> None:
        self.node = node_of(host)
        self._root = f"{prefix}/{self.node.removeprefix('wayhouse_')}"
        self._discovery = discovery_prefix

    @property
    def status(self) -> str:
        return f"{self._root}/status"

    @property
    def commands(self) -> str:
        """The filter that all command topics match."""
        return f"{self._root}/+/+/set"

    @property
    def configs(self) -> str:
        return f"{self._discovery}/+/{self.node}/+/config"

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self._discovery}/status"

    def available(self, device_id: str) -> str:
        return f"{self._root}/{device_id}/available"

    def state(self, device_id: str, command: str) -> str:
        return f"{self._root}/{device_id}/{command}"

    def config(self, component: str, device_id: str, command: str) -> str:
        return f"{self._discovery}/{component}/{self.node}/{_entity(device_id, command)}/config"

    def meant(self, topic: str) -> tuple[str, str] | None:
        """The device's id and the command of a command topic."""
        parts = topic.removeprefix(f"{self._root}/").split("/")
        is_ours = topic.startswith(f"{self._root}/") and len(parts) == 3 and parts[2] == "set"
        return (parts[0], parts[1]) if is_ours else None


def announcements(
    topics: Topics, view: DeviceView, commands: dict[str, Command], *, is_commandable: bool = True
) -> list[Message]:
    """One retained message for each command that Home Assistant has an entity for. Without `is_commandable` all that
    can be read is a sensor."""
    found: list[Message] = []
    for path, command in commands.items():
        entity = _entity_of(topics, view, path, command, is_commandable=is_commandable)
        if command.is_live and entity is not None:
            component, body = entity
            body = _common(topics, view, path) | body
            found.append(Message(topics.config(component, view.id, path), codec.encode_json(body), True, 1))
    return found


def availability(topics: Topics, view: DeviceView) -> Message:
    return Message(topics.available(view.id), _sign(is_here=view.is_available), True, 1)


def gateway_sign(topics: Topics, *, is_here: bool) -> Message:
    return Message(topics.status, _sign(is_here=is_here), True, 1)


def state(topics: Topics, device_id: str, command: str, value: Value) -> Message | None:
    """None for what does not fit into a state."""
    if isinstance(value, (dict, list)):
        return None
    return Message(topics.state(device_id, command), shown(value)[:MAX_STATE].encode(), True, 0)


def _common(topics: Topics, view: DeviceView, path: str) -> dict[str, Any]:
    device = {"identifiers": [f"{topics.node}_{view.id}"], "name": view.name, "via_device": topics.node}
    device |= {"manufacturer": "Wayhouse", "model": view.oid}
    device |= {"suggested_area": view.area} if view.area else {}
    return {
        "unique_id": f"{topics.node}_{_entity(view.id, path)}",
        "object_id": f"{topics.node}_{_entity(view.name, path)}".lower(),
        "name": None if path in {"value", "power", "level"} else path.replace(".", " "),
        "availability": [{"topic": topics.status}, {"topic": topics.available(view.id)}],
        "availability_mode": "all",
        "device": device,
        "origin": {"name": "Wayhouse"},
    }


def _entity_of(
    topics: Topics, view: DeviceView, path: str, command: Command, *, is_commandable: bool
) -> tuple[str, dict[str, Any]] | None:
    reads = {} if command.writeonly else {"state_topic": topics.state(view.id, path)}
    if command.readonly or not is_commandable:
        return None if command.writeonly else _sensor(view, path, command, reads)
    both = reads | {"command_topic": f"{topics.state(view.id, path)}/set"}
    if command.valuetype is ValueType.BOOL:
        if command.writeonly:
            return "button", both | {"payload_press": "true"}
        return "switch", both | {"payload_on": "true", "payload_off": "false"}
    if command.valuetype in NUMBERS:
        return (
            _light(both) if path == "level" and view.oid == "dimmer" else ("number", both | _bounds(command))
        )
    if command.choices:
        return "select", both | {"options": list(command.choices)}
    return ("text", both | {"max": MAX_STATE}) if command.valuetype is ValueType.STR else None


def _sensor(
    view: DeviceView, path: str, command: Command, reads: dict[str, Any]
) -> tuple[str, dict[str, Any]] | None:
    if command.valuetype is ValueType.BOOL:
        return "binary_sensor", reads | {"payload_on": "true", "payload_off": "false"}
    if command.valuetype in {ValueType.DICT, ValueType.LIST}:
        return None
    if command.valuetype not in NUMBERS:
        return "sensor", reads
    kind = CLASSES.get(view.oid) if path == "value" else None
    is_meter = view.oid == "sensor.energy" and path == "value"
    more: dict[str, Any] = {"state_class": "total_increasing" if is_meter else "measurement"}
    more |= {"unit_of_measurement": command.unit} if command.unit else {}
    return "sensor", reads | more | ({"device_class": kind} if kind and command.unit else {})


def _light(both: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "light", both | {
        "state_value_template": "{{ '0' if value | int(0) == 0 else '100' }}",
        "payload_on": "100",
        "payload_off": "0",
        "brightness_state_topic": both["state_topic"],
        "brightness_command_topic": both["command_topic"],
        "brightness_scale": 100,
        "on_command_type": "brightness",
    }


def _bounds(command: Command) -> dict[str, Any]:
    bounds = command.description()["schema"]
    low, high = bounds.get("minimum", -FAR), bounds.get("maximum", FAR)
    step = 1 if command.valuetype is not ValueType.REAL else 0.1
    unit = {"unit_of_measurement": command.unit} if command.unit else {}
    return {"min": max(low, -FAR), "max": min(high, FAR * 10), "step": step, "mode": "box"} | unit


def _entity(owner: str, path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{owner}_{path}")


def _sign(*, is_here: bool) -> bytes:
    return (ONLINE if is_here else OFFLINE).encode()
