"""The settings tree of the gateway, put together from the pieces that the rooms declare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from wayhouse.access.model import AccessSettings
from wayhouse.api.apps import WebSettings
from wayhouse.api.http import ApiSettings
from wayhouse.automation.clock_model import ClockSettings
from wayhouse.automation.model import Place
from wayhouse.automation.runs import ScenarioSettings
from wayhouse.base import codec, settings
from wayhouse.base.settings import Paths
from wayhouse.bus.processes import BusSettings
from wayhouse.chutes.model import ChuteSettings
from wayhouse.devices.drivers.settings import DeviceSettings

FILE = "wayhouse.toml"


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `[gateway]`. `listen` is HOST:PORT. `tls`: "off", "self-made" (a certificate of the gateway's own) or
    "given" (`tls_certificate` and `tls_key` are PEM files)."""

    listen: str = "127.0.0.1:8080"
    tls: Literal["off", "self-made", "given"] = "off"
    tls_certificate: str | None = None
    tls_key: str | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gateway: GatewaySettings = GatewaySettings()
    access: AccessSettings = AccessSettings()
    api: ApiSettings = ApiSettings()
    chutes: ChuteSettings = ChuteSettings()
    web: WebSettings = WebSettings()
    bus: BusSettings = BusSettings()
    devices: DeviceSettings = DeviceSettings()
    place: Place = Place()
    scenarios: ScenarioSettings = ScenarioSettings()
    clock: ClockSettings = ClockSettings()


def load(paths: Paths, env: Mapping[str, str], *, file: Path | None = None) -> Settings:
    """The settings from `file` (default: `wayhouse.toml` in the configuration directory) and the environment.

    Raises `BadInputError` naming the faulty key.
    """
    relevant = {name: value for name, value in env.items() if name != "WAYHOUSE_ADMIN_PASSWORD"}
    return settings.load(Settings, file or paths.config / FILE, relevant)


def legacy(tree: Settings, paths: Paths) -> dict[str, Any]:
    """What ParaDrop's `/config/settings` showed, where it means something here."""
    port = tree.gateway.listen.rpartition(":")[2]
    return {
        "allow_monitor_mode": tree.chutes.allow_monitor_mode,
        "chute_config_file": "paradrop.yaml",
        "concurrent_builds": True,
        "config_home_dir": str(paths.config),
        "runtime_home_dir": str(paths.runtime),
        "log_dir": str(paths.data / "logs"),
        "key_dir": str(paths.config / "keys"),
        "container_uid": tree.chutes.container_uid,
        "default_panel_username": tree.access.default_user,
        "external_data_dir": str(paths.data / "chute-data" / "{chute}"),
        "external_system_dir": str(paths.runtime / "system" / "{chute}"),
        "internal_data_dir": "/data/",
        "internal_system_dir": "/paradrop/",
        "local_domain": "paradrop.io",
        "portal_server_port": int(port) if port.isdigit() else None,
        "reject_downgrade": False,
    }


def plain(tree: Settings) -> dict[str, Any]:
    value: dict[str, Any] = codec.to_builtins(tree)
    return value
