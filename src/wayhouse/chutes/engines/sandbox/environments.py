"""Gets what a bundle needs to run: Python packages, Node modules, a compiled program.

Every step runs in a sandbox (`build_step`). Results are cached by what they were made from, under `<state>/cache/`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from wayhouse.chutes.engines.sandbox import blueprint, records
from wayhouse.chutes.engines.sandbox.build_step import BuildSteps
from wayhouse.chutes.engines.sandbox.images import give_to_app
from wayhouse.chutes.model import EngineError
from wayhouse.ledger.task import Say

PROGRAMS = {
    "python3": "/usr/bin/python3",
    "python2": "/usr/bin/python2",
    "node": "node",
    "go": "go",
    "gradle": "gradle",
    "maven": "mvn",
}


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What the language adds to the image; see `images.Image`."""

    environment: dict[str, str] = {}
    paths: tuple[str, ...] = ()
    binds: dict[str, str] = {}
    caches: tuple[str, ...] = ()


class Environments:
    def __init__(self, state: Path, resolv: str) -> None:
        self._cache = state / "cache"
        self.steps = BuildSteps(state / "builds", resolv)

    @property
    def cache(self) -> Path:
        return self._cache

    async def make(self, language: str | None, app: Path, say: Say) -> Made:
        """Raises `EngineError` if the language is not on this machine or a step failed."""
        if language is None:
            return Made()
        program = find_program(language)
        if language in {"python3", "python2"}:
            return await self._python(program, app, say)
        if language == "node":
            return await self._node(program, app, say)
        for command in _COMPILE[language]:
            await self.steps.run([program, *command], app, app, say)
        return Made(paths=(f"{blueprint.APP}",))

    async def _python(self, program: str, app: Path, say: Say) -> Made:
        settings = {"PYTHONUNBUFFERED": "1"}
        wanted = _requirements(app)
        if not wanted:
            return Made(environment=settings)
        name = f"python-{fingerprint(real_name(program), wanted, app if _is_local(wanted) else None)}"
        home = self._cache / name
        made = Made(
            environment=settings, paths=(f"{home}/bin",), binds={str(home): str(home)}, caches=(name,)
        )
        if not (home / "complete").exists():
            say("Installing Python packages from requirements.txt")
            self._renew(home)
            await self.steps.run([program, "-m", "venv", str(home)], app, home, say)
            install = (
                "install",
                "--no-input",
                "--disable-pip-version-check",
                "--no-cache-dir",
                "--progress-bar",
                "off",
            )
            await self.steps.run([f"{home}/bin/pip", *install, "-r", "requirements.txt"], app, home, say)
            (home / "complete").touch()
        return made

    async def _node(self, program: str, app: Path, say: Say) -> Made:
        manifest = records.read_json(app / "package.json") or {}
        needs = {**_table(manifest, "dependencies"), **_table(manifest, "optionalDependencies")}
        if not needs:
            return Made()
        npm = shutil.which("npm")
        if npm is None:
            raise EngineError(
                "This app needs npm, which is not on this machine. Install it (package npm) or Docker."
            )
        install = [
            "npm",
            "install",
            "--omit=dev",
            "--no-audit",
            "--no-fund",
            "--no-progress",
            "--loglevel=warn",
        ]
        say("Installing Node modules from package.json")
        if (
            any(str(version).startswith(("file:", "link:", ".", "/")) for version in needs.values())
            or "workspaces" in manifest
        ):
            await self.steps.run(install, app, app, say)
            return Made()
        lock = "".join(_text(app / name) for name in ("package.json", "package-lock.json", ".npmrc"))
        name = f"node-{fingerprint(program, lock, None)}"
        home = self._cache / name
        if not (home / "complete").exists():
            self._renew(home)
            for part in ("package.json", "package-lock.json", ".npmrc"):
                if (app / part).is_file():
                    shutil.copyfile(app / part, home / part)
            give_to_app(home)
            await self.steps.run(install, home, home, say)
            (home / "node_modules").mkdir(exist_ok=True)
            (home / "complete").touch()
        return Made(binds={f"{home}/node_modules": f"{blueprint.APP}/node_modules"}, caches=(name,))

    def _renew(self, home: Path) -> None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        give_to_app(home)


_COMPILE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "go": (("build", "-o", "app", "."),),
    "gradle": (("build", "--no-daemon"),),
    "maven": (("--batch-mode", "package"),),
}


def find_program(language: str) -> str:
    """The language's program on this machine, out of the system's own directories, which the sandbox shows."""
    wanted = PROGRAMS.get(language)
    if wanted is None:
        raise EngineError(
            f"Without Docker or Podman the gateway cannot run apps in {language}.", language=language
        )
    found = shutil.which(wanted, path=blueprint.PATH)
    if found is None:
        raise EngineError(
            f"This app needs {language}, which is not on this machine. Install it, or install Docker or Podman.",
            language=language,
        )
    return found


def real_name(program: str) -> str:
    """The program behind the name (python3.11 for python3): an environment belongs to one version."""
    return Path(program).resolve().name


def fingerprint(version: str, text: str, tree: Path | None) -> str:
    """Names a cache entry after what it is made from: versions, the list of packages, and the bundle if it is part."""
    digest = hashlib.sha256(json.dumps([version, text, sys.platform]).encode())
    if tree is not None:
        for path in sorted(tree.rglob("*")):
            digest.update(str(path.relative_to(tree)).encode("utf-8", "surrogateescape"))
            if path.is_file() and not path.is_symlink():
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:20]


def _requirements(app: Path) -> str:
    lines = (line.strip() for line in _text(app / "requirements.txt").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def _is_local(requirements: str) -> bool:
    """Whether other files of the bundle matter too."""
    return any(
        line.startswith((".", "/", "-")) or "file:" in line or "/" in line.partition("#")[0]
        for line in requirements.splitlines()
    )


def _table(manifest: Mapping[str, object], key: str) -> dict[str, object]:
    value = manifest.get(key)
    return value if isinstance(value, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if not path.is_symlink() else ""
    except OSError:
        return ""
