"""What the chutes room needs from outside, as Protocols.

`Engine` is the big one: it runs containers. Both engines pass the same contract tests
(`tests/contract/test_engine.py`). All calls are idempotent: creating what exists replaces it, stopping what is stopped
and removing what is gone are not errors, so that a task can be done again after a crash. Failures raise `EngineError`
(or another `WayhouseError`) with a message for people.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from wayhouse.chutes.model import Environment, LogLine, PortBinding, Restart, ServiceState
from wayhouse.ledger.task import Say


class Mount(msgspec.Struct, frozen=True):
    """A host directory seen inside a container."""

    source: str
    target: str
    writable: bool = True


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make the image `tag` from `context` (a directory that holds the bundle).

    The docker engine uses `dockerfile` (text; None: the context's own file `Dockerfile`). The sandbox engine uses the
    rest: `language` (None for a plain bundle), `packages` and whether the bundle's own requirements are installed.
    """

    tag: str
    chute: str
    context: str
    dockerfile: str | None = None
    language: str | None = None
    packages: tuple[str, ...] = ()
    pull: bool = False


class ContainerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an engine needs to create one container. `ports` all have a host port by now."""

    name: str
    chute: str
    service: str
    image: str
    change_id: int
    command: str | tuple[str, ...] | None = None
    environment: Environment = {}
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    dns: tuple[str, ...] = ()
    extra_hosts: dict[str, str] = {}
    network_mode: str = "bridge"
    privileged: bool = False
    as_root: bool = False
    restart: Restart = Restart.ALWAYS
    cpu_shares: int | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    log_bytes: int = 10 * 1024 * 1024


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A container of ours as the engine sees it now. `pid` is its first process and `shim` the process of ours that watches
    over it, both as the host sees them; None where there is none now."""

    name: str
    chute: str
    service: str
    change_id: int
    image: str
    state: ServiceState
    pid: int | None = None
    shim: int | None = None


class Usage(msgspec.Struct, frozen=True):
    """What a container uses: CPU seconds since it started, resident bytes, processes."""

    cpu_s: float
    memory_bytes: int
    pids: int


class ExecResult(msgspec.Struct, frozen=True):
    exit_code: int
    output: str


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`limits` are sentences about what this engine cannot isolate or limit on this host; said once, plainly."""

    name: str
    version: str
    limits: tuple[str, ...] = ()


class Engine(Protocol):
    async def info(self) -> EngineInfo: ...

    async def build(self, request: BuildRequest, say: Say) -> None:
        """Build `request.tag`; each useful line of output goes to `say`. An existing tag is replaced."""
        ...

    async def pull(self, image: str, say: Say) -> None: ...

    async def has_image(self, image: str) -> bool: ...

    async def tag_image(self, image: str, alias: str) -> None:
        """Give `image` a second name, for people and for `docker run`."""
        ...

    async def remove_image(self, image: str) -> None: ...

    async def images(self) -> Sequence[str]:
        """The tags of all images that this gateway built."""
        ...

    async def create_network(self, chute: str) -> None: ...

    async def remove_network(self, chute: str) -> None: ...

    async def networks(self) -> Sequence[str]:
        """The chutes that have a network of ours."""
        ...

    async def create(self, spec: ContainerSpec) -> None:
        """Make the container, do not start it; one of the same name is removed first."""
        ...

    async def start(self, name: str) -> None: ...

    async def stop(self, name: str, *, grace_s: float = 10.0) -> None:
        """Ask it to end (SIGTERM), end it after `grace_s`; it stays stopped whatever its restart policy."""
        ...

    async def remove(self, name: str) -> None:
        """Remove the container with its log, stopping it at once if it runs."""
        ...

    async def rename(self, name: str, new: str) -> None:
        """Does nothing if `name` is gone and `new` is there."""
        ...

    async def containers(self) -> Sequence[Container]:
        """All containers of this gateway, in any state."""
        ...

    async def container(self, name: str) -> Container | None: ...

    def logs(
        self, name: str, *, tail: int = 200, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        """The last `tail` lines, then, if `follow`, new ones until the container is removed or stops for good.
        With `since`, a line's timestamp, all lines from that moment on in place of the last `tail`.
        Standard output and standard error, in order of time. A missing container yields nothing."""
        ...

    async def execute(self, name: str, command: Sequence[str], *, timeout_s: float = 30.0) -> ExecResult: ...

    async def usage(self, names: Iterable[str]) -> Mapping[str, Usage]: ...

    async def address(self, name: str) -> str | None:
        """An IP address at which the gateway itself can reach the container's ports, if there is one."""
        ...

    async def prune(self, *, drop: Iterable[str], say: Say) -> int:
        """Remove the tags `drop` that no container uses, then dangling layers and build cache over its limit; bytes freed."""
        ...

    async def close(self) -> None: ...


class Prober(Protocol):
    """Asks a port whether somebody is there. Answers "" for yes, else what was seen, in words."""

    async def tcp(self, host: str, port: int) -> str: ...

    async def http(self, host: str, port: int, path: str) -> str: ...


class HostPorts(Protocol):
    def is_free(self, port: int, protocol: str) -> bool:
        """True if no program of this machine holds the port."""
        ...


class Downloader(Protocol):
    """Fetches a bundle from elsewhere (contract section 6.6)."""

    async def fetch(
        self, url: str, into: Path, *, checkout: str | None, user: str | None, secret: str | None, say: Say
    ) -> Path:
        """Put the source below `into` and return the directory that holds the bundle."""
        ...
