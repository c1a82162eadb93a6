# covers: api/client_errors.py
"""The client against a small real `Api`, served as the daemon serves it."""

import asyncio
import contextlib
import hashlib
import io
import socket
import threading

import msgspec
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.access.model import Identity, Role
from wayhouse.access.policy import Right
from wayhouse.api import client_grace
from wayhouse.api.client import Client, target
from wayhouse.api.client_errors import ProblemError, StrangeAnswerError, UnreachableError
from wayhouse.api.client_transport import Place
from wayhouse.api.http import Api, ApiSettings
from wayhouse.api.table import Call, Channel, Reply, endpoint
from wayhouse.base.errors import BadInputError, ForbiddenError, UnauthenticatedError
from wayhouse.base.metrics import Metrics


class Thing(msgspec.Struct, frozen=True):
    name: str
    count: int = 0


class Resource:
    async def get(self, call: Call) -> Thing:
        return Thing(call.path["name"], call.query_number("count", 0) or 0)

    async def put(self, call: Call) -> Thing:
        return call.body(Thing)

    async def take(self, call: Call) -> dict[str, object]:
        digest, size = hashlib.sha256(), 0
        async for chunk in call.chunks:
            digest.update(chunk)
            size += len(chunk)
        return {"sha256": digest.hexdigest(), "size": size, "media": call.headers["content-type"]}

    async def refuse(self, call: Call) -> Thing:
        raise BadInputError("No, because.", path="count")

    async def forbid(self, call: Call) -> dict[str, object]:
        raise ForbiddenError("Not you.")

    async def text(self, call: Call) -> Reply:
        return Reply(b"plain", media="text/plain")

    async def odd(self, call: Call) -> Reply:
        return Reply(b"{", 200)

    async def stream(self, call: Call, _incoming: object):
        return _numbers(call.query_number("upto", 3))

    async def refuse_stream(self, call: Call, _incoming: object):
        raise ForbiddenError("No stream.")


async def _numbers(upto: int):
    for number in range(upto):
        yield f"line {number}\nmore"


R = Resource
GET = endpoint("GET", "/things/{name}", Right.SEE, "", R.get, reply=Thing)
PUT = endpoint("PUT", "/things", Right.SEE, "", R.put, body=Thing, reply=Thing)
TAKE = endpoint("POST", "/things", Right.SEE, "", R.take, body=Thing, archive=True, reply=dict[str, object])
REFUSE = endpoint("POST", "/refuse", Right.SEE, "", R.refuse, reply=Thing)
FORBID = endpoint(
    "POST", "/forbid", Right.SEE, "", R.forbid, body=Thing, archive=True, reply=dict[str, object]
)
TEXT = endpoint("GET", "/text", Right.SEE, "", R.text, reply=str, reply_media="text/plain")
ODD = endpoint("GET", "/odd", Right.SEE, "", R.odd, reply=Thing)
STREAM = Channel(path="/stream", right=Right.SEE, summary="", opener=R.stream)
NO_STREAM = Channel(path="/no-stream", right=Right.SEE, summary="", opener=R.refuse_stream)
ROWS = (GET, PUT, TAKE, REFUSE, FORBID, TEXT, ODD, STREAM, NO_STREAM)
TOKEN = "let me in"


class Identify:
    async def authenticate(self, authorization, *, cookie_token=None, client=""):
        if authorization != f"Bearer {TOKEN}":
            raise UnauthenticatedError("Sign in first.")
        return Identity("ann", role=Role.ADMIN)

    def identify_peer(self, uid):
        return None


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@pytest.fixture(scope="module")
def place():
    async def nothing(scope, receive, send):
        raise AssertionError

    api = Api(
        ROWS,
        [Resource()],
        access=Identify(),
        audit=lambda *_: None,
        owner_of=lambda _: None,
        settings=ApiSettings(),
        metrics=Metrics(),
        otherwise=nothing,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(api, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    yield Place("http", "127.0.0.1", listener.getsockname()[1])
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def client(place):
    return Client(place, token=TOKEN)


def test_answers_have_the_type_of_the_row(client):
    assert client.call(GET, query={"count": 7, "none": None}, name="a b/ü?") == Thing("a b/ü?", 7)


def test_a_body_is_encoded_as_json(client):
    assert client.call(PUT, body=Thing("x", 3)) == Thing("x", 3)


def test_text_stays_text(client):
    assert client.call(TEXT) == "plain"


def test_problems_keep_their_status_code_and_path(client):
    with pytest.raises(ProblemError) as caught:
        client.call(REFUSE)
    error = caught.value
    assert (error.status, error.code, error.message, error.fields) == (
        400,
        "bad-input",
        "No, because.",
        {"path": "count"},
    )


def test_without_a_token_the_gateway_says_sign_in(place):
    with pytest.raises(ProblemError) as caught:
        Client(place).call(GET, name="x")
    assert caught.value.status == 401


def test_what_is_not_the_rows_type_is_strange(client):
    with pytest.raises(StrangeAnswerError, match="GET /odd"):
        client.call(ODD)


def test_nothing_shows_the_token(client):
    assert TOKEN not in repr(client)


@pytest.mark.parametrize("kind", ["bytes", "file", "iterator"])
def test_uploads_come_whole_and_in_pieces(client, kind):
    data = bytes(range(256)) * 5000
    source = {
        "bytes": data,
        "file": io.BytesIO(data),
        "iterator": (data[at : at + 1000] for at in range(0, len(data), 1000)),
    }[kind]
    answer = client.upload(TAKE, source, "application/gzip")
    assert answer == {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "media": "application/gzip",
    }


def test_an_upload_is_never_whole_in_memory(client):
    alive = []

    def pieces():
        for _ in range(64):
            alive.append(1)
            yield bytes(1024 * 1024)

    assert client.upload(TAKE, pieces())["size"] == 64 * 1024 * 1024
    assert len(alive) == 64


def test_a_refused_upload_tells_why_not_that_the_pipe_broke(client):
    with pytest.raises(ProblemError, match="Not you"):
        client.upload(FORBID, (bytes(65536) for _ in range(500)))


def test_an_error_while_packing_is_not_swallowed(client):
    def pieces():
        yield b"start"
        raise BadInputError("The file is gone.")

    with pytest.raises(BadInputError, match="gone"):
        client.upload(TAKE, pieces())


def test_a_stream_ends_when_the_gateway_says_so(client):
    assert list(client.follow(STREAM, query={"upto": 3})) == [f"line {number}\nmore" for number in range(3)]


def test_a_refused_stream_is_a_problem(client):
    with pytest.raises(ProblemError, match="No stream"):
        next(client.follow(NO_STREAM))


def test_a_stream_may_be_left_early(client):
    frames = client.follow(STREAM, query={"upto": 1000})
    assert next(frames) == "line 0\nmore"
    frames.close()


def test_what_streams_nothing_is_strange(client):
    row = Channel(path="/text", right=Right.SEE, summary="", opener=R.stream)
    with pytest.raises(StrangeAnswerError):
        next(client.follow(row))


def _answer_once(data: bytes):
    """A place that reads one request and answers with these bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    return Place("http", "127.0.0.1", listener.getsockname()[1]), thread, listener


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", UnreachableError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", StrangeAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", UnreachableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", StrangeAnswerError),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 6\r\n\r\n<html>", ProblemError),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", ProblemError),
    ],
)
def test_whatever_answers_the_error_is_ours(data, error):
    place, thread, listener = _answer_once(data)
    with pytest.raises(error):
        Client(place).call(GET, name="x")
    thread.join()
    listener.close()


def test_a_lost_stream_says_so():
    start = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n"
    place, thread, listener = _answer_once(start)
    frames = Client(place).follow(STREAM)
    assert next(frames) == "one"
    with pytest.raises(UnreachableError, match="lost"):
        next(frames)
    thread.join()
    listener.close()


RESUMES = Channel(path="/ws/x", right=Right.SEE, summary="", opener=R.stream, resumes=True)
TELLS_ALL = Channel(path="/ws/x", right=Right.SEE, summary="", opener=R.stream, tells_all=True)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def _answer_in_turn(*answers: bytes):
    """A place that answers one connection after the other, and the requests that came."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        for data in answers:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(data)
        listener.close()

    thread = threading.Thread(target=serve)
    thread.start()
    return Place("http", "127.0.0.1", listener.getsockname()[1]), thread, asked


def test_a_stream_that_resumes_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(client_grace, "PAUSE_S", 0.0)
    place, thread, asked = _answer_in_turn(
        HEAD + b"id: 0\n\nid: 1\ndata: one\n\nid: 2\ndata: tw",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        HEAD,
        HEAD + b"id: 2\ndata: two\n\nevent: end\ndata:\n\n",
    )
    assert list(Client(place).follow(RESUMES)) == ["one", "two"]
    thread.join()
    ids = [
        next((line for line in one.splitlines() if line.startswith(b"Last-Event-ID")), None) for one in asked
    ]
    assert ids == [None, *[b"Last-Event-ID: 1"] * 3]


def test_a_stream_that_tells_all_begins_anew_and_the_loss_is_told(monkeypatch):
    monkeypatch.setattr(client_grace, "PAUSE_S", 0.0)
    place, thread, asked = _answer_in_turn(
        HEAD + b"data: one\n\n",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"data: two\n\n",
        HEAD + b"data: three\n\nevent: end\ndata:\n\n",
    )
    lost = []
    assert list(Client(place).follow(TELLS_ALL, lost=lost.append)) == ["one", "two", "three"]
    thread.join()
    assert lost == [client_grace.GRACE_S] * 2
    assert not any(b"Last-Event-ID" in one for one in asked)


def test_a_gateway_that_stays_away_is_given_up(monkeypatch):
    monkeypatch.setattr(client_grace, "PAUSE_S", 0.0)
    place, thread, _ = _answer_in_turn(HEAD + b"id: 1\ndata: one\n\n")
    frames = Client(place, grace_s=0.05).follow(RESUMES)
    assert next(frames) == "one"
    with pytest.raises(UnreachableError, match="has not come back within"):
        next(frames)
    thread.join()


def test_a_stream_that_is_refused_on_the_way_back_is_a_problem(monkeypatch):
    monkeypatch.setattr(client_grace, "PAUSE_S", 0.0)
    place, thread, _ = _answer_in_turn(
        HEAD + b"data: one\n\n", b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"
    )
    frames = Client(place).follow(RESUMES)
    assert next(frames) == "one"
    with pytest.raises(ProblemError):
        next(frames)
    thread.join()


def test_paths_are_filled_and_encoded():
    assert target("/a/{x}/b", {"x": "ü/?"}, {"q": "1 2"}) == "/a/%C3%BC%2F%3F/b?q=1+2"
    assert target("/a/{rest...}", {"rest": "b/c d"}) == "/a/b/c%20d"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_would_be_another_path_are_refused(name):
    with pytest.raises(BadInputError):
        target("/a/{x}/b", {"x": name})


def test_a_missing_or_unknown_variable_is_our_own_defect():
    with pytest.raises(TypeError):
        target("/a/{x}", {})
    with pytest.raises(TypeError):
        target("/a", {"x": 1})


@given(st.text())
def test_no_name_leaves_its_place_in_the_path(name):
    try:
        path = target("/a/{x}/end", {"x": name})
    except (BadInputError, UnicodeEncodeError):
        return
    assert path.split("/")[0:2] == ["", "a"]
    assert len(path.split("/")) == 4
    assert path.isascii()
    assert "?" not in path
