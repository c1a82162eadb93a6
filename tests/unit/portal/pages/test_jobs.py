from __future__ import annotations

import pytest

from wayhouse.access.model import Role

JOB = {"name": "night", "schedule": "@sunset-00:30", "catch_up": "once", "limit": "3"}


async def test_a_job_from_its_beginning_to_its_end(house):
    browser = await house.browser()
    crons = house.gateway.rooms.crons
    assert "No jobs yet" in (await browser.get("/jobs")).text
    daily = {**JOB, "schedule": "30 7 * * MON-FRI"}
    assert (await browser.post("/jobs", data=daily)).headers["location"] == "/jobs"
    page = (await browser.get("/jobs")).text
    for text in ("night", "30 7 * * MON-FRI", "At 07:30", "not yet", "/jobs/night/pause"):
        assert text in page, text
    part = {"hx-request": "true"}
    assert "Paused" in (await browser.post("/jobs/night/pause", headers=part)).text
    assert "Paused" not in (await browser.post("/jobs/night/resume", headers=part)).text
    assert (await browser.post("/jobs/night/run")).status_code == 303
    assert crons.view("night").last_run is not None
    assert "Remove night?" in (await browser.post("/jobs/night/remove", data={})).text
    await browser.post("/jobs/night/remove", data={"sure": "yes"})
    assert crons.jobs == {}


async def test_changing_one(house):
    browser = await house.browser()
    await browser.post("/jobs", data={**JOB, "schedule": "@daily"})
    await browser.post("/jobs/night/pause")
    page = (await browser.get("/jobs/night")).text
    assert 'value="@daily"' in page
    assert '<option value="once" selected>' in page
    reply = await browser.post("/jobs/night", data={**JOB, "name": "late", "schedule": "@hourly"})
    assert reply.status_code == 303
    job = house.gateway.rooms.crons.get("late")
    assert (job.schedule, job.is_paused, job.limit) == ("@hourly", True, 3)
    reply = await browser.post("/jobs/late", data={**JOB, "schedule": "99 * * * *"})
    assert (reply.status_code, 'value="99 * * * *"' in reply.text) == (400, True)
    assert (await browser.get("/jobs/none")).status_code == 404


@pytest.mark.parametrize(
    "bad", [{"name": "/"}, {"schedule": "sometimes"}, {"catch_up": "x"}, {"limit": "0"}, {"limit": "many"}]
)
async def test_what_cannot_be_planned_is_told(house, bad):
    browser = await house.browser()
    reply = await browser.post("/jobs", data={**JOB, "schedule": "@daily", **bad})
    assert (reply.status_code, 'role="alert"' in reply.text) == (400, True)
    assert house.gateway.rooms.crons.jobs == {}


async def test_a_schedule_is_explained_while_it_is_typed(house):
    browser = await house.browser()
    page = (await browser.get("/jobs-preview?schedule=%40daily")).text
    assert page.count("<time") == 5
    page = (await browser.get("/jobs-preview?schedule=%3Cb%3E")).text
    assert "hot" in page
    assert "<b>" not in page.replace("<b>At", "")
    assert "Minute, hour" in (await browser.get("/jobs-preview")).text


async def test_what_moves(house):
    browser = await house.browser()
    await browser.post("/jobs", data={**JOB, "schedule": "@every 90s"})
    live = (await browser.get("/jobs-live")).json()
    job = live["jobs"][0]
    assert (job["name"], job["last"], job["next"].startswith("in 1 min")) == ("night", "", True)
    assert f'data-stamp="{live["stamp"]}"' in (await browser.get("/jobs")).text
    assert f'data-stamp="{job["stamp"]}"' in (await browser.get("/jobs/night/row")).text


async def test_users_look_on(house):
    user = await house.user("uli", Role.USER)
    await (await house.browser()).post("/jobs", data={**JOB, "schedule": "@daily"})
    page = (await user.get("/jobs")).text
    assert "night" in page
    assert "/jobs/night/run" not in page
    assert "Add a job" not in page
    assert (await user.post("/jobs", data=JOB)).status_code == 403
    assert (await user.post("/jobs/night/run")).status_code == 403
