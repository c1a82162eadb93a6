"""An optional part in C with a twin in Python: `load` finds, checks and tries it; `build` makes it, with `cc` and Python's headers.

Called by the rooms that have such a part, and through them by `make fast`. Rules: nobody needs it; it is used only when it was built from the very
sources that lie there and has shown in this process that it works; else the twin is used, and why is logged. An environment variable leaves
it alone.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden")

log = logging.getLogger(__name__)


class BuildError(Exception):
    """It could not be built; the text says what to do."""


class NoToolsError(BuildError):
    """What builds it is not here."""


class Part(NamedTuple):
    """`module` is what it is imported as, `sources` the files of `folder` it is made of, headers too; `switch` is the variable that leaves it alone, `what` is
    for messages, and `user` who uses it."""

    module: str
    folder: Path
    switch: str
    what: str
    user: str

    @property
    def file(self) -> str:
        return f"{self.module}.abi3.so"

    def sources(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.suffix in {".c", ".h"})

    def mark(self) -> str:
        """What one that was built from the present sources calls its BUILD."""
        return hashlib.sha256(b"".join(path.read_bytes() for path in self.sources())).hexdigest()[:16]


def load(part: Part, check: Callable[[Any], None]) -> Any | None:
    """The module, ready for use; None where there is none, or none that can be used. `check` raises if it does not work."""
    if os.environ.get(part.switch, "0") not in {"", "0"}:
        return None
    try:
        module = importlib.import_module(part.module)
    except ModuleNotFoundError:
        return None
    except ImportError as error:
        log.warning("%s cannot be loaded (%s); `make fast` builds it anew", part.what, error)
        return None
    try:
        examine(part, module, check)
    except Exception as error:  # noqa: BLE001 - the border to what somebody has built: nothing of it ends us
        log.warning("%s is not used: %s; `make fast` builds it anew", part.what, error)
        return None
    return module


def examine(part: Part, module: Any, check: Callable[[Any], None]) -> None:
    """Raises `ImportError`, or what `check` raises, if it is not to be used."""
    if part.mark() != module.BUILD:
        raise ImportError("it was built for another version of Wayhouse")
    check(module)


def build(part: Part, folder: Path) -> Path:
    """Build it into `folder`; the file. Raises `BuildError`, `NoToolsError` where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoToolsError("There is no C compiler; on Debian and Ubuntu: apt install gcc libc6-dev")
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        raise NoToolsError(
            f"There is no Python.h in {headers}; on Debian and Ubuntu: apt install python3-dev"
        )
    folder.mkdir(parents=True, exist_ok=True)
    sources = [str(path) for path in part.sources() if path.suffix == ".c"]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as inside:
        made = Path(inside) / part.file
        options = [*_FLAGS, f"-I{headers}", f'-DBUILD="{part.mark()}"', "-o", str(made), *sources, "-ldl"]
        done = subprocess.run([compiler, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"The C compiler failed:\n{done.stderr}")
        return made.replace(folder / part.file)


def main(part: Part, arguments: Sequence[str]) -> int:
    """Into the folder that is named, or to where this Python finds it."""
    try:
        made = build(part, Path(arguments[0] if arguments else sysconfig.get_path("platlib")))
    except (BuildError, OSError) as error:
        print(f"{error}\nWayhouse works without it.", file=sys.stderr)  # noqa: T201 - to whoever called it
        return 1
    print(f"{made}: {part.user} uses it from its next start on")  # noqa: T201
    return 0
