"""Scenarios over the API: their life, runs, rehearsals and files."""

from __future__ import annotations

import asyncio

import pytest

from tests.parts.automation import automation
from wayhouse.automation import scenario_file
from wayhouse.automation.runs import Rehearsal
from wayhouse.automation.scenario import Conf, Scenario
from wayhouse.base import codec

AT = "/api/v1/scenarios"
WARM = {
    "name": "warm",
    "entries": {"room": "device:room"},
    "parameters": {"limit": {"kind": "number"}},
    "when": {"is": "above", "source": "room", "value": 25},
    "code": "command('lamp', 'power', True)\nlog(settings.limit)\n",
}


@pytest.fixture
async def home(tmp_path):
    async with automation(tmp_path / "home") as one:
        yield one


async def ended(home, run_id):
    while True:
        found = (await home.ask("GET", f"/api/v1/runs/{run_id}")).json()
        if found["run"]["ended"] is not None:
            return found
        await asyncio.sleep(0.02)


async def test_the_life_of_a_scenario(home):
    made = (await home.ask("POST", AT, WARM)).json()
    assert (made["name"], made["state"], made["reason"]) == ("warm", "asleep", "Set limit.")
    assert [one["name"] for one in (await home.ask("GET", AT, who="user")).json()] == ["warm"]
    detail = (await home.ask("GET", f"{AT}/warm", who="user")).json()
    assert (detail["view"]["values"], detail["scenario"]["code"]) == ({"room": 20.0}, WARM["code"])
    assert (await home.ask("POST", f"{AT}/warm/run")).json()["code"] == "scenario-not-ready"
    assert (await home.ask("PUT", f"{AT}/warm/values", {"limit": 30})).json()["state"] == "asleep"
    assert (await home.ask("POST", f"{AT}/warm/enable")).json()["state"] == "watching"
    assert (await home.ask("POST", f"{AT}/warm/disable")).json()["state"] == "asleep"
    renamed = {**detail["scenario"], "name": "hot", "values": {"limit": 31}}
    assert (await home.ask("PUT", f"{AT}/warm", renamed)).json()["name"] == "hot"
    assert (await home.ask("GET", f"{AT}/warm")).json()["code"] == "no-such-scenario"
    assert (await home.ask("DELETE", f"{AT}/hot")).json() == {"success": True}
    assert (await home.ask("GET", AT)).json() == []


async def test_a_run_and_its_trace(home):
    await home.ask("POST", AT, {**WARM, "values": {"limit": 30}})
    run = (await home.ask("POST", f"{AT}/warm/run")).json()
    assert (run["scenario"], run["cause"], run["outcome"]) == ("warm", "asked", "running")
    trace = await ended(home, run["id"])
    assert trace["run"]["outcome"] == "done"
    assert home.house.done == [("lamp", "power", True)]
    assert [one["call"] for one in trace["steps"]] == ["command", "log"]
    assert (await home.ask("GET", f"{AT}/warm/runs")).json() == [trace["run"]]
    assert (await home.ask("GET", "/api/v1/runs?limit=1")).json() == [trace["run"]]
    assert (await home.ask("GET", f"{AT}/nobody/runs")).status == 404
    assert (await home.ask("GET", "/api/v1/runs/nothing")).json()["code"] == "no-such-run"


async def test_stopping(home):
    await home.ask("POST", AT, {"name": "long", "code": "wait(60)"})
    await home.ask("POST", f"{AT}/long/run")
    assert (await home.ask("POST", f"{AT}/long/stop")).json()["outcome"] == "stopped"
    assert (await home.ask("POST", f"{AT}/long/stop")).status == 409


async def test_variables(home):
    await home.ask("POST", AT, {"name": "a"})
    at = f"{AT}/a/variables"
    assert (await home.ask("PUT", f"{at}/count", {"value": 3})).json() == {"count": 3}
    assert (await home.ask("GET", at, who="user")).json() == {"count": 3}
    assert (await home.ask("PUT", f"{at}/state", {"value": 3})).status == 400
    assert (await home.ask("PUT", f"{at}/count", {"value": [3]})).status == 400
    assert (await home.ask("DELETE", f"{at}/count")).json() == {}


async def test_rehearsing(home):
    home.house.past["device:room"] = [(1000.0, 20.0), (1060.0, 26.0), (1120.0, 20.0)]
    order = {"start": 900, "end": 1200, "scenario": {**WARM, "values": {"limit": 30}}}
    found = codec.decode_json((await home.ask("POST", f"{AT}/rehearse", order)).body, Rehearsal)
    assert [round(one.at) for one in found.firings] == [1060]
    assert home.house.done == []
    await home.ask("POST", AT, {**WARM, "values": {"limit": 30}})
    named = {"start": 900, "end": 1200, "name": "warm"}
    assert len((await home.ask("POST", f"{AT}/rehearse", named)).json()["firings"]) == 1
    for bad in ({"start": 900, "end": 1200}, {**order, "name": "warm"}):
        assert (await home.ask("POST", f"{AT}/rehearse", bad)).status == 400


async def test_files(home):
    await home.ask("POST", AT, {**WARM, "values": {"limit": 30}, "conf": {"active": True}})
    answer = await home.ask("GET", f"{AT}/warm/export", who="user")
    assert answer.headers["content-type"].startswith("application/toml")
    shared = scenario_file.read(answer.body.decode())
    assert (shared.values, shared.conf.active) == ({}, False)
    whole = scenario_file.read((await home.ask("GET", f"{AT}/warm/export?format=json&whole=1")).body.decode())
    assert (whole.values, whole.conf.active) == ({"limit": 30}, True)
    store = (await home.ask("GET", f"{AT}/warm/export?format=store&whole=1")).body
    assert (await home.ask("GET", f"{AT}/warm/export?format=word")).status == 400
    assert (await home.ask("POST", f"{AT}/import", store)).json()["refused"].keys() == {"warm"}
    assert (await home.ask("POST", f"{AT}/import?replace=1", store)).json() == {
        "added": ["warm"],
        "refused": {},
    }
    assert home.scenarios.get("warm").conf.active is False
    await home.ask("POST", f"{AT}/import?replace=1&as_it_was=1", store)
    assert home.scenarios.get("warm").conf.active is True
    assert (await home.ask("POST", f"{AT}/import", answer.body)).status == 409
    for bad in (b"", b"\xff", b"x = 1", b"{"):
        assert (await home.ask("POST", f"{AT}/import", bad)).status == 400


async def test_one_that_is_called_like_a_verb(home):
    await home.ask("POST", AT, {"name": "import"})
    assert (await home.ask("GET", f"{AT}/import")).json()["view"]["name"] == "import"
    assert (await home.ask("DELETE", f"{AT}/import")).status == 200


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"name": "a", "code": "x ="},
        {"name": "a", "more": 1},
        {"name": "a", "when": {"is": "above", "source": "room", "value": 1}},
        {"name": "a", "schedules": ["soon"]},
        [],
    ],
)
async def test_what_is_refused(home, bad):
    assert (await home.ask("POST", AT, bad)).status == 400


async def test_only_administrators_write_code(home):
    await home.scenarios.add(Scenario(name="a", conf=Conf()))
    for method, path, body in (
        ("POST", "", WARM),
        ("PUT", "/a", WARM),
        ("DELETE", "/a", None),
        ("POST", "/a/enable", None),
        ("POST", "/a/run", None),
        ("PUT", "/a/values", {}),
        ("POST", "/import", b"x"),
        ("POST", "/rehearse", {"start": 0, "end": 1, "name": "a"}),
    ):
        assert (await home.ask(method, AT + path, body, who="trusted")).status == 403
