"""Media: a camera, and a television that groups the sub-devices `volume` and `channel`."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from wayhouse.devices.command import Command, DataSource, ValueType
from wayhouse.devices.device import BaseConfig, BaseDevice
from wayhouse.devices.types.dimmer import LEVEL
from wayhouse.devices.types.switch import POWER, ActuatorConfig


def press(name: str, info: str) -> Command:
    """A button: writing true presses it, and pressing it twice does it twice."""
    return Command(name=name, info=info, valuetype=ValueType.BOOL, writeonly=True, idempotent=False)


UP = press("up", "one step up")
DOWN = press("down", "one step down")


class MediaDevice(BaseDevice):
    oid: ClassVar[str] = "media"
    Config: ClassVar[type[BaseConfig]] = ActuatorConfig
    own_commands: ClassVar[tuple[Command, ...]] = (POWER,)


class CameraConfig(ActuatorConfig, kw_only=True):
    """`url` is where its picture is found; pictures do not travel over the bus."""

    url: Annotated[str, msgspec.Meta(max_length=2048)] = ""


class MediaCamera(MediaDevice):
    oid: ClassVar[str] = "media.camera"
    Config: ClassVar[type[BaseConfig]] = CameraConfig
    own_commands: ClassVar[tuple[Command, ...]] = (
        Command(
            name="url", info="where its picture is", valuetype=ValueType.STR, readonly=True, is_live=False
        ),
        Command(
            name="picture",
            info="its newest picture: time (Unix seconds), size (bytes) and media type",
            valuetype=ValueType.DICT,
            readonly=True,
        ),
        press("take", "take a picture"),
    )


class TVVolume(BaseDevice):
    oid: ClassVar[str] = "media.tv-volume"
    own_commands: ClassVar[tuple[Command, ...]] = (
        LEVEL,
        Command(name="mute", info="whether it is silent", valuetype=ValueType.BOOL),
        UP,
        DOWN,
    )


class TVChannel(BaseDevice):
    oid: ClassVar[str] = "media.tv-channel"
    own_commands: ClassVar[tuple[Command, ...]] = (
        Command(
            name="number",
            info="the channel that is shown",
            valuetype=ValueType.INT,
            minimum=0,
            maximum=9999,
            datasource=DataSource.GAUGE,
        ),
        UP,
        DOWN,
    )


class MediaTV(MediaDevice):
    oid: ClassVar[str] = "media.tv"
    subtypes: ClassVar[dict[str, type[BaseDevice]]] = {"volume": TVVolume, "channel": TVChannel}
