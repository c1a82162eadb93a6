"""Scenarios over the bus: every verb of both services, and everything that is none."""

# covers: automation/importing.py

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parts.automation import automation
from wayhouse.automation import scenario_file, store_form
from wayhouse.automation.importing import take_in
from wayhouse.automation.runs import ScenarioExistsError
from wayhouse.automation.scenario import Conf, Scenario
from wayhouse.automation.verbs import services
from wayhouse.base.errors import BadInputError

HELLO = Scenario(name="hello", conf=Conf(active=True), entries={"room": "device:room"}, code="log('hi')\n")


@pytest.fixture
async def home(tmp_path):
    async with automation(tmp_path / "home") as one:
        yield one


@pytest.fixture
def ask(home):
    served = services("here", home.crons, home.scenarios)

    async def ask(service, *frames):
        raw = [one if isinstance(one, bytes) else one.encode() for one in frames]
        return await served[f"here.core.{service}"](raw)

    return ask


def test_the_names_of_the_services(home):
    assert set(services("here", home.crons, home.scenarios)) == {
        "here.core.cron",
        "here.core.scenario",
        "here.core.scenarios",
        "here.core.mmi",
        "here.core.statistics",
    }


async def test_what_the_server_says_of_itself(home, ask):
    assert await ask("mmi", "status") == [b"200"]
    assert b"here.core.cron" in (await ask("mmi", "directory"))[1]
    await ask("scenarios", "add", scenario_file.write_toml(HELLO))
    told, status = await ask("statistics", "all")
    assert status == b"200"
    assert json.loads(told)["core.snmp.scenarios"]["value"] == 1


async def test_the_life_of_a_scenario(ask):
    assert await ask("scenarios", "list_keys") == [b"200"]
    assert await ask("scenario", "info") == [b"[]", b"200"]
    added = await ask("scenarios", "add", scenario_file.write_toml(HELLO))
    assert added == [b"hello", b"200"]
    assert await ask("scenarios", "add", "heat", '{"t": "device:room"}', "x = 1") == [b"heat", b"200"]
    assert await ask("scenarios", "list_keys") == [b"heat|hello", b"200"]
    assert json.loads((await ask("scenario", "info"))[0]) == ["heat", "hello"]
    listed = json.loads((await ask("scenarios", "list"))[0])
    assert (listed["hello"]["code"], listed["heat"]["entries"]) == ("log('hi')\n", {"t": "device:room"})
    assert json.loads((await ask("scenario", "info", "hello"))[0])["is_active"]
    assert not json.loads((await ask("scenario", "enable", "hello", "false"))[0])["is_active"]
    assert json.loads((await ask("scenario", "enable", "hello"))[0])["is_active"]
    await ask("scenarios", "update", "heat", '{"t": "device:room"}', "x = 2", '{"startup": true}')
    changed = json.loads((await ask("scenarios", "list"))[0])["heat"]
    assert (changed["code"], changed["conf"]) == ("x = 2", {"startup": True})
    renamed = scenario_file.write_json(Scenario(name="warm", code="x = 3"))
    assert await ask("scenarios", "update", "heat", renamed) == [b"warm", b"200"]
    assert await ask("scenarios", "delete", "warm") == [b"200"]
    assert (await ask("scenarios", "delete", "warm"))[-1] == b"404"


async def test_variables(ask):
    await ask("scenarios", "add", scenario_file.write_toml(HELLO))
    assert await ask("scenario", "set", "hello", "count", "3") == [b"3", b"200"]
    assert await ask("scenario", "set", "hello", "mode", "party time") == [b"party time", b"200"]
    assert await ask("scenario", "get", "hello", "count") == [b"3", b"200"]
    assert json.loads((await ask("scenario", "get", "hello"))[0]) == {"count": 3, "mode": "party time"}
    assert await ask("scenario", "set", "hello", "count") == [b"200"]
    assert (await ask("scenario", "get", "hello", "count"))[-1] == b"404"


async def test_run_and_stop(ask):
    await ask("scenarios", "add", scenario_file.write_toml(Scenario(name="long", code="wait(60)\n")))
    run, status = await ask("scenario", "run", "long")
    assert (json.loads(run)["outcome"], status) == ("running", b"200")
    assert json.loads((await ask("scenario", "stop", "long"))[0])["outcome"] == "stopped"
    assert (await ask("scenario", "stop", "long"))[-1] == b"409"


async def test_files_there_and_back(ask, home):
    await ask("scenarios", "add", scenario_file.write_toml(HELLO))
    toml = (await ask("scenarios", "export", "hello"))[0].decode()
    assert scenario_file.read(toml) == scenario_file.shared(HELLO)
    assert scenario_file.read((await ask("scenarios", "export", "hello", "json"))[0].decode()).name == "hello"
    store = (await ask("scenarios", "export", "hello", "store"))[0].decode()
    everything = (await ask("scenarios", "export"))[0].decode()
    assert store_form.read_text(store).scenarios == store_form.read_text(everything).scenarios == [HELLO]
    assert (await ask("scenarios", "export", "hello", "word"))[-1] == b"400"
    await ask("scenarios", "delete", "hello")
    assert json.loads((await ask("scenarios", "import", store))[0]) == {"added": ["hello"], "refused": {}}
    assert not home.scenarios.get("hello").conf.active
    again = json.loads((await ask("scenarios", "import", store))[0])
    assert "already" in again["refused"]["hello"]
    await ask("scenarios", "delete", "hello")
    await ask("scenarios", "import", store, "true")
    assert home.scenarios.get("hello") == HELLO


async def test_taking_in(home):
    text = scenario_file.write_toml(HELLO)
    await take_in(home.scenarios, text)
    with pytest.raises(ScenarioExistsError):
        await take_in(home.scenarios, text)
    done = await take_in(home.scenarios, text, replace=True, as_it_was=True)
    assert (done.added, home.scenarios.get("hello")) == (["hello"], HELLO)
    with pytest.raises(BadInputError):
        await take_in(home.scenarios, "nonsense")


@pytest.mark.parametrize(
    ("service", "frames", "status"),
    [
        ("scenario", [], b"500"),
        ("scenario", ["fly"], b"501"),
        ("scenario", ["run"], b"400"),
        ("scenario", ["run", "nobody"], b"404"),
        ("scenario", ["enable", "nobody", "perhaps"], b"400"),
        ("scenario", ["set", "nobody", "x", "1"], b"404"),
        ("scenarios", ["add", "nonsense"], b"400"),
        ("scenarios", ["add", "a", "{}"], b"400"),
        ("scenarios", ["add", "a", "{}", "x ="], b"400"),
        ("scenarios", ["add", "a", "[]", "x = 1"], b"400"),
        ("scenarios", ["add", "a", "{}", "x = 1", '{"bad": 1}'], b"400"),
        ("scenarios", ["import", "{"], b"400"),
        ("scenarios", ["export", "nobody"], b"404"),
    ],
)
async def test_what_is_wrong_ends_with_its_status(ask, service, frames, status):
    assert (await ask(service, *frames))[-1] == status


_WORDS = st.sampled_from(
    [b"add", b"update", b"import", b"set", b"get", b"info", b"{}", b'{"scenario.a.code": "1"}', b"a", b"true"]
)


@given(st.lists(st.lists(st.one_of(_WORDS, st.binary(max_size=8)), max_size=5), max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_that_comes_can_raise(bodies):
    import asyncio

    async def go():
        with tempfile.TemporaryDirectory() as folder:
            async with automation(Path(folder) / "home") as home:
                for body in bodies:
                    for answer in services("h", home.crons, home.scenarios).values():
                        assert (await answer(body))[-1].isdigit()

    asyncio.run(go())
