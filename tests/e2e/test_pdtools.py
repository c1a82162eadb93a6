"""ParaDrop's unmodified command line against the real daemon: every command of its life with chutes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.parts.gateway import PASSWORD, SERVER, GatewayProcess
from tests.parts.pdtools import Pdtools, pdtools_program

pytestmark = pytest.mark.external
__all__ = ["pdtools_program"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    base = tmp_path_factory.mktemp("pdtools")
    (base / "homes" / "paradrop").mkdir(parents=True)
    process = GatewayProcess(
        base / "data",
        env={"WAYHOUSE_ACCESS_HOMES": str(base / "homes"), "WAYHOUSE_ACCESS_LOGIN_ATTEMPTS": "50"},
    )
    process.start()
    try:
        yield process
        process.remove_all()
    finally:
        process.stop()


@pytest.fixture(scope="module")
def tool(gateway: GatewayProcess, pdtools_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Pdtools:
    return Pdtools(pdtools_program, tmp_path_factory.mktemp("home"), f"127.0.0.1:{gateway.port}")


@pytest.fixture(scope="module")
def token(gateway: GatewayProcess) -> str:
    status, answer = gateway.request(
        "POST", "/api/v1/auth/local", {"username": "paradrop", "password": PASSWORD}
    )
    assert status == 200
    return str(answer["token"])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    write_app(folder, 1)
    return folder


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    """A person who changes the greeting."""
    script = tmp_path / "editor"
    script.write_text("#!/bin/sh\nsed -i 's/GREETING: .*/GREETING: edited/' \"$1\"\n")
    script.chmod(0o755)
    return script


def write_app(folder: Path, version: int) -> None:
    (folder / "main.py").write_text(SERVER % {"answer": f"v{version}", "status": 200})
    (folder / "paradrop.yaml").write_text(
        f"name: pd-hello\nversion: {version}\nenvironment: {{GREETING: hi}}\nweb: {{service: main, port: 8000}}\n"
        "services:\n  main: {type: light, image: python3, command: python3 -u main.py}\n"
    )


def page(gateway: GatewayProcess) -> str:
    import urllib.request

    port = gateway.request("GET", "/api/v1/chutes/pd-hello")[1]["web"]["host_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as reply:
        return str(reply.read().decode())


def test_life_of_a_chute(gateway: GatewayProcess, tool: Pdtools, token: str, app: Path, editor: Path) -> None:
    def ok(*arguments: str, **more: object) -> str:
        result = tool.run(*arguments, token=token, **more)  # type: ignore[arg-type]
        assert result.returncode == 0, (arguments, result.stdout, result.stderr)
        return result.stdout

    out = ok("install-chute", "-d", str(app))
    assert "Completed create operation on chute pd-hello: success" in out
    assert page(gateway).startswith("v1 hi")
    assert yaml.safe_load(ok("list-chutes"))[0]["name"] == "pd-hello"
    assert yaml.safe_load(ok("describe-chute", "pd-hello"))["environment"] == {"GREETING": "hi"}
    assert "apiToken" in yaml.safe_load(ok("describe-chute-cache", "pd-hello"))
    assert yaml.safe_load(ok("describe-chute-configuration", "pd-hello"))["web"] == {
        "service": "main",
        "port": 8000,
    }
    assert "success" in ok("stop-chute", "pd-hello")
    assert yaml.safe_load(ok("describe-chute", "pd-hello"))["state"] == "stopped"
    assert "success" in ok("start-chute", "pd-hello")
    assert "success" in ok("restart-chute", "pd-hello")
    assert "success" in ok("edit-chute-variables", "pd-hello", editor=str(editor))
    assert page(gateway).startswith("v1 edited")
    write_app(app, 2)
    assert "Completed update operation on chute pd-hello: success" in ok("update-chute", "-d", str(app))
    assert page(gateway).startswith("v2")
    assert ok("list-chute-networks", "pd-hello").strip() in {"", "[]"}
    last = gateway.request("GET", "/api/v1/changes/history?limit=1")[1][0]["id"]
    assert "Completed update operation" in ok("watch-change-logs", str(last))
    assert yaml.safe_load(ok("list-changes")) in (None, [])
    assert "success" in ok("remove-chute", "pd-hello")
    assert yaml.safe_load(ok("list-chutes")) in (None, [])


def test_failure_reason_is_shown(gateway: GatewayProcess, tool: Pdtools, token: str, tmp_path: Path) -> None:
    (tmp_path / "paradrop.yaml").write_text(
        "name: pd-bad\nservices:\n  main: {type: light, image: python3, command: python3 -c 'raise SystemExit(3)'}\n"
    )
    result = tool.run("install-chute", "-d", str(tmp_path), token=token)
    assert "ended right after it was started (exit code 3)" in result.stdout
    assert "Completed create operation on chute pd-bad: failure" in result.stdout
    assert gateway.request("GET", "/api/v1/chutes/")[1] == []


def test_logs(gateway: GatewayProcess, tool: Pdtools, token: str, app: Path) -> None:
    tool.run("install-chute", "-d", str(app), token=token)
    assert "ready" in streamed(tool, token, "watch-chute-logs", "pd-hello")
    gateway.change("DELETE", "/api/v1/chutes/pd-hello")


def test_the_daemons_log(gateway: GatewayProcess, tool: Pdtools, token: str) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        tool.run("watch-logs", token=token, timeout_s=2)


def streamed(tool: Pdtools, token: str, *arguments: str) -> str:
    """What a command that never ends prints in its first seconds."""
    for wait_s in (2, 4, 8):
        try:
            result = tool.run(*arguments, token=token, timeout_s=wait_s)
        except subprocess.TimeoutExpired as error:
            out = error.stdout or b""
            text = out.decode() if isinstance(out, bytes) else out
            if text:
                return text
            time.sleep(0.5)
        else:
            return result.stdout + result.stderr
    return ""


def test_keys_settings_password(gateway: GatewayProcess, tool: Pdtools, token: str, tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEKnbUA2mc9KxPnyRMIvvbTBNCzlWUvYkrBBgJnVoLGW somebody@example"
    (tmp_path / "id.pub").write_text(key + "\n")
    assert tool.run("import-ssh-key", str(tmp_path / "id.pub"), token=token).returncode == 0
    listed = tool.run("list-ssh-keys", token=token)
    assert listed.returncode == 0
    assert yaml.safe_load(listed.stdout) == [key]
    settings = tool.run("describe-settings", token=token)
    assert settings.returncode == 0
    assert yaml.safe_load(settings.stdout)["internal_data_dir"] == "/data/"
    assert PASSWORD not in settings.stdout


def test_nothing_without_a_password(gateway: GatewayProcess, tool: Pdtools) -> None:
    """Without a token pdtools tries ParaDrop's empty default password, which must not work here."""
    assert "name:" not in tool.run("list-chutes").stdout
    assert tool.run("remove-chute", "pd-hello").returncode != 0


def test_default_login_only_when_asked_for(pdtools_program: Path, tmp_path: Path) -> None:
    """pdtools signs in as ParaDrop's default user with an empty password by itself."""
    gateway = GatewayProcess(tmp_path / "data", options=["--insecure-default-login"])
    gateway._env.pop("WAYHOUSE_ADMIN_PASSWORD")
    gateway.start()
    try:
        tool = Pdtools(pdtools_program, tmp_path / "home", f"127.0.0.1:{gateway.port}")
        (tmp_path / "home").mkdir()
        assert tool.run("login").returncode == 0
        listed = tool.run("list-chutes")
        assert listed.returncode == 0
        assert listed.stdout.strip() in {"", "[]"}
        changed = tool.run("set-password", stdin="paradrop\na-new-password\na-new-password\n")
        assert changed.returncode == 0, (changed.stdout, changed.stderr)
    finally:
        gateway.stop()
