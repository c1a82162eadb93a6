"""The ledger asks here for the tasks of every change of this room, at the moment the change runs.

It gathers what is true now (what is installed, what runs, what was sent), decides whether the wish fits, and leaves the
order of things to `plan.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.base.ids import token_hex
from wayhouse.chutes import bundle, document, host_ports, plan, spec
from wayhouse.chutes.containers import Surroundings, container_specs
from wayhouse.chutes.directories import Directories
from wayhouse.chutes.dockerfile import BASE_IMAGES, generate
from wayhouse.chutes.guard import check_owner, check_requests
from wayhouse.chutes.model import (
    BadSpecError,
    Chute,
    ChuteSettings,
    ChuteStateError,
    Desired,
    Service,
    Spec,
)
from wayhouse.chutes.ports import BuildRequest, Engine, HostPorts
from wayhouse.chutes.state import ChuteStore
from wayhouse.chutes.tasks import Save
from wayhouse.chutes.uploads import Uploads
from wayhouse.chutes.wishes import Install, Kind, Restart
from wayhouse.ledger.model import Change, State
from wayhouse.ledger.task import Say, Task


class ChutePlanner:
    def __init__(
        self,
        *,
        engine: Engine,
        store: ChuteStore,
        directories: Directories,
        uploads: Uploads,
        machine_ports: HostPorts,
        settings: ChuteSettings,
        around: Surroundings,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._store = store
        self._directories = directories
        self._uploads = uploads
        self._machine_ports = machine_ports
        self._settings = settings
        self._around = around
        self._clock = clock
        self._underway: dict[int, Chute] = {}
        """What open changes install or remove, by change: its names and ports are taken though it is not (or no more) in
        the store."""

    async def plan(self, change: Change, say: Say) -> Sequence[Task]:
        name = change.wish.name
        before = self._store.find(name)
        check_owner(change.actor, before)
        match Kind(change.wish.kind):
            case Kind.CREATE | Kind.UPDATE as kind:
                return await self._install(change, before, say, is_new=kind == Kind.CREATE)
            case Kind.DELETE:
                chute = self._underway[change.id] = self._store.get(name)
                return plan.delete(chute, running=await self._running(chute))
            case Kind.STOP:
                return await self._stop(self._store.get(name))
            case Kind.START | Kind.RESTART as kind:
                return await self._restart(change, self._store.get(name), say, is_start=kind == Kind.START)

    def resume(self, change: Change, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if isinstance(task, Save) and (chute := task.after or task.before) is not None:
                self._underway[change.id] = chute

    async def settle(self, change: Change) -> None:
        self._underway.pop(change.id, None)
        if change.wish.kind in {Kind.CREATE, Kind.UPDATE}:
            wish = codec.decode_json(bytes(change.wish.data), Install)
            if wish.upload is not None:
                await asyncio.to_thread(self._uploads.drop, wish.upload)

    def verdict(self, change: Change) -> str:
        outcome = "success" if change.state == State.SUCCEEDED else "failure"
        return (
            f"Completed {Kind(change.wish.kind).update_type} operation on chute {change.wish.name}: {outcome}"
        )

    async def _install(
        self, change: Change, before: Chute | None, say: Say, *, is_new: bool
    ) -> Sequence[Task]:
        wish = codec.decode_json(bytes(change.wish.data), Install)
        if is_new and before is not None:
            raise ChuteStateError("Chute already exists.", chute=before.name)
        source = await self._fetch(wish, say)
        wanted = await asyncio.to_thread(_read, source, wish.fields)
        if wanted.name != change.wish.name:
            raise BadSpecError(f"The bundle is called {wanted.name}, not {change.wish.name}.", path="name")
        for warning in wanted.warnings:
            say(f"Warning: {warning}")
        kept = f"{wanted.name}/{change.id}" if source is not None else (before.source if before else None)
        return await self._deploy(change, before, wanted, source=source, kept=kept)

    async def _stop(self, chute: Chute) -> Sequence[Task]:
        running = await self._running(chute)
        if chute.desired == Desired.STOPPED and not running.intersection(plan.container_names(chute)):
            raise ChuteStateError("Chute is already stopped.", chute=chute.name)
        return plan.stop(chute, running=running)

    async def _restart(self, change: Change, before: Chute, say: Say, *, is_start: bool) -> Sequence[Task]:
        if is_start and before.desired == Desired.RUNNING:
            raise ChuteStateError("Chute is already running.", chute=before.name)
        wish = codec.decode_json(bytes(change.wish.data), Restart)
        wanted = document.merge(before.spec, wish.fields) if wish.fields else before.spec
        for warning in wanted.warnings if wish.fields else ():
            say(f"Warning: {warning}")
        if wish.environment is not None:
            wanted = document.merge(wanted, {"environment": wish.environment})
        return await self._deploy(change, before, wanted, source=None, kept=before.source)

    async def _deploy(
        self, change: Change, before: Chute | None, wanted: Spec, *, source: Path | None, kept: str | None
    ) -> Sequence[Task]:
        self._directories.check_space()
        bundle_at = source or (self._directories.source(kept) if kept else None)
        images, builds = await self._images(
            change, before, wanted, bundle_at, kept, is_new=source is not None
        )
        running = await self._running(before)
        now = self._clock.wall()
        # From here to `_underway` nothing waits, so that no two changes take one port.
        others = self._others(wanted.name)
        check_requests(wanted, change.actor, self._settings, others)
        after = Chute(
            spec=msgspec.structs.replace(wanted, warnings=()),
            owner=before.owner if before else change.actor,
            desired=Desired.RUNNING,
            token=before.token if before else token_hex(128),
            change_id=change.id,
            images=images,
            ports=self._ports(wanted, before, others, is_running=bool(running)),
            source=kept,
            installed=before.installed if before else now,
            updated=now,
        )
        self._underway[change.id] = after
        containers = container_specs(
            after,
            data=str(self._directories.data(after.name)),
            system=str(self._directories.system(after.name)),
            settings=self._settings,
            around=self._around,
        )
        pulls = [
            service.image for service in wanted.services.values() if service.type == "image" and service.image
        ]
        supply = plan.Supply(
            builds=builds,
            pulls=pulls,
            refresh=change.wish.kind in {Kind.CREATE, Kind.UPDATE},
            bundle=str(source) if source else None,
        )
        return plan.deploy(
            before,
            after,
            containers,
            supply,
            running=running,
            has_directories=self._directories.data(after.name).exists(),
        )

    async def _images(
        self,
        change: Change,
        before: Chute | None,
        wanted: Spec,
        bundle_at: Path | None,
        kept: str | None,
        *,
        is_new: bool,
    ) -> tuple[dict[str, str], dict[str, BuildRequest]]:
        """The image of every service, and what must be built for it. An image whose making has not changed stays."""
        images: dict[str, str] = {}
        builds: dict[str, BuildRequest] = {}
        for name, service in wanted.services.items():
            old = before.images.get(name) if before else None
            if service.type == "image":
                images[name] = service.image or ""
            elif old and not is_new and await self._still_good(before, service, old):
                images[name] = old
            else:
                if bundle_at is None or kept is None:
                    raise BadSpecError(
                        f"Service {name} has to be built, but no bundle was sent with it.",
                        path=f"services.{name}",
                    )
                images[name] = plan.image_tag(wanted.name, name, change.id)
                builds[name] = self._build(wanted, service, images[name], bundle_at, kept)
        return images, builds

    async def _still_good(self, before: Chute | None, service: Service, image: str) -> bool:
        old = before.spec.services.get(service.name) if before else None
        return old is not None and _recipe(old) == _recipe(service) and await self._engine.has_image(image)

    def _build(self, wanted: Spec, service: Service, tag: str, bundle_at: Path, kept: str) -> BuildRequest:
        """The order for the engine. The context is the bundle's lasting place, where `KeepSource` puts it first."""
        folder = bundle_at / service.source
        text = service.dockerfile
        language = None
        if service.type == "light":
            present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
            text = generate(service, {**BASE_IMAGES, **self._settings.base_images}, present)
            language = service.image
        return BuildRequest(
            tag=tag,
            chute=wanted.name,
            context=str(self._directories.source(kept) / service.source),
            dockerfile=text,
            language=language,
            packages=service.build.packages,
        )

    def _others(self, name: str) -> list[Chute]:
        """Every chute that is installed or about to be, but the one called `name`."""
        known = (*self._store.all.values(), *self._underway.values())
        return [chute for chute in known if chute.name != name]

    def _ports(
        self, wanted: Spec, before: Chute | None, others: list[Chute], *, is_running: bool
    ) -> host_ports.Ports:
        return host_ports.assign(
            wanted,
            before.ports if before else {},
            others,
            pool=range(self._settings.first_port, self._settings.last_port + 1),
            is_free=self._machine_ports.is_free,
            is_running=is_running,
        )

    async def _fetch(self, wish: Install, say: Say) -> Path | None:
        """The directory of the bundle that was sent or is to be downloaded; None when there is none."""
        return await self._uploads.bundle_of(wish.upload, say) if wish.upload is not None else None

    async def _running(self, chute: Chute | None) -> frozenset[str]:
        """Which containers of `chute` run now. Each is asked for by name: a list of all grows with every app."""
        names = plan.container_names(chute)
        found = await asyncio.gather(*(self._engine.container(name) for name in names))
        return frozenset(
            one.name for one in found if one is not None and one.state.state in {"running", "restarting"}
        )


def _read(source: Path | None, fields: dict[str, Any]) -> Spec:
    """The specification of a bundle with `fields` over it, or of `fields` alone."""
    if source is None:
        return spec.from_document(fields)
    wanted = bundle.read_spec(source)
    return document.merge(wanted, fields) if fields else wanted


def _recipe(service: Service) -> tuple[Any, ...]:
    return (service.type, service.source, service.image, service.command, service.build, service.dockerfile)
