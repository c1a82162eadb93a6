"""The machine's status as few numbers: processors, memory, the fullest disk, uptime. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from wayhouse.host.model import Status


class Share(msgspec.Struct, frozen=True):
    """Bytes used of all; `percent` 0 to 100."""

    used: int
    total: int
    percent: float
    name: str = ""


class Strip(msgspec.Struct, frozen=True):
    """`cores` in per cent. `disk` is the one that holds `/`, or the fullest."""

    cpu: float
    cores: list[float]
    memory: Share
    disk: Share
    uptime: int


def strip_of(status: Status, uptime: int) -> Strip:
    cores = [_clamped(value) for value in status.get("cpu_load", [])]
    memory = status.get("mem", {})
    total = int(memory.get("total", 0))
    return Strip(
        cpu=round(sum(cores) / len(cores), 1) if cores else 0.0,
        cores=cores,
        memory=_share(total - int(memory.get("available", 0)), total),
        disk=_disk(status.get("disk", {})),
        uptime=uptime,
    )


def disks_of(status: Status) -> list[Share]:
    """All disks, the fullest first."""
    disks = [
        _share(int(one["used"]), int(one["total"]), name) for name, one in status.get("disk", {}).items()
    ]
    return sorted(disks, key=lambda disk: -disk.percent)


def _disk(disks: dict[str, Any]) -> Share:
    found = disks_of({"disk": disks})
    roots = [disk for disk in found if disk.name == "/"]
    return (roots or found or [_share(0, 0)])[0]


def _share(used: int, total: int, name: str = "") -> Share:
    return Share(used, total, _clamped(round(100 * used / total, 1)) if total > 0 else 0.0, name)


def _clamped(value: float) -> float:
    return min(100.0, max(0.0, float(value)))
