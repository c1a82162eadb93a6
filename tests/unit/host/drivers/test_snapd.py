import contextlib
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.clock import SystemClock
from wayhouse.host.drivers.snapd import MAX_REPLY, Snapd, target_of
from wayhouse.host.model import BadSnapdRequestError, SnapdFailedError, SnapdMissingError


class Server:
    """A snapd of one answer: notes each request, sends the bytes it was given, closes."""

    def __init__(self, path: Path, answer: bytes, *, hold: bool = False) -> None:
        self.requests: list[bytes] = []
        self._answer, self._hold = answer, hold
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(5)
            data = connection.recv(65536)
            while b"\r\n\r\n" not in data or len(data.split(b"\r\n\r\n", 1)[1]) < _length(data):
                data += connection.recv(65536)
            self.requests.append(data)
            with contextlib.suppress(OSError):
                connection.sendall(self._answer)
            if self._hold:
                self._open.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
        for connection in self._open:
            connection.close()


def _length(data: bytes) -> int:
    for line in data.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"type":""}'


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(answer=OK, name="snapd", **how):
        servers.append(Server(tmp_path / name, answer, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def snapd(tmp_path):
    return Snapd(SystemClock(), snapd=tmp_path / "snapd", governor=tmp_path / "governor", timeout_s=3)


async def test_a_request_goes_through_with_its_query(serve, snapd):
    server = serve()
    reply = await snapd.forward("GET", "/v2/interfaces", query="select=all&x=%20")
    assert (reply.status, reply.content_type, reply.body) == (200, "application/json", b'{"type":""}')
    assert server.requests[0].startswith(
        b"GET /v2/interfaces?select=all&x=%20 HTTP/1.1\r\nHost: localhost\r\n"
    )


async def test_a_body_goes_along_with_its_type_only(serve, snapd):
    server = serve()
    await snapd.forward("post", "v2/create-user", body=b'{"email":"a"}', content_type="application/json")
    assert server.requests[0].endswith(b'\r\n\r\n{"email":"a"}')
    assert b"Content-Type: application/json\r\n" in server.requests[0]
    await snapd.forward("POST", "v2/x", body=b"secret")
    assert b"secret" not in server.requests[1]


async def test_the_governor_is_preferred(serve, snapd):
    direct, governor = serve(), serve(name="governor")
    await snapd.forward("GET", "/v2/users")
    assert direct.requests == []
    assert governor.requests[0].startswith(b"GET /snapd/v2/users HTTP/1.1")


async def test_snapds_own_refusals_come_back_as_they_are(serve, snapd):
    serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
    reply = await snapd.forward("GET", "/v2/nothing")
    assert (reply.status, reply.body, reply.content_type) == (404, b"{}", "application/json")


async def test_without_snapd_503(snapd, tmp_path):
    with pytest.raises(SnapdMissingError) as caught:
        await snapd.forward("GET", "/v2/users")
    assert caught.value.status == 503
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "snapd"))
    left.close()
    with pytest.raises(SnapdMissingError):
        await snapd.forward("GET", "/v2/users")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_REPLY + 1),
    ],
)
async def test_an_improper_answer_is_502(serve, snapd, answer):
    serve(answer)
    with pytest.raises(SnapdFailedError) as caught:
        await snapd.forward("GET", "/v2/users")
    assert caught.value.status == 502


async def test_silence_ends(serve, tmp_path):
    serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", hold=True)
    snapd = Snapd(SystemClock(), snapd=tmp_path / "snapd", governor=tmp_path / "governor", timeout_s=0.2)
    with pytest.raises(SnapdFailedError):
        await snapd.forward("GET", "/v2/logs", query="follow=true")


@pytest.mark.parametrize(
    ("method", "path", "query", "content_type"),
    [
        ("TRACE", "/v2", "", None),
        ("GET /x HTTP/1.1\r\nA:", "/v2", "", None),
        ("GET", "/v2/../x", "", None),
        ("GET", "/v2/./x", "", None),
        ("GET", "/v2\r\nX: y", "", None),
        ("GET", "/v2", "a b", None),
        ("GET", "/v2", "a\r\nX: y", None),
        ("GET", "/" + "x" * 5000, "", None),
        ("POST", "/v2", "", "a\r\nX: y"),
        ("POST", "/v2", "", ""),
    ],
)
async def test_what_cannot_be_sent_is_400(snapd, method, path, query, content_type):
    with pytest.raises(BadSnapdRequestError) as caught:
        await snapd.forward(method, path, query=query, content_type=content_type)
    assert caught.value.status == 400


@settings(max_examples=300, deadline=None)
@given(st.text(), st.text())
def test_every_target_is_one_clean_line(path, query):
    try:
        target = target_of(path, query)
    except BadSnapdRequestError:
        return
    assert target.startswith("/")
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    assert ".." not in target.partition("?")[0].split("/")
