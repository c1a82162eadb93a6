"""kill -9 at every boundary between the tasks of every kind of change, on both engines.

Whatever the moment: what was acknowledged ends as it should after the next start, and nothing is left over.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.docker import docker_socket, python_base_image
from tests.parts.gateway import GatewayProcess, web_app

pytestmark = pytest.mark.external
__all__ = ["docker_socket", "python_base_image"]

CRASHING = ("-m", "tests.parts.crashing_gateway")
NAME = "crashy"


class Lab:
    """One data directory, and gateways that crash on it."""

    def __init__(self, data: Path, engine: str, env: dict[str, str]) -> None:
        self.engine = engine
        self.docker = env.get("WAYHOUSE_CHUTES_DOCKER_SOCKET", "")
        self.data = data
        self.good = GatewayProcess(data, engine=engine, env=env)
        self.bad = GatewayProcess(data, engine=engine, env=env, command=CRASHING)
        self.bad.port = self.good.port

    def crash_during(self, method: str, path: str, body: bytes | None, boundary: int) -> int | None:
        """Ask for a change of a gateway that crashes at `boundary`; the change's id, or None if it lived to the end."""
        self.bad.start(env={"CRASH_AT": str(boundary)})
        status, answer = self.bad.request(method, path, body)
        assert status == 200, answer
        change_id = int(answer["change_id"])
        assert self.bad.process is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.bad.process.poll() is not None:
                return change_id
            try:
                if self.bad.request("GET", f"/api/v1/changes/{change_id}")[1]["state"] in {
                    "succeeded",
                    "failed",
                }:
                    self.bad.stop()
                    return None
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError("neither crashed nor ended")

    def page(self) -> str | None:
        status, chute = self.good.request("GET", f"/api/v1/chutes/{NAME}")
        if status == 404 or chute["state"] != "running":
            return None
        return answer_of(chute["web"]["host_port"])

    def left_over(self, *, installed: bool) -> list[str]:
        """What is there and should not be; tidying up goes on for a moment after a change is over."""
        deadline = time.monotonic() + 5
        while (found := self._look(installed)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _look(self, installed: bool) -> list[str]:
        found = [f"upload {path.name}" for path in (self.data / "data" / "uploads").glob("*")]
        sources = list((self.data / "data" / "sources").glob("*/*"))
        if len(sources) != installed:
            found.append(f"sources {sources}")
        for folder in ("chute-data", "sources"):
            names = {path.name for path in (self.data / "data" / folder).glob("*")}
            if names - ({NAME} if installed else set()):
                found.append(f"{folder} {names}")
        return found + (
            self._docker_left(installed) if self.engine == "docker" else self._sandbox_left(installed)
        )

    def _docker_left(self, installed: bool) -> list[str]:
        instance = (self.data / "data" / "instance").read_text().strip()
        label = f"label=io.wayhouse.instance={instance}"

        def names(*command: str) -> list[str]:
            out = subprocess.run(
                ["docker", "--host", f"unix://{self.docker}", *command, "--filter", label],
                check=True,
                capture_output=True,
                text=True,
            )
            return out.stdout.split()

        containers = names("ps", "-a", "--format", "{{.Names}}")
        networks = names("network", "ls", "--format", "{{.Name}}")
        ours = [NAME] if installed else []
        left = [] if containers == [f"{name}-main" for name in ours] else [f"containers {containers}"]
        return left + ([] if networks == ours else [f"networks {networks}"])

    def _sandbox_left(self, installed: bool) -> list[str]:
        base = self.data / "data" / "sandbox"
        left = []
        for folder in ("containers", "networks"):
            entries = [path.name for path in (base / folder).glob("*") if path.is_dir()]
            if len(entries) != installed:
                left.append(f"{folder} {entries}")
        return left


def answer_of(port: int) -> str:
    """What the app answers, once it does: a version that was brought back needs a moment to start."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as reply:
                return str(reply.read().decode().strip())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture(params=["sandbox", "docker"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    env = {"WAYHOUSE_BUS_ENABLED": "false"}  # what is crashed here has nothing to do with it
    if request.param == "docker":
        env["WAYHOUSE_CHUTES_DOCKER_SOCKET"] = request.getfixturevalue("docker_socket")
        image = request.getfixturevalue("python_base_image")
        config = tmp_path / "wayhouse.toml"
        config.write_text(f'[chutes.base_images]\npython3 = "{image}"\n')
        env["WAYHOUSE_TEST_CONFIG"] = str(config)
    lab = Lab(tmp_path / "data", request.param, env)
    if request.param == "docker":
        for gateway in (lab.good, lab.bad):
            gateway._command += ["--config", env["WAYHOUSE_TEST_CONFIG"]]
    yield lab
    for gateway in (lab.good, lab.bad):
        gateway.stop()
    lab.good.start()
    lab.good.remove_all()
    lab.good.stop()


def every_boundary(lab: Lab, method: str, path: str, body: bytes | None) -> Iterator[tuple[int, int]]:
    """(boundary, change id) for each boundary at which a crash is possible, with the good gateway running after it."""
    for boundary in range(0, 200, 2 if lab.engine == "docker" else 1):  # with Docker each one takes seconds
        change_id = lab.crash_during(method, path, body, boundary)
        if change_id is None:
            assert boundary > 6, "hardly any boundaries: is the crash wired?"
            return
        lab.good.start()
        yield boundary, change_id
        lab.good.stop()


def test_install(lab: Lab) -> None:
    for boundary, change_id in every_boundary(lab, "POST", "/api/v1/chutes/", web_app(NAME, answer="one")):
        change = lab.good.wait_change(change_id)
        assert change["state"] == "succeeded", (boundary, lab.good.lines(change_id))
        assert lab.page() == "one", boundary
        assert lab.left_over(installed=True) == [], boundary
        lab.good.change("DELETE", f"/api/v1/chutes/{NAME}")
        assert lab.left_over(installed=False) == [], boundary


def test_update(lab: Lab) -> None:
    lab.good.start()
    lab.good.change("POST", "/api/v1/chutes/", web_app(NAME, answer="0"))
    (data,) = (lab.data / "data" / "chute-data").glob(NAME)
    (data / "kept").write_text("yes")
    lab.good.stop()
    new = web_app(NAME, version=2, answer="new")
    for boundary, change_id in every_boundary(lab, "PUT", f"/api/v1/chutes/{NAME}", new):
        change = lab.good.wait_change(change_id)
        assert change["state"] == "succeeded", (boundary, lab.good.lines(change_id))
        assert lab.page() == "new", boundary
        assert (data / "kept").read_text() == "yes"
        assert lab.left_over(installed=True) == [], boundary
        back = lab.good.change("PUT", f"/api/v1/chutes/{NAME}", web_app(NAME, answer="old"))
        assert back["state"] == "succeeded", back


def test_update_that_fails(lab: Lab) -> None:
    """The crash comes while the old version is brought back, too."""
    lab.good.start()
    lab.good.change("POST", "/api/v1/chutes/", web_app(NAME, answer="good"))
    lab.good.stop()
    bad = web_app(NAME, version=2, code="raise SystemExit(7)")
    for boundary, change_id in every_boundary(lab, "PUT", f"/api/v1/chutes/{NAME}", bad):
        change = lab.good.wait_change(change_id)
        assert change["state"] == "failed", (boundary, lab.good.lines(change_id))
        assert "ended right after it was started" in change["reason"], (boundary, json.dumps(change))
        assert lab.page() == "good", boundary
        assert lab.left_over(installed=True) == [], boundary


def test_remove(lab: Lab) -> None:
    def install() -> None:
        change = lab.good.change("POST", "/api/v1/chutes/", web_app(NAME))
        assert change["state"] == "succeeded", change

    lab.good.start()
    install()
    lab.good.stop()
    for boundary, change_id in every_boundary(lab, "DELETE", f"/api/v1/chutes/{NAME}", None):
        change = lab.good.wait_change(change_id)
        assert change["state"] == "succeeded", (boundary, lab.good.lines(change_id))
        assert lab.good.request("GET", "/api/v1/chutes/")[1] == []
        assert lab.left_over(installed=False) == [], boundary
        install()
