"""What goes over the wire about jobs and scenarios, beside the words of the automation room, which go as they are.

Read by OpenAPI, the typed client and the commands; nothing here does anything.
"""

from __future__ import annotations

import msgspec

from wayhouse.automation.model import CatchUp
from wayhouse.automation.parameter import Plain
from wayhouse.automation.runs import RunSummary, ScenarioView, Step
from wayhouse.automation.scenario import Scenario


class CronView(msgspec.Struct, frozen=True, kw_only=True):
    """A job. `meaning` says its schedule in words; `last_run` and `next_run` are Unix seconds, None: never, or paused."""

    name: str
    schedule: str
    meaning: str
    catch_up: CatchUp
    limit: int
    is_paused: bool
    last_run: float | None
    next_run: float | None


class CronOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job as it should be. `catch_up`: what is done about times that passed while the gateway was off; `limit`: of them, with `all`."""

    name: str
    schedule: str
    catch_up: CatchUp = CatchUp.NONE
    limit: int = 10
    is_paused: bool = False


class CronChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What should be other; what is missing stays. `name` gives it another name."""

    name: str | None = None
    schedule: str | None = None
    catch_up: CatchUp | None = None
    limit: int | None = None
    is_paused: bool | None = None


class SchedulePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a schedule means: in words, and as the `next` times in Unix seconds. `zone`: of the gateway's clocks."""

    schedule: str
    meaning: str
    zone: str
    next: list[float]


class ScenarioDetail(msgspec.Struct, frozen=True, kw_only=True):
    """`view`: how it does; `scenario`: what it is, with its code."""

    view: ScenarioView
    scenario: Scenario


class VariableValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Plain


class RehearsalOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the scenario called `name`, or of `scenario` as it is given; `start` and `end` are Unix seconds."""

    start: float
    end: float
    name: str | None = None
    scenario: Scenario | None = None


class ScenarioFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the stream of a scenario: its state, a run that began or ended, or a step of one. `is_gone`: it was deleted or renamed."""

    view: ScenarioView | None = None
    run: RunSummary | None = None
    run_id: str | None = None
    step: Step | None = None
    is_gone: bool = False


class RunFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the stream of a run: a step that was begun (its `result` is null) or is done, or the run itself: first, and when it has ended."""

    run: RunSummary | None = None
    step: Step | None = None
