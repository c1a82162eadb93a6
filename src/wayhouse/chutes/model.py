"""The words of the chutes room: what an app asks for (`Spec`), what is installed (`Chute`), and its errors.

The names of a specification's fields follow the seed (contract section 6); `spec.py` turns every accepted spelling into
these structs, and `document.py` turns them back into the document of section 6.5.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError, PermanentError
from wayhouse.ledger.model import Actor

Version = str | int | float | None
Environment = dict[str, str]


class Desired(enum.StrEnum):
    """What a chute should be doing, whatever its containers do now."""

    RUNNING = "running"
    STOPPED = "stopped"


class PortBinding(msgspec.Struct, frozen=True):
    """A container port made reachable on a host port. `host=None`: the gateway picks one and keeps it."""

    container: int
    host: int | None = None
    protocol: Literal["tcp", "udp"] = "tcp"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How to know that a service works. Exactly one of `http` (a path on the service's web port or `port`), `tcp` (a
    container port) or `command` (run inside; exit code 0 is healthy)."""

    http: str | None = None
    tcp: int | None = None
    command: list[str] | None = None
    port: int | None = None
    timeout_s: float = 30.0
    interval_s: float = 0.5


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a service may use at the most; None: the gateway's default."""

    memory_bytes: int | None = None
    pids: int | None = None
    log_bytes: int | None = None


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    as_root: bool = False
    privileged: bool = False
    network_mode: Literal["bridge", "host"] = "bridge"
    port_bindings: tuple[PortBinding, ...] = ()
    cpu_fraction: float | None = None
    prioritize_traffic: bool = False


class Build(msgspec.Struct, frozen=True, kw_only=True):
    packages: tuple[str, ...] = ()
    image_source: str | None = None
    image_version: str | None = None


class Restart(enum.StrEnum):
    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NO = "no"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One container of a chute. `interfaces` maps the name inside to the normalised declaration (contract 8.1):
    plain JSON-able data, checked by `spec.py`, read by the network room."""

    name: str
    type: Literal["light", "normal", "image", "inline"] = "normal"
    source: str = "."
    image: str | None = None
    command: str | tuple[str, ...] | None = None
    build: Build = Build()
    environment: Environment = {}
    dns: tuple[str, ...] = ()
    interfaces: dict[str, dict[str, Any]] = {}
    requests: Requests = Requests()
    dockerfile: str | None = None
    health: Health | None = None
    restart: Restart = Restart.ALWAYS
    limits: Limits = Limits()


class Web(msgspec.Struct, frozen=True):
    """Which service's port answers HTTP for the chute."""

    service: str
    port: int


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a chute asks for. `warnings` are said once on the stream when it is installed (ignored keys, for example)."""

    name: str
    description: str = "unknown"
    version: Version = None
    environment: Environment = {}
    web: Web | None = None
    services: dict[str, Service] = {}
    warnings: tuple[str, ...] = ()


class Chute(msgspec.Struct, frozen=True, kw_only=True):
    """An installed chute, as stored. `images` is keyed by service, `ports` by service and "port/protocol" (the host's
    port). `source` names the kept bundle, from which images can be built again; None for a chute of images only."""

    spec: Spec
    owner: Actor
    desired: Desired
    token: str
    change_id: int
    images: dict[str, str] = {}
    ports: dict[str, dict[str, int]] = {}
    source: str | None = None
    installed: float = 0.0
    updated: float = 0.0

    @property
    def name(self) -> str:
        return self.spec.name


class ChuteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `[chutes]` of the settings. Sizes in bytes, times in seconds."""

    engine: Literal["auto", "docker", "sandbox"] = "auto"
    docker_socket: str | None = None
    base_images: dict[str, str] = {}
    allow_privileged: bool = True
    allow_monitor_mode: bool = False
    first_port: int = 20_000
    last_port: int = 29_999
    container_uid: int = 999
    memory_bytes: int | None = None
    pids: int | None = 1024
    log_bytes: int = 10 * 1024 * 1024
    max_archive_bytes: int = 512 * 1024 * 1024
    max_unpacked_bytes: int = 2 * 1024 * 1024 * 1024
    min_free_bytes: int = 256 * 1024 * 1024
    stop_grace_s: float = 10.0
    settle_s: float = 1.0
    web_wait_s: float = 15.0


class ServiceState(msgspec.Struct, frozen=True):
    """What a service's container does now, in Docker's words, or "missing"."""

    state: str
    exit_code: int | None = None
    restarts: int = 0
    started: float | None = None


class LogLine(msgspec.Struct, frozen=True):
    """One line of an app's log (contract section 4); `timestamp` is RFC 3339 with nanoseconds."""

    service: str
    timestamp: str
    message: str


class ChuteChanged(msgspec.Struct, frozen=True):
    """Event: a chute was installed, changed or removed (`chute` is None)."""

    name: str
    chute: Chute | None


def container_name(chute: str, service: str) -> str:
    """Contract section 6.4."""
    return f"{chute}-{service}"


class BadSpecError(BadInputError):
    code = "bad-chute-specification"
    title = "The chute's specification has a fault"


class BadArchiveError(BadInputError):
    code = "bad-archive"
    title = "The archive is refused"


class NoSuchChuteError(NotFoundError):
    code = "no-such-chute"
    title = "No such chute"


class NoSuchNetworkError(NotFoundError):
    code = "no-such-network"
    title = "No such network"


class ChuteForbiddenError(ForbiddenError):
    code = "chute-forbidden"
    title = "Not your chute"


class ChuteStateError(ConflictError):
    code = "chute-state"
    title = "The chute is not in a state for this"


class EngineError(PermanentError):
    """The engine could not do it; the message says what the engine said."""

    code = "engine-failed"
    title = "The container engine failed"


class UnhealthyError(PermanentError):
    code = "unhealthy"
    title = "The new version does not work"
