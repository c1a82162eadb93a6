"""The verbs of the chutes room: what the API, the page and scenarios may do with apps.

Every verb that changes something answers with a `Change` that is on disk; the work follows in the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.chutes import bundle, document, names, spec
from wayhouse.chutes.directories import Directories
from wayhouse.chutes.fields import scalar
from wayhouse.chutes.logs import ChuteLogs
from wayhouse.chutes.model import BadSpecError, Chute, Environment, Version
from wayhouse.chutes.ports import Container, Engine, Usage
from wayhouse.chutes.state import ChuteStore
from wayhouse.chutes.states import States
from wayhouse.chutes.uploads import Uploads
from wayhouse.chutes.wishes import Download, Install, Kind, Restart
from wayhouse.ledger.model import Actor, Change, Wish
from wayhouse.ledger.service import Ledger


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was sent to be installed, checked as far as it can be without running it."""

    name: str
    version: Version = None
    install: Install


class Chutes:
    def __init__(
        self,
        *,
        ledger: Ledger,
        store: ChuteStore,
        directories: Directories,
        uploads: Uploads,
        engine: Engine,
        states: States,
        logs: ChuteLogs,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._directories = directories
        self._uploads = uploads
        self._engine = engine
        self._states = states
        self._seen = (store.generation, ledger.finished)
        self.logs = logs

    @property
    def all(self) -> Mapping[str, Chute]:
        return self._store.all

    @property
    def generation(self) -> tuple[int, int]:
        """Changes whenever what is known of chutes and their containers does; for caches."""
        return self._store.generation, self._states.generation

    def find(self, name: str) -> Chute | None:
        return self._store.find(name)

    def get(self, name: str) -> Chute:
        """Raises `NoSuchChuteError`."""
        return self._store.get(name)

    def system_directory(self, name: str) -> str:
        return str(self._directories.system(name))

    async def containers(self) -> Mapping[str, Container]:
        """What all containers do now, by name. Whoever saw a change end sees its effect."""
        seen = (self._store.generation, self._ledger.finished)
        if self._seen != seen:
            self._seen = seen
            self._states.expire()
        return await self._states.current()

    async def usage(self, names: list[str]) -> Mapping[str, Usage]:
        return await self._engine.usage(names)

    async def receive_archive(self, chunks: AsyncIterator[bytes]) -> Received:
        """Take an archive as it comes in, unpack it and read its specification.

        Raises `BadArchiveError`, `BadSpecError` or `TooLargeError`; nothing is left behind then.
        """
        upload = await self._uploads.take(chunks)
        try:
            wanted = await asyncio.to_thread(bundle.read_spec, self._uploads.source(upload))
        except BaseException:
            self._uploads.drop(upload)
            raise
        return Received(name=wanted.name, version=wanted.version, install=Install(upload=upload))

    async def receive_config(self, config: dict[str, Any]) -> Received:
        """Take an order in JSON (ParaDrop's `{"config": {...}}`): a `download`, or a specification of ready images."""
        fields = {key: value for key, value in config.items() if key != "download"}
        if "download" not in config:
            wanted = spec.from_document(fields)
            return Received(name=wanted.name, version=wanted.version, install=Install(fields=fields))
        name = config.get("name")
        if not isinstance(name, str) or not names.is_chute_name(name):
            raise BadSpecError(
                f"A download needs `name`, the name of the chute: {names.NAME_RULE}.", path="name"
            )
        version = _version(config.get("version"))
        download = codec.convert(config["download"], Download, what="download")
        if not download.url.strip():
            raise BadInputError("`download.url` is empty.", path="download.url")
        upload = await self._uploads.order(download)
        return Received(name=name, version=version, install=Install(upload=upload, fields=fields))

    def drop(self, received: Received) -> None:
        """Forget what was received and will not be installed."""
        if received.install.upload is not None:
            self._uploads.drop(received.install.upload)

    async def create(self, received: Received, actor: Actor) -> Change:
        return await self._submit(
            Kind.CREATE, received.name, actor, received.install, version=received.version
        )

    async def update(self, received: Received, actor: Actor) -> Change:
        return await self._submit(
            Kind.UPDATE, received.name, actor, received.install, version=received.version
        )

    async def delete(self, name: str, actor: Actor) -> Change:
        return await self._submit(Kind.DELETE, name, actor)

    async def stop(self, name: str, actor: Actor) -> Change:
        return await self._submit(Kind.STOP, name, actor)

    async def start(self, name: str, actor: Actor, environment: Environment | None = None) -> Change:
        return await self._submit(Kind.START, name, actor, self._restart_with(name, environment))

    async def restart(self, name: str, actor: Actor, environment: Environment | None = None) -> Change:
        return await self._submit(Kind.RESTART, name, actor, self._restart_with(name, environment))

    async def configure(self, name: str, fields: dict[str, Any], actor: Actor) -> Change:
        """Apply the fields of a specification and restart. Faults in them raise `BadSpecError` at once."""
        chute = self._store.find(name)
        if chute is not None:
            document.merge(chute.spec, fields)
        return await self._submit(Kind.RESTART, name, actor, Restart(fields=fields))

    def _restart_with(self, name: str, environment: Environment | None) -> Restart:
        """Raises `BadSpecError` at once for variables that no container can have."""
        chute = self._store.find(name)
        if chute is not None and environment is not None:
            document.merge(chute.spec, {"environment": environment})
        return Restart(environment=environment)

    async def _submit(
        self,
        kind: Kind,
        name: str,
        actor: Actor,
        data: msgspec.Struct | None = None,
        *,
        version: Version = None,
    ) -> Change:
        chute = self._store.find(name)
        wish = Wish(
            kind=kind,
            resource=f"chute/{name}",
            name=name,
            version=version if version is not None or chute is None else chute.spec.version,
            data=msgspec.Raw(codec.encode_json(data) if data is not None else b"{}"),
        )
        return await self._ledger.submit(wish, actor)


def _version(value: Any) -> Version:
    """What a download's order says about the version, until the bundle itself is there."""
    found = None if value is None else scalar(value, "version")
    if isinstance(found, bool):
        raise BadSpecError("`version` must be text or a number.", path="version")
    return found
