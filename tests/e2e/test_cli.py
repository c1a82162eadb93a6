"""The real command against the real daemon, both as processes, with apps in the sandbox."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.external

PROGRAM = [sys.executable, "-m", "wayhouse.cli.main"]
SPEC = "name: {name}\nversion: 1\nweb: {{service: main, port: 8000}}\nservices:\n  main: {{type: light, source: ., image: python3, command: {command}}}\n"


class Daemon:
    def __init__(self, base: Path, port: int) -> None:
        self.base, self.port = base, port
        keep = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
        self.env = {name: os.environ[name] for name in keep if name in os.environ} | {
            "HOME": str(base / "home"),
            "WAYHOUSE_DATA": str(base),
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """The lines it prints until it is ready."""
        words = [*PROGRAM, "up", "--listen", f"127.0.0.1:{self.port}", "--engine", "sandbox"]
        env = {name: value for name, value in self.env.items() if name != "WAYHOUSE_DATA"}
        self.process = subprocess.Popen(
            [*words, "--data", str(self.base)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        told = ""
        while "Try:" not in told:
            line = self.process.stdout.readline()
            assert line, told
            told += line
        return told

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.process.stdout.close()

    def run(self, *words: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *map(str, words)],
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def daemon():
    base = Path(tempfile.mkdtemp(prefix="wh-"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    one = Daemon(base, port)
    one.banner = one.start()
    yield one
    one.run("chute", "rm", "page", "--yes")
    one.stop()
    shutil.rmtree(base, ignore_errors=True)


def _folder(base: Path, name: str, command: str = "python3 -m http.server 8000") -> Path:
    folder = base / f"source-{name}"
    folder.mkdir(exist_ok=True)
    (folder / "paradrop.yaml").write_text(SPEC.format(name=name, command=command))
    (folder / "index.html").write_text("It works.")
    return folder


def test_from_an_empty_folder_to_a_page_and_away(daemon):
    result = daemon.run("chute", "install", _folder(daemon.base, "page"))
    assert result.returncode == 0, result.stderr
    address = result.stdout.removeprefix("page is installed: ").strip()
    assert urllib.request.urlopen(address).read() == b"It works."
    row = daemon.run("chute", "ls").stdout.splitlines()[1].split()
    assert row[0] == "page"
    logs = daemon.run("chute", "logs", "page").stdout
    assert "GET / HTTP" in logs
    assert daemon.run("chute", "rm", "page", "--yes").returncode == 0
    assert json.loads(daemon.run("chute", "ls", "--json").stdout) == []


def test_an_app_that_dies_is_1_with_a_reason(daemon):
    result = daemon.run("chute", "install", _folder(daemon.base, "dying", "sh -c 'echo no luck; exit 3'"))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("wayhouse: ")
    assert "no luck" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_the_banner_says_works(daemon):
    code = daemon.banner.partition("code=")[2].split()[0]
    url = f"http://127.0.0.1:{daemon.port}"
    elsewhere = {name: value for name, value in daemon.env.items() if name != "WAYHOUSE_DATA"}
    done = subprocess.run(
        [*PROGRAM, "login", url, "--code", code], env=elsewhere, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = subprocess.run(
        [*PROGRAM, "--gateway", url, "whoami"], env=elsewhere, capture_output=True, text=True
    )
    assert "paradrop" in told.stdout


def test_a_terminal_sees_a_moving_line(daemon):
    main, side = pty.openpty()
    env = {**daemon.env, "TERM": "xterm", "COLUMNS": "100"}
    words = [*PROGRAM, "chute", "install", str(_folder(daemon.base, "page"))]
    process = subprocess.Popen(words, env=env, stdin=side, stdout=side, stderr=side)
    os.close(side)
    drawn = b""
    try:
        while piece := os.read(main, 65536):
            drawn += piece
    except OSError:
        pass  # Linux says so when the last writer has gone
    os.close(main)
    assert process.wait(60) == 0
    assert "Checking that it works" in drawn.decode()
    assert b"page is installed: http://" in drawn
    assert daemon.run("chute", "rm", "page", "--yes").returncode == 0


def test_ctrl_c_leaves_the_change_running(daemon):
    slow = "sh -c 'sleep 3; exec python3 -m http.server 8000'"
    words = [*PROGRAM, "chute", "install", str(_folder(daemon.base, "page", slow))]
    process = subprocess.Popen(
        words, env=daemon.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    line = ""
    while "Checking" not in line:
        line = process.stderr.readline()
        assert line
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 130
    change_id = rest.split("change watch ")[1].split()[0]
    watched = daemon.run("change", "watch", change_id)
    assert watched.returncode == 0, watched.stdout + watched.stderr
    assert daemon.run("chute", "rm", "page", "--yes").returncode == 0


def test_a_reader_that_goes_away_is_no_trace(daemon):
    shell = f"{' '.join(PROGRAM)} audit | head -1"
    done = subprocess.run(["sh", "-c", shell], env=daemon.env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_without_the_daemon_it_says_so(daemon):
    daemon.stop()
    result = daemon.run("status")
    assert (result.returncode, result.stdout) == (3, "")
    assert "wayhouse up" in result.stderr
    checked = daemon.run("check")
    assert "fail  gateway" in checked.stdout
    daemon.start()
    assert daemon.run("status").returncode == 0
