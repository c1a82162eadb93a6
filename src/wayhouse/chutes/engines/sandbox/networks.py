"""One network namespace for each chute, shared by its services; `<state>/networks/<key>/` remembers it.

As root it is a named namespace (`ip netns`) with a link to the host; otherwise a holder process keeps a user and a
network namespace alive. Both are made again when they are gone (a reboot), by `ensure`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.chutes.engines.sandbox import nat, processes, records
from wayhouse.chutes.engines.sandbox.shim import identity
from wayhouse.chutes.model import EngineError

NAMED = Path("/run/netns")
BLOCKS = 32768
API_PORT = 46980


class Network(msgspec.Struct, frozen=True):
    """`block` numbers the network's four addresses in 198.18.0.0/15 (reserved for tests, so nobody routes it)."""

    chute: str
    block: int

    @property
    def host_address(self) -> str:
        return _address(self.block * 4 + 1)

    @property
    def app_address(self) -> str:
        return _address(self.block * 4 + 2)


def _address(offset: int) -> str:
    number = (198 << 24) + (18 << 16) + offset
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


class Networks:
    """`api` says whether apps get a way to the gateway's own API at 127.0.0.2 port 80."""

    def __init__(self, directory: Path, instance: str, *, api: bool) -> None:
        self._directory = directory
        self._instance = instance
        self._api = api
        self._root = os.geteuid() == 0
        self._lock = asyncio.Lock()

    def all(self) -> list[Network]:
        found = (self._read(path) for path in self._directory.glob("*/network.json"))
        return sorted((network for network in found if network), key=lambda network: network.chute)

    def place(self, chute: str) -> Path:
        return self._directory / self._key(chute)

    async def ensure(self, chute: str) -> dict[str, str]:
        """Make the chute's network unless it is there. Returns the shim's word for it: namespace files to join."""
        async with self._lock:
            network = self._record(chute)
            return await (self._ensure_named(network) if self._root else self._ensure_held(network))

    async def remove(self, chute: str) -> None:
        async with self._lock:
            place = self.place(chute)
            if self._root:
                await processes.run_program("ip", "link", "delete", self._link(chute))
                await processes.run_program("ip", "netns", "delete", self._name(chute))
            else:
                known = records.read_json(place / "holder.json") or {}
                await processes.end_shim(known, number=signal.SIGKILL, patience_s=5)
            shutil.rmtree(place, ignore_errors=True)
            if self._root and not self.all():
                await nat.remove()

    def _key(self, chute: str) -> str:
        return hashlib.sha256(f"{self._instance}/{chute}".encode()).hexdigest()[:8]

    def _name(self, chute: str) -> str:
        return f"wh-{short(self._instance)}-{self._key(chute)}"

    def _link(self, chute: str) -> str:
        return nat.LINK_PREFIX + self._key(chute)

    def _read(self, path: Path) -> Network | None:
        try:
            return codec.decode_json(path.read_bytes(), Network, what=str(path))
        except (OSError, BadInputError):
            return None

    def _record(self, chute: str) -> Network:
        path = self.place(chute) / "network.json"
        known = self._read(path)
        if known is not None:
            return known
        taken = {network.block for network in self.all()}
        first = int(self._key(chute), 16) % BLOCKS
        block = next((b % BLOCKS for b in range(first, first + BLOCKS) if b % BLOCKS not in taken), None)
        if block is None:
            raise EngineError("There is no address left for another app network.")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        network = Network(chute, block)
        records.write_json(path, codec.to_builtins(network))
        return network

    async def _ensure_named(self, network: Network) -> dict[str, str]:
        name = self._name(network.chute)
        path = NAMED / name
        if not _is_namespace(path):
            path.unlink(missing_ok=True)
            await _must("ip", "netns", "add", name)
            await _must("ip", "-n", name, "link", "set", "lo", "up")
            low_ports = "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start"
            await _must("ip", "netns", "exec", name, "sh", "-c", low_ports)
            if self._api:
                await nat.redirect_api(("ip", "netns", "exec", name), API_PORT)
        await nat.connect(name, self._link(network.chute), network.host_address, network.app_address)
        return {"net": str(path)}

    async def _ensure_held(self, network: Network) -> dict[str, str]:
        place = self.place(network.chute)
        known = records.read_json(place / "holder.json") or {}
        if not identity.is_same(known):
            outward = nat.outward_program()
            await processes.start_detached("hold", str(place), *([outward] if outward else []))
            known = records.read_json(place / "holder.json") or {}
            if self._api:
                enter = ("nsenter", "-t", str(known.get("pid")), "-U", "-n", "--preserve-credentials")
                await nat.redirect_api(enter, API_PORT)
        return _files(known)


def _files(holder: dict[str, Any]) -> dict[str, str]:
    spaces = f"/proc/{holder['pid']}/ns"
    return {"user": f"{spaces}/user", "net": f"{spaces}/net"}


def short(instance: str) -> str:
    return hashlib.sha256(instance.encode()).hexdigest()[:6]


def _is_namespace(path: Path) -> bool:
    """A name whose mount is gone (a reboot on a persistent /run) is an empty ordinary file."""
    try:
        return path.stat().st_dev != NAMED.stat().st_dev
    except OSError:
        return False


async def _must(*command: str) -> None:
    code, output = await processes.run_program(*command)
    if code == 127 and not output.startswith("Cannot"):
        raise EngineError(f"{output}. Install it (package iproute2) to run apps without Docker.")
    if code:
        raise EngineError(f"The app's network could not be made: {output}")
