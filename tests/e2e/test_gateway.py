"""The daemon as a process: how it starts, whom it lets in, how it stops, and what a restart keeps."""

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.parts.gateway import PASSWORD, GatewayProcess, web_app

pytestmark = pytest.mark.external

FAKE = ("-m", "tests.parts.fake_gateway")
BASIC = "Basic " + base64.b64encode(f"paradrop:{PASSWORD}".encode()).decode()
ORDER = {"config": {"name": "app", "services": {"main": {"type": "image", "image": "app"}}}}
GET_OVER_UNIX = """
import http.client, socket, sys
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
connection = Unix("localhost")
connection.request("GET", sys.argv[2])
print(connection.getresponse().status)
"""


class OnAppsSocket(GatewayProcess):
    """The same gateway, asked as apps ask it."""

    @property
    def socket(self):
        return self.data / "run" / "apps.sock"


@pytest.fixture
def no_shutdown(tmp_path):
    """A PATH whose `shutdown` does nothing, so that no test can turn the machine off."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "shutdown").write_text('#!/bin/sh\necho "$@" >>"$(dirname "$0")/asked"\n')
    (programs / "shutdown").chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


@pytest.fixture
def make(tmp_path, no_shutdown):
    """Gateways on the fake engine unless another is asked for."""
    made = []

    def one(name="gw", *, data=None, env=None, command=FAKE, **more):
        made.append(
            GatewayProcess(
                data or tmp_path / name, command=command, env={**no_shutdown, **(env or {})}, **more
            )
        )
        return made[-1]

    yield one
    for gateway in made:
        gateway.stop()


def ended(gateway):
    """Start a gateway that ends by itself: exit code and output."""
    gateway.start(ready=False)
    code = gateway.process.wait(20)
    return code, gateway.output.read_text()


def banner(gateway):
    """What it has printed, at the latest a moment after it answers."""
    deadline = time.monotonic() + 10
    while "Try:" not in (text := gateway.output.read_text()):
        assert time.monotonic() < deadline, text
        time.sleep(0.01)
    return text


def test_a_restart_order_reaches_the_program_and_not_the_machine(make, tmp_path):
    gateway = make()
    gateway.start()
    change = gateway.change(
        "POST", "/api/v1/changes/", {"updateClass": "ROUTER", "updateType": "reboot", "name": "__PARADROP__"}
    )
    assert change["state"] == "succeeded"
    assert (tmp_path / "bin" / "asked").read_text() == "-r +1\n"


def test_self_made_tls_shows_the_fingerprint_that_a_browser_sees(make):
    gateway = make(env={"WAYHOUSE_GATEWAY_TLS": "self-made"})
    gateway.start()
    seen = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", gateway.port)))
    shown = re.search(r"Certificate \(SHA-256\): +([0-9A-F:]+)", banner(gateway))[1]
    assert shown.replace(":", "").lower() == hashlib.sha256(seen).hexdigest()
    assert f"https://127.0.0.1:{gateway.port}" in gateway.output.read_text()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = f"https://127.0.0.1:{gateway.port}/healthz"
    assert urllib.request.urlopen(address, context=context, timeout=10).status == 200
    gateway.stop()
    gateway.start()
    gateway.stop()
    assert gateway.output.read_text().count(shown) == 2


def test_a_port_in_use_is_told(make):
    gateway = make()
    with socket.create_server(("127.0.0.1", gateway.port)):
        code, output = ended(gateway)
    assert code == 1
    assert f"Port {gateway.port} of 127.0.0.1 is in use" in output
    assert "Traceback" not in output


def test_a_second_gateway_on_the_same_data_is_told(make, tmp_path):
    first = make()
    first.start()
    code, output = ended(make(data=first.data))
    assert (code, "runs on" in output, "Traceback" in output) == (1, True, False)
    assert first.request("GET", "/healthz")[0] == 200


def test_a_setting_that_is_none_is_refused_with_its_place(make):
    gateway = make()
    (gateway.data / "config").mkdir(parents=True)
    (gateway.data / "config" / "wayhouse.toml").write_text("[chutes]\nengin = 'docker'\n")
    code, output = ended(gateway)
    assert (code, "engin" in output, "chutes" in output, "Traceback" in output) == (1, True, True, False)


def test_the_password_is_said_once(make):
    gateway = make(env={"WAYHOUSE_ADMIN_PASSWORD": ""})
    gateway.start()
    gateway.stop()
    password = re.search(r"password ([a-z0-9-]{15,})", gateway.output.read_text())[1]
    gateway.start()
    assert gateway.output.read_text().count(password) == 1
    request = urllib.request.Request(
        f"{gateway.url}/api/v1/auth/local", json.dumps({"password": password}).encode()
    )
    token = json.load(urllib.request.urlopen(request, timeout=10))["token"]
    logs = "".join(path.read_text() for path in (gateway.data / "data" / "logs").iterdir())
    assert password not in logs
    assert token not in logs


@contextlib.contextmanager
def connected(gateway, kind):
    """A client of that kind; for a WebSocket it must see a close with a code."""
    if kind == "idle":
        with socket.create_connection(("127.0.0.1", gateway.port)):
            yield
    elif kind == "events":
        headers = {"Accept": "text/event-stream", "Authorization": BASIC}
        with urllib.request.urlopen(urllib.request.Request(f"{gateway.url}/ws/events", headers=headers)):
            yield
    else:
        address, headers = f"ws://127.0.0.1:{gateway.port}/ws/events", {"Authorization": BASIC}
        with connect(address, additional_headers=headers) as client:
            yield
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=5)
            assert closed.value.rcvd.code == 1012


@pytest.mark.parametrize("kind", ["websocket", "events", "idle"])
def test_it_stops_soon_whoever_is_connected(make, kind):
    gateway = make()
    gateway.start()
    with connected(gateway, kind):
        begun = time.monotonic()
        gateway.process.terminate()
        assert gateway.process.wait(10) == 0
        assert time.monotonic() - begun < 3
    assert "Traceback" not in gateway.output.read_text()
    assert list((gateway.data / "run").glob("*.sock")) == []


def test_ctrl_c_while_it_starts_ends_it(make):
    gateway = make()
    gateway.start(ready=False)
    deadline = time.monotonic() + 20
    while not (gateway.data / "data" / "wayhouse.db").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    gateway.process.send_signal(signal.SIGINT)
    assert gateway.process.wait(10) == 0
    assert "Traceback" not in gateway.output.read_text()


@pytest.fixture
def open_folder():
    """A folder that another user of the machine can look into."""
    folder = Path(tempfile.mkdtemp(prefix="wayhouse-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_own_socket_lets_in_root_and_nobody_else(make, open_folder):
    gateway = make(data=open_folder / "gw")
    gateway.start()
    assert gateway.request("GET", "/api/v1/auth/me")[1]["role"] == "owner"
    command = ["/usr/bin/python3", "-c", GET_OVER_UNIX, str(gateway.socket), "/api/v1/version"]
    stranger = {
        "user": 65534,
        "group": 65534,
        "extra_groups": [],
        "capture_output": True,
        "text": True,
        "cwd": "/",
    }
    assert "PermissionError" in subprocess.run(command, **stranger).stderr
    for path in (gateway.data, gateway.data / "run"):
        path.chmod(0o755)
    gateway.socket.chmod(0o666)  # as careless as can be: the kernel still says who it is
    assert subprocess.run(command, **stranger).stdout == "401\n"
    assert subprocess.run(command, capture_output=True, text=True).stdout == "200\n"


def test_the_socket_of_the_apps_gives_rights_to_tokens_alone(make):
    gateway = make()
    gateway.start()
    gateway.change("POST", "/api/v1/chutes/", ORDER)
    token = gateway.request("GET", "/api/v1/chutes/app/cache")[1]["apiToken"]
    apps = OnAppsSocket(gateway.data)
    assert apps.request("GET", "/api/v1/chutes/")[0] == 401
    bearer = {"Authorization": f"Bearer {token}"}
    assert [one["name"] for one in apps.request("GET", "/api/v1/chutes/", headers=bearer)[1]] == ["app"]
    assert apps.request("GET", "/api/v1/users", headers=bearer)[0] == 403


def test_a_restart_keeps_ids_rising_and_what_is_installed(make):
    gateway = make()
    gateway.start()
    first = gateway.change("POST", "/api/v1/chutes/", ORDER)
    gateway.stop()
    gateway.start()
    assert [one["name"] for one in gateway.request("GET", "/api/v1/chutes/")[1]] == ["app"]
    assert gateway.request("GET", f"/api/v1/changes/{first['id']}")[1]["state"] == "succeeded"
    assert gateway.change("DELETE", "/api/v1/chutes/app")["id"] > first["id"]


def test_after_a_kill_the_apps_are_back_with_their_ports(make):
    gateway = make(command=("-m", "wayhouse.gateway"), engine="sandbox")
    gateway.start()
    try:
        assert (
            gateway.change("POST", "/api/v1/chutes/", web_app("killed", answer="still here"))["state"]
            == "succeeded"
        )
        port = gateway.request("GET", "/api/v1/chutes/killed")[1]["web"]["host_port"]
        gateway.kill()
        gateway.start()
        for change in gateway.request("GET", "/api/v1/changes/")[1]:
            gateway.wait_change(change["id"])
        chute = gateway.request("GET", "/api/v1/chutes/killed")[1]
        assert (chute["web"]["host_port"], chute["services"]["main"]["state"]) == (port, "running")
        assert b"still here" in urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read()
        status, _ = gateway.request("GET", "/", headers={"Host": "killed.chute.localhost"})
        assert status == 200
    finally:
        gateway.remove_all()


def test_the_program_explains_itself():
    shown = subprocess.run(
        [sys.executable, "-m", "wayhouse.gateway", "--help"], capture_output=True, text=True
    )
    assert (shown.returncode, "--listen" in shown.stdout) == (0, True)
