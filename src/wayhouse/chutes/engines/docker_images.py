"""The image half of the Docker engine: build, pull, tag, remove, prune. Used by `docker.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from wayhouse.chutes.engines.docker_client import (
    CONFLICT,
    NOT_FOUND,
    DockerClient,
    EngineRefusedError,
    path_part,
)
from wayhouse.chutes.engines.docker_context import INJECTED_DOCKERFILE, tar_stream
from wayhouse.chutes.engines.docker_spec import LABEL
from wayhouse.chutes.engines.docker_stream import ProgressLines
from wayhouse.chutes.model import EngineError
from wayhouse.chutes.ports import BuildRequest
from wayhouse.ledger.task import Say

BUILD_CACHE_BYTES = 2 * 1024**3
BUILD_ATTEMPTS = 3
_NOT_FETCHED = ("dial tcp", "i/o timeout", "pull access denied", "manifest unknown", "connection refused")
_FETCH_ADVICE = (
    "The base image is not on this machine and cannot be fetched: check the network, name another one in "
    "[chutes.base_images], or start the gateway with --engine sandbox."
)
LIST_ATTEMPTS, LIST_AGAIN_S = 5, 0.2
_WENT_AWAY = ("unrecognized image ID", "No such image")
_CACHE_WENT = (
    "unrecognized image ID",
    "unknown parent image",
    "No such image: sha256:",
    "layer does not exist",
)


class DockerImages:
    """The images of one gateway: those with its label."""

    def __init__(self, client: DockerClient, instance: str) -> None:
        self._client = client
        self._instance = instance
        self._ours = f"{LABEL}.instance={instance}"
        self._pruning = asyncio.Lock()
        self._builds = 0

    async def build(self, request: BuildRequest, say: Say) -> None:
        context = Path(request.context)
        if not await asyncio.to_thread(context.is_dir):
            raise EngineError(f"The source of the app is gone: {context} is not a directory.")
        async with self._pruning:  # the layers of a running build look like left-overs
            self._builds += 1
        try:
            await self._build_patiently(request, context, say)
        finally:
            self._builds -= 1

    async def _build_patiently(self, request: BuildRequest, context: Path, say: Say) -> None:
        for attempt in range(BUILD_ATTEMPTS):
            try:
                await self._build_once(request, context, say)
            except EngineError as error:
                if any(sign in error.message for sign in _NOT_FETCHED):
                    raise EngineError(f"{error.message}. {_FETCH_ADVICE}") from error
                if attempt + 1 == BUILD_ATTEMPTS or not any(sign in error.message for sign in _CACHE_WENT):
                    raise
                say("A cached layer was removed meanwhile; building again")
            else:
                return

    async def _build_once(self, request: BuildRequest, context: Path, say: Say) -> None:
        prefix = "Error building Docker image"
        params = {
            "t": request.tag,
            "rm": True,
            "forcerm": True,
            "pull": "1" if request.pull else None,
            "labels": None if request.language else {f"{LABEL}.instance": self._instance},
            "dockerfile": None if request.dockerfile is None else INJECTED_DOCKERFILE,
        }
        data = tar_stream(context, self._labelled(request) if request.language else request.dockerfile)
        try:
            async with self._client.stream("POST", "build", data=data, **params) as response:
                await _report(response, ProgressLines(prefix), say)
        except EngineRefusedError as error:
            raise EngineError(f"{prefix}: {error.message}") from error

    def _labelled(self, request: BuildRequest) -> str:
        """Our label right after FROM, where the build cache keeps it; as a parameter it would be one more layer at the end
        of every build. For Dockerfiles that we generate, which have one stage."""
        first, _, rest = (request.dockerfile or "").partition("\n")
        return f"{first}\nLABEL {self._ours}\n{rest}"

    async def pull(self, image: str, say: Say) -> None:
        prefix = f"Error pulling Docker image {image}"
        has_tag = "@" in image or ":" in image.rpartition("/")[2]
        params = {"fromImage": image, "tag": None if has_tag else "latest"}
        try:
            async with self._client.stream("POST", "images/create", **params) as response:
                await _report(response, ProgressLines(prefix), say)
        except EngineRefusedError as error:
            raise EngineError(f"{prefix}: {error.message}") from error

    async def has(self, image: str) -> bool:
        return await self._client.find(f"images/{path_part(image)}/json") is not None

    async def tag(self, image: str, alias: str) -> None:
        repository, tag = split_tag(alias)
        await self._client.ask("POST", f"images/{path_part(image)}/tag", repo=repository, tag=tag)

    async def remove(self, image: str) -> None:
        """An image in use stays; `prune` removes it later."""
        try:
            await self._client.ask("DELETE", f"images/{path_part(image)}")
        except EngineRefusedError as error:
            if error.answer not in {NOT_FOUND, CONFLICT}:
                raise

    async def tags(self) -> Sequence[str]:
        return sorted(tag for image in await self._listed() for tag in _tags(image))

    async def prune(self, *, drop: Collection[str], say: Say) -> int:
        freed = 0
        for image in await self._listed():
            for tag in _tags(image):
                if tag in drop:
                    await self.remove(tag)
                    say(f"Removed image {tag}")
            if await self._client.find(f"images/{image['Id']}/json") is None:
                freed += int(image.get("Size") or 0)
        async with self._pruning:
            return freed if self._builds else freed + await self._prune_layers()

    async def _listed(self) -> Sequence[Mapping[str, Any]]:
        """Docker refuses a list in which an image went away while it was made."""
        for _ in range(LIST_ATTEMPTS - 1):
            try:
                return await self._list_once()
            except EngineRefusedError as error:
                if not any(sign in error.message for sign in _WENT_AWAY):
                    raise
                await asyncio.sleep(LIST_AGAIN_S)
        return await self._list_once()

    async def _list_once(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = await self._client.ask(
            "GET", "images/json", filters={"label": [self._ours]}
        )
        return found

    async def _prune_layers(self) -> int:
        dangling = {"dangling": ["true"], "label": [self._ours]}
        answer = await self._client.ask("POST", "images/prune", filters=dangling)
        return int(answer.get("SpaceReclaimed") or 0) + await self._prune_build_cache()

    async def _prune_build_cache(self) -> int:
        params = {"keep-storage": BUILD_CACHE_BYTES, "reserved-space": BUILD_CACHE_BYTES}
        try:
            answer = await self._client.ask("POST", "build/prune", **params)
        except EngineRefusedError:
            return 0  # Podman keeps its cache as images
        return int((answer or {}).get("SpaceReclaimed") or 0)


async def _report(response: Any, lines: ProgressLines, say: Say) -> None:
    async for data in response.content.iter_any():
        for line in lines.feed(data):
            say(line)
    for line in lines.end():
        say(line)


def split_tag(image: str) -> tuple[str, str]:
    """("registry:5000/name", "tag"); the tag is "latest" if none is given."""
    repository, colon, tag = image.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (image, "latest")


def _tags(image: Mapping[str, Any]) -> list[str]:
    names = [
        str(tag).removeprefix("localhost/").removeprefix("docker.io/library/")
        for tag in image.get("RepoTags") or ()
    ]
    return [name for name in names if name != "<none>:<none>"]
