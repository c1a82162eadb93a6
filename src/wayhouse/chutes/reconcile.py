"""At start: make what is there agree with what is installed.

Left-overs that no chute and no open change claims are removed (containers, networks, images, files); chutes that should
run and do not are restarted by a change of the gateway's own, so that it is ordered with all others and can be watched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.chutes.containers import NEW, OLD
from wayhouse.chutes.directories import Directories
from wayhouse.chutes.model import Chute, Desired, Service, container_name
from wayhouse.chutes.model import Restart as RestartPolicy
from wayhouse.chutes.plan import container_names, tags_of
from wayhouse.chutes.ports import Container, Engine
from wayhouse.chutes.state import ChuteStore
from wayhouse.chutes.wishes import Install, Kind, Restart
from wayhouse.ledger.model import INTERNAL, Change, Wish
from wayhouse.ledger.service import Ledger

log = logging.getLogger(__name__)

_UP = {"running", "restarting"}
HOUSEKEEPING_S = 6 * 3600.0


class Reconciler:
    def __init__(
        self, engine: Engine, store: ChuteStore, directories: Directories, ledger: Ledger, clock: Clock
    ) -> None:
        self._engine = engine
        self._store = store
        self._directories = directories
        self._ledger = ledger
        self._clock = clock

    async def sweep(self) -> None:
        """Remove left-overs. Called before anyone can ask for a new change, right after the ledger has taken up the open ones."""
        open_changes = self._ledger.open_changes()
        busy = {change.wish.name for change in open_changes if change.wish.kind in set(Kind)}
        await self._sweep_containers(await self._engine.containers(), busy)
        await self._sweep_networks(busy)
        await asyncio.to_thread(self._sweep_files, busy, _uploads(open_changes))

    async def align(self) -> None:
        """Ask for the changes that bring chutes back to what they should do."""
        containers = {one.name: one for one in await self._engine.containers()}
        chutes = [one for one in self._store.all.values() if not self._ledger.touching(f"chute/{one.name}")]
        await asyncio.gather(*(self._align(chute, containers) for chute in chutes))

    async def keep_house(self) -> None:
        """Drop images that no chute needs and old build cache: after start, and then every few hours for ever."""
        while True:
            await self.sweep_images()
            await self._clock.sleep(HOUSEKEEPING_S)

    async def sweep_images(self) -> None:
        """What is built from now on is not looked at, and what open changes may need stays."""
        found = await self._engine.images()
        busy = tuple(f"{change.wish.name}-".lower() for change in self._ledger.open_changes())
        used = {tag for chute in self._store.all.values() for tag in tags_of(chute)}
        drop = [tag for tag in found if tag not in used and not tag.startswith(busy)]
        await self._engine.prune(drop=drop, say=log.info)

    async def _sweep_containers(self, containers: Iterable[Container], busy: set[str]) -> None:
        for one in containers:
            chute = self._store.find(one.chute)
            is_ours = chute is not None and one.name in container_names(chute)
            if one.chute not in busy and (not is_ours or one.name.endswith((NEW, OLD))):
                log.warning("removing container %s, which belongs to nothing", one.name)
                await _try(self._engine.remove(one.name))

    async def _sweep_networks(self, busy: set[str]) -> None:
        for name in await self._engine.networks():
            if name not in busy and self._store.find(name) is None:
                log.warning("removing the network of %s, which is not installed", name)
                await _try(self._engine.remove_network(name))

    def _sweep_files(self, busy: set[str], uploads: set[str]) -> None:
        for name in self._directories.chutes_with_files() - busy:
            chute = self._store.find(name)
            if chute is None:
                log.warning("removing the files of %s, which is not installed", name)
                self._directories.drop(name)
            else:
                self._directories.drop_sources(name, keep=chute.source)
        for upload in self._directories.uploads() - uploads:
            self._directories.drop_upload(upload)

    async def _align(self, chute: Chute, containers: Mapping[str, Container]) -> None:
        found = [
            (service, containers.get(container_name(chute.name, name)))
            for name, service in chute.spec.services.items()
        ]
        if chute.desired == Desired.RUNNING:
            self._directories.make(chute.name)
            if not all(_is_fine(service, container, chute.change_id) for service, container in found):
                await self._submit(Kind.RESTART, chute)
        elif any(container is not None and container.state.state in _UP for _, container in found):
            await self._submit(Kind.STOP, chute)

    async def _submit(self, kind: Kind, chute: Chute) -> None:
        data = msgspec.json.encode(Restart()) if kind == Kind.RESTART else b"{}"
        wish = Wish(kind=kind, resource=f"chute/{chute.name}", name=chute.name, data=msgspec.Raw(data))
        await self._ledger.submit(wish, INTERNAL)


async def _try(work: Awaitable[None]) -> None:
    """One left-over that cannot be removed must not keep the gateway from starting; the next start tries again."""
    try:
        await work
    except WayhouseError as error:
        log.warning("it stays for now: %s", error.message)


def _is_fine(service: Service, container: Container | None, change_id: int) -> bool:
    """Of the installed version, and running, or ended in a way after which its restart policy leaves it alone."""
    if container is None or container.change_id != change_id:
        return False
    if container.state.state == "exited":
        has_failed = container.state.exit_code != 0
        return service.restart == RestartPolicy.NO or (
            service.restart == RestartPolicy.ON_FAILURE and not has_failed
        )
    return container.state.state in _UP


def _uploads(changes: Iterable[Change]) -> set[str]:
    """The uploads that open changes still need."""
    return {
        upload
        for change in changes
        if change.wish.kind in {Kind.CREATE, Kind.UPDATE}
        and (upload := msgspec.json.decode(change.wish.data, type=Install).upload) is not None
    }
