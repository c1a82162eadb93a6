"""The cron's jobs: when each ran and runs next; add, change, pause, resume, run now, remove; what a schedule means, as it is typed."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from wayhouse.access.policy import Right
from wayhouse.automation.cron_service import CronManager, Planned
from wayhouse.automation.model import BadScheduleError, CatchUp, Job
from wayhouse.automation.schedule import parse
from wayhouse.automation.schedule_words import describe
from wayhouse.base.errors import BadInputError, ConflictError, WayhouseError
from wayhouse.portal import formats
from wayhouse.portal.model import Answer, Page, Visit, plain_json, redirect
from wayhouse.portal.templates import Templates

JOB = "/jobs/{job}"
FIELDS = {"name": "", "schedule": "", "catch_up": CatchUp.NONE.value, "limit": "10"}
CATCH_UPS = {
    CatchUp.NONE: "Leave it out",
    CatchUp.ONCE: "Run once, late",
    CatchUp.ALL: "Run each of them, late",
}


class JobRow(msgspec.Struct, frozen=True):
    """A job with its schedule in words. `stamp` changes when anything but the time does."""

    job: Planned
    words: str
    stamp: str


class JobPages:
    def __init__(self, crons: CronManager, templates: Templates) -> None:
        self._crons = crons
        self._templates = templates

    def pages(self) -> list[Page]:
        see, automate = Right.SEE_DEVICES, Right.AUTOMATE
        return [
            Page("GET", "/jobs", see, self.index),
            Page("GET", "/jobs-live", see, self.live),
            Page("GET", "/jobs-preview", see, self.preview),
            Page("POST", "/jobs", automate, self.add, is_audited=True),
            Page("GET", JOB, automate, self.form),
            Page("GET", JOB + "/row", see, self.row),
            Page("POST", JOB, automate, self.change, is_audited=True),
            Page("POST", JOB + "/pause", automate, self.pause, is_audited=True),
            Page("POST", JOB + "/resume", automate, self.resume, is_audited=True),
            Page("POST", JOB + "/run", automate, self.run, is_audited=True),
            Page("POST", JOB + "/remove", automate, self.remove, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        return self._index(visit, FIELDS)

    async def live(self, visit: Visit) -> Answer:
        """What moves, as JSON: `stamp` is of the names that are there."""
        now = self._templates.now()
        moving = [_moving(row_of(one), now) for one in self._crons.list()]
        stamp = f"{zlib.crc32(repr([one['name'] for one in moving]).encode()):x}"
        return plain_json({"stamp": stamp, "jobs": moving})

    async def preview(self, visit: Visit) -> Answer:
        """What a schedule means and its next times, or what is wrong with it; a part for beside the field."""
        line = visit.query.get("schedule", "").strip()
        return self._templates.page("_schedule_preview.html", visit, line=line, **self._preview(line))

    async def add(self, visit: Visit) -> Answer:
        given = _given(visit)
        try:
            await self._crons.add(_job(given))
        except (BadInputError, ConflictError) as error:
            return self._index(visit, given, error)
        return redirect("/jobs")

    async def form(self, visit: Visit) -> Answer:
        job = self._crons.get(visit.path["job"])
        given = {
            "name": job.name,
            "schedule": job.schedule,
            "catch_up": job.catch_up.value,
            "limit": str(job.limit),
        }
        return self._form(visit, job, given)

    async def change(self, visit: Visit) -> Answer:
        job, given = self._crons.get(visit.path["job"]), _given(visit)
        try:
            await self._crons.update(job.name, _job(given, is_paused=job.is_paused))
        except (BadInputError, ConflictError) as error:
            return self._form(visit, job, given, error)
        return redirect("/jobs")

    async def row(self, visit: Visit) -> Answer:
        row = row_of(self._crons.view(visit.path["job"]))
        return self._templates.page("_job_row.html", visit, row=row)

    async def pause(self, visit: Visit) -> Answer:
        await self._crons.pause(visit.path["job"])
        return await self._again(visit)

    async def resume(self, visit: Visit) -> Answer:
        await self._crons.resume(visit.path["job"])
        return await self._again(visit)

    async def run(self, visit: Visit) -> Answer:
        await self._crons.run(visit.path["job"])
        return await self._again(visit)

    async def remove(self, visit: Visit) -> Answer:
        """Asks first, as all pages do before something is lost."""
        name = self._crons.get(visit.path["job"]).name
        if visit.field("sure") != "yes":
            return self._templates.page(
                "sure_remove.html",
                visit,
                what=name,
                text="It does not run any more.",
                back="/jobs",
                here="automation",
            )
        await self._crons.remove(name)
        return redirect("/jobs")

    async def _again(self, visit: Visit) -> Answer:
        return await self.row(visit) if visit.is_part else redirect("/jobs")

    def _preview(self, line: str) -> dict[str, Any]:
        try:
            return {"words": describe(parse(line)), "times": list(self._crons.preview(line)), "error": ""}
        except BadScheduleError as error:
            return {"words": "", "times": [], "error": error.message}

    def _index(self, visit: Visit, given: dict[str, str], error: WayhouseError | None = None) -> Answer:
        jobs = [row_of(one) for one in self._crons.list()]
        return self._templates.page(
            "jobs.html",
            visit,
            status=error.status if error else 200,
            jobs=jobs,
            stamp=f"{zlib.crc32(repr([row.job.name for row in jobs]).encode()):x}",
            zone=self._crons.place.zone,
            **self._form_values(given, error),
        )

    def _form(
        self, visit: Visit, job: Job, given: dict[str, str], error: WayhouseError | None = None
    ) -> Answer:
        status = error.status if error else 200
        return self._templates.page(
            "job.html", visit, status=status, job=job, **self._form_values(given, error)
        )

    def _form_values(self, given: dict[str, str], error: WayhouseError | None) -> dict[str, Any]:
        line = given["schedule"]
        return {
            "given": given,
            "fault": error.message if error else "",
            "line": line,
            "catch_ups": CATCH_UPS,
            **(self._preview(line) if line else {"words": "", "times": [], "error": ""}),
        }


def row_of(job: Planned) -> JobRow:
    try:
        words = describe(parse(job.schedule))
    except BadScheduleError:
        words = ""
    facts = (job.name, job.schedule, job.catch_up, job.limit, job.is_paused)
    return JobRow(job, words, f"{zlib.crc32(repr(facts).encode()):x}")


def _moving(row: JobRow, now: float) -> dict[str, Any]:
    job = row.job
    return {
        "name": job.name,
        "stamp": row.stamp,
        "next": formats.until(job.next_run, now),
        "last": formats.ago(job.last_run, now),
    }


def _given(visit: Visit) -> dict[str, str]:
    return {name: visit.field(name, default).strip() for name, default in FIELDS.items()}


def _job(given: dict[str, str], *, is_paused: bool = False) -> Job:
    """Raises `BadInputError`."""
    limit = given["limit"]
    if given["catch_up"] not in {one.value for one in CatchUp}:
        raise BadInputError("Choose what is done about missed times.", path="catch_up")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5):
        raise BadInputError("The limit is a number from 1 to 100.", path="limit")
    return Job(
        name=given["name"],
        schedule=given["schedule"],
        catch_up=CatchUp(given["catch_up"]),
        limit=int(limit),
        is_paused=is_paused,
    )
