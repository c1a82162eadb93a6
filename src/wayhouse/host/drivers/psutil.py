"""What psutil knows of this machine, as plain data. Every call may take some milliseconds: call it in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psutil

MOUNTS = ("/", "/writable")
PROCESS_FACTS = ("cpu_num", "cpu_times", "create_time", "memory_info", "num_ctx_switches", "num_threads")
_SKIPPED = {"lo", "br-lan", "docker0", "wlan0"}
_MEMORY = ("total", "available", "free", "cached", "buffers")
_COUNTERS = (
    "bytes_sent",
    "bytes_recv",
    "packets_sent",
    "packets_recv",
    "errin",
    "errout",
    "dropin",
    "dropout",
)


class Psutil:
    """Keeps the last processor times itself: `psutil.cpu_percent` remembers them per thread, and threads vary here."""

    def __init__(self) -> None:
        self._cpu_times = psutil.cpu_times(percpu=True)

    def status(self) -> dict[str, Any]:
        """The fields of a `Status`."""
        memory = psutil.virtual_memory()
        before, self._cpu_times = self._cpu_times, psutil.cpu_times(percpu=True)
        return {
            "cpu_load": cpu_load(before, self._cpu_times),
            "mem": {name: getattr(memory, name, 0) for name in _MEMORY},
            "disk": {mount: {"total": total, "used": used} for mount, total, used in _disks(MOUNTS)},
            "network": {name: facts for name, facts in _interfaces() if not is_skipped(name)},
        }

    def interfaces(self) -> list[dict[str, Any]]:
        """All network interfaces, as the telemetry shows them."""
        addresses, counters = psutil.net_if_addrs(), psutil.net_io_counters(pernic=True)
        return [
            {
                "isup": stats.isup,
                "duplex": int(stats.duplex),
                "speed": stats.speed,
                "mtu": stats.mtu,
                "flags": getattr(stats, "flags", ""),
                "addresses": [
                    plain(address) | {"family": int(address.family)} for address in addresses.get(name, ())
                ],
                "io_counters": plain(counters.get(name)),
                "name": name,
                "type": None,
            }
            for name, stats in sorted(psutil.net_if_stats().items())
        ]

    def system(self) -> dict[str, Any]:
        """The part `system` of the telemetry."""
        mounts = dict.fromkeys(part.mountpoint for part in psutil.disk_partitions())
        return {
            "boot_time": psutil.boot_time(),
            "cpu_count": psutil.cpu_count() or 1,
            "cpu_stats": plain(psutil.cpu_stats()),
            "cpu_times": [plain(times) for times in psutil.cpu_times(percpu=True)],
            "disk_io_counters": plain(psutil.disk_io_counters()),
            "disk_usage": [
                {"mountpoint": mount, "total": total, "used": used} for mount, total, used in _disks(mounts)
            ],
            "net_io_counters": plain(psutil.net_io_counters()),
            "swap_memory": plain(psutil.swap_memory()),
            "virtual_memory": plain(psutil.virtual_memory()),
        }

    def process(self, pid: int) -> dict[str, Any] | None:
        """The facts of one process; None if it is gone."""
        try:
            facts = psutil.Process(pid).as_dict(PROCESS_FACTS)
        except (psutil.Error, ValueError, OverflowError):
            return None
        return {name: plain(value) for name, value in facts.items()}


def cpu_load(before: Sequence[Any], after: Sequence[Any]) -> list[int]:
    """Percent per core between two readings of the processor times; 0 where no time has passed."""
    return [
        _percent(_busy_s(new) - _busy_s(old), _total_s(new) - _total_s(old))
        for old, new in zip(before, after, strict=False)
    ]


def _percent(busy_s: float, total_s: float) -> int:
    return max(0, min(100, round(100 * busy_s / total_s))) if total_s > 0 else 0


def _total_s(times: Any) -> float:
    """`guest` times are in `user` and `nice` already."""
    return float(sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def _busy_s(times: Any) -> float:
    return float(_total_s(times) - times.idle - getattr(times, "iowait", 0.0))


def is_skipped(name: str) -> bool:
    """Interfaces that the status leaves out: the host's inner ones."""
    return name in _SKIPPED or name.startswith("veth") or "." in name


def plain(value: Any) -> Any:
    """psutil's named tuples as objects."""
    return value._asdict() if hasattr(value, "_asdict") else value


def _interfaces() -> Iterable[tuple[str, dict[str, Any]]]:
    addresses, counters = psutil.net_if_addrs(), psutil.net_io_counters(pernic=True)
    for name, stats in sorted(psutil.net_if_stats().items()):
        facts: dict[str, Any] = {"isup": stats.isup, "speed": stats.speed, "mtu": stats.mtu}
        facts |= _addresses(addresses.get(name, ()))
        facts |= {key: getattr(counters.get(name), key, 0) for key in _COUNTERS}
        yield name, facts


def _addresses(addresses: Iterable[Any]) -> Mapping[str, str]:
    facts: dict[str, str] = {}
    for address in addresses:
        if address.family.name == "AF_INET" and "ipv4" not in facts:
            facts |= {"ipv4": address.address, "netmask": address.netmask}
        elif address.family.name in {"AF_PACKET", "AF_LINK"}:
            facts["mac"] = address.address
    return facts


def _disks(mounts: Iterable[str]) -> Iterable[tuple[str, int, int]]:
    for mount in mounts:
        try:
            usage = psutil.disk_usage(mount)
        except OSError:
            continue
        yield mount, usage.total, usage.used
