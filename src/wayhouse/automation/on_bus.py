"""Jobs on the bus: each run is the key `/event/cron/<job>` of the clone, so that whoever subscribes to `/event/` hears of it.

Started by the gateway, which hands in `publish`. Rule: a job that is gone or was renamed takes its key along.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from wayhouse.automation.model import JobChanged, JobRan
from wayhouse.base import codec
from wayhouse.base.events import Events, Subscription
from wayhouse.base.tasks import Tasks

PREFIX = "/event/cron/"


class Publish(Protocol):
    """Put a key into the clone; an empty body takes it away. Never waits, never raises."""

    def __call__(self, key: str, body: bytes, ttl_s: float | None = None) -> None: ...


class CronOnBus:
    def __init__(self, events: Events, publish: Publish, tasks: Tasks) -> None:
        self._events = events
        self._publish = publish
        self._tasks = tasks
        self._heard: Subscription[JobRan | JobChanged] | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Hears of every run from now on."""
        if self._heard is None:
            self._heard = self._events.subscribe(JobRan, JobChanged)
            self._running = self._tasks.spawn(self._follow(self._heard), name="cron on the bus")

    async def stop(self) -> None:
        """What has happened until now is published still."""
        if self._heard is not None and self._running is not None:
            self._heard.close()
            await asyncio.wait([self._running])
            self._heard = self._running = None

    async def _follow(self, heard: Subscription[JobRan | JobChanged]) -> None:
        async for event in heard:
            if isinstance(event, JobRan):
                self._publish(PREFIX + event.run.name, body(event))
            elif event.job is None:
                self._publish(PREFIX + event.name, b"")


def body(ran: JobRan) -> bytes:
    """`{"due": ..., "at": ..., "catch_up": ...}`: when it should have run and when it did, in Unix seconds."""
    return codec.encode_json({"due": ran.run.due, "at": ran.at, "catch_up": ran.run.is_catch_up})
