"""The whole table, gathered from the resources: what the gateway can be asked."""

from __future__ import annotations

from wayhouse.api.resources import auth, changes, chutes, config, info, system
from wayhouse.api.table import Rows

ALL: Rows = (*auth.ROWS, *chutes.ROWS, *changes.ROWS, *config.ROWS, *info.ROWS, *system.ROWS)
