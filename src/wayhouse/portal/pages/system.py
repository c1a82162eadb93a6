"""The machine: what it is made of, how it does (live), the daemon's log and its settings."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from wayhouse.access.policy import Right
from wayhouse.api.wire import VersionView
from wayhouse.host.model import Hardware, Software
from wayhouse.host.service import Host
from wayhouse.portal.meters import disks_of, strip_of
from wayhouse.portal.model import Answer, Page, Visit
from wayhouse.portal.templates import Templates

INSIDE = r"^(lo|docker|podman|cni|br-|veth|virbr|ifb|whc)"
"""Interfaces that lead to apps, or nowhere: traffic there has been, or will be, counted elsewhere."""

TAIL_BYTES = 64 * 1024
TAIL_LINES = 300


class SystemPages:
    def __init__(self, host: Host, templates: Templates, version: VersionView, log_file: Path | None) -> None:
        self._host = host
        self._templates = templates
        self._version = version
        self._log_file = log_file

    def pages(self) -> list[Page]:
        return [
            Page("GET", "/system", Right.SEE, self.overview),
            Page("GET", "/system/log", Right.ADMINISTER, self.log),
            Page("GET", "/system/settings", Right.ADMINISTER, self.settings),
        ]

    async def overview(self, visit: Visit) -> Answer:
        hardware, software = await self._host.hardware(), await self._host.software()
        status = await self._host.status()
        return self._templates.page(
            "system.html",
            visit,
            strip=strip_of(status, software.uptime),
            disks=disks_of(status),
            links=[
                (name, one)
                for name, one in sorted(status.get("network", {}).items())
                if one.get("isup") and re.match(INSIDE, name) is None
            ],
            inside=INSIDE,
            facts=_facts(hardware, software, self._version, self._host.pdid()),
            wifi=hardware.wifi,
        )

    async def log(self, visit: Visit) -> Answer:
        lines = await asyncio.to_thread(last_lines, self._log_file) if self._log_file else []
        return self._templates.page("system_log.html", visit, lines=lines)

    async def settings(self, visit: Visit) -> Answer:
        settings = [(name, _shown(value)) for name, value in self._host.settings().items()]
        return self._templates.page(
            "system_settings.html", visit, settings=settings, environment=self._host.environment()
        )


def last_lines(file: Path) -> list[dict[str, Any]]:
    """The end of a log of JSON lines; what cannot be read is left out."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - TAIL_BYTES))
            texts = opened.read(TAIL_BYTES).splitlines()
    except OSError:
        return []
    return [line for text in texts[-TAIL_LINES:] if (line := _line(text)) is not None]


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
        return {
            "time": float(line["timestamp"]),
            "level": str(line["level"]),
            "message": str(line["message"]),
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _facts(hardware: Hardware, software: Software, version: VersionView, node: str) -> list[tuple[str, str]]:
    machine = " ".join(part for part in (hardware.vendor or "", hardware.board.strip()) if part)
    firmware = " ".join(
        part for part in (software.bios_vendor, software.bios_version, software.bios_date) if part
    )
    facts = [
        ("Machine", machine),
        ("Processor", hardware.cpu),
        ("Firmware", firmware),
        ("System", software.os_version or ""),
        ("Kernel", software.kernel_version.replace("Linux-", "Linux ")),
        ("Wayhouse", version.version),
        ("Engine", f"{version.engine} ({version.engine_version})"),
        ("Node id", node),
    ]
    return [(name, text) for name, text in facts if text]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
