"""What every device has: a type (oid), a name, a config with free keys, commands, and sub-devices.

A type is a class: its config is a struct, its template is made of that struct's JSON Schema and of its commands, and
both are inherited as the oids say (base, sensor, sensor.temperature). Nothing here does I/O or looks at a clock.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.devices import names
from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.model import (
    BadDeviceError,
    CommandNotAllowedError,
    DeviceFieldMissingError,
    NoSuchCommandError,
    UnknownTypeError,
    Value,
)

MAX_CONFIG_BYTES = 64 * 1024
NOT_POLLABLE = -1
Json = str | bytes | dict[str, Any]

Poll = Annotated[
    int,
    msgspec.Meta(ge=NOT_POLLABLE, le=31_622_400, description="-1 not pollable, 0 no polling, n seconds"),
]
Area = Annotated[str, msgspec.Meta(max_length=64)]
Unit = Annotated[str, msgspec.Meta(max_length=16)]


class BaseConfig(msgspec.Struct, kw_only=True):
    """The keys that every device knows; others are kept as they are."""

    oid: str
    name: str
    poll: Poll = NOT_POLLABLE
    log: bool = False
    area: Area = ""


class BaseDevice:
    """`BaseDevice(json='{"oid": "base", "name": "x"}')`; `config` is exactly that dict.

    Raises `DeviceFieldMissingError` (a KeyError too), `UnknownTypeError` and `BadDeviceError`.
    """

    oid: ClassVar[str] = "base"
    Config: ClassVar[type[BaseConfig]] = BaseConfig
    own_commands: ClassVar[tuple[Command, ...]] = (
        Command(
            name="commands",
            info="the names of all commands, joined by |",
            valuetype=ValueType.LIST,
            readonly=True,
            is_live=False,
        ),
        Command(name="config", info="the whole config", valuetype=ValueType.DICT, is_live=False),
        Command(
            name="poll",
            info="seconds between two reads; 0 for none, -1 if it cannot be polled",
            valuetype=ValueType.INT,
            unit="s",
            is_live=False,
        ),
        Command(name="log", info="whether history is kept", valuetype=ValueType.BOOL, is_live=False),
        Command(
            name="reset",
            info="forget failures and last values",
            valuetype=ValueType.BOOL,
            writeonly=True,
            is_live=False,
        ),
    )
    subtypes: ClassVar[dict[str, type[BaseDevice]]] = {}
    """Sub-devices by their name within the device; their oid is `<oid>-<name>`."""

    def __init__(self, json: Json) -> None:
        self.config, self.known = self._read(json)
        self._all_commands: dict[str, Command] | None = None

    @classmethod
    def new(cls, json: Json) -> Self:
        """A device of this type."""
        return cls(json)

    @classmethod
    def check(cls, json: Json) -> bool:
        """Whether `json` describes a device of this type."""
        try:
            cls._read(json)
        except BadInputError:
            return False
        return True

    @property
    def name(self) -> str:
        return self.known.name

    @name.setter
    def name(self, name: str) -> None:
        self.configure(self.config | {"name": name})

    @property
    def json(self) -> str:
        """The config as it was given, with what was set since."""
        return codec.encode_json(self.config).decode()

    @property
    def templates(self) -> dict[str, dict[str, Any]]:
        """What each type adds, from the base to this one."""
        return self.type_templates()

    @property
    def template(self) -> dict[str, Any]:
        return self.type_template()

    @classmethod
    def type_templates(cls) -> dict[str, dict[str, Any]]:
        line = [one for one in reversed(cls.__mro__) if issubclass(one, BaseDevice)]
        return {one.oid: _own_template(one) for one in line}

    @classmethod
    def type_template(cls) -> dict[str, Any]:
        """`{"config": JSON Schema, "commands": {name: {...}}}`, and "subdevices" where there are any."""
        config = {"type": "object", "properties": dict[str, Any](), "required": list[str]()}
        merged: dict[str, Any] = {"config": config, "commands": {}}
        for part in cls.type_templates().values():
            for key in ("properties", "required"):
                config[key] = _joined(config[key], part["config"].get(key))
            merged["commands"].update(part["commands"])
        inside = {name: kind.type_template() for name, kind in cls.subtypes.items()}
        return merged | ({"subdevices": inside} if inside else {})

    def fullname(self, prefix: str) -> str:
        return names.fullname(prefix, self.name)

    def commands(self) -> dict[str, Command]:
        """The device's own commands by name; a unit in the config goes before the type's."""
        unit = getattr(self.known, "unit", "")
        found = {command.name: command for command in self.type_commands()}
        if unit and "value" in found:
            found["value"] = msgspec.structs.replace(found["value"], unit=unit)
        return found

    @classmethod
    def type_commands(cls) -> tuple[Command, ...]:
        line = [one for one in reversed(cls.__mro__) if issubclass(one, BaseDevice)]
        return tuple(command for one in line for command in one.__dict__.get("own_commands", ()))

    def command(self, path: str) -> Command:
        """By name, or by `subdevice.name`. Raises `NoSuchCommandError`."""
        found = self.all_commands().get(path)
        if found is None:
            raise NoSuchCommandError(
                f"{self.name} has no command {path[:80]!r}. It has {', '.join(self.all_commands())}."
            )
        return found

    def all_commands(self) -> dict[str, Command]:
        """Own commands, then those of sub-devices under `subdevice.name`. To be read: it is made once for each config."""
        if self._all_commands is None:
            found = self.commands()
            for inside, kind in self.subtypes.items():
                live = (command for command in kind.type_commands() if command.is_live)
                found |= {f"{inside}.{command.name}": command for command in live}
            self._all_commands = found
        return self._all_commands

    def configure(self, config: Json) -> None:
        """Replace the config; the type stays. Raises as the constructor does, and then nothing changed."""
        self.config, self.known = self._read(config)
        self._all_commands = None

    def read(self, name: str) -> Value:
        """What the gateway itself knows: `commands`, `config`, `poll`, `log`."""
        self.command(name).require_readable()
        if name == "commands":
            return "|".join(self.all_commands())
        if name == "config":
            return dict(self.config)
        return getattr(self.known, name)

    def write(self, name: str, value: Value) -> None:
        """Set `config` (which needs a name), `poll` or `log`. Raises `CommandNotAllowedError` and `BadValueError`."""
        command = self.command(name)
        command.require_writable()
        value = command.check(value)
        if name == "config":
            self.configure({"oid": self.oid} | value)
        elif name == "poll" and NOT_POLLABLE in {value, self.known.poll}:
            raise CommandNotAllowedError(
                f"{self.name} can be polled or not by its nature; this cannot be set."
            )
        elif name in {"poll", "log"}:
            self.configure(self.config | {name: value})

    @classmethod
    def _read(cls, json: Json) -> tuple[dict[str, Any], BaseConfig]:
        config = decode(json)
        if config["oid"] != cls.oid:
            raise UnknownTypeError(
                f"This is the type {cls.oid}, not {str(config['oid'])[:80]!r}.", path="oid"
            )
        names.check(config["name"])
        try:
            return config, codec.convert(config, cls.Config, what="device")
        except BadInputError as error:
            raise BadDeviceError(error.message, **error.fields) from error


def decode(json: Json) -> dict[str, Any]:
    """A device's dict with at least `oid` and `name`; a copy that shares nothing. Raises `BadDeviceError`."""
    try:
        text = codec.encode_json(json) if isinstance(json, dict) else json
        if len(text) > MAX_CONFIG_BYTES:
            raise BadDeviceError(f"A device's config has at most {MAX_CONFIG_BYTES} bytes.")
        config = codec.decode_json(text, dict[str, Any], what="device")
    except (BadInputError, TypeError, ValueError, RecursionError) as error:
        raise BadDeviceError(f"This is no JSON object that describes a device: {error}") from error
    for key in ("oid", "name"):
        if key not in config:
            raise DeviceFieldMissingError(f"A device needs {key!r}. Add it.", path=key)
    return config


def _own_template(kind: type[BaseDevice]) -> dict[str, Any]:
    """What `kind` adds to the type it is derived from."""
    above: dict[str, Any] = {}
    parent = kind.__mro__[1]
    if issubclass(parent, BaseDevice):
        above = _schema(parent.Config)["properties"]
    schema = _schema(kind.Config)
    own = {key: value for key, value in schema["properties"].items() if above.get(key) != value}
    needed = [key for key in schema.get("required", ()) if key not in above]
    commands = {one.name: one.description() for one in kind.__dict__.get("own_commands", ())}
    return {"config": {"properties": own, "required": needed}, "commands": commands}


def _schema(config: type[BaseConfig]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.schema(config)["$defs"][config.__name__]
    return found


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, dict):
        return first | (second or {})
    return [*first, *(item for item in second or () if item not in first)]
