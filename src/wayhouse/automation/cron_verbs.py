"""The verbs of `<hostname>.core.cron`. Called by `verbs.services`.

| verb | further frames | answer before [200] |
|---|---|---|
| list_keys | | the jobs' names in one frame, joined by a bar; none if there are none |
| list | (job) | all jobs as JSON by name, or one: schedule, last and next run |
| add | job, schedule, (catch-up), (limit) | the job as JSON |
| update | job, schedule, (catch-up), (limit) | the job as JSON; what is not given stays |
| delete | job | |
| pause, resume, run | job | the job as JSON |
"""

from __future__ import annotations

import msgspec

from wayhouse.automation.cron_service import CronManager, Planned
from wayhouse.automation.model import CatchUp, Job
from wayhouse.automation.verbs import Verbs, joined
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError


class CronVerbs(Verbs):
    def __init__(self, crons: CronManager) -> None:
        self._crons = crons
        super().__init__(
            {
                "list_keys": (0, 0, self._list_keys),
                "list": (0, 1, self._list),
                "add": (2, 4, self._add),
                "update": (2, 4, self._update),
                "delete": (1, 1, self._delete),
                "pause": (1, 1, self._pause),
                "resume": (1, 1, self._resume),
                "run": (1, 1, self._run),
            }
        )

    async def _list_keys(self, _: list[str]) -> list[bytes]:
        return joined([one.name for one in self._crons.list()])

    async def _list(self, frames: list[str]) -> list[bytes]:
        if frames:
            return _job(self._crons.view(frames[0]))
        return [codec.encode_json({one.name: one for one in self._crons.list()})]

    async def _add(self, frames: list[str]) -> list[bytes]:
        name, schedule = frames[:2]
        return _job(await self._crons.add(_with(Job(name=name, schedule=schedule), frames[2:])))

    async def _update(self, frames: list[str]) -> list[bytes]:
        name, schedule = frames[:2]
        job = msgspec.structs.replace(self._crons.get(name), schedule=schedule)
        return _job(await self._crons.update(name, _with(job, frames[2:])))

    async def _delete(self, frames: list[str]) -> list[bytes]:
        await self._crons.remove(frames[0])
        return []

    async def _pause(self, frames: list[str]) -> list[bytes]:
        return _job(await self._crons.pause(frames[0]))

    async def _resume(self, frames: list[str]) -> list[bytes]:
        return _job(await self._crons.resume(frames[0]))

    async def _run(self, frames: list[str]) -> list[bytes]:
        return _job(await self._crons.run(frames[0]))


def _job(planned: Planned) -> list[bytes]:
    return [codec.encode_json(planned)]


def _with(job: Job, frames: list[str]) -> Job:
    """Raises `BadInputError`."""
    if frames:
        job = msgspec.structs.replace(job, catch_up=_catch_up(frames[0]))
    if len(frames) > 1:
        limit = frames[1]
        if not limit.isascii() or not limit.isdigit() or len(limit) > 3:
            raise BadInputError("The limit of a job is 1 to 100 missed runs.", path="limit")
        job = msgspec.structs.replace(job, limit=int(limit))
    return job


def _catch_up(text: str) -> CatchUp:
    try:
        return CatchUp(text)
    except ValueError:
        raise BadInputError(
            f"Catch-up is `none`, `once` or `all`, not {text[:40]!r}.", path="catch_up"
        ) from None
