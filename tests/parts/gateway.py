"""A real gateway as a process, for end-to-end tests: started on free ports in a temporary directory, stopped by pid."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PASSWORD = "a-long-password"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


class GatewayProcess:
    """`prefix` goes in front of the command and must become it (`ip netns exec`); `module` is what `python -m` runs: the daemon, or a test's own version of it that crashes on purpose."""

    def __init__(
        self,
        data: Path,
        *,
        engine: str = "sandbox",
        command: Sequence[str] = ("-m", "wayhouse.gateway"),
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.data = data
        self.port = free_port()
        self._command = [
            *prefix, sys.executable, *command, "--data", str(data), "--listen", f"127.0.0.1:{self.port}",
            "--engine", engine, "--bus-port", "0", *options,
        ]  # fmt: skip
        self._env = {**os.environ, "WAYHOUSE_ADMIN_PASSWORD": PASSWORD, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self.output = data.parent / f"{data.name}.out"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> Path:
        return self.data / "run" / "wayhouse.sock"

    def start(self, *, env: Mapping[str, str] | None = None, ready: bool = True) -> None:
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                self._command, stdout=out, stderr=subprocess.STDOUT, env={**self._env, **(env or {})}
            )
        if ready:
            self.wait_ready()

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the gateway ended:\n{self.output.read_text()}")
            try:
                if self.request("GET", "/healthz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the gateway is not ready:\n{self.output.read_text()}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Over the UNIX socket, as the owner. The body is JSON unless it is bytes (then a tar archive)."""
        connection = UnixConnection(self.socket)
        try:
            media = {"Content-Type": "application/x-tar"} if isinstance(body, bytes) else {}
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            connection.request(method, path, body, {**media, **(headers or {})})
            reply = connection.getresponse()
            data = reply.read()
        finally:
            connection.close()
        try:
            return reply.status, json.loads(data)
        except ValueError:
            return reply.status, data

    def change(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask for a change and wait until it is over."""
        status, answer = self.request(method, path, body)
        assert status == 200, answer
        return self.wait_change(answer["change_id"])

    def wait_change(self, change_id: int, timeout_s: float = 120.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            change: dict[str, Any] = self.request("GET", f"/api/v1/changes/{change_id}")[1]
            if change["state"] in {"succeeded", "failed", "cancelled"}:
                return change
            time.sleep(0.03)
        raise AssertionError(f"change {change_id} does not end: {self.lines(change_id, live=False)}")

    def lines(self, change_id: int, *, live: bool = True) -> list[str]:
        """The messages of a change's stream, to its end (`live=False`: what is there after two seconds)."""
        connection = UnixConnection(self.socket)
        connection.timeout = 60 if live else 2
        connection.request("GET", f"/ws/changes/{change_id}/stream", headers={"Accept": "text/event-stream"})
        found: list[str] = []
        try:
            reply = connection.getresponse()
            for raw in reply:
                if raw.startswith(b"event: end"):
                    break
                if raw.startswith(b"data: "):
                    found.append(json.loads(raw[6:])["message"])
        except TimeoutError:
            pass
        finally:
            connection.close()
        return found

    def remove_all(self) -> None:
        """Take all chutes away, so that nothing of a test stays on the machine."""
        for chute in self.request("GET", "/api/v1/chutes/")[1]:
            self.change("DELETE", f"/api/v1/chutes/{chute['name']}")


def tar_of(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


SERVER = """
import http.server, os, sys
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (%(answer)r + " " + os.environ.get("GREETING", "")).encode()
        self.send_response(%(status)d)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, text, *args):
        print(text %% args, flush=True)
print("ready", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
"""


def web_app(
    name: str,
    *,
    version: int = 1,
    answer: str = "hello",
    status: int = 200,
    extra: str = "",
    code: str | None = None,
) -> bytes:
    """A small app with a page, as an archive. `extra` is YAML of the service, indented by four spaces."""
    spec = (
        f"name: {name}\nversion: {version}\nweb: {{service: main, port: 8000}}\n"
        f"services:\n  main:\n    type: light\n    image: python3\n    command: python3 -u main.py\n{extra}"
    )
    return tar_of({"paradrop.yaml": spec, "main.py": code or SERVER % {"answer": answer, "status": status}})
