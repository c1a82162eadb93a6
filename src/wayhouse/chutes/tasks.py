"""The tasks of this room: each does one step of a change and can undo it, also when it was half done.

They are made by `plan.py`, stored by the ledger and run with a `Tools`. The order in which they appear in a plan is the
order in this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from wayhouse.base.errors import WayhouseError
from wayhouse.chutes.containers import NEW, OLD
from wayhouse.chutes.directories import Directories
from wayhouse.chutes.health import Check, Doctor
from wayhouse.chutes.model import Chute
from wayhouse.chutes.ports import BuildRequest, ContainerSpec, Engine
from wayhouse.chutes.state import ChuteStore
from wayhouse.ledger.task import Say, Task

T = TypeVar("T")
LAST_LINES = 40


class Tools:
    """What the tasks work with."""

    def __init__(
        self,
        engine: Engine,
        store: ChuteStore,
        directories: Directories,
        doctor: Doctor,
        *,
        stop_grace_s: float,
    ) -> None:
        self.engine = engine
        self.store = store
        self.directories = directories
        self.doctor = doctor
        self.stop_grace_s = stop_grace_s


async def each(work: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Do `work` for all items at the same time; the first failure is raised after all have ended."""
    results = await asyncio.gather(*(work(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


class KeepSource(Task, frozen=True, tag="chutes.keep-source"):
    """Give the uploaded bundle its lasting place, from which images are built, now and again later."""

    bundle: str
    source: str

    @property
    def title(self) -> str:
        return "Keeping the bundle"

    async def do(self, tools: Tools, say: Say) -> None:
        await asyncio.to_thread(tools.directories.keep_source, Path(self.bundle), self.source)

    async def undo(self, tools: Tools, say: Say) -> None:
        await asyncio.to_thread(tools.directories.give_back_source, Path(self.bundle), self.source)


class MakeDirectories(Task, frozen=True, tag="chutes.make-directories"):
    chute: str
    is_new: bool

    @property
    def title(self) -> str:
        return "Preparing directories"

    async def do(self, tools: Tools, say: Say) -> None:
        tools.directories.make(self.chute)

    async def undo(self, tools: Tools, say: Say) -> None:
        if self.is_new:
            await asyncio.to_thread(tools.directories.drop_data, self.chute)


class BuildImage(Task, frozen=True, tag="chutes.build-image"):
    service: str
    request: BuildRequest

    @property
    def title(self) -> str:
        return f"Building the image of service {self.service}"

    async def do(self, tools: Tools, say: Say) -> None:
        await tools.engine.build(self.request, say)

    async def undo(self, tools: Tools, say: Say) -> None:
        await tools.engine.remove_image(self.request.tag)


class PullImage(Task, frozen=True, tag="chutes.pull-image"):
    """`refresh`: ask the registry even if the image is here, since its tag may have moved."""

    image: str
    refresh: bool = False

    @property
    def title(self) -> str:
        return f"Pulling image {self.image}"

    async def do(self, tools: Tools, say: Say) -> None:
        is_here = await tools.engine.has_image(self.image)
        if is_here and not self.refresh:
            return
        try:
            await tools.engine.pull(self.image, say)
        except WayhouseError as error:
            if not is_here:
                raise
            say(f"Using the image that is here, since a newer one cannot be had: {error.message}")


class MakeNetwork(Task, frozen=True, tag="chutes.make-network"):
    chute: str
    is_new: bool

    @property
    def title(self) -> str:
        return "Preparing the network"

    async def do(self, tools: Tools, say: Say) -> None:
        await tools.engine.create_network(self.chute)

    async def undo(self, tools: Tools, say: Say) -> None:
        if self.is_new:
            await tools.engine.remove_network(self.chute)


class CreateContainers(Task, frozen=True, tag="chutes.create-containers"):
    """Make the new containers beside the running ones, so that the switch is short."""

    containers: tuple[ContainerSpec, ...]

    @property
    def title(self) -> str:
        return "Creating containers"

    async def do(self, tools: Tools, say: Say) -> None:
        async def create(spec: ContainerSpec) -> None:
            await tools.engine.create(msgspec.structs.replace(spec, name=spec.name + NEW))

        await each(create, self.containers)

    async def undo(self, tools: Tools, say: Say) -> None:
        await each(tools.engine.remove, [spec.name + NEW for spec in self.containers])


class SetAside(Task, frozen=True, tag="chutes.set-aside"):
    """Stop the old containers and keep them; from here until the new ones answer the app is not in service."""

    containers: tuple[str, ...]
    running: tuple[str, ...]

    @property
    def title(self) -> str:
        return "Stopping the old version" if self.running else ""

    async def do(self, tools: Tools, say: Say) -> None:
        async def put(name: str) -> None:
            if await tools.engine.container(name) is None:
                return
            await tools.engine.remove(name + OLD)
            await tools.engine.stop(name, grace_s=tools.stop_grace_s)
            await tools.engine.rename(name, name + OLD)

        await each(put, self.containers)

    async def undo(self, tools: Tools, say: Say) -> None:
        async def bring_back(name: str) -> None:
            if await tools.engine.container(name + OLD) is not None:
                await tools.engine.remove(name)
                await tools.engine.rename(name + OLD, name)
            if name in self.running:
                await tools.engine.start(name)

        await each(bring_back, self.containers)
        if self.running:
            say("The old version is running again.")


class StartContainers(Task, frozen=True, tag="chutes.start-containers"):
    """Give the new containers their names and start them."""

    containers: tuple[str, ...]
    change_id: int

    @property
    def title(self) -> str:
        return "Starting containers"

    async def do(self, tools: Tools, say: Say) -> None:
        async def start(name: str) -> None:
            await tools.engine.rename(name + NEW, name)
            await tools.engine.start(name)

        await each(start, self.containers)

    async def undo(self, tools: Tools, say: Say) -> None:
        async def take_back(name: str) -> None:
            container = await tools.engine.container(name)
            if container is not None and container.change_id == self.change_id:
                await show_last_lines(tools.engine, name, say)
                await tools.engine.stop(name, grace_s=1.0)
                await tools.engine.rename(name, name + NEW)

        await each(take_back, self.containers)


class CheckHealth(Task, frozen=True, tag="chutes.check-health"):
    checks: tuple[Check, ...]

    @property
    def title(self) -> str:
        return "Checking that it works"

    async def do(self, tools: Tools, say: Say) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for check in self.checks:
                    group.create_task(tools.doctor.check(check, say))
        except ExceptionGroup as failures:  # the first one ends the others
            raise failures.exceptions[0] from failures


class StopContainers(Task, frozen=True, tag="chutes.stop-containers"):
    containers: tuple[str, ...]
    running: tuple[str, ...]

    @property
    def title(self) -> str:
        return "Stopping containers"

    async def do(self, tools: Tools, say: Say) -> None:
        await each(lambda name: tools.engine.stop(name, grace_s=tools.stop_grace_s), self.containers)

    async def undo(self, tools: Tools, say: Say) -> None:
        await each(tools.engine.start, self.running)


class Save(Task, frozen=True, tag="chutes.save"):
    """The point of no return: from now on `after` is what is installed (None: nothing)."""

    chute: str
    before: Chute | None
    after: Chute | None

    @property
    def title(self) -> str:
        return ""

    async def do(self, tools: Tools, say: Say) -> None:
        await self._put(tools, self.after)

    async def undo(self, tools: Tools, say: Say) -> None:
        await self._put(tools, self.before)

    async def _put(self, tools: Tools, chute: Chute | None) -> None:
        if chute is None:
            await tools.store.forget(self.chute)
        else:
            await tools.store.save(chute)


class NameImages(Task, frozen=True, tag="chutes.name-images"):
    """Second names for people (`<chute>-<service>:<version>`), image to name."""

    best_effort = True
    names: dict[str, str]

    @property
    def title(self) -> str:
        return ""

    async def do(self, tools: Tools, say: Say) -> None:
        for image, name in self.names.items():
            await tools.engine.tag_image(image, name)


class DropContainers(Task, frozen=True, tag="chutes.drop-containers"):
    best_effort = True
    containers: tuple[str, ...]
    show_logs: bool = False

    @property
    def title(self) -> str:
        return "Removing containers" if self.show_logs else ""

    async def do(self, tools: Tools, say: Say) -> None:
        if self.show_logs:
            await each(lambda name: show_last_lines(tools.engine, name, say), self.containers)
        await each(tools.engine.remove, self.containers)


class DropNetwork(Task, frozen=True, tag="chutes.drop-network"):
    best_effort = True
    chute: str

    @property
    def title(self) -> str:
        return "Removing the network"

    async def do(self, tools: Tools, say: Say) -> None:
        await tools.engine.remove_network(self.chute)


class DropImages(Task, frozen=True, tag="chutes.drop-images"):
    best_effort = True
    images: tuple[str, ...]

    @property
    def title(self) -> str:
        return "Removing old images" if self.images else ""

    async def do(self, tools: Tools, say: Say) -> None:
        await each(tools.engine.remove_image, self.images)


class DropFiles(Task, frozen=True, tag="chutes.drop-files"):
    """Old bundles, or (`everything`) all files of the chute with its data."""

    best_effort = True
    chute: str
    keep: str | None = None
    everything: bool = False

    @property
    def title(self) -> str:
        return "Removing data" if self.everything else ""

    async def do(self, tools: Tools, say: Say) -> None:
        if self.everything:
            await asyncio.to_thread(tools.directories.drop, self.chute)
        else:
            await asyncio.to_thread(tools.directories.drop_sources, self.chute, keep=self.keep)


ALL: tuple[type[Task], ...] = (
    KeepSource,
    MakeDirectories,
    BuildImage,
    PullImage,
    MakeNetwork,
    CreateContainers,
    SetAside,
    StartContainers,
    CheckHealth,
    StopContainers,
    Save,
    NameImages,
    DropContainers,
    DropNetwork,
    DropImages,
    DropFiles,
)


async def show_last_lines(engine: Engine, name: str, say: Say) -> None:
    """What a container said last goes to the change's stream before the container goes."""
    async for line in engine.logs(name, tail=LAST_LINES):
        say(f"{line.service}: {line.message}")
