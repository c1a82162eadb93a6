"""What beside the apps deserves attention: devices that are away, scenarios that failed. For the first page."""

from __future__ import annotations

from typing import Literal

import msgspec

from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.devices.service import Devices
from wayhouse.portal import scenario_rows
from wayhouse.portal.device_rows import Standing, standing_of
from wayhouse.portal.model import Visit, device_path, scenario_path

SHOWN = 5


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """`since` is Unix seconds: when the device was last seen, when the run began."""

    kind: Literal["device", "scenario"]
    name: str
    path: str
    word: str
    text: str
    since: float | None


class TroubleList(msgspec.Struct, frozen=True):
    """The first `SHOWN` of each kind, and where the others are: (number, words, path)."""

    shown: list[Trouble]
    more: list[tuple[int, str, str]]


class Troubles:
    def __init__(self, devices: Devices, scenarios: ScenarioManager) -> None:
        self._devices = devices
        self._scenarios = scenarios

    def of(self, visit: Visit) -> TroubleList:
        """Nothing for who may not see devices."""
        if not visit.sees_devices:
            return TroubleList([], [])
        away, failed = self._away(), self._failed()
        more = [
            (len(away) - SHOWN, "devices are away", "/devices?state=failing"),
            (len(failed) - SHOWN, "scenarios failed", "/scenarios"),
        ]
        return TroubleList([*away[:SHOWN], *failed[:SHOWN]], [one for one in more if one[0] > 0])

    def _away(self) -> list[Trouble]:
        return [
            Trouble(
                kind="device",
                name=one.name,
                path=device_path(one.id),
                word="Away",
                text=one.reason,
                since=one.last_seen,
            )
            for one in self._devices.all()
            if standing_of(one) is Standing.AWAY
        ]

    def _failed(self) -> list[Trouble]:
        rows = [scenario_rows.row_of(view) for view in self._scenarios.list()]
        return [_failure(row) for row in rows if row.has_failed]


def _failure(row: scenario_rows.ScenarioRow) -> Trouble:
    last = row.view.last_run
    if last is None or last.outcome not in scenario_rows.BAD:
        path, word, text, since = scenario_path(row.view.name), row.word, row.view.reason, None
    else:
        run = scenario_rows.run_row(last)
        path, word, text, since = run.path, run.word, last.error, last.started
    return Trouble(kind="scenario", name=row.view.name, path=path, word=word, text=text, since=since)
