"""Devices of other gateways that share them with this one: read, commanded and remembered here like one's own.

What is on the far side is a `ports.FarHouse`, which the gateway makes of its overlays. Rule: a far gateway is not trusted: what it says has the form that
its type has here, names are made to fit, and texts are shortened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wayhouse.devices import names
from wayhouse.devices.model import Found, Place, Value
from wayhouse.devices.ports import FarHouse, Listener

NAME = "peers"
MAX_OID = 64
SHAPING = ("unit", "minimum", "maximum")


class PeersDriver:
    name = NAME

    def __init__(self, house: FarHouse) -> None:
        self._house = house

    def listen(self, listener: Listener) -> None:
        self._house.listen(listener)

    async def scan(self) -> Sequence[Found]:
        return await self._house.devices()

    async def read(self, place: Place, command: str, now: float) -> Value:
        return await self._house.read(place.address, command)

    async def write(self, place: Place, command: str, value: Value, now: float) -> None:
        await self._house.command(place.address, command, value)

    def close(self) -> None:
        """The connections are the gateway's."""


def found(address: str, gateway: str, name: str, oid: str, config: Mapping[str, Any]) -> Found:
    """A far device as it joins here: `<gateway>_<name>`, told and not polled. Whether its type is known is for the roster to say."""
    shaping = {key: config[key] for key in SHAPING if key in config}
    return Found(address, oid[:MAX_OID], {"name": name_of(gateway, name), "poll": 0, **shaping})


def name_of(gateway: str, name: str) -> str:
    """One that a device may have."""
    text = f"{gateway}_{name}"
    fit = "".join(" " if one in names.SEPARATORS or not one.isprintable() else one for one in text)
    return " ".join(fit.split())[: names.MAX_NAME - 4].strip() or "device"
