"""Tells the service manager that the daemon's loop still turns, where it asked for that. Called by `life.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from wayhouse.runtime import systemd


async def beat(env: Mapping[str, str]) -> None:
    """Twice in the time after which the manager would restart this process; returns at once where nobody watches."""
    patience_s = systemd.watchdog_s(env)
    while patience_s is not None:
        systemd.watchdog(env)
        await asyncio.sleep(patience_s / 2)
