"""Scenarios and their runs as they happen. The base of the resource `scenarios`.

Rule: a stream begins with how it is, and what happens after that comes in order; that of a run ends with the run.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

from wayhouse.api import wire_automation as words
from wayhouse.api.table import Call, Frame, Frames, Incoming
from wayhouse.automation.runs import RunChanged, RunSummary, RunTrace, ScenarioChanged, Step, StepTaken
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.automation.scenario_service import ScenarioManager
    from wayhouse.base.events import Events, Subscription

MOST_WAITING = 10_000
_CURSOR = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?")


class ScenarioStreams:
    def __init__(self, scenarios: ScenarioManager, events: Events) -> None:
        self._all = scenarios
        self._events = events

    async def follow(self, call: Call, _incoming: Incoming) -> Frames:
        self._all.get(call.path["name"])
        return self._scenario_frames(call.path["name"])

    async def follow_run(self, call: Call, incoming: Incoming) -> Frames:
        resume = had_before(incoming.resume)
        self._all.trace(call.path["run"])
        return self._run_frames(call.path["run"], resume)

    async def _scenario_frames(self, name: str) -> Frames:
        heard: Subscription[Any] = self._events.subscribe(
            ScenarioChanged, RunChanged, StepTaken, limit=MOST_WAITING
        )
        with heard:
            last = self._all.runs(name, limit=1)
            runs = {one.id for one in last}
            yield _text(words.ScenarioFrame(view=self._all.view(name), run=last[0] if last else None))
            async for event in heard:
                frame = _frame(event, name, runs)
                if frame is not None:
                    yield _text(frame)
                    if frame.is_gone:
                        return

    async def _run_frames(self, run_id: str, resume: Had | None) -> Frames:
        had = resume or Had()
        if resume is None:
            yield Frame(_text(words.RunFrame(run=self._all.trace(run_id).run)), str(had))
        while True:
            async with aclosing(self._told(run_id, had)) as told:
                async for step, run in told:
                    if run is not None:
                        yield Frame(_text(words.RunFrame(run=run)), str(had))
                        return
                    if step is not None:
                        had = had.after(step)
                        yield Frame(_text(words.RunFrame(step=step)), str(had))

    async def _told(self, run_id: str, had: Had) -> AsyncGenerator[tuple[Step | None, RunSummary | None]]:
        """Steps, and the run when it has ended. It also ends when events were lost: begin again, then the trace has them."""
        heard: Subscription[Any] = self._events.subscribe(RunChanged, StepTaken, limit=MOST_WAITING)
        with heard:
            trace = self._all.trace(run_id)
            for step in steps_after(trace, had):
                yield step, None
            if trace.run.ended is not None:
                yield None, trace.run
            async for event in heard:
                if heard.lost:
                    return
                if isinstance(event, StepTaken) and event.run_id == run_id:
                    yield event.step, None
                elif isinstance(event, RunChanged) and event.run.id == run_id and event.run.ended is not None:
                    yield None, event.run


class Had(NamedTuple):
    """How far a listener is: the number of the last step that it had with its result, and how many remarks after that."""

    step: int = 0
    remarks: int = 0

    def __str__(self) -> str:
        return f"{self.step}.{self.remarks}" if self.remarks else str(self.step)

    def after(self, step: Step) -> Had:
        if not step.number:
            return Had(self.step, self.remarks + 1)
        return self if step.result is None else Had(step.number)


def had_before(cursor: str | None) -> Had | None:
    """Raises `BadInputError`."""
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadInputError(
            "The cursor of a run's stream is the number of the last step you have had, as `3`, and how many remarks after it, "
            "as `3.2`. Leave it out to begin with the first.",
            path="resume",
        )
    return Had(int(found[1]), int(found[2] or 0))


def steps_after(trace: RunTrace, had: Had) -> Sequence[Step]:
    """What a listener has not had yet; of a trace that was cut in between, what there is."""
    place = next((at for at, step in enumerate(trace.steps) if step.number == had.step and had.step), None)
    rest = trace.steps if place is None else trace.steps[place + 1 :]
    skipped = had.remarks
    found = list[Step]()
    for step in rest:
        if not step.number and skipped:
            skipped -= 1
        elif not step.number or step.number > had.step:
            found.append(step)
    return found


def _frame(event: Any, name: str, runs: set[str]) -> words.ScenarioFrame | None:
    """What an event tells of the scenario `name`; `runs` are the runs that are known to be its own."""
    match event:
        case ScenarioChanged() if event.name == name:
            return words.ScenarioFrame(view=event.view, is_gone=event.view is None)
        case RunChanged() if event.run.scenario == name:
            runs.add(event.run.id)
            return words.ScenarioFrame(run=event.run)
        case StepTaken() if event.run_id in runs:
            return words.ScenarioFrame(run_id=event.run_id, step=event.step)
        case _:
            return None


def _text(frame: words.ScenarioFrame | words.RunFrame) -> str:
    return codec.encode_json(frame).decode()
