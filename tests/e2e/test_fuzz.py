"""Whatever is sent to the daemon, it answers within the bounds of its own description and goes on."""

import io
import json
import os
import socket
import tarfile
import urllib.error
import urllib.request

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.parts.gateway import PASSWORD, GatewayProcess, tar_of

pytestmark = pytest.mark.external

LEFT_OUT = {("POST", "/api/v1/password/clear"), ("POST", "/api/v1/bus/call")}
"""The one would remove the very user that asks, the other waits for services that nobody serves."""
BOUNDED = settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """On the fake engine, and with a `shutdown` that does nothing first in its PATH."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "bin").mkdir()
    (folder / "bin" / "shutdown").write_text("#!/bin/sh\n")
    (folder / "bin" / "shutdown").chmod(0o755)
    (folder / "homes").mkdir()
    env = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "WAYHOUSE_ACCESS_HOMES": str(folder / "homes"),
        "WAYHOUSE_ACCESS_ARGON2_MEMORY_KIB": "8",
        "WAYHOUSE_CHUTES_WEB_WAIT_S": "0",
        "WAYHOUSE_CHUTES_SETTLE_S": "0",
        # Every failed sign-in comes from one address here, and a lockout would end the test.
        "WAYHOUSE_ACCESS_LOGIN_ATTEMPTS": "1000000",
        "WAYHOUSE_ACCESS_CLIENT_ATTEMPTS": "1000000",
    }
    one = GatewayProcess(folder / "gw", command=("-m", "tests.parts.fake_gateway"), env=env)
    one.start()
    status, answer = one.request(
        "POST", "/api/v1/users", {"name": "fuzz", "password": PASSWORD, "role": "admin"}
    )
    assert status == 200, answer
    yield one
    one.stop()
    output = one.output.read_text()
    assert "Traceback" not in output, output[-5000:]


@pytest.fixture(scope="module")
def admin(gateway):
    login = {"username": "fuzz", "password": PASSWORD}
    token = gateway.request("POST", "/api/v1/auth/local", login)[1]["token"]
    return {"Authorization": f"Bearer {token}"}


def test_every_operation_keeps_to_its_description(gateway, admin):
    schema = schemathesis.openapi.from_dict(gateway.request("GET", "/api/v1/openapi.json")[1])
    schema.config.update(base_url=gateway.url)
    count = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if (operation.method.upper(), operation.path) in LEFT_OUT:
            continue
        count += 1
        ask(operation, admin, gateway)
    assert count > 50
    assert gateway.request("GET", "/healthz")[0] == 200


def ask(operation, admin, gateway):
    without_snapd = operation.path.startswith("/snapd/")

    @BOUNDED
    @given(case=operation.as_strategy())
    def run(case):
        response = case.call(base_url=gateway.url, headers=admin, timeout=20)
        if without_snapd and response.status_code == 503:
            return
        case.validate_response(response, checks=CHECKS)
        assert response.status_code != 401 or "/auth/" in operation.path, response.text

    run()


HEADS = [
    b"",
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\n\r\n",
    b"GET /%ff%00%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://app.chute.localhost/x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /api/v1/auth/local HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/auth/local HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"POST /api/v1/auth/local HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /api/v1/auth/local HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /api/v1/auth/local HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /api/v1/auth/local HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"GET /healthz HTTP/1.1\r\nAuthorization: \xff\xfe\r\nCookie: \xff=\xfe; wayhouse_session=\xfd\r\nOrigin: http://[\r\n\r\n",
    b"POST /api/v1/tokens HTTP/1.1\r\nAuthorization: Bearer \xff\r\nOrigin: http://[\r\nContent-Length: 0\r\n\r\n",
    b"GET /chutes/\xc3\xa9/ HTTP/1.1\r\nHost: \xff\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \xff.chute.localhost\r\n\r\n",
    b"GET /ws/events HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    (
        b"GET /ws/events HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    ),
    (
        b"GET /ws/\xff HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ),
    (
        b"GET /ws/events HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: \xff\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ),
    b"POST /ws/events HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /healthz HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


def first_answer(gateway, data):
    """What comes back for these bytes; b"" if the connection is closed or kept waiting."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=0.5) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return client.recv(65536)
        except (TimeoutError, ConnectionError):
            return b""


def fits(answer):
    """No answer, or one that blames the sender."""
    return answer == b"" or (answer.startswith(b"HTTP/1.1 ") and not answer.startswith(b"HTTP/1.1 5"))


@pytest.mark.parametrize("head", HEADS, ids=range(len(HEADS)))
def test_a_malformed_head_is_the_senders_fault(gateway, head):
    answer = first_answer(gateway, head)
    assert fits(answer), answer
    assert "Traceback" not in gateway.output.read_text()
    assert gateway.request("GET", "/healthz")[0] == 200


@BOUNDED
@given(st.binary(max_size=200))
def ask_raw(gateway, data):
    answer = first_answer(gateway, b"GET /healthz HTTP/1.1\r\n" + data + b"\r\nConnection: close\r\n\r\n")
    assert fits(answer), answer


def test_any_header_bytes_get_an_answer_or_the_door(gateway):
    ask_raw(gateway)
    assert gateway.request("GET", "/healthz")[0] == 200


def post(gateway, admin, body, media):
    request = urllib.request.Request(
        f"{gateway.url}/api/v1/chutes/", body, {**admin, "Content-Type": media}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def is_taken_or_refused(status, body):
    return (status == 200 and isinstance(body["change_id"], int)) or (400 <= status < 500 and body["message"])


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = st.sampled_from(
    ["name", "version", "config", "services", "main", "type", "image", "source", "web", "port", "environment", "net",
     "build", "requests", "health", "command", "normal", "light", "app", "python3", "..", "/etc"]
)  # fmt: skip
DOCUMENTS = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


def test_any_specification_is_taken_or_refused(gateway, admin):
    @settings(BOUNDED, max_examples=60)
    @given(DOCUMENTS, st.sampled_from(["json", "yaml", "order"]))
    def run(document, how):
        if how == "order":
            found = post(gateway, admin, json.dumps({"config": document}).encode(), "application/json")
        else:
            text = json.dumps(document) if how == "json" else f"name: app\nservices: {json.dumps(document)}\n"
            found = post(gateway, admin, tar_of({"paradrop.yaml": text}), "application/x-tar")
        assert is_taken_or_refused(*found), found

    run()


def test_any_yaml_text_is_taken_or_refused(gateway, admin):
    @settings(BOUNDED, max_examples=40)
    @given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))
    def run(text):
        found = post(gateway, admin, tar_of({"paradrop.yaml": text}), "application/x-tar")
        assert is_taken_or_refused(*found), found

    run()


def archive(names, kinds):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", errors="surrogateescape") as tar:
        for name, kind in zip(names, kinds, strict=False):
            info = tarfile.TarInfo(name or "x")
            info.type, info.linkname = kind, name
            tar.addfile(info)
    return buffer.getvalue()


def test_any_archive_is_taken_or_refused(gateway, admin):
    kinds = [
        tarfile.REGTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
        tarfile.CHRTYPE,
        tarfile.FIFOTYPE,
    ]
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
        ["../x", "/x", "a/../../b", "paradrop.yaml", "x\udcff", "."]
    )

    @settings(BOUNDED, max_examples=40)
    @given(
        st.lists(names, max_size=4),
        st.lists(st.sampled_from(kinds), min_size=4, max_size=4),
        st.binary(max_size=40),
        st.booleans(),
    )
    def run(found_names, found_kinds, noise, is_cut):
        data = archive(found_names, found_kinds)
        data = data[: len(data) // 2] + noise if is_cut else data + noise
        found = post(gateway, admin, data, "application/x-tar")
        assert is_taken_or_refused(*found), found

    run()
