"""Jobs: what is to happen when. Look at them, add, change, pause, run; and what a schedule would mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from wayhouse.access.policy import Right
from wayhouse.api import wire
from wayhouse.api import wire_automation as words
from wayhouse.api.table import Call, Rows, endpoint
from wayhouse.automation.model import Job
from wayhouse.automation.schedule import parse
from wayhouse.automation.schedule_words import describe
from wayhouse.base.errors import BadInputError

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.automation.cron_service import CronManager, Planned

CRONS = "/api/v1/crons"
CRON = "/api/v1/crons/{job}"
MOST_TIMES = 100


class CronResource:
    def __init__(self, crons: CronManager) -> None:
        self._crons = crons

    async def index(self, call: Call) -> list[words.CronView]:
        return [cron_view(one) for one in self._crons.list()]

    async def create(self, call: Call) -> words.CronView:
        order = call.body(words.CronOrder)
        return cron_view(await self._crons.add(Job(**msgspec.structs.asdict(order))))

    async def get(self, call: Call) -> words.CronView:
        return cron_view(self._crons.view(call.path["job"]))

    async def update(self, call: Call) -> words.CronView:
        name = call.path["job"]
        change = msgspec.structs.asdict(call.body(words.CronChange))
        wanted = {key: value for key, value in change.items() if value is not None}
        job = msgspec.structs.replace(self._crons.get(name), **wanted)
        return cron_view(await self._crons.update(name, job))

    async def delete(self, call: Call) -> wire.Success:
        await self._crons.remove(call.path["job"])
        return wire.Success(True)

    async def pause(self, call: Call) -> words.CronView:
        return cron_view(await self._crons.pause(call.path["job"]))

    async def resume(self, call: Call) -> words.CronView:
        return cron_view(await self._crons.resume(call.path["job"]))

    async def run(self, call: Call) -> words.CronView:
        return cron_view(await self._crons.run(call.path["job"]))

    async def preview(self, call: Call) -> words.SchedulePreview | words.CronView:
        """Without a schedule in the query it is the job that is called `preview`, if there is one."""
        line = call.query.get("schedule")
        if line is None and "preview" in self._crons.jobs:
            return cron_view(self._crons.view("preview"))
        if line is None:
            raise BadInputError("Say which schedule: `?schedule=@daily`, percent-encoded.", path="schedule")
        many = call.query_number("count", 5, most=MOST_TIMES) or 0
        times = list(self._crons.preview(line, many))
        return words.SchedulePreview(
            schedule=line, meaning=describe(parse(line)), zone=self._crons.place.zone, next=times
        )


def cron_view(job: Planned) -> words.CronView:
    return words.CronView(
        name=job.name,
        schedule=job.schedule,
        meaning=describe(parse(job.schedule)),
        catch_up=job.catch_up,
        limit=job.limit,
        is_paused=job.is_paused,
        last_run=job.last_run,
        next_run=job.next_run,
    )


_R = CronResource
LIST = endpoint("GET", CRONS, Right.SEE_DEVICES, "Jobs, by name", _R.index, reply=list[words.CronView])
CREATE = endpoint(
    "POST", CRONS, Right.AUTOMATE, "Add a job", _R.create, body=words.CronOrder, reply=words.CronView
)
GET = endpoint("GET", CRON, Right.SEE_DEVICES, "One job", _R.get, reply=words.CronView)
UPDATE = endpoint(
    "PUT", CRON, Right.AUTOMATE, "Change a job, or its name", _R.update,
    body=words.CronChange, reply=words.CronView,
)  # fmt: skip
DELETE = endpoint("DELETE", CRON, Right.AUTOMATE, "Remove a job", _R.delete, reply=wire.Success)
PAUSE = endpoint("POST", CRON + "/pause", Right.AUTOMATE, "Let it rest", _R.pause, reply=words.CronView)
RESUME = endpoint(
    "POST", CRON + "/resume", Right.AUTOMATE, "From now on it runs again", _R.resume, reply=words.CronView
)
RUN = endpoint(
    "POST", CRON + "/run", Right.AUTOMATE, "Run it now, beside its own times", _R.run, reply=words.CronView
)
PREVIEW = endpoint(
    "GET", CRONS + "/preview", Right.SEE_DEVICES, "What a schedule means, and its next times", _R.preview,
    reply=words.SchedulePreview,
    query={"schedule": "The schedule, such as `30 7 * * MON-FRI`", "count": "How many times, 5 if not given"},
)  # fmt: skip

ROWS: Rows = (LIST, CREATE, GET, UPDATE, DELETE, PAUSE, RESUME, RUN, PREVIEW)
