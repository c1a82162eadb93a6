"""Scenarios and their runs live: nothing is missed, nothing comes twice, also after coming back."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.parts.asgi import RefusedError
from tests.parts.automation import automation
from wayhouse.api.resources import scenario_streams
from wayhouse.api.resources.scenario_streams import Had, ScenarioStreams, had_before, steps_after
from wayhouse.automation.runs import RunSummary, RunTrace, Step
from wayhouse.automation.scenario import Scenario
from wayhouse.base.errors import BadInputError

STEPS = "for n in range(3):\n    variables['n'] = n\n"


@pytest.fixture
async def home(tmp_path):
    async with automation(tmp_path / "home") as one:
        yield one


async def test_a_run_from_its_first_step_to_its_end(home):
    await home.scenarios.add(Scenario(name="a", code=STEPS))
    run = await home.scenarios.run("a")
    frames = []
    async with home.websocket(f"/ws/runs/{run.id}", who="user") as socket:
        while not frames or "ended" not in str(frames[-1]) or frames[-1]["run"]["ended"] is None:
            frames.append(json.loads(await socket.receive()))
    assert frames[0]["run"]["id"] == run.id
    done = [one["step"]["number"] for one in frames if "step" in one and one["step"]["result"] is not None]
    assert done == [1, 2, 3]
    assert frames[-1]["run"]["outcome"] == "done"


async def test_a_run_that_is_over_and_coming_back(home):
    await home.scenarios.add(Scenario(name="a", code=STEPS))
    run = await home.scenarios.run("a")
    while home.scenarios.trace(run.id).run.ended is None:
        await asyncio.sleep(0.02)

    async def events(**more):
        headers = {"accept": "text/event-stream", **more}
        async with home.exchange("GET", f"/ws/runs/{run.id}", headers=headers) as stream:
            await stream.begin()
            return b"".join([part async for part in stream.parts()]).decode()

    whole = await events()
    assert [f"id: {n}" in whole for n in (1, 2, 3)] == [True, True, True]
    assert whole.rstrip().endswith("event: end\ndata:") or "event: end" in whole
    rest = await events(**{"last-event-id": "2"})
    assert '"number":3' in rest
    assert '"number":2' not in rest
    assert rest.count("data: {") == 2  # the third step, and that it is over


async def test_a_listener_that_falls_behind_misses_nothing(home, monkeypatch):
    monkeypatch.setattr(scenario_streams, "MOST_WAITING", 4)
    await home.scenarios.add(Scenario(name="a", code="wait(0.3)\n" + STEPS.replace("3", "50")))
    run = await home.scenarios.run("a")
    stream = ScenarioStreams(home.scenarios, home.events)._run_frames(run.id, None)
    frames = [await anext(stream)]
    while home.scenarios.trace(run.id).run.ended is None:
        await asyncio.sleep(0.02)
    frames += [frame async for frame in stream]
    told = [json.loads(frame.text) for frame in frames]
    done = [one["step"]["number"] for one in told if "step" in one and one["step"]["result"] is not None]
    assert done == list(range(1, 52))
    assert told[-1]["run"]["outcome"] == "done"


async def test_what_is_refused(home):
    with pytest.raises(RefusedError) as caught:
        async with home.websocket("/ws/runs/nothing"):
            pass
    assert caught.value.answer.status == 404
    with pytest.raises(RefusedError):
        async with home.websocket("/ws/scenarios/nobody"):
            pass
    with pytest.raises(RefusedError):
        async with home.websocket("/ws/runs/x", who="guest"):
            pass


async def test_a_scenario_live_until_it_is_gone(home):
    await home.scenarios.add(Scenario(name="a", code=STEPS))
    await home.scenarios.add(Scenario(name="other", code="wait(60)"))
    frames = []
    async with home.websocket("/ws/scenarios/a", who="user") as socket:
        frames.append(json.loads(await socket.receive()))
        await home.scenarios.run("other")
        run = await home.scenarios.run("a")
        while not (frames[-1].get("run") or {}).get("ended"):
            frames.append(json.loads(await socket.receive()))
        await home.scenarios.delete("a")
        while not frames[-1].get("is_gone"):
            frames.append(json.loads(await socket.receive()))
    assert frames[0]["view"]["name"] == "a"
    assert {one["run_id"] for one in frames if "run_id" in one} == {run.id}
    assert "other" not in json.dumps(frames)


async def test_coming_back_between_remarks(home):
    await home.scenarios.add(Scenario(name="a", code="now()\nfor n in range(4):\n    log(n)\nnow()\n"))
    run = await home.scenarios.run("a")
    while home.scenarios.trace(run.id).run.ended is None:
        await asyncio.sleep(0.02)
    streams = ScenarioStreams(home.scenarios, home.events)

    async def frames(cursor):
        return [frame async for frame in streams._run_frames(run.id, had_before(cursor))]

    whole = await frames(None)
    for place, frame in enumerate(whole[:-1]):
        assert [one.text for one in await frames(frame.cursor)] == [one.text for one in whole[place + 1 :]]
    assert "1.4" in {frame.cursor for frame in whole}


def test_cursors():
    assert had_before(None) is None
    assert had_before("12") == Had(12)
    assert had_before("12.3") == Had(12, 3)
    assert str(Had(12, 3)) == "12.3"
    for bad in ("-1", "x", "1" * 10, "٣", "1.", ".1", "1.2.3"):
        with pytest.raises(BadInputError):
            had_before(bad)
    run = RunSummary(id="r", scenario="a", cause="asked", started=1.0)
    steps = [Step(number=n, at=1.0, call="log", result="") for n in (5, 0, 0, 6)]
    trace = RunTrace(run=run, steps=steps, is_cut=True)
    assert [one.number for one in steps_after(trace, Had(5))] == [0, 0, 6]
    assert [one.number for one in steps_after(trace, Had(5, 1))] == [0, 6]
    assert [one.number for one in steps_after(trace, Had(3))] == [5, 0, 0, 6]
    assert [one.number for one in steps_after(trace, Had(6))] == []
