"""The whole table, gathered from the resources: what the gateway can be asked."""

from __future__ import annotations

from wayhouse.api.resources import (
    auth,
    bus,
    bus_peers,
    changes,
    chutes,
    clock,
    config,
    crons,
    devices,
    info,
    overlays,
    readings,
    scenarios,
    system,
)
from wayhouse.api.table import Rows

AUTOMATION: Rows = (*crons.ROWS, *scenarios.ROWS, *clock.ROWS)
"""Jobs, scenarios and the clock."""

DEVICES: Rows = (*devices.ROWS, *readings.ROWS)
"""Devices and their history."""

ALL: Rows = (
    *auth.ROWS,
    *chutes.ROWS,
    *changes.ROWS,
    *config.ROWS,
    *info.ROWS,
    *system.ROWS,
    *DEVICES,
    *AUTOMATION,
    *bus.ROWS,
    *bus_peers.ROWS,
    *overlays.ROWS,
)
