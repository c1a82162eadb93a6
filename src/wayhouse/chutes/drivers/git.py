"""The `git` program as a way to get one checkout of a repository. Called by `drivers/download.py`.

Nothing of the machine's git configuration takes part, no hook and no prompt can run, only the given transports are
allowed, and a secret travels in the environment (as a header for one host), never in an argument. What a checkout would
write is measured before it is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import shlex
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from wayhouse.base.errors import OutsideError
from wayhouse.chutes import bundle
from wayhouse.chutes.bundle import ArchiveLimits
from wayhouse.chutes.model import BadArchiveError
from wayhouse.chutes.origin import Origin, shown

_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_ALL = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
MAX_OUTPUT = 64 * 1024


class Git:
    """`ssh_key` is the gateway's own key; without `known_hosts` the keys of hosts are taken as they come."""

    def __init__(
        self,
        *,
        limits: ArchiveLimits,
        schemes: frozenset[str],
        timeout_s: float,
        ssh_key: Path | None,
        known_hosts: Path | None,
    ) -> None:
        self._limits = limits
        self._schemes = schemes
        self._timeout_s = timeout_s
        self._ssh_key = ssh_key
        self._known_hosts = known_hosts

    async def checkout(self, origin: Origin, into: Path) -> None:
        """Put the files of `origin.checkout` (else of the default branch) into the empty directory `into`.

        Raises `OutsideError` when git cannot, `BadArchiveError` for what this gateway does not take.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._checkout(origin, into)
        except TimeoutError as error:
            raise OutsideError(
                f"Fetching {shown(origin.url)} took longer than {self._timeout_s:g} seconds."
            ) from error

    async def _checkout(self, origin: Origin, into: Path) -> None:
        environment = self._environment(origin, into)
        await self._run(origin, into, environment, "init", "--quiet", "--template=")
        revision = await self._fetch(origin, into, environment)
        await self._measure(origin, into, environment, revision)
        await self._run(
            origin, into, environment, "checkout", "--quiet", "--detach", "--force", revision, "--"
        )
        await asyncio.to_thread(shutil.rmtree, into / ".git", ignore_errors=True)
        await asyncio.to_thread(bundle.check_tree, into, self._limits)

    async def _fetch(self, origin: Origin, into: Path, environment: Mapping[str, str]) -> str:
        """One commit if the server gives it by that name; a commit it does not name is looked for in all of them."""
        wanted = origin.checkout or "HEAD"
        fetch = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
        try:
            await self._run(origin, into, environment, *fetch, "--depth=1", "--", origin.url, wanted)
        except OutsideError:
            if not _COMMIT.fullmatch(wanted):
                raise
            await self._run(origin, into, environment, *fetch, "--", origin.url, *_ALL)
            return wanted
        return "FETCH_HEAD"

    async def _measure(
        self, origin: Origin, into: Path, environment: Mapping[str, str], revision: str
    ) -> None:
        """A small repository can stand for an endless tree, so its entries are counted while git lists them."""
        process = await self._start(
            into, environment, "ls-tree", "-r", "-l", "-z", "--end-of-options", revision
        )
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        count = size = 0
        try:
            while entry := await _next_entry(process.stdout):
                count += 1
                size += _size_of(entry)
                if count > self._limits.members or size > self._limits.unpacked_bytes:
                    raise BadArchiveError(f"{shown(origin.url)} is larger than this gateway takes.")
        finally:
            await _end(process)

    async def _run(self, origin: Origin, into: Path, environment: Mapping[str, str], *arguments: str) -> None:
        process = await self._start(into, environment, *arguments)
        try:
            _, errors = await process.communicate()
        finally:
            await _end(process)
        if process.returncode:
            raise OutsideError(f"git cannot fetch {shown(origin.url)}: {_reason(errors, origin)}")

    async def _start(
        self, into: Path, environment: Mapping[str, str], *arguments: str
    ) -> asyncio.subprocess.Process:
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *arguments,
                cwd=into,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise OutsideError("The program git is not installed on this gateway. Install it.") from error
        with contextlib.suppress(ProcessLookupError, PermissionError):
            size = self._limits.archive_bytes
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        return process

    def _environment(self, origin: Origin, into: Path) -> dict[str, str]:
        settings = {
            "core.hooksPath": "/dev/null",
            "core.fsmonitor": "false",
            "core.symlinks": "true",
            "credential.helper": "",
            "http.followRedirects": "false" if origin.secret else "initial",
            "gc.auto": "0",
            "safe.directory": "*",
        }
        if origin.basic:
            settings[f"http.{origin.url}.extraHeader"] = f"Authorization: {origin.basic}"
        numbered = {
            name: text
            for index, (key, value) in enumerate(settings.items())
            for name, text in ((f"GIT_CONFIG_KEY_{index}", key), (f"GIT_CONFIG_VALUE_{index}", value))
        }
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(into),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": str(len(settings)),
            **numbered,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": ":".join(sorted(self._schemes)),
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_SSH_COMMAND": self._ssh(),
        }

    def _ssh(self) -> str:
        options = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-F", "/dev/null"]
        if self._ssh_key is not None:
            options += ["-i", str(self._ssh_key), "-o", "IdentitiesOnly=yes"]
        known = str(self._known_hosts) if self._known_hosts is not None else "/dev/null"
        options += ["-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={known}"]
        return shlex.join(options)


async def _next_entry(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\0")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        raise BadArchiveError("The repository holds a name that is too long.") from error


def _size_of(entry: bytes) -> int:
    """Of mode, type, object and size before a tab and the name; a submodule has `-` for its size."""
    fields = entry.partition(b"\t")[0].split()
    return int(fields[3]) if len(fields) == 4 and fields[3].isdigit() else 0


async def _end(process: asyncio.subprocess.Process) -> None:
    """End git and what it started, if any of it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _reason(errors: bytes, origin: Origin) -> str:
    """What git said last, in one line and without the secret, should git ever repeat it."""
    text = errors[-MAX_OUTPUT:].decode("utf-8", "replace")
    for secret in (origin.secret, origin.basic):
        text = text.replace(secret, "***") if secret else text
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "it says nothing")[:300]
