"""Runs apps without Docker: each container is a shim process, some namespaces and a directory.

Implements `chutes.ports.Engine`. All state is in files, so a new daemon finds everything that an old one left, and
the containers never notice. Isolation is set up by `shim`, this class only writes plans and reads states.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import signal
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from wayhouse.chutes.engines.sandbox import abilities, blueprint, logs, names, processes, records
from wayhouse.chutes.engines.sandbox.environments import Environments
from wayhouse.chutes.engines.sandbox.execution import execute
from wayhouse.chutes.engines.sandbox.images import Image, Images, give_to_app, size
from wayhouse.chutes.engines.sandbox.limits import Limits
from wayhouse.chutes.engines.sandbox.networks import API_PORT, Networks
from wayhouse.chutes.engines.sandbox.records import Record, Records
from wayhouse.chutes.engines.sandbox.usage import tree_usage
from wayhouse.chutes.model import EngineError, LogLine
from wayhouse.chutes.ports import BuildRequest, Container, ContainerSpec, EngineInfo, ExecResult, Usage
from wayhouse.ledger.task import Say

CACHE_BYTES = 256 * 1024 * 1024
EXTRA_PATIENCE_S = 5.0


class SandboxEngine:
    """`directory` keeps images and containers, `runtime` is for what a reboot may take (mount points);
    `apps_socket` is where the daemon answers apps, offered to them as http://paradrop.io; `traces` is where shims can be
    asked for their stacks."""

    def __init__(
        self,
        directory: Path,
        runtime: Path,
        *,
        instance: str,
        apps_socket: Path | None = None,
        traces: Path | None = None,
    ) -> None:
        self._directory = directory.resolve()
        self._runtime = runtime
        self._apps_socket = apps_socket
        self._traces = traces
        self._images = Images(self._directory)
        self._records = Records(self._directory / "containers")
        self._networks = Networks(self._directory / "networks", instance, api=apps_socket is not None)
        self._limits = Limits(instance)
        self._environments = Environments(self._directory, names.resolver((), own_network=False))

    async def info(self) -> EngineInfo:
        api = self._apps_socket is not None
        limits = tuple(abilities.limits(self._limits.kinds, api=api))
        fault = await self._environments.steps.check()
        if fault:
            limits = (f"Apps cannot be started on this machine: {fault}", *limits)
        return EngineInfo(name="sandbox", version=f"Linux {platform.release()}", limits=limits)

    async def build(self, request: BuildRequest, say: Say) -> None:
        if request.packages:
            missing = " ".join(request.packages)
            say(f"System packages cannot be installed without Docker; this machine must have them: {missing}")
        if request.language is None and request.dockerfile is None:
            say("The Dockerfile is not followed without Docker: the app's files are used as they are.")
        say(f"Copying the app for {request.tag}")
        id, app = await asyncio.to_thread(self._images.begin, Path(request.context))  # noqa: A001
        try:
            made = await self._environments.make(request.language, app, say)
        except BaseException:
            await asyncio.to_thread(self._images.abandon, id)
            raise
        image = Image(
            id=id,
            language=request.language,
            environment=made.environment,
            paths=made.paths,
            binds=made.binds,
            caches=made.caches,
        )
        self._images.finish(image, request.tag)
        await self._sweep()

    async def pull(self, image: str, say: Say) -> None:
        raise EngineError(
            f"The image {image} needs Docker or Podman, and neither is on this machine.", image=image
        )

    async def has_image(self, image: str) -> bool:
        return self._images.find(image) is not None

    async def tag_image(self, image: str, alias: str) -> None:
        self._images.set_tag(alias, self._image(image).id)

    async def remove_image(self, image: str) -> None:
        self._images.drop_tag(image)
        await self._sweep()

    async def images(self) -> Sequence[str]:
        return sorted(self._images.tags())

    async def create_network(self, chute: str) -> None:
        await self._networks.ensure(chute)
        self._write_hosts(chute)

    async def remove_network(self, chute: str) -> None:
        await self._networks.remove(chute)

    async def networks(self) -> Sequence[str]:
        return [network.chute for network in self._networks.all()]

    async def create(self, spec: ContainerSpec) -> None:
        blueprint.command(spec)
        image = self._image(spec.image)
        await self.remove(spec.name)
        record = self._records.add(spec, image.id)
        layer = self._records.directory(record) / "layer"
        for name in ("upper", "work"):
            (layer / name).mkdir(parents=True)
        give_to_app(layer / "upper")
        self._write_hosts(spec.chute)

    async def start(self, name: str) -> None:
        record = self._record(name)
        if self._records.raw_state(record).get("state") in records.ALIVE:
            return
        directory = self._records.directory(record)
        (directory / "grace").unlink(missing_ok=True)
        records.write_json(directory / "plan.json", await self._plan(record))
        await processes.start_detached("serve", str(directory))

    async def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        record = self._records.find(name)
        if record is not None:
            await self._end(record, grace_s)

    async def remove(self, name: str) -> None:
        record = self._records.find(name)
        if record is None:
            return
        await self._end(record, 0.0)
        await asyncio.to_thread(self._records.remove, record)
        self._limits.drop(record.id)
        self._write_hosts(record.spec.chute)

    async def rename(self, name: str, new: str) -> None:
        record, other = self._records.find(name), self._records.find(new)
        if name == new or (record is None and other is not None):
            return
        if other is not None:
            raise EngineError(f"There is already a container {new}. Remove it first.", container=new)
        self._records.rename(self._record(name), new)

    async def containers(self) -> Sequence[Container]:
        return [self._records.seen(record) for record in self._records.all()]

    async def container(self, name: str) -> Container | None:
        record = self._records.find(name)
        return None if record is None else self._records.seen(record)

    async def logs(
        self, name: str, *, tail: int = 200, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        record = self._records.find(name)
        if record is None:
            return
        reader = logs.Reader(self._records.directory(record) / "log", record.spec.service)
        for line in reader.since(since) if since else reader.last(tail):
            yield line
        if follow:
            async for line in logs.follow(reader, lambda: self._is_over(record)):
                yield line

    async def execute(self, name: str, command: Sequence[str], *, timeout_s: float = 30.0) -> ExecResult:
        record = self._record(name)
        state = self._records.raw_state(record)
        if state.get("state") != "running" or not state.get("first"):
            raise EngineError(f"{name} is not running, so nothing can be run in it.", container=name)
        return await execute(self._records.directory(record), int(state["first"]), command, timeout_s)

    async def usage(self, names: Iterable[str]) -> Mapping[str, Usage]:
        found: dict[str, Usage] = {}
        for record in map(self._records.find, names):
            state = self._records.raw_state(record) if record else {}
            if record and state.get("state") == "running":
                found[record.spec.name] = self._limits.usage(record.id) or tree_usage(int(state["first"]))
        return found

    async def address(self, name: str) -> str | None:
        """None: the gateway reaches a sandboxed app through its host port."""
        return None

    async def prune(self, *, drop: Iterable[str], say: Say) -> int:
        unused = set(drop) - {record.spec.image for record in self._records.all()}
        for tag in unused.intersection(self._images.tags()):
            self._images.drop_tag(tag)
            say(f"Removed image {tag}")
        freed = await self._sweep()
        return freed + await asyncio.to_thread(self._prune_caches)

    async def close(self) -> None:
        """Nothing is held: the containers go on."""

    def tidy(self) -> None:
        """Drop what a crash left half made. Call once at start, before anything is built. Blocking."""
        self._images.clear_unfinished()
        self._records.sweep()
        shutil.rmtree(self._directory / "builds", ignore_errors=True)

    def _record(self, name: str) -> Record:
        record = self._records.find(name)
        if record is None:
            raise EngineError(f"There is no container {name}. Create it first.", container=name)
        return record

    def _image(self, tag: str) -> Image:
        image = self._images.find(tag)
        if image is None:
            raise EngineError(f"There is no image {tag}. Build it first.", image=tag)
        return image

    async def _plan(self, record: Record) -> dict[str, object]:
        spec = record.spec
        image = self._images.by_id(record.image_id)
        if image is None:
            raise EngineError(f"The image {spec.image} of {spec.name} is gone. Install the app again.")
        own_network = spec.network_mode != "host"
        network = await self._networks.ensure(spec.chute) if own_network else {}
        self._write_hosts(spec.chute)
        offered = self._apps_socket is not None and own_network
        place = blueprint.Place(
            directory=self._records.directory(record),
            app=self._images.app(image),
            hosts=self._networks.place(spec.chute) / "hosts",
            resolv=names.resolver(spec.dns, own_network=own_network),
            network=network,
            api={"socket": str(self._apps_socket), "port": API_PORT} if offered else None,
            mapped=os.geteuid() != 0,
        )
        plan = blueprint.plan(spec, image, place, self._limits.apply(record.id, spec))
        return {**plan, "shim_cgroups": self._limits.for_shims(), "trace": self._trace(spec)}

    def _trace(self, spec: ContainerSpec) -> dict[str, str] | None:
        if self._traces is None:
            return None
        return {"directory": str(self._traces), "name": spec.name, "belongs_to": spec.chute}

    def _write_hosts(self, chute: str) -> None:
        """In place, since running containers have the file mounted."""
        specs = [record.spec for record in self._records.all() if record.spec.chute == chute]
        path = self._networks.place(chute) / "hosts"
        if not specs and not path.parent.exists():
            return
        extra = {name: address for spec in specs for name, address in spec.extra_hosts.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        text = names.hosts((spec.service for spec in specs), extra, api=self._apps_socket is not None)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)

    async def _end(self, record: Record, grace_s: float) -> None:
        state = self._records.raw_state(record)
        if state.get("state") not in records.ALIVE:
            return
        (self._records.directory(record) / "grace").write_text(str(grace_s), encoding="ascii")
        if not await processes.end_shim(state, patience_s=grace_s + EXTRA_PATIENCE_S):
            await processes.end_shim(state, number=signal.SIGKILL, patience_s=EXTRA_PATIENCE_S)

    def _is_over(self, record: Record) -> bool:
        if not (self._records.directory(record) / "record.json").exists():
            return True
        return self._records.raw_state(record).get("state") not in records.ALIVE

    async def _sweep(self) -> int:
        in_use = {record.image_id for record in self._records.all()}
        return await asyncio.to_thread(self._images.sweep, in_use)

    def _prune_caches(self) -> int:
        """Remove caches that no image uses, the oldest first, until they are within their limit."""
        used = {name for image in self._images.all() for name in image.caches}
        unused = [path for path in self._environments.cache.glob("*") if path.name not in used]
        sizes = {path: size(path) for path in sorted(unused, key=lambda path: path.stat().st_mtime)}
        freed = 0
        for path, bytes_ in sizes.items():
            if sum(sizes.values()) - freed <= CACHE_BYTES:
                break
            shutil.rmtree(path, ignore_errors=True)
            freed += bytes_
        return freed
