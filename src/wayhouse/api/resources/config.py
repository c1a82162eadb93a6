"""The node's own configuration: its id, its settings with secrets masked, and who may come in by SSH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wayhouse.access.policy import Right
from wayhouse.api import wire
from wayhouse.api.table import Call, Rows, endpoint

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.access.ssh_keys import SshKeys

KEYS = "/api/v1/config/sshKeys/{user}"


class ConfigResource:
    """`settings` are the daemon's settings as plain data, by lower-case name, without secrets."""

    def __init__(self, ssh_keys: SshKeys, settings: Mapping[str, Any], node_id: str) -> None:
        self._ssh_keys = ssh_keys
        self._settings = settings
        self._node_id = node_id

    async def pdid(self, call: Call) -> wire.Pdid:
        return wire.Pdid(self._node_id)

    async def settings(self, call: Call) -> dict[str, Any]:
        return dict(self._settings)

    async def keys(self, call: Call) -> list[str]:
        return await self._ssh_keys.lines(call.path["user"])

    async def add_key(self, call: Call) -> wire.SshKey:
        key = call.body(wire.SshKey)
        await self._ssh_keys.add(call.who, call.path["user"], key.key)
        return key

    async def remove_key(self, call: Call) -> wire.Success:
        await self._ssh_keys.remove(call.who, call.path["user"], call.body(wire.SshKey).key)
        return wire.Success(success=True)


_R = ConfigResource
PDID = endpoint(
    "GET", "/api/v1/config/pdid", Right.SEE, "The node's id at its controller", _R.pdid, reply=wire.Pdid
)
SETTINGS = endpoint(
    "GET",
    "/api/v1/config/settings",
    Right.ADMINISTER,
    "Settings, secrets masked",
    _R.settings,
    reply=dict[str, Any],
)
SSH_KEYS = endpoint("GET", KEYS, Right.ADMINISTER, "A host user's SSH keys", _R.keys, reply=list[str])
ADD_SSH_KEY = endpoint(
    "POST",
    KEYS,
    Right.ADMINISTER,
    "Let a key in",
    _R.add_key,
    body=wire.SshKey,
    reply=wire.SshKey,
    audited=False,
)
REMOVE_SSH_KEY = endpoint(
    "DELETE", KEYS, Right.ADMINISTER, "Take a key out", _R.remove_key,
    body=wire.SshKey, reply=wire.Success, audited=False,
)  # fmt: skip

ROWS: Rows = (PDID, SETTINGS, SSH_KEYS, ADD_SSH_KEY, REMOVE_SSH_KEY)
