"""Which engine runs the apps: the one that was asked for, or the best that this machine has.

Called once at start by the part that assembles the daemon.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from wayhouse.base.errors import UnavailableError
from wayhouse.chutes.engines.docker import DockerEngine
from wayhouse.chutes.engines.sandbox.engine import SandboxEngine
from wayhouse.chutes.model import EngineError
from wayhouse.chutes.ports import Engine, EngineInfo

PATIENCE_S = 3.0

Wanted = Literal["auto", "docker", "sandbox"]


def sockets(environ: Mapping[str, str]) -> Iterable[str]:
    """Where an engine may listen, the likeliest first."""
    asked = environ.get("DOCKER_HOST", "")
    if asked.startswith("unix://"):
        yield asked.removeprefix("unix://")
    yield "/var/run/docker.sock"
    yield "/run/podman/podman.sock"
    if environ.get("XDG_RUNTIME_DIR"):
        yield f"{environ['XDG_RUNTIME_DIR']}/docker.sock"
        yield f"{environ['XDG_RUNTIME_DIR']}/podman/podman.sock"


async def probe(socket: str) -> EngineInfo | None:
    """Who answers at `socket`, if anybody does within a few seconds."""
    if not await asyncio.to_thread(Path(socket).is_socket):
        return None
    engine = DockerEngine(socket, instance="probe")
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await engine.info()
    except (EngineError, UnavailableError, TimeoutError):
        return None
    finally:
        await engine.close()


async def choose(
    wanted: Wanted,
    *,
    instance: str,
    directory: Path,
    runtime: Path,
    apps_socket: Path | None = None,
    traces: Path | None = None,
    socket: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Engine:
    """`traces`: see `SandboxEngine`; `socket`: ask only there for Docker. Raises `UnavailableError` if Docker is wanted and nobody answers."""
    candidates = [socket] if socket else list(sockets(os.environ if environ is None else environ))
    if wanted != "sandbox":
        for candidate in candidates:
            if await probe(candidate) is not None:
                return DockerEngine(candidate, instance=instance)
    if wanted == "docker":
        raise UnavailableError(
            f"No container engine answers (asked {', '.join(candidates)}). Start Docker or Podman, or set the "
            "engine to sandbox."
        )
    engine = SandboxEngine(directory, runtime, instance=instance, apps_socket=apps_socket, traces=traces)
    await asyncio.to_thread(engine.tidy)
    return engine
