"""What goes over the wire, as types: the names are ParaDrop's where it has them, with ours beside.

They are read by OpenAPI and by the typed client; nothing here does anything.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wayhouse.base.errors import BadInputError

Version = str | int | float | None


class UserRef(msgspec.Struct, frozen=True):
    name: str
    domain: str
    role: str


class ChangeRef(msgspec.Struct, frozen=True):
    """The answer to everything that takes longer: watch `/ws/changes/<change_id>/stream`."""

    change_id: int


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """A change. `status` is ParaDrop's word ("queued", "processing"), `state` is ours; times are Unix seconds."""

    id: int
    updateClass: str  # noqa: N815 - ParaDrop's name
    updateType: str  # noqa: N815 - ParaDrop's name
    user: UserRef
    name: str
    version: Version
    status: str
    state: str
    created: float
    started: float | None = None
    ended: float | None = None
    reason: str | None = None


class NewChange(msgspec.Struct, frozen=True, kw_only=True):
    """A raw update object of ParaDrop. `updateClass` CHUTE or ROUTER; for a CHUTE what its own routes take beside."""

    updateClass: str  # noqa: N815 - ParaDrop's name
    updateType: str  # noqa: N815 - ParaDrop's name
    name: str
    environment: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    download: dict[str, Any] | None = None


class Allocation(msgspec.Struct, frozen=True):
    cpu_shares: int
    prioritize_traffic: bool = False


class ServiceView(msgspec.Struct, frozen=True):
    """`state` is the container's, in Docker's words; "missing" when there is none."""

    allocation: Allocation | None
    state: str
    restarts: int = 0
    started: float | None = None
    ports: dict[str, int] = {}


class WebView(msgspec.Struct, frozen=True):
    """Where the app's page is: `port` inside, `host_port` on the gateway, `path` through the gateway's own port."""

    service: str
    port: int
    host_port: int | None
    path: str


class ChuteView(msgspec.Struct, frozen=True, kw_only=True):
    """A chute. `state` is what it should be, `services` what is. `environment` is empty for who may not use the chute."""

    name: str
    state: str
    services: dict[str, ServiceView]
    version: Version
    environment: dict[str, str]
    allocation: Allocation | None
    resources: None = None
    description: str = ""
    web: WebView | None = None
    owner: UserRef | None = None
    health: str = ""
    installed: float = 0.0
    updated: float = 0.0
    change_id: int = 0


class ChuteOrder(msgspec.Struct, frozen=True):
    """An order in JSON: `config` holds `download` (`url`, `checkout`, `user`, `secret`) or a specification."""

    config: dict[str, Any]


class StartOrder(msgspec.Struct, frozen=True):
    """`environment`, if given, replaces the chute's. Values may be text, numbers, true, false or null (empty)."""

    environment: dict[str, str | int | float | bool | None] | None = None


class ChuteCache(msgspec.Struct, frozen=True):
    apiToken: str  # noqa: N815 - ParaDrop's name
    externalSystemDir: str  # noqa: N815 - ParaDrop's name
    networkInterfaces: list[dict[str, Any]]  # noqa: N815 - ParaDrop's name


class UsageView(msgspec.Struct, frozen=True):
    """`cpu_s` seconds of CPU since the container started, `memory_bytes` in use, `pids` processes."""

    cpu_s: float
    memory_bytes: int
    pids: int


class LogLineView(msgspec.Struct, frozen=True):
    service: str
    timestamp: str
    message: str


class NetworkView(msgspec.Struct, frozen=True):
    name: str
    type: str
    interface: str


class Ssid(msgspec.Struct, frozen=True):
    ssid: str


class Login(msgspec.Struct, frozen=True):
    username: str = "paradrop"
    password: str = ""

    def __repr__(self) -> str:
        return f"Login({self.username!r})"


class LoginReply(msgspec.Struct, frozen=True):
    username: str
    success: bool
    token: str


class CloudLogin(msgspec.Struct, frozen=True):
    token: str | None = None


class LinkCode(msgspec.Struct, frozen=True):
    code: str


class LinkReply(msgspec.Struct, frozen=True):
    """A one-time sign-in link of the page; it serves once, within an hour."""

    path: str


class Success(msgspec.Struct, frozen=True):
    success: bool


class Cleared(msgspec.Struct, frozen=True):
    """`password` is the new random password of `username`; it is shown here and nowhere else."""

    success: bool
    username: str
    password: str | None


class PasswordChange(msgspec.Struct, frozen=True):
    password: str
    username: str | None = None

    def __repr__(self) -> str:
        return f"PasswordChange({self.username!r})"


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    password: str
    role: str = "user"

    def __repr__(self) -> str:
        return f"NewUser({self.name!r})"


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"UserChange({self.role!r})"


class UserView(msgspec.Struct, frozen=True):
    name: str
    role: str
    created: float


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`role` defaults to the caller's own; `lifetime_s` None: until it is revoked."""

    name: str
    role: str | None = None
    lifetime_s: float | None = None


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    owner: str
    role: str
    created: float
    last_used: float | None = None
    expires: float | None = None


class TokenMade(msgspec.Struct, frozen=True, kw_only=True):
    """`token` is shown here and nowhere else."""

    id: str
    name: str
    token: str


class AuditView(msgspec.Struct, frozen=True):
    id: int
    time: float
    who: str
    via: str
    client: str
    action: str
    target: str
    outcome: str


class SshKey(msgspec.Struct, frozen=True):
    key: str


class Pdid(msgspec.Struct, frozen=True):
    pdid: str


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """`engine_limits` are sentences about what the container engine cannot isolate on this machine."""

    version: str
    engine: str
    engine_version: str
    engine_limits: tuple[str, ...] = ()


class Health(msgspec.Struct, frozen=True):
    status: str


def as_environment(values: dict[str, Any] | None) -> dict[str, str] | None:
    """Environment values as text: null is empty, true and false in lower case. Raises `BadInputError` for the rest."""
    if values is None:
        return None
    result: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, (dict, list)) or not name or "=" in name or "\0" in name or "\0" in str(value):
            raise BadInputError(
                f"`environment.{name}` cannot be an environment variable.", path=f"environment.{name}"
            )
        if value is None:
            result[name] = ""
        else:
            result[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return result
