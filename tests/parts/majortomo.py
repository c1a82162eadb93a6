"""PyPI's majortomo 0.2.0, an MDP 0.2 client and worker of others, unmodified, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wayhouse-tests"


def majortomo_python() -> Path:
    """Installed once into the tests' cache. Raises `CalledProcessError` where nothing can be installed."""
    place = CACHE / f"majortomo-0.2.0-py{sys.version_info.major}.{sys.version_info.minor}"
    python = place / "bin" / "python"
    if not (place / ".complete").exists():
        venv.create(place, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "majortomo==0.2.0", "pyzmq", "six"], check=True)
        (place / ".complete").touch()
    return python
