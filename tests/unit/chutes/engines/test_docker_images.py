"""Images of an engine that is played by an HTTP server on a UNIX socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from wayhouse.chutes.engines import docker_images
from wayhouse.chutes.engines.docker_client import DockerClient, EngineRefusedError
from wayhouse.chutes.engines.docker_images import LIST_ATTEMPTS, DockerImages

GONE = {"message": "unrecognized image ID sha256:3607ea79"}
IMAGE = {"Id": "sha256:1", "RepoTags": ["hello-main:1"]}


@asynccontextmanager
async def images(folder: Path, answer: Callable[[int], web.Response]) -> AsyncIterator[DockerImages]:
    """`answer` gives the n-th list, from 1."""
    asked = 0

    async def listed(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return answer(asked)

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41"})

    app = web.Application()
    app.router.add_get("/{version}/images/json", listed)
    app.router.add_get("/{version}/version", version)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "docker.sock")).start()
    client = DockerClient(str(folder / "docker.sock"))
    try:
        yield DockerImages(client, "x")
    finally:
        await client.close()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_images, "LIST_AGAIN_S", 0.0)


async def test_a_list_is_asked_again_when_an_image_went_away_meanwhile(tmp_path: Path) -> None:
    def answer(asked: int) -> web.Response:
        return web.json_response(GONE, status=500) if asked < 3 else web.json_response([IMAGE])

    async with images(tmp_path, answer) as found:
        assert await found.tags() == ["hello-main:1"]


async def test_not_for_ever_and_not_for_everything(tmp_path: Path) -> None:
    asked = 0

    def never(number: int) -> web.Response:
        nonlocal asked
        asked = number
        return web.json_response(GONE, status=500)

    async with images(tmp_path, never) as found:
        with pytest.raises(EngineRefusedError, match="unrecognized"):
            await found.tags()
        assert asked == LIST_ATTEMPTS

    def broken(number: int) -> web.Response:
        nonlocal asked
        asked = number
        return web.json_response({"message": "the disk is broken"}, status=500)

    (tmp_path / "b").mkdir()
    async with images(tmp_path / "b", broken) as found:
        with pytest.raises(EngineRefusedError, match="disk"):
            await found.tags()
        assert asked == 1
