"""The words of the host: facts, status, telemetry and the errors of its drivers.

Field names are those of ParaDrop's API where a struct goes out as it is (`rename="camel"` does the rest).
"""

from __future__ import annotations

from typing import Any

import msgspec

from wayhouse.base.errors import BadInputError, OutsideError, UnavailableError


class WifiCard(msgspec.Struct, frozen=True, rename="camel"):
    """One radio. `id` is "pci-wifi-0", `slot` "pci/0000:04:00.0" or "usb/1-1:1.0"; "????" where nothing is known."""

    id: str
    mac_addr: str
    vendor_id: str
    device_id: str
    slot: str


class Hardware(msgspec.Struct, frozen=True):
    """`vendor` is None and `board` a single space where the firmware says nothing; `memory` is in bytes."""

    vendor: str | None
    board: str
    cpu: str
    memory: int
    wifi: tuple[WifiCard, ...] = ()


class Software(msgspec.Struct, frozen=True, rename="camel"):
    """`kernel_version` is "Linux-<release>", `pd_version` this product's version, `uptime` whole seconds."""

    bios_vendor: str | None
    bios_version: str | None
    bios_date: str | None
    kernel_version: str
    os_version: str | None
    pd_version: str
    uptime: int


Status = dict[str, Any]
"""`{"cpu_load": [%], "mem": {...}, "disk": {mount: {...}}, "network": {interface: {...}}}`."""

Telemetry = dict[str, Any]
"""`{"time", "chutes": [...], "network": [...], "system": {...}}`."""


class ChuteAtWork(msgspec.Struct, frozen=True):
    """One service of a chute for the telemetry. `pid` is its first process as the host sees it, None if it does not
    run; `interfaces` maps host interfaces to their type ("wifi-ap", "vlan", ...)."""

    name: str
    state: str
    pid: int | None = None
    interfaces: dict[str, str] = {}


class SnapdReply(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    content_type: str


class SnapdMissingError(UnavailableError):
    code = "snapd-missing"
    title = "snapd does not run here"


class SnapdFailedError(OutsideError):
    code = "snapd-failed"
    title = "snapd gave no proper answer"


class BadSnapdRequestError(BadInputError):
    code = "bad-snapd-request"
    title = "This cannot be sent to snapd"


class PowerError(OutsideError):
    code = "power-failed"
    title = "The machine refused"
