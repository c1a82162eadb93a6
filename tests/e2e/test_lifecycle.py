"""The life of apps on the real daemon, on both engines: the promises of the user guide, one after the other."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets.sync.client

from tests.parts.docker import docker_socket, python_base_image
from tests.parts.gateway import PASSWORD, GatewayProcess, tar_of, web_app
from wayhouse.chutes import examples

pytestmark = pytest.mark.external
__all__ = ["docker_socket", "python_base_image"]


@pytest.fixture(scope="module", params=["sandbox", "docker"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    base = tmp_path_factory.mktemp("life")
    options: list[str] = []
    env = {}
    if request.param == "docker":
        config = base / "wayhouse.toml"
        config.write_text(
            f'[chutes.base_images]\npython3 = "{request.getfixturevalue("python_base_image")}"\n'
        )
        options = ["--config", str(config)]
        env["WAYHOUSE_CHUTES_DOCKER_SOCKET"] = request.getfixturevalue("docker_socket")
    process = GatewayProcess(base / "data", engine=request.param, options=options, env=env)
    process.start()
    try:
        yield process
    finally:
        process.remove_all()
        process.stop()


@pytest.fixture
def clean(gateway: GatewayProcess) -> Iterator[GatewayProcess]:
    yield gateway
    gateway.remove_all()


def page(gateway: GatewayProcess, name: str) -> str:
    port = gateway.request("GET", f"/api/v1/chutes/{name}")[1]["web"]["host_port"]
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as reply:
                return str(reply.read().decode().strip())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_the_example(clean: GatewayProcess) -> None:
    change = clean.change("POST", "/api/v1/chutes/", examples.archive(examples.folders()["hello"]))
    assert change["state"] == "succeeded", change
    assert "hello" in page(clean, "hello")
    status, usage = clean.request("GET", "/api/v1/chutes/hello/usage")
    assert status == 200
    assert usage["main"]["memory_bytes"] > 0


def test_an_update_that_is_not_healthy_is_taken_back(clean: GatewayProcess) -> None:
    health = "    health: {http: /, timeout: 2}\n"
    clean.change("POST", "/api/v1/chutes/", web_app("h", answer="old", extra=health))
    before = clean.request("GET", "/api/v1/chutes/h")[1]
    change = clean.change("PUT", "/api/v1/chutes/h", web_app("h", version=2, status=500, extra=health))
    assert change["state"] == "failed"
    assert "GET /: answered 500" in change["reason"]
    lines = clean.lines(change["id"])
    assert "The old version is running again." in lines
    assert lines[-2:] == [f"Reason: {change['reason']}", "Completed update operation on chute h: failure"]
    assert page(clean, "h") == "old"
    after = clean.request("GET", "/api/v1/chutes/h")[1]
    assert (after["version"], after["web"]) == (before["version"], before["web"])


def test_data_survives_updates_and_restarts_and_goes_with_the_app(clean: GatewayProcess) -> None:
    app = tar_of(
        {
            "paradrop.yaml": "name: keeps\nservices:\n  main: {type: light, image: python3, command: python3 -u main.py}\n",
            "main.py": "import os, time\np = os.environ['PARADROP_DATA_DIR'] + 'n'\n"
            "n = int(open(p).read()) + 1 if os.path.exists(p) else 1\nopen(p, 'w').write(str(n))\n"
            "print('run', n, flush=True)\ntime.sleep(3600)\n",
        }
    )
    assert clean.change("POST", "/api/v1/chutes/", app)["state"] == "succeeded"
    assert clean.change("POST", "/api/v1/chutes/keeps/restart")["state"] == "succeeded"
    assert clean.change("PUT", "/api/v1/chutes/keeps", app)["state"] == "succeeded"
    (folder,) = (clean.data / "data" / "chute-data").glob("keeps")
    assert (folder / "n").read_text() == "3"
    lines = clean.request("GET", "/api/v1/chutes/keeps/logs")[1]
    assert lines[-1]["message"] == "run 3"
    assert lines[-1]["timestamp"].endswith("Z")
    clean.change("DELETE", "/api/v1/chutes/keeps")
    assert not folder.exists()


def test_configuration_changes_services(clean: GatewayProcess) -> None:
    clean.change("POST", "/api/v1/chutes/", web_app("conf", answer="same"))
    built = [line for line in clean.lines(1) if "Building" in line]
    fields = {"services": {"main": {"environment": {"GREETING": "changed"}}}}
    change = clean.change("PUT", "/api/v1/chutes/conf/config", fields)
    assert change["state"] == "succeeded", change
    assert page(clean, "conf") == "same changed"
    assert not [line for line in clean.lines(change["id"]) if "Building" in line], built
    status, problem = clean.request(
        "PUT", "/api/v1/chutes/conf/config", {"services": {"main": {"type": "odd"}}}
    )
    assert (status, problem["path"]) == (400, "services.main.type")


def test_a_stopped_app_stays_stopped_over_a_restart_of_the_gateway(clean: GatewayProcess) -> None:
    clean.change("POST", "/api/v1/chutes/", web_app("one"))
    clean.change("POST", "/api/v1/chutes/", web_app("two"))
    assert clean.change("POST", "/api/v1/chutes/one/stop")["state"] == "succeeded"
    port = clean.request("GET", "/api/v1/chutes/two")[1]["web"]["host_port"]
    clean.kill()
    assert (
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).status == 200
    )  # apps go on without it
    clean.start()
    states = {one["name"]: one["state"] for one in clean.request("GET", "/api/v1/chutes/")[1]}
    assert states == {"one": "stopped", "two": "running"}
    assert page(clean, "two") == "hello"
    again = clean.change("POST", "/api/v1/chutes/one/stop")
    assert "already stopped" in again["reason"]


def test_logs_are_followed_across_an_update(clean: GatewayProcess) -> None:
    clean.change("POST", "/api/v1/chutes/", web_app("talks"))
    token = clean.request("POST", "/api/v1/auth/local", {"username": "paradrop", "password": PASSWORD})[1][
        "token"
    ]
    url = f"ws://127.0.0.1:{clean.port}/sockjs/logs/talks/websocket"
    with websockets.sync.client.connect(
        url, additional_headers={"Authorization": f"Bearer {token}"}
    ) as socket:
        first = json.loads(socket.recv(timeout=10))
        assert (first["service"], first["message"]) == ("main", "ready")
        clean.change("PUT", "/api/v1/chutes/talks", web_app("talks", version=2))
        page(clean, "talks")
        seen: list[str] = []
        deadline = time.monotonic() + 20
        while not any("GET / HTTP" in text for text in seen) and time.monotonic() < deadline:
            seen.append(json.loads(socket.recv(timeout=20))["message"])
        assert "ready" in seen


def test_web_access_by_path_and_by_name(clean: GatewayProcess) -> None:
    clean.change("POST", "/api/v1/chutes/", web_app("site"))
    port = clean.request("GET", "/api/v1/chutes/site")[1]["web"]["host_port"]
    connection = http.client.HTTPConnection("127.0.0.1", clean.port)
    connection.request("GET", "/chutes/site/a/b?c=d")
    reply = connection.getresponse()
    reply.read()
    assert reply.status == 302
    assert reply.headers["Location"] == f"http://127.0.0.1:{port}/a/b?c=d"
    connection.request("GET", "/", headers={"Host": "site.chute.localhost"})
    reply = connection.getresponse()
    assert (reply.status, reply.read().strip()) == (200, b"hello")
    connection.request("GET", "/chutes/site-new/")
    assert connection.getresponse().status == 404
    connection.close()


def test_the_apps_own_token(clean: GatewayProcess) -> None:
    """From inside the app: it finds the gateway by its variables, sees itself, and may not change what it is."""
    code = (
        "import json, os, urllib.request, urllib.error, http.server\n"
        "def ask(method, path):\n"
        "    r = urllib.request.Request(os.environ['PARADROP_BASE_URL'] + path, method=method,"
        " headers={'Authorization': 'Bearer ' + os.environ['PARADROP_API_TOKEN']})\n"
        "    try:\n        return urllib.request.urlopen(r, timeout=10).status\n"
        "    except urllib.error.HTTPError as e:\n        return e.code\n"
        "class Page(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        body = json.dumps([ask('GET', ''), ask('GET', '/networks'), ask('DELETE', ''), ask('GET', '/../other')]).encode()\n"
        "        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()\n"
        "        self.wfile.write(body)\n"
        "http.server.ThreadingHTTPServer(('', 8000), Page).serve_forever()\n"
    )
    clean.change("POST", "/api/v1/chutes/", web_app("other"))
    clean.change("POST", "/api/v1/chutes/", web_app("selfish", code=code))
    assert json.loads(page(clean, "selfish"))[:3] == [200, 200, 403]


def test_what_no_bundle_should_do(clean: GatewayProcess) -> None:
    for files, text in (
        ({"main.py": "x"}, "No paradrop.yaml file found"),
        ({"paradrop.yaml": "version: 1"}, "Chute name not found"),
        ({"../evil": "x", "paradrop.yaml": "name: x"}, "unsafe paths"),
        ({"paradrop.yaml": "name: x\nservices: {main: {type: light, image: cobol, command: x}}"}, None),
    ):
        status, answer = clean.request("POST", "/api/v1/chutes/", tar_of(files))
        if text is None:
            assert "No Dockerfile template for cobol" in clean.wait_change(answer["change_id"])["reason"]
        else:
            assert status == 400, answer
            assert text in answer["message"]
    uploads = clean.data / "data" / "uploads"
    deadline = time.monotonic() + 30
    while list(uploads.glob("*")):  # the last one goes a moment after its change has ended
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_port_of_another_program_is_refused_with_its_number(clean: GatewayProcess) -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        port = holder.getsockname()[1]
        wanted = f"    requests: {{port-bindings: [{{external: {port}, internal: 8000}}]}}\n"
        change = clean.change("POST", "/api/v1/chutes/", web_app("greedy", extra=wanted))
    assert change["state"] == "failed"
    assert f"Port {port} of this machine is in use" in change["reason"]


def test_a_memory_limit_holds(clean: GatewayProcess) -> None:
    app = tar_of(
        {
            "paradrop.yaml": "name: hog\nservices:\n  main: {type: light, image: python3, command: python3 -u main.py,"
            " limits: {memory: 64M}, restart: 'no'}\n",
            "main.py": "import time\ntime.sleep(2)\nx = bytearray(400_000_000)\nprint('got it all')\ntime.sleep(60)\n",
        }
    )
    assert clean.change("POST", "/api/v1/chutes/", app)["state"] == "succeeded"
    deadline = time.monotonic() + 30
    state = ""
    while time.monotonic() < deadline and state != "exited":
        state = clean.request("GET", "/api/v1/chutes/hog")[1]["services"]["main"]["state"]
        time.sleep(0.2)
    assert state == "exited"
    assert not any(
        line["message"] == "got it all" for line in clean.request("GET", "/api/v1/chutes/hog/logs")[1]
    )


def test_privileged_is_for_admins(clean: GatewayProcess, tmp_path: Path) -> None:
    clean.request("POST", "/api/v1/users", {"name": "tess", "password": "a-long-password", "role": "trusted"})
    token = clean.request("POST", "/api/v1/auth/local", {"username": "tess", "password": "a-long-password"})[
        1
    ]["token"]
    app = web_app("strong", extra="    requests: {privileged: true}\n")
    status, answer = clean.request("POST", "/api/v1/chutes/", app, {"Authorization": f"Bearer {token}"})
    assert status == 200
    assert "only an admin" in clean.wait_change(answer["change_id"])["reason"]
    clean.request("DELETE", "/api/v1/users/tess")
