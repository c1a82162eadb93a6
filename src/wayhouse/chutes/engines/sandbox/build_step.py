"""Runs one step of a build (pip, npm, a compiler) in a sandbox of its own, as the app's user.

Package code from outside runs here: it sees the host's network and programs, the bundle, and nothing else.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from wayhouse.base import ids
from wayhouse.chutes.engines.docker_stream import useful_lines
from wayhouse.chutes.engines.sandbox import blueprint, processes, records
from wayhouse.chutes.engines.sandbox.images import APP_UID
from wayhouse.chutes.model import EngineError
from wayhouse.ledger.task import Say

PASSED_ON = ("PIP_", "NPM_CONFIG_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_", "GOPROXY")
CONFIGURATION = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/npmrc", "/opt")


class BuildSteps:
    """`work` is a directory for what a step needs while it runs; `resolv` the text of its resolv.conf."""

    def __init__(self, work: Path, resolv: str) -> None:
        self._work = work
        self._resolv = resolv

    async def check(self) -> str | None:
        """Try the sandbox with a program that does nothing: why it cannot work here, None if it can."""
        place = self._work / "check"
        place.mkdir(parents=True, exist_ok=True)
        try:
            await self.run(["/bin/true"], place, place, lambda _line: None)
        except EngineError as error:
            return error.message.rpartition("true: ")[2]
        return None

    async def run(self, argv: Sequence[str], app: Path, output: Path, say: Say) -> None:
        """Run one step with the bundle as its directory and `output` writable. Raises `EngineError` if it fails."""
        work = self._work / ids.short_id()
        work.mkdir(parents=True)
        try:
            plan = self._plan(argv, work, [app, output])
            records.write_json(work / "plan.json", plan)
            tail: list[str] = []
            command = processes.shim_command("run", str(work / "plan.json"))
            async for line in processes.run_lines(*command):
                tail = [*tail[-4:], line]
                for text in () if line.startswith("exit ") else useful_lines(line):
                    say(text)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        if tail[-1:] != ["exit 0"]:
            reason = next((line for line in reversed(tail[:-1]) if line.strip()), "no reason given")
            raise EngineError(f"Error building the app: {Path(argv[0]).name}: {reason}")

    def _plan(self, argv: Sequence[str], work: Path, writable: Sequence[Path]) -> dict[str, object]:
        shown = [{"do": "bind", "source": path, "target": path, "optional": True} for path in CONFIGURATION]
        own = [
            {"do": "bind", "source": str(path), "target": str(path), "writable": True}
            for path in dict.fromkeys(writable)
        ]
        files = [
            {"do": "write", "target": "/etc/resolv.conf", "text": self._resolv},
            {"do": "write", "target": "/etc/hosts", "text": "127.0.0.1 localhost\n::1 localhost\n"},
        ]
        return {
            "argv": list(argv),
            "environment": build_environment(os.environ),
            "cwd": str(writable[0]),
            "uid": APP_UID,
            "mapped": os.geteuid() != 0,
            "hostname": "build",
            "directory": str(work / "root"),
            "steps": [*blueprint.base_steps(APP_UID), *files, *shown, *own],
            "network": {},
            "cgroups": [],
            "limits": {"core": 0},
        }


def build_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a build step sees: where the package registries are, nothing else of the daemon's environment."""
    passed = {name: value for name, value in environ.items() if name.upper().startswith(PASSED_ON)}
    return {"PATH": blueprint.PATH, "HOME": blueprint.HOME, "LANG": "C.UTF-8", **passed}
