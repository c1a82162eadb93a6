"""The verbs on jobs: add, update, remove, pause, resume, run, list; and the one task that publishes `JobRan` when a job is due.

Called by the API, on the bus and by scenarios. Rules: a job is on disk before `add` returns; a run is on disk before it is published, so it is
given out at most once; the wall clock is looked at each `LOOK_S`, so that a jump of it is noticed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from wayhouse.automation.cron import Cron, Now
from wayhouse.automation.cron_store import CronStore
from wayhouse.automation.model import Job, JobChanged, JobMissed, JobRan, Place, Record, Run
from wayhouse.automation.occurrence import preview
from wayhouse.automation.schedule import parse
from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, UnavailableError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks

LOOK_S = 30.0
BURST = 200
"""So many runs are told at once; then whoever listens gets a turn, since none may fall behind and lose some."""
log = logging.getLogger(__name__)


class Planned(Job, frozen=True, kw_only=True):
    """A job as listed: with when it ran last and runs next, in Unix seconds."""

    last_run: float | None = None
    next_run: float | None = None


class CronManager:
    """RasPy's name for it. `boot` names the present boot of the machine, so that `@reboot` runs once for each."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        events: Events,
        tasks: Tasks,
        *,
        place: Place | None = None,
        boot: str = "",
    ) -> None:
        self._store = CronStore(database)
        self._clock = clock
        self._events = events
        self._tasks = tasks
        self._place = place or Place()
        self._cron = Cron(self._place, boot)
        self._changing = asyncio.Lock()
        self._is_loaded = self._is_stopping = False
        self._running: asyncio.Task[None] | None = None
        self._sleeping: asyncio.Task[None] | None = None

    @property
    def place(self) -> Place:
        return self._place

    @property
    def jobs(self) -> dict[str, Job]:
        return {job.name: job for job in self._cron.jobs}

    def load(self) -> None:
        """Know the jobs that are on disk, before anybody asks. A job that can no longer be planned is left out, with a line in the log."""
        if self._is_loaded:
            return
        self._is_loaded = True
        for job, record in self._store.load():
            self._take_up(job, record)

    def start(self) -> None:
        """Begin."""
        if self._running is not None:
            return
        self.load()
        self._is_stopping = False
        self._running = self._tasks.spawn(self._run(), name="cron")

    async def stop(self) -> None:
        """What is being noted as run is published, and nothing after this; `start` goes on from here, by the catch-up policies."""
        running, self._running = self._running, None
        if running is not None:
            self._is_stopping = True
            self._rouse()
            await asyncio.wait([running])

    async def add(self, job: Job) -> Planned:
        """Raises `BadScheduleError`, `JobExistsError`, `UnavailableError`."""
        async with self._changing:
            record = self._cron.add(job, self._now())
            try:
                await self._store.save(job, record)
            except BaseException:
                self._cron.remove(job.name)
                raise
            return self._changed(job.name, job)

    async def update(self, name: str, job: Job) -> Planned:
        """`job` in place of `name`, which may get another name. Only a new schedule, or a pause, begins anew.

        Raises `BadScheduleError`, `NoSuchJobError`, `JobExistsError`, `UnavailableError`.
        """
        async with self._changing:
            before, record = self._cron.job(name), self._cron.record(name)
            kept = self._cron.replace(name, job, self._now())
            try:
                await self._store.replace(name, job, kept)
            except BaseException:
                self._cron.remove(job.name)
                self._cron.add(before, self._now(), record)
                raise
            if job.name != name:
                self._events.publish(JobChanged(name, None))
            return self._changed(job.name, job)

    async def run(self, name: str) -> Planned:
        """Now, also if it is paused, beside its own times. Raises `NoSuchJobError`."""
        async with self._changing:
            self._cron.ask(name, self._now())
            await self._give_out(self._cron.events())
            return self.view(name)

    async def remove(self, name: str) -> None:
        """Raises `NoSuchJobError`, `UnavailableError`."""
        async with self._changing:
            self._cron.job(name)
            await self._store.remove(name)
            self._cron.remove(name)
            self._events.publish(JobChanged(name, None))

    async def pause(self, name: str) -> Planned:
        """Raises `NoSuchJobError`, `UnavailableError`."""
        async with self._changing:
            paused = msgspec.structs.replace(self._cron.job(name), is_paused=True)
            await self._store.save(paused, self._cron.record(name))
            return self._changed(name, self._cron.pause(name))

    async def resume(self, name: str) -> Planned:
        """Raises `NoSuchJobError`, `UnavailableError`."""
        async with self._changing:
            was_paused = self._cron.job(name).is_paused
            job = self._cron.resume(name, self._now())
            try:
                await self._store.save(job, self._cron.record(name))
            except BaseException:
                if was_paused:
                    self._cron.pause(name)
                raise
            return self._changed(name, job)

    def get(self, name: str) -> Job:
        """Raises `NoSuchJobError`."""
        return self._cron.job(name)

    def view(self, name: str) -> Planned:
        """Raises `NoSuchJobError`."""
        return self._planned(self._cron.job(name))

    def preview(self, schedule: str, many: int = 5) -> Sequence[float]:
        """The next times of a schedule, as if it were added now. Raises `BadScheduleError`."""
        return preview(parse(schedule), self._clock.wall(), self._place, many)

    def list(self) -> Sequence[Planned]:
        """All jobs, by name."""
        return [self._planned(job) for _, job in sorted(self.jobs.items())]

    def _changed(self, name: str, job: Job) -> Planned:
        self._events.publish(JobChanged(name, job))
        self._rouse()
        return self._planned(job)

    def _rouse(self) -> None:
        if self._sleeping is not None:
            self._sleeping.cancel()

    def _planned(self, job: Job) -> Planned:
        return Planned(
            name=job.name,
            schedule=job.schedule,
            catch_up=job.catch_up,
            limit=job.limit,
            is_paused=job.is_paused,
            last_run=self._cron.record(job.name).last,
            next_run=self._cron.next_run(job.name),
        )

    def _take_up(self, job: Job, record: Record) -> None:
        try:
            self._cron.add(job, self._now(), record)
        except BadInputError as error:
            log.warning("job %s is not planned: %s", job.name, error)

    async def _run(self) -> None:
        while not self._is_stopping:
            self._cron.tick(self._now())
            await self._give_out(self._cron.events())
            if not self._is_stopping:
                left = self._cron.deadline() - self._clock.monotonic()
                await self._sleep(min(LOOK_S, max(0.0, left)))

    async def _give_out(self, found: Sequence[Run | JobMissed]) -> None:
        records = self._cron.unsaved()
        if records:
            try:
                await self._store.note(records)
            except UnavailableError as error:
                log.error("jobs run without a note of it on disk: %s", error)  # noqa: TRY400 - said well enough
        for number, one in enumerate(found, 1):
            self._events.publish(JobRan(one, self._clock.wall()) if isinstance(one, Run) else one)
            if number % BURST == 0:
                await asyncio.sleep(0)

    async def _sleep(self, delay_s: float) -> None:
        """Until then, or until a job is added or resumed, or it is to stop."""
        self._sleeping = self._tasks.spawn(self._clock.sleep(delay_s), name="cron sleeps")
        try:
            await asyncio.wait([self._sleeping])
        finally:
            self._sleeping.cancel()
            self._sleeping = None

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.wall())
