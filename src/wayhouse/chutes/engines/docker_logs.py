"""Reads a container's log from the Docker API as lines, over restarts of the container. Used by `docker.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from wayhouse.chutes.engines.docker_client import CONFLICT, NOT_FOUND, DockerClient, EngineRefusedError
from wayhouse.chutes.engines.docker_spec import unix_time
from wayhouse.chutes.engines.docker_stream import LogFrames
from wayhouse.chutes.model import LogLine

FOLLOW_PAUSE_S = 0.3
LIVING = frozenset({"running", "restarting", "paused"})


class DockerLog:
    """The log of the container with id `number`, whose lines are those of `service`."""

    def __init__(self, client: DockerClient, number: str, service: str) -> None:
        self._client = client
        self._number = number
        self._service = service

    async def read(self, *, tail: int, follow: bool) -> AsyncIterator[LogLine]:
        """Docker ends a followed log when the program ends, so this asks again while it is being restarted."""
        last, wanted = "", str(max(0, tail))
        while True:
            async for line in self._read_once(tail=wanted, follow=follow, since=last):
                last = line.timestamp
                yield line
            if not follow or not await self._lives():
                return
            wanted = "all" if last else wanted
            await asyncio.sleep(FOLLOW_PAUSE_S)

    async def _lives(self) -> bool:
        known = await self._client.find(f"containers/{self._number}/json")
        return known is not None and known["State"]["Status"] in LIVING

    async def _read_once(self, *, tail: str, follow: bool, since: str) -> AsyncIterator[LogLine]:
        """Lines after the timestamp `since`; nothing if the container is gone."""
        frames = LogFrames(self._service)
        params = {"stdout": True, "stderr": True, "timestamps": True, "tail": tail, "follow": follow}
        path = f"containers/{self._number}/logs"
        try:
            async with self._client.stream("GET", path, since=since_parameter(since), **params) as response:
                async for data in response.content.iter_any():
                    for line in frames.feed(data):
                        if line.timestamp > since:
                            yield line
        except EngineRefusedError as error:
            if error.answer not in {NOT_FOUND, CONFLICT}:
                raise
        for line in frames.end():
            if line.timestamp > since:
                yield line


def since_parameter(stamp: str) -> str | None:
    """Docker takes Unix seconds with nanoseconds."""
    moment = unix_time(stamp) if stamp else None
    return None if moment is None else f"{int(moment)}.{stamp.partition('.')[2].removesuffix('Z'):0<9}"
