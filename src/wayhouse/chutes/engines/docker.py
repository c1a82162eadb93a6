"""Runs apps with Docker Engine, or Podman through its Docker API. Implements `chutes.ports.Engine`.

Everything of ours carries labels, and nothing without our label is ever changed or removed: the machine may be used
for other things too.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from wayhouse.chutes.engines import docker_spec as words
from wayhouse.chutes.engines.docker_client import (
    CONFLICT,
    NOT_FOUND,
    DockerClient,
    EngineRefusedError,
    path_part,
)
from wayhouse.chutes.engines.docker_images import DockerImages
from wayhouse.chutes.engines.docker_logs import DockerLog
from wayhouse.chutes.model import EngineError, LogLine
from wayhouse.chutes.ports import BuildRequest, Container, ContainerSpec, EngineInfo, ExecResult, Usage
from wayhouse.ledger.task import Say

MAX_OUTPUT_BYTES = 64 * 1024
TIMED_OUT = 124
_PORT_TAKEN = re.compile(r":(\d+)\b(?:\D.*)?(?:already allocated|address already in use)")


class DockerEngine:
    """`socket`: path of the engine's UNIX socket; `instance`: which gateway's objects are ours."""

    def __init__(self, socket: str, *, instance: str) -> None:
        self._client = DockerClient(socket)
        self._instance = instance
        self._init: bool | None = None
        self._images = DockerImages(self._client, instance)
        self._ours = f"{words.LABEL}.instance={instance}"

    async def info(self) -> EngineInfo:
        version = await self._client.ask("GET", "version")
        facts = await self._client.ask("GET", "info")
        if not isinstance(version, dict) or not isinstance(facts, dict):
            raise EngineError(f"What answers at {self._client.socket} does not speak the Docker API.")
        return EngineInfo(
            name=enginepath_part(version),
            version=str(version.get("Version", "")),
            limits=tuple(str(text).removeprefix("WARNING: ") for text in facts.get("Warnings") or ()),
        )

    async def build(self, request: BuildRequest, say: Say) -> None:
        await self._images.build(request, say)

    async def pull(self, image: str, say: Say) -> None:
        await self._images.pull(image, say)

    async def has_image(self, image: str) -> bool:
        return await self._images.has(image)

    async def tag_image(self, image: str, alias: str) -> None:
        await self._images.tag(image, alias)

    async def remove_image(self, image: str) -> None:
        await self._images.remove(image)

    async def images(self) -> Sequence[str]:
        return await self._images.tags()

    async def create_network(self, chute: str) -> None:
        known = await self._network(chute)
        if known is None:
            label = {f"{words.LABEL}.instance": self._instance, f"{words.LABEL}.chute": chute}
            body = {"Name": chute, "Driver": "bridge", "CheckDuplicate": True, "Labels": label}
            await self._client.ask("POST", "networks/create", body=body)
        elif not self._is_ours(known.get("Labels")):
            raise EngineError(
                f"The engine has a network {chute} that is not this gateway's. Rename the app, or remove that "
                f"network (docker network rm {chute}) if nobody needs it.",
                network=chute,
            )

    async def remove_network(self, chute: str) -> None:
        known = await self._network(chute)
        if known is None or not self._is_ours(known.get("Labels")):
            return
        for container in (await self._client.ask("GET", f"networks/{known['Id']}"))["Containers"] or ():
            await self._client.ask(
                "POST", f"networks/{known['Id']}/disconnect", body={"Container": container, "Force": True}
            )
        try:
            await self._client.ask("DELETE", f"networks/{known['Id']}")
        except EngineRefusedError as error:
            if error.answer != NOT_FOUND:
                raise

    async def networks(self) -> Sequence[str]:
        found = await self._client.ask("GET", "networks", filters={"label": [self._ours]})
        return sorted(str(network["Name"]) for network in found)

    async def create(self, spec: ContainerSpec) -> None:
        await self.remove(spec.name)
        body = words.create_body(spec, self._instance, init=await self._can_init())
        await self._client.ask("POST", "containers/create", body=body, name=spec.name)

    async def start(self, name: str) -> None:
        await self._must_own(name)
        try:
            await self._client.ask("POST", f"containers/{path_part(name)}/start")
        except EngineRefusedError as error:
            raise EngineError(explain_start(error.message), container=name) from error

    async def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        if await self._own(name) is not None:
            await self._quietly("POST", f"containers/{path_part(name)}/stop", t=max(0, round(grace_s)))

    async def remove(self, name: str) -> None:
        known = await self._own(name)
        if known is None:
            return
        try:
            await self._quietly("DELETE", f"containers/{known['Id']}", force=True, v=True)
        except EngineRefusedError as error:
            if error.answer != CONFLICT:
                raise
            await self._wait_until_gone(known["Id"])

    async def rename(self, name: str, new: str) -> None:
        if name == new or (await self._own(name) is None and await self._own(new) is not None):
            return
        await self._must_own(name)
        try:
            await self._client.ask("POST", f"containers/{path_part(name)}/rename", name=new)
        except EngineRefusedError as error:
            if error.answer != CONFLICT:
                raise
            message = f"There is already a container {new}. Remove it first."
            raise EngineError(message, container=new) from error

    async def containers(self) -> Sequence[Container]:
        found = await self._client.ask("GET", "containers/json", all=True, filters={"label": [self._ours]})
        seen = await asyncio.gather(*(self._client.find(f"containers/{item['Id']}/json") for item in found))
        return sorted((words.read_container(one) for one in seen if one), key=lambda one: one.name)

    async def container(self, name: str) -> Container | None:
        known = await self._own(name)
        return None if known is None else words.read_container(known)

    async def logs(
        self, name: str, *, tail: int = 200, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        known = await self._own(name)
        if known is not None:
            log = DockerLog(self._client, known["Id"], words.read_container(known).service)
            async for line in log.read(tail=tail, follow=follow, since=since):
                yield line

    async def execute(self, name: str, command: Sequence[str], *, timeout_s: float = 30.0) -> ExecResult:
        """Exit code 124 when time is up; Docker has no way to end the command then, it goes on inside."""
        known = await self._must_own(name)
        if known["State"]["Status"] != "running":
            raise EngineError(f"{name} is not running, so nothing can be run in it.", container=name)
        api = await self._client.api()
        output = bytearray()
        async with self._client.asking():
            run = await api.containers.container(known["Id"]).exec(list(command))
            try:
                async with asyncio.timeout(timeout_s), run.start(detach=False) as stream:
                    while (message := await stream.read_out()) is not None:
                        output += message.data[: max(0, MAX_OUTPUT_BYTES - len(output))]
            except TimeoutError:
                note = f"\nThe command did not end within {timeout_s:g} s."
                return ExecResult(TIMED_OUT, output.decode("utf-8", "replace") + note)
            code = (await run.inspect())["ExitCode"]
        return ExecResult(int(code), output.decode("utf-8", "replace"))

    async def usage(self, names: Iterable[str]) -> Mapping[str, Usage]:
        wanted = list(names)
        found = await asyncio.gather(*(self._usage(name) for name in wanted))
        return {name: usage for name, usage in zip(wanted, found, strict=True) if usage is not None}

    async def address(self, name: str) -> str | None:
        known = await self._own(name)
        if known is None or known["State"]["Status"] != "running":
            return None
        networks = known["NetworkSettings"]["Networks"]
        if "host" in networks:
            return "127.0.0.1"
        return next((str(one["IPAddress"]) for one in networks.values() if one.get("IPAddress")), None)

    async def prune(self, *, drop: Iterable[str], say: Say) -> int:
        used = {one.image for one in await self.containers()}
        return await self._images.prune(drop=set(drop) - used, say=say)

    async def close(self) -> None:
        await self._client.close()

    async def _can_init(self) -> bool:
        if self._init is None:
            kind = engine_name(await self._client.ask("GET", "version"))
            self._init = await asyncio.to_thread(has_init, kind)
        return self._init

    async def _quietly(self, method: str, path: str, **params: Any) -> None:
        try:
            await self._client.ask(method, path, **params)
        except EngineRefusedError as error:
            if error.answer != NOT_FOUND:
                raise

    def _is_ours(self, labels: Mapping[str, str] | None) -> bool:
        return (labels or {}).get(f"{words.LABEL}.instance") == self._instance

    async def _own(self, name: str) -> Any:
        """The container as Docker describes it, None if missing. Raises `EngineError` if it is not ours."""
        known = await self._client.find(f"containers/{path_part(name)}/json")
        if known is not None and not self._is_ours(known["Config"].get("Labels")):
            raise EngineError(
                f"The engine has a container {name} that is not this gateway's. Rename the app, or remove that "
                f"container (docker rm {name}) if nobody needs it.",
                container=name,
            )
        return known

    async def _must_own(self, name: str) -> Any:
        known = await self._own(name)
        if known is None:
            raise EngineError(f"There is no container {name}. Create it first.", container=name)
        return known

    async def _network(self, chute: str) -> Any:
        found = await self._client.ask("GET", "networks", filters={"name": [chute]})
        return next((network for network in found if network["Name"] == chute), None)

    async def _wait_until_gone(self, number: str) -> None:
        """Somebody else removes it at this moment."""
        await self._quietly("POST", f"containers/{number}/wait", condition="removed")

    async def _usage(self, name: str) -> Usage | None:
        known = await self._own(name)
        if known is None or known["State"]["Status"] != "running":
            return None
        params = {"stream": False, "one-shot": True}
        stats = await self._client.ask("GET", f"containers/{known['Id']}/stats", **params)
        return words.read_usage(stats or {})


def enginepath_part(version: Mapping[str, Any]) -> str:
    parts = [str(part.get("Name", "")) for part in version.get("Components") or ()]
    return "podman" if any("podman" in part.lower() for part in parts) else "docker"


def engine_name(version: Mapping[str, Any]) -> str:
    parts = [str(part.get("Name", "")) for part in version.get("Components") or ()]
    return "podman" if any("podman" in part.lower() for part in parts) else "docker"


def has_init(kind: str) -> bool:
    """The engine's small process 1 is a program of its own; without it, a start with `init` fails."""
    if kind == "podman":
        return shutil.which("catatonit", path="/usr/libexec/podman:/usr/local/libexec/podman") is not None
    places = "/usr/libexec/docker:/usr/local/libexec/docker:/usr/local/bin:/usr/bin:/usr/sbin"
    return shutil.which("docker-init", path=places) is not None


def explain_start(message: str) -> str:
    taken = _PORT_TAKEN.search(message)
    return (
        f"Port {taken[1]} of this machine is already in use."
        if taken
        else f"It could not be started: {message}"
    )
