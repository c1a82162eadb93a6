"""Which engine is taken when none, one or a broken one answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wayhouse.base.errors import UnavailableError
from wayhouse.chutes.engines.choose import Wanted, choose, probe, sockets
from wayhouse.chutes.engines.docker import DockerEngine
from wayhouse.chutes.engines.sandbox.engine import SandboxEngine
from wayhouse.chutes.ports import Engine

ANSWERS = {
    "/_ping": b"OK",
    "/v1.41/version": b'{"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}',
    "/v1.41/info": b'{"Warnings": ["WARNING: No swap limit support"]}',
}


async def serve(path: Path, answers: dict[str, bytes]) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = answers.get(head.split()[1].decode())
        status = b"200 OK" if body is not None else b"500 Broken"
        writer.write(
            b"HTTP/1.1 %s\r\nApi-Version: 1.41\r\nConnection: close\r\n\r\n%s" % (status, body or b"broken")
        )
        writer.close()

    return await asyncio.start_unix_server(answer, path)


async def take(wanted: Wanted, path: Path, socket: Path) -> Engine:
    return await choose(
        wanted, instance="x", directory=path / "state", runtime=path / "run", socket=str(socket), environ={}
    )


async def test_an_engine_that_answers_is_taken(tmp_path: Path) -> None:
    server = await serve(tmp_path / "s", ANSWERS)
    try:
        info = await probe(str(tmp_path / "s"))
        assert info is not None
        assert (info.name, info.version, info.limits) == ("podman", "4.3.1", ("No swap limit support",))
        for wanted in ("auto", "docker"):
            engine = await take(wanted, tmp_path, tmp_path / "s")  # type: ignore[arg-type]
            assert isinstance(engine, DockerEngine)
            await engine.close()
        assert isinstance(await take("sandbox", tmp_path, tmp_path / "s"), SandboxEngine)
    finally:
        server.close()


async def test_nobody_there(tmp_path: Path) -> None:
    assert await probe(str(tmp_path / "none")) is None
    assert isinstance(await take("auto", tmp_path, tmp_path / "none"), SandboxEngine)
    with pytest.raises(UnavailableError, match="set the engine to sandbox"):
        await take("docker", tmp_path, tmp_path / "none")


async def test_what_answers_nonsense_is_not_taken(tmp_path: Path) -> None:
    server = await serve(tmp_path / "s", {"/_ping": b"OK", "/v1.41/version": b"<html>"})
    try:
        assert await probe(str(tmp_path / "s")) is None
    finally:
        server.close()


def test_the_user_s_wish_comes_first() -> None:
    assert next(iter(sockets({"DOCKER_HOST": "unix:///mine"}))) == "/mine"
    assert "/run/user/7/podman/podman.sock" in list(sockets({"XDG_RUNTIME_DIR": "/run/user/7"}))
    assert next(iter(sockets({"DOCKER_HOST": "tcp://elsewhere"}))) == "/var/run/docker.sock"
