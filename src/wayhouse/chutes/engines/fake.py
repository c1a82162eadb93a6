"""An engine in memory, for the demo and for tests of everything above the engines.

It keeps the same promises as the real ones (`tests/contract/test_engine.py` runs on it) but starts no process. A test
makes it misbehave with `fail_next` and `crash`, and lets an app speak with `print_line`. With `serve=True` (the demo)
each published TCP port of a running container answers HTTP with a short page, so that health checks pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from wayhouse.base.clock import Clock, SystemClock
from wayhouse.chutes.engines.page import Page
from wayhouse.chutes.model import EngineError, LogLine, Restart, ServiceState
from wayhouse.chutes.ports import BuildRequest, Container, ContainerSpec, EngineInfo, ExecResult, Usage
from wayhouse.ledger.task import Say

IMAGE_BYTES = 1_000_000


class _FakeContainer:
    def __init__(self, spec: ContainerSpec) -> None:
        self.spec = spec
        self.state = ServiceState("created")
        self.lines: list[LogLine] = []
        self.changed = asyncio.Condition()
        self.removed = False
        self.pages: list[Page] = []

    @property
    def is_over(self) -> bool:
        return self.removed or self.state.state not in {"running", "restarting"}


class FakeEngine:
    """See `chutes.ports.Engine`. `executed` lists the commands that were run inside containers."""

    def __init__(self, clock: Clock | None = None, *, serve: bool = False) -> None:
        self._clock = clock or SystemClock()
        self._serve = serve
        self._images: dict[str, bool] = {}
        self._networks: set[str] = set()
        self._containers: dict[str, _FakeContainer] = {}
        self._failures: dict[str, list[str]] = {}
        self._line_number = 0
        self.exec_result = ExecResult(0, "")
        self.executed: list[tuple[str, tuple[str, ...]]] = []

    def fail_next(self, verb: str, message: str = "It failed because the test wants it.") -> None:
        """The next call of `verb` ("start", "build" ...) raises `EngineError`; may be called several times."""
        self._failures.setdefault(verb, []).append(message)

    async def print_line(self, name: str, message: str) -> None:
        """Let the app write one line to its log."""
        container = self._get(name)
        self._line_number += 1
        whole, nanos = divmod(
            int(self._clock.wall() * 1000) * 1_000_000 + self._line_number % 1_000_000, 10**9
        )
        moment = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        container.lines.append(LogLine(container.spec.service, f"{moment}.{nanos:09d}Z", message))
        await _notify(container)

    async def crash(self, name: str, exit_code: int = 1) -> None:
        """Let the app end by itself; its restart policy applies."""
        container = self._get(name)
        policy = container.spec.restart
        again = policy is Restart.ALWAYS or (policy is Restart.ON_FAILURE and exit_code != 0)
        restarts = container.state.restarts
        if again:
            container.state = ServiceState("running", None, restarts + 1, self._clock.wall())
        else:
            await self._end(container, exit_code)

    async def info(self) -> EngineInfo:
        return EngineInfo(name="fake", version="1", limits=("Nothing really runs: this is the demo engine.",))

    async def build(self, request: BuildRequest, say: Say) -> None:
        self._may_fail("build")
        say(f"Building {request.tag} (demo)")
        self._images[request.tag] = True

    async def pull(self, image: str, say: Say) -> None:
        self._may_fail("pull")
        say(f"Pulling {image} (demo)")
        self._images.setdefault(image, False)

    async def has_image(self, image: str) -> bool:
        return image in self._images

    async def tag_image(self, image: str, alias: str) -> None:
        self._may_fail("tag_image")
        if image not in self._images:
            raise EngineError(f"There is no image {image}. Build or pull it first.", image=image)
        self._images[alias] = self._images[image]

    async def remove_image(self, image: str) -> None:
        self._may_fail("remove_image")
        self._images.pop(image, None)

    async def images(self) -> Sequence[str]:
        return sorted(tag for tag, ours in self._images.items() if ours)

    async def create_network(self, chute: str) -> None:
        self._may_fail("create_network")
        self._networks.add(chute)

    async def remove_network(self, chute: str) -> None:
        self._may_fail("remove_network")
        self._networks.discard(chute)

    async def networks(self) -> Sequence[str]:
        return sorted(self._networks)

    async def create(self, spec: ContainerSpec) -> None:
        self._may_fail("create")
        if spec.image not in self._images:
            raise EngineError(f"There is no image {spec.image}. Build or pull it first.", image=spec.image)
        await self.remove(spec.name)
        self._containers[spec.name] = _FakeContainer(spec)

    async def start(self, name: str) -> None:
        self._may_fail("start")
        container = self._get(name)
        if container.state.state == "running":
            return
        if self._serve:
            await self._open_pages(container)
        container.state = ServiceState("running", None, 0, self._clock.wall())
        await self.print_line(name, f"{container.spec.service} started")

    async def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        self._may_fail("stop")
        container = self._containers.get(name)
        if container is not None and container.state.state == "running":
            await self._end(container, 143 if grace_s else 137)

    async def remove(self, name: str) -> None:
        self._may_fail("remove")
        container = self._containers.pop(name, None)
        if container is not None:
            container.removed = True
            await self._end(container, 137)

    async def rename(self, name: str, new: str) -> None:
        self._may_fail("rename")
        if name not in self._containers and new in self._containers:
            return
        container = self._get(name)
        if name != new and new in self._containers:
            raise EngineError(f"There is already a container {new}. Remove it first.", container=new)
        container.spec = msgspec.structs.replace(container.spec, name=new)
        self._containers[new] = self._containers.pop(name)

    async def containers(self) -> Sequence[Container]:
        return [_seen(container) for _, container in sorted(self._containers.items())]

    async def container(self, name: str) -> Container | None:
        container = self._containers.get(name)
        return None if container is None else _seen(container)

    async def logs(
        self, name: str, *, tail: int = 200, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        container = self._containers.get(name)
        if container is None:
            return
        position = max(0, len(container.lines) - tail)
        if since:
            position = sum(line.timestamp < since for line in container.lines)
        while True:
            while position < len(container.lines):
                yield container.lines[position]
                position += 1
            if not follow or container.is_over:
                return
            await _wait_for_more(container, position)

    async def execute(self, name: str, command: Sequence[str], *, timeout_s: float = 30.0) -> ExecResult:
        self._may_fail("execute")
        if self._get(name).state.state != "running":
            raise EngineError(f"{name} is not running, so nothing can be run in it.", container=name)
        self.executed.append((name, tuple(command)))
        return self.exec_result

    async def usage(self, names: Iterable[str]) -> Mapping[str, Usage]:
        running = (self._containers.get(name) for name in names)
        return {c.spec.name: Usage(0.1, 1_000_000, 1) for c in running if c and c.state.state == "running"}

    async def address(self, name: str) -> str | None:
        return None

    async def prune(self, *, drop: Iterable[str], say: Say) -> int:
        self._may_fail("prune")
        wanted = set(drop) - {c.spec.image for c in self._containers.values()}
        unused = [tag for tag, ours in self._images.items() if ours and tag in wanted]
        for tag in unused:
            del self._images[tag]
            say(f"Removed image {tag}")
        return IMAGE_BYTES * len(unused)

    async def close(self) -> None:
        for container in self._containers.values():
            await _close_pages(container)

    def _get(self, name: str) -> _FakeContainer:
        container = self._containers.get(name)
        if container is None:
            raise EngineError(f"There is no container {name}. Create it first.", container=name)
        return container

    def _may_fail(self, verb: str) -> None:
        waiting = self._failures.get(verb)
        if waiting:
            raise EngineError(waiting.pop(0))

    async def _open_pages(self, container: _FakeContainer) -> None:
        spec = container.spec
        for binding in spec.ports:
            if binding.protocol == "tcp" and binding.host is not None:
                container.pages.append(await Page.open(binding.host, f"{spec.chute}: {spec.service}"))

    async def _end(self, container: _FakeContainer, exit_code: int) -> None:
        await _close_pages(container)
        container.state = msgspec.structs.replace(container.state, state="exited", exit_code=exit_code)
        await _notify(container)


async def _notify(container: _FakeContainer) -> None:
    async with container.changed:
        container.changed.notify_all()


async def _wait_for_more(container: _FakeContainer, position: int) -> None:
    async with container.changed:
        await container.changed.wait_for(lambda: len(container.lines) > position or container.is_over)


async def _close_pages(container: _FakeContainer) -> None:
    while container.pages:
        await container.pages.pop().close()


def _seen(container: _FakeContainer) -> Container:
    spec = container.spec
    return Container(
        name=spec.name,
        chute=spec.chute,
        service=spec.service,
        change_id=spec.change_id,
        image=spec.image,
        state=container.state,
    )
