"""How a process is known again after the daemon was away: pid, start time and boot, so a reused pid is not mistaken."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if there is none or it only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def identify(pid: int) -> dict[str, Any]:
    return {"pid": pid, "ticks": start_ticks(pid), "boot": boot_id()}


def is_same(identity: dict[str, Any]) -> bool:
    """Whether the process that was identified still runs."""
    pid, ticks = identity.get("pid"), identity.get("ticks")
    if not isinstance(pid, int) or ticks is None or identity.get("boot") != boot_id():
        return False
    return bool(start_ticks(pid) == ticks)
