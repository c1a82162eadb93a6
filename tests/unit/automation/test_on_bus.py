"""Runs of jobs become keys of the clone."""

from __future__ import annotations

from wayhouse.automation.model import Job, JobChanged, JobRan, Run
from wayhouse.automation.on_bus import CronOnBus
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks


async def test_runs_are_published_and_gone_jobs_take_their_key_along():
    events, published = Events(), []
    async with Tasks() as tasks:
        bus = CronOnBus(events, lambda key, body, ttl_s=None: published.append((key, body)), tasks)
        bus.start()
        bus.start()
        events.publish(JobRan(Run(name="tea", due=10.0, is_catch_up=True), 12.5))
        events.publish(JobChanged("tea", Job(name="tea", schedule="@daily")))
        events.publish(JobChanged("tea", None))
        await bus.stop()
        await bus.stop()
        events.publish(JobChanged("milk", None))
        assert published == [
            ("/event/cron/tea", b'{"due":10.0,"at":12.5,"catch_up":true}'),
            ("/event/cron/tea", b""),
        ]
