"""What running scenarios needs from outside the room; the gateway hands in the real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wayhouse.automation.model import Job, Value


class Actions(Protocol):
    """What scenarios do to the world."""

    async def command(self, device: str, command: str, value: Value, *, request_id: str) -> Value:
        """Do it and answer what came of it. The same `request_id` (32 hexadecimal digits) again does nothing twice: it answers what
        the first one did, until `settled`. Raises `WayhouseError` when it was refused or cannot be done."""
        ...

    async def settled(self, request_id: str) -> None:
        """The answer is on disk: nobody will ask again. May be said twice."""
        ...

    def publish(self, key: str, body: bytes, ttl_s: float | None = None) -> None:
        """Put a key into the clone; an empty body takes it away. Never waits, never raises."""
        ...


class Sources(Protocol):
    """What scenarios look at: `device:<reference>`, `device:<reference>/<command>`, `cron:<job>`, `scenario:<name>/<variable>`,
    `key:<key>`."""

    def current(self, source: str) -> Value:
        """None: it has nothing to say."""
        ...

    def check(self, source: str) -> None:
        """Raises `BadInputError` for one that can never say anything."""
        ...

    async def readings(self, source: str, start: float, end: float) -> Sequence[tuple[float, Value]]:
        """Moment (Unix seconds) and value, in order of time; empty when nothing was recorded."""
        ...


class Crons(Protocol):
    """The jobs that scenarios add and remove; `cron_service.CronManager` is one."""

    @property
    def jobs(self) -> Mapping[str, Job]: ...

    async def add(self, job: Job) -> object:
        """Raises `BadScheduleError`, `JobExistsError`, `UnavailableError`."""
        ...

    async def remove(self, name: str) -> None:
        """Raises `NoSuchJobError`, `UnavailableError`."""
        ...
