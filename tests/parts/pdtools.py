"""ParaDrop's own command line, pdtools 0.13.2, unmodified, in an environment of its own.

It is from 2018 and its pinned PyYAML no longer builds, so it is installed without its pins beside libraries of today.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wayhouse-tests"
LIBRARIES = (
    "PyYAML==6.0.3", "click==8.1.8", "requests==2.32.5", "websocket-client==0.59.0", "arrow==0.17.0",
    "jsonschema==4.23.0", "six==1.17.0", "future==1.0.0", "GitPython==3.1.44", "appdirs==1.4.4", "setuptools==75.8.0",
)  # fmt: skip


class Pdtools:
    def __init__(self, program: Path, home: Path, target: str) -> None:
        self._program = program
        self._env = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("WAYHOUSE", "PARADROP"))
            },
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "PDTOOLS_NODE_TARGET": target,
            "EDITOR": "true",
        }

    def run(
        self,
        *arguments: str,
        token: str | None = None,
        stdin: str = "",
        cwd: Path | None = None,
        timeout_s: float = 60,
        group: Sequence[str] = ("node",),
        editor: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        env = {
            **self._env,
            **({"PARADROP_API_TOKEN": token} if token else {}),
            **({"EDITOR": editor} if editor else {}),
        }
        return subprocess.run(
            [str(self._program), *group, *arguments],
            env=env, cwd=cwd, input=stdin, text=True, capture_output=True, timeout=timeout_s, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def pdtools_program() -> Path:
    """Installed once into the tests' cache."""
    place = CACHE / f"pdtools-0.13.2-py{sys.version_info.major}.{sys.version_info.minor}"
    program = place / "bin" / "pdtools"
    if not (place / ".complete").exists():
        venv.create(place, with_pip=True, clear=True)
        pip = [
            str(place / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, *LIBRARIES], check=True)
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "pdtools==0.13.2"], check=True)
        (place / ".complete").touch()
    return program
