"""The verbs of the host: what this machine is and how it does. `api` calls it; `gateway` hands over the drivers."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import msgspec

from wayhouse import __version__
from wayhouse.base.clock import Clock
from wayhouse.host import environment, facts, settings_view, telemetry
from wayhouse.host.drivers.psutil import Psutil
from wayhouse.host.drivers.snapd import Snapd
from wayhouse.host.drivers.sysfs import Sysfs
from wayhouse.host.kept import Kept
from wayhouse.host.machine_id import NodeId
from wayhouse.host.model import Hardware, Software, Status, Telemetry
from wayhouse.host.ports import ChutesAtWork, NoChutes

STATUS_FRESH_S = 0.8
FACTS_FRESH_S = 1.0


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway tells the host about itself. `features` are ParaDrop's words ("hostapd-control", "audio");
    `legacy_settings` are shown under ParaDrop's names beside our own `settings`."""

    features: tuple[str, ...] = ()
    environ: Mapping[str, str] = msgspec.field(default_factory=lambda: os.environ)
    settings: Mapping[str, Any] = {}
    legacy_settings: Mapping[str, Any] = {}


class Host:
    """Facts are read at most once a second, however many ask. `snapd` and `node` are used as they are."""

    def __init__(
        self,
        clock: Clock,
        node: NodeId,
        *,
        chutes: ChutesAtWork | None = None,
        files: Sysfs | None = None,
        meters: Psutil | None = None,
        snapd: Snapd | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.node = node
        self.snapd = snapd or Snapd(clock)
        self._clock = clock
        self._chutes = chutes or NoChutes()
        self._files = files or Sysfs()
        self._meters = meters or Psutil()
        self._surroundings = surroundings or Surroundings()
        self._status = Kept(self._meters.status, clock, STATUS_FRESH_S)
        self._hardware = Kept(self._read_hardware, clock, FACTS_FRESH_S)
        self._software = Kept(self._read_software, clock, FACTS_FRESH_S)

    async def hardware(self) -> Hardware:
        """Radios come and go on USB, so this may change."""
        return await self._hardware.get()

    async def software(self) -> Software:
        return await self._software.get()

    def features(self) -> list[str]:
        """What this gateway can do."""
        return sorted(self._surroundings.features)

    async def status(self) -> Status:
        return await self._status.get()

    async def telemetry(self) -> Telemetry:
        return await telemetry.report(self._meters, self._chutes, self._clock)

    def environment(self) -> dict[str, str]:
        """The daemon's environment; what looks like a secret is masked."""
        return environment.shown(self._surroundings.environ)

    def settings(self) -> dict[str, Any]:
        """All settings under flat lower-case names; what looks like a secret is masked."""
        return settings_view.view(self._surroundings.settings, self._surroundings.legacy_settings)

    def pdid(self) -> str:
        """The node id; "" until the gateway is provisioned."""
        return self.node.current()

    def _read_hardware(self) -> Hardware:
        return facts.hardware(self._files, machine=platform.machine())

    def _read_software(self) -> Software:
        read = facts.software(self._files, kernel=platform.release(), version=__version__)
        return msgspec.structs.replace(read, uptime=facts.uptime_s(self._files.text("proc/uptime") or ""))
