"""What is installed from the built wheel, away from the checkout, is whole: daemon, page, example."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.parts.gateway import GatewayProcess

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.external


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path / "wheels"), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    place = tmp_path / "installed"
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(place), str(wheel)], check=True, capture_output=True
    )
    env = {"PYTHONPATH": str(place)}
    gateway = GatewayProcess(tmp_path / "data", env=env)
    gateway.start()
    try:
        with urllib.request.urlopen(gateway.url + "/sign-in") as reply:
            text = reply.read().decode()
        assert "/static/" in text
        command = [
            sys.executable,
            "-m",
            "wayhouse.cli.main",
            "--data",
            str(tmp_path / "data"),
            "chute",
            "install",
            "hello",
        ]
        shown = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **env}, capture_output=True, text=True, timeout=60
        )
        assert shown.returncode == 0, shown.stdout + shown.stderr
        files = {Path(line) for line in subprocess.run(
            [sys.executable, "-c", "import wayhouse; print(wayhouse.__file__)"],
            env={**os.environ, **env}, cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stdout.split()}  # fmt: skip
        assert files == {place / "wayhouse" / "__init__.py"}
        gateway.remove_all()
    finally:
        gateway.stop()
