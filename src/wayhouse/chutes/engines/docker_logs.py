"""Reads a container's log from the Docker API as lines, over restarts of the container. Used by `docker.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from wayhouse.chutes.engines.docker_client import CONFLICT, NOT_FOUND, DockerClient, EngineRefusedError
from wayhouse.chutes.engines.docker_spec import unix_time
from wayhouse.chutes.engines.docker_stream import LogFrames
from wayhouse.chutes.log_cursor import LogPlace
from wayhouse.chutes.model import LogLine

FOLLOW_PAUSE_S = 0.3
LIVING = frozenset({"running", "restarting", "paused"})


class DockerLog:
    """The log of the container with id `number`, whose lines are those of `service`."""

    def __init__(self, client: DockerClient, number: str, service: str) -> None:
        self._client = client
        self._number = number
        self._service = service

    async def read(self, *, tail: int, follow: bool, since: str = "") -> AsyncIterator[LogLine]:
        """Docker ends a followed log when the program ends, so this asks again while it is being restarted."""
        place, wanted = LogPlace(since), str(max(0, tail))
        while True:
            wanted = "all" if place.stamp else wanted
            lines = self._read_once(tail=wanted, follow=follow, since=place.stamp)
            async for line in place.beyond(lines):
                place = place.after(line)
                yield line
            if not follow or not await self._lives():
                return
            await asyncio.sleep(FOLLOW_PAUSE_S)

    async def _lives(self) -> bool:
        known = await self._client.find(f"containers/{self._number}/json")
        return known is not None and known["State"]["Status"] in LIVING

    async def _read_once(self, *, tail: str, follow: bool, since: str) -> AsyncIterator[LogLine]:
        """Lines from the timestamp `since` on; nothing if the container is gone."""
        frames = LogFrames(self._service)
        params = {"stdout": True, "stderr": True, "timestamps": True, "tail": tail, "follow": follow}
        path = f"containers/{self._number}/logs"
        try:
            async with self._client.stream("GET", path, since=since_parameter(since), **params) as response:
                async for data in response.content.iter_any():
                    for line in frames.feed(data):
                        yield line
        except EngineRefusedError as error:
            if error.answer not in {NOT_FOUND, CONFLICT}:
                raise
        for line in frames.end():
            yield line


def since_parameter(stamp: str) -> str | None:
    """Docker takes Unix seconds with nanoseconds."""
    moment = unix_time(stamp) if stamp else None
    if moment is None:
        return None
    digits = stamp.partition(".")[2].removesuffix("Z").partition("+")[0].partition("-")[0]
    return f"{int(moment)}.{digits:0<9}"
