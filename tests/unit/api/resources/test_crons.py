"""Jobs over the API, from adding to removing."""

# covers: api/wire_automation.py

from __future__ import annotations

import pytest

from tests.parts.automation import automation

TEA = {"name": "tea", "schedule": "30 7 * * MON-FRI"}


@pytest.fixture
async def home(tmp_path):
    async with automation(tmp_path / "home") as one:
        yield one


async def test_the_life_of_a_job(home):
    made = (await home.ask("POST", "/api/v1/crons", TEA)).json()
    assert made["meaning"] == "At 07:30 on Monday through Friday"
    assert (made["catch_up"], made["limit"], made["is_paused"], made["last_run"]) == ("none", 10, False, None)
    assert made["next_run"] > 1_700_000_000
    assert (await home.ask("GET", "/api/v1/crons", who="user")).json() == [made]
    assert (await home.ask("GET", "/api/v1/crons/tea")).json() == made
    changed = (await home.ask("PUT", "/api/v1/crons/tea", {"catch_up": "all", "name": "chai"})).json()
    assert (changed["name"], changed["catch_up"], changed["schedule"]) == ("chai", "all", TEA["schedule"])
    assert (await home.ask("POST", "/api/v1/crons/chai/pause")).json()["next_run"] is None
    assert (await home.ask("POST", "/api/v1/crons/chai/run")).json()["last_run"] is not None
    assert not (await home.ask("POST", "/api/v1/crons/chai/resume")).json()["is_paused"]
    assert (await home.ask("DELETE", "/api/v1/crons/chai")).json() == {"success": True}
    assert (await home.ask("GET", "/api/v1/crons/chai")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "", {"name": "tea", "schedule": "soon"}, 400, "bad-schedule"),
        ("POST", "", {"name": "a/b", "schedule": "@daily"}, 400, "bad-input"),
        ("POST", "", {"name": "tea"}, 400, "bad-input"),
        ("POST", "", {"name": "tea", "schedule": "@daily", "limit": 0}, 400, "bad-input"),
        ("POST", "", {"name": "tea", "schedule": "@daily", "more": 1}, 400, "bad-input"),
        ("PUT", "/nobody", {}, 404, "no-such-job"),
        ("DELETE", "/nobody", None, 404, "no-such-job"),
        ("POST", "/nobody/run", None, 404, "no-such-job"),
    ],
)
async def test_what_is_refused(home, method, path, body, status, code):
    answer = await home.ask(method, f"/api/v1/crons{path}", body)
    assert (answer.status, answer.json()["code"]) == (status, code)


async def test_a_name_that_is_taken(home):
    await home.ask("POST", "/api/v1/crons", TEA)
    assert (await home.ask("POST", "/api/v1/crons", TEA)).status == 409


async def test_only_administrators_change_jobs(home):
    assert (await home.ask("POST", "/api/v1/crons", TEA, who="trusted")).status == 403
    assert (await home.ask("GET", "/api/v1/crons", who="guest")).status == 403


async def test_what_a_schedule_would_mean(home):
    found = (await home.ask("GET", "/api/v1/crons/preview?schedule=%40every%2090s&count=3")).json()
    assert (found["meaning"], found["zone"], len(found["next"])) == ("Every 1 minute 30 seconds", "UTC", 3)
    assert found["next"][1] - found["next"][0] == 90
    assert (await home.ask("GET", "/api/v1/crons/preview?schedule=soon")).json()["code"] == "bad-schedule"
    assert (await home.ask("GET", "/api/v1/crons/preview?schedule=%40daily&count=101")).status == 400


async def test_a_job_that_is_called_preview(home):
    assert "?schedule=" in (await home.ask("GET", "/api/v1/crons/preview")).json()["detail"]
    await home.ask("POST", "/api/v1/crons", {"name": "preview", "schedule": "@daily"})
    assert (await home.ask("GET", "/api/v1/crons/preview")).json()["name"] == "preview"
    assert (await home.ask("DELETE", "/api/v1/crons/preview")).status == 200
