"""Home Assistant's MQTT discovery, from the other side: what others announce, as devices of ours.

`<prefix>/<component>/[<node>/]<object>/config` with a JSON object, in short keys or long ones; `device` as component
holds several at once. Pure: a topic and a payload in, `MqttDevice`s out. What has no type here is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.devices import names
from wayhouse.devices.command import Command
from wayhouse.devices.drivers.mqtt_points import OFFLINE, ONLINE, Channel, MqttDevice, Sign
from wayhouse.devices.drivers.mqtt_template import Template, number, parse_command, parse_value, shown
from wayhouse.devices.model import BadDeviceError, DeviceNotReadyError
from wayhouse.devices.register import DeviceRegister

MAX_COMPONENTS = 256
MAX_TOPIC = 1024

SHORT = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "bri_cmd_t": "brightness_command_topic",
    "bri_scl": "brightness_scale",
    "bri_stat_t": "brightness_state_topic",
    "bri_val_tpl": "brightness_value_template",
    "cmd_t": "command_topic",
    "cmd_tpl": "command_template",
    "cmps": "components",
    "dev": "device",
    "dev_cla": "device_class",
    "exp_aft": "expire_after",
    "obj_id": "object_id",
    "p": "platform",
    "pl": "payload",
    "pl_avail": "payload_available",
    "pl_not_avail": "payload_not_available",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "pl_prs": "payload_press",
    "ret": "retain",
    "stat_cla": "state_class",
    "stat_off": "state_off",
    "stat_on": "state_on",
    "stat_t": "state_topic",
    "stat_val_tpl": "state_value_template",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
SENSORS = {
    "energy": "sensor.energy",
    "humidity": "sensor.humidity",
    "illuminance": "sensor.light",
    "moisture": "sensor.humidity",
    "atmospheric_pressure": "sensor.pressure",
    "pressure": "sensor.pressure",
    "power": "sensor.power",
    "temperature": "sensor.temperature",
}
"""Of `device_class`; other numbers are a `sensor.number`, other sensors a `sensor.text`."""
TEXTS = {"date", "enum", "timestamp", "uptime"}

Body = dict[str, Any]


def parse(prefix: str, topic: str, payload: bytes, register: DeviceRegister) -> list[MqttDevice]:
    """What is announced there; none if it is taken back or has no type here. Raises `BadInputError`."""
    component, key = place_of(prefix, topic)
    if not payload:
        return []
    body = _long(codec.decode_json(payload, dict[str, Any], what="announcement"))
    found: list[MqttDevice] = []
    for one, more, name in _components(component, body):
        device = _device(one, _based(more), f"{key}/{name}" if name else key, register)
        found += [device] if device is not None else []
    return found


def place_of(prefix: str, topic: str) -> tuple[str, str]:
    """The component and the rest of a topic that announces. Raises `BadInputError`."""
    parts = topic.removeprefix(f"{prefix}/").split("/")
    if not topic.startswith(f"{prefix}/") or parts[-1] != "config" or len(parts) not in {3, 4}:
        raise BadInputError(f"{topic[:80]!r} is no topic for announcements.")
    return parts[0], "/".join(parts[:-1])


def _components(component: str, body: Body) -> Iterator[tuple[str, Body, str]]:
    if component != "device":
        yield component, body, ""
        return
    inside = body.get("components")
    if not isinstance(inside, dict) or len(inside) > MAX_COMPONENTS:
        raise BadInputError(f"The announcement of a device has 1 to {MAX_COMPONENTS} components.")
    shared = {key: value for key, value in body.items() if key != "components"}
    for name, one in inside.items():
        if isinstance(one, dict):
            more = _long(one)
            yield str(more.get("platform", "")), shared | more, str(name)


def _device(component: str, body: Body, key: str, register: DeviceRegister) -> MqttDevice | None:
    make = _MAKERS.get(component)
    made = make(body) if make is not None else None
    if made is None:
        return None
    oid, more = made
    config = {"name": _name(body, key), "poll": 0} | more.pop("config", {})
    name = more.pop("command")
    try:
        command = _command(register, oid, config, name)
        return MqttDevice(
            _text(body, "unique_id") or key,
            oid,
            config,
            [Channel(command=command, retain=bool(body.get("retain")), qos=1, **more)],
            signs=_signs(body),
            mode=_mode(body),
            expire_after_s=_number(body, "expire_after", 0.0),
        )
    except BadDeviceError as error:
        raise BadInputError(error.message) from error


def _command(register: DeviceRegister, oid: str, config: Body, name: str) -> Command:
    return register.new(config | {"oid": oid}).command(name)


def _sensor(body: Body) -> tuple[str, Body] | None:
    kind = _text(body, "device_class")
    unit = _text(body, "unit_of_measurement")[:16]
    is_number = bool(unit or kind in SENSORS or body.get("state_class")) and kind not in TEXTS
    oid = SENSORS.get(kind, "sensor.number") if is_number else "sensor.text"
    config = {"unit": unit} if unit else {}
    return oid, _heard(body) | {"command": "value", "config": config}


def _binary(body: Body) -> tuple[str, Body] | None:
    more = {"on": _text(body, "payload_on", "ON"), "off": _text(body, "payload_off", "OFF")}
    return "sensor.binary", _heard(body) | more | {"command": "value"}


def _switch(body: Body) -> tuple[str, Body] | None:
    on, off = _text(body, "payload_on", "ON"), _text(body, "payload_off", "OFF")
    more = {
        "on": _text(body, "state_on", on),
        "off": _text(body, "state_off", off),
        "tell_on": on,
        "tell_off": off,
        "command": "power",
    }
    return "switch", _heard(body, is_needed=False) | _told(body) | more


def _light(body: Body) -> tuple[str, Body] | None:
    schema = _text(body, "schema", "basic")
    if schema == "json":
        return _json_light(body)
    if schema not in {"basic", "default"}:
        return None
    if not _text(body, "brightness_command_topic"):
        return _switch(
            body | {"value_template": body.get("state_value_template", body.get("value_template", ""))}
        )
    on, off = _text(body, "payload_on", "ON"), _text(body, "payload_off", "OFF")
    more = _lit(body) | {
        "level_topic": _topic(body, "brightness_state_topic", is_needed=False),
        "level_value": _template(body, "brightness_value_template"),
        "level_command_topic": _topic(body, "brightness_command_topic"),
        "scale": 100.0 / _scale(body),
    }
    sides = {"on": on, "off": off, "tell_on": on, "tell_off": off}
    order = _text(body, "on_command_type", "last")
    more |= {"order": order if order in {"first", "brightness"} else "last"}
    return "dimmer", _told(body) | sides | more | {"light": "plain", "command": "level"}


def _lit(body: Body) -> Body:
    """Where it says on and off. A template that is a program is done without, if the brightness says enough."""
    try:
        value = _template(body, "state_value_template")
    except BadInputError:
        if not _text(body, "brightness_state_topic"):
            raise
        return {"topic": ""}
    return {"topic": _topic(body, "state_topic", is_needed=False), "value": value}


def _json_light(body: Body) -> tuple[str, Body] | None:
    told = {"topic": _topic(body, "state_topic", is_needed=False)} | _told(body)
    modes = body.get("supported_color_modes")
    if body.get("brightness") is not True and not (isinstance(modes, list) and "brightness" in modes):
        more = {"value": parse_value("state"), "template": parse_command('{"state":"{{ value }}"}')}
        return "switch", told | more | {"command": "power"}
    return "dimmer", told | {"scale": 100.0 / _scale(body), "light": "json", "command": "level"}


def _number_device(body: Body) -> tuple[str, Body] | None:
    unit = _text(body, "unit_of_measurement")[:16]
    config: Body = {"minimum": _number(body, "min", 1.0), "maximum": _number(body, "max", 100.0)}
    config |= {"unit": unit} if unit else {}
    return "number", _heard(body, is_needed=False) | _told(body) | {"command": "value", "config": config}


def _button(body: Body) -> tuple[str, Body] | None:
    return "button", _told(body) | {"command": "press", "tell_on": _text(body, "payload_press", "PRESS")}


_MAKERS: dict[str, Callable[[Body], tuple[str, Body] | None]] = {
    "binary_sensor": _binary,
    "button": _button,
    "light": _light,
    "number": _number_device,
    "sensor": _sensor,
    "switch": _switch,
}


def _heard(body: Body, *, is_needed: bool = True) -> Body:
    return {
        "topic": _topic(body, "state_topic", is_needed=is_needed),
        "value": _template(body, "value_template"),
    }


def _told(body: Body) -> Body:
    return {
        "command_topic": _topic(body, "command_topic"),
        "template": parse_command(_text(body, "command_template")),
    }


def _signs(body: Body) -> list[Sign]:
    listed = body.get("availability")
    entries = [_long(one) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if not entries and isinstance(listed, dict):
        entries = [_long(listed)]
    if _text(body, "availability_topic"):
        single = {
            "topic": body["availability_topic"],
            "value_template": body.get("availability_template", ""),
        }
        entries = [
            single | {key: body[key] for key in ("payload_available", "payload_not_available") if key in body}
        ]
    return [
        Sign(
            _topic(one, "topic"),
            _template(one, "value_template"),
            _text(one, "payload_available", ONLINE),
            _text(one, "payload_not_available", OFFLINE),
        )
        for one in entries[:16]
    ]


def _mode(body: Body) -> Any:
    mode = _text(body, "availability_mode", "latest")
    return mode if mode in {"all", "any", "latest"} else "latest"


def _template(body: Body, key: str) -> Template:
    return parse_value(_text(body, key))


def _topic(body: Body, key: str, *, is_needed: bool = True) -> str:
    topic = _text(body, key)
    if (is_needed and not topic) or len(topic) > MAX_TOPIC or any(sign in topic for sign in "+#\0"):
        raise BadInputError(f"The announcement has no usable {key}.")
    return topic


def _text(body: Body, key: str, otherwise: str = "") -> str:
    """Texts as they are, and what should have been a text as JSON writes it (`payload_on: true`)."""
    value = body.get(key)
    return otherwise if value is None or isinstance(value, (list, dict)) else shown(value)


def _number(body: Body, key: str, otherwise: float) -> float:
    try:
        return number(body[key]) if body.get(key) is not None else otherwise
    except DeviceNotReadyError as error:
        raise BadInputError(f"The announcement's {key} is no number.") from error


def _scale(body: Body) -> float:
    scale = _number(body, "brightness_scale", 255.0)
    if not 1 <= scale <= 1e6:
        raise BadInputError("The announcement's brightness_scale makes no sense.")
    return scale


def _name(body: Body, key: str) -> str:
    """The device's name and the entity's, as a name may be here."""
    device = body.get("device")
    owner = device.get("name") if isinstance(device, dict) else None
    parts = [one for one in (owner, body.get("name")) if isinstance(one, str)]
    if len(parts) == 2 and parts[1].startswith(parts[0]):
        parts = parts[1:]
    text = "".join(
        " " if one in names.SEPARATORS or not one.isprintable() else one for one in " ".join(parts) or key
    )
    return " ".join(text.split())[: names.MAX_NAME - 4].strip() or "device"


def _long(body: Body) -> Body:
    return {SHORT.get(key, key): value for key, value in body.items()}


def _based(body: Body) -> Body:
    """`~` at the begin or end of a topic stands for the base topic."""
    base = body.get("~")
    if not isinstance(base, str):
        return body
    return {key: _unfolded(key, value, base) for key, value in body.items()}


def _unfolded(key: str, value: Any, base: str) -> Any:
    if isinstance(value, list):
        return [_based({"~": base} | one) if isinstance(one, dict) else one for one in value[:64]]
    if not isinstance(value, str) or not (key.endswith("topic") or key in {"t", "topic"}):
        return value
    if value.startswith("~"):
        return base + value[1:]
    return value[:-1] + base if value.endswith("~") else value
