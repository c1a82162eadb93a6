"""Tells systemd how the gateway is, when systemd asked to be told; the protocol's home is `runtime.systemd`."""

from __future__ import annotations

from wayhouse.runtime.systemd import notify

__all__ = ["notify"]
