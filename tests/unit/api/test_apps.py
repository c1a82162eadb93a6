"""Which requests are an app's, and what of them it may see."""

import pytest

from tests.parts import asgi
from tests.parts.asgi import RefusedError, ask
from wayhouse.api.apps import Apps, WebSettings, end_to_end, forwarded_headers
from wayhouse.api.http import SESSION_COOKIE


class Recorder:
    """A `Forward` that notes what it was given and answers "app"."""

    def __init__(self):
        self.targets = []

    async def http(self, target, scope, receive, send):
        self.targets.append(target)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"app"})

    async def websocket(self, target, scope, receive, send):
        self.targets.append(target)
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})


async def gateway(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"gateway"})


@pytest.fixture
def forward():
    return Recorder()


@pytest.fixture
def app(forward):
    return Apps({"hello": 20000}.get, WebSettings(), forward, gateway)


@pytest.mark.parametrize(
    "host", ["hello.chute.localhost", "HELLO.Chute.localhost:8080", "hello.chute.paradrop.org"]
)
async def test_a_host_name_leads_to_the_app(app, forward, host):
    answer = await ask(app, "GET", "/a%2Fb//../c?x=%20&y", headers={"host": host})
    assert answer.body == b"app"
    assert forward.targets[0][:2] == (20000, "/a%2Fb//../c?x=%20&y")


@pytest.mark.parametrize(
    "host", ["gateway.test", "chute.localhost", "xchute.localhost", "", "[::1]:80", "127.0.0.1"]
)
async def test_other_names_lead_to_the_gateway(app, host):
    assert (await ask(app, "GET", "/", headers={"host": host})).body == b"gateway"


@pytest.mark.parametrize("host", ["none.chute.localhost", "a.hello.chute.localhost", ".chute.localhost"])
async def test_an_app_that_is_not_there_is_a_404_also_for_a_websocket(app, host):
    assert (await ask(app, "GET", "/", headers={"host": host})).status == 404
    with pytest.raises(RefusedError) as refused:
        async with asgi.websocket(app, "/", headers={"host": host}):
            pass
    assert refused.value.answer.status == 404


@pytest.mark.parametrize(
    ("target", "host", "place"),
    [
        ("/chutes/hello", "gw:8080", "http://gw:20000/"),
        ("/chutes/hello/", "gw:8080", "http://gw:20000/"),
        ("/chutes/hello?x=1", "gw", "http://gw:20000/?x=1"),
        ("/chutes/hello/a%20b/c?x=%20", "gw", "http://gw:20000/a%20b/c?x=%20"),
        ("/chutes/hello//evil.test/", "gw", "http://gw:20000//evil.test/"),
        ("/chutes/hello/", "[::1]:8080", "http://[::1]:20000/"),
        ("/chutes/hello/", "[::1]", "http://[::1]:20000/"),
        ("/chutes/hello/", "", "http://127.0.0.1:20000/"),
    ],
)
async def test_a_path_sends_the_browser_to_the_apps_own_port(app, target, host, place):
    answer = await ask(app, "GET", target, headers={"host": host})
    assert (answer.status, answer.headers["location"]) == (302, place)


async def test_a_form_that_is_sent_on_stays_a_form(app):
    assert (await ask(app, "POST", "/chutes/hello/form", b"x=1")).status == 307


@pytest.mark.parametrize("target", ["/chutes/", "/chutes/hello-new/", "/chutes/hell", "/chutes%2Fhello/"])
async def test_only_the_whole_name_counts(app, target):
    assert (await ask(app, "GET", target)).status == 404


async def test_a_websocket_by_path_is_passed_on_without_the_gateways_credentials(app, forward):
    headers = {"authorization": "Basic eA==", "cookie": f"{SESSION_COOKIE}=s; own=1", "x-own": "kept"}
    async with asgi.websocket(app, "/chutes/hello/ws?a=b", headers=headers) as socket:
        assert await socket.receive() is None
    target = forward.targets[0]
    assert target.path == "/ws?a=b"
    sent = dict(target.headers)
    assert b"authorization" not in sent
    assert (sent[b"cookie"], sent[b"x-own"]) == (b"own=1", b"kept")


def forwarded(*pairs, **more):
    return forwarded_headers(asgi.scope_of("http", "/", headers=[("host", "app.test"), *pairs], **more))


def test_an_app_learns_who_asks_from_the_gateway_alone():
    found = forwarded(
        ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "gopher"), ("x-forwarded-host", "x")
    )
    assert sorted(found) == [
        (b"host", b"app.test"),
        (b"x-forwarded-for", b"203.0.113.9"),
        (b"x-forwarded-host", b"app.test"),
        (b"x-forwarded-proto", b"http"),
    ]
    assert (b"x-forwarded-proto", b"https") in forwarded(scheme="https")
    assert (b"x-forwarded-for", b"") in forwarded(client=None)


def test_headers_of_the_hop_end_here():
    found = dict(
        forwarded(
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("authorization", "Bearer app"),
            ("content-length", "5"),
        )
    )
    assert found.keys() == {
        b"host", b"authorization", b"content-length", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (f"a=1; {SESSION_COOKIE}=secret; b=2", b"a=1; b=2"),
        (f"{SESSION_COOKIE}=secret", None),
        (f" {SESSION_COOKIE} =secret;;", None),
        (f"{SESSION_COOKIE}", None),
        (f"x{SESSION_COOKIE}=own", f"x{SESSION_COOKIE}=own".encode()),
    ],
)
def test_our_cookie_is_no_apps_business(sent, kept):
    assert dict(forwarded(("cookie", sent))).get(b"cookie") == kept


def test_an_answers_headers_keep_their_order_and_number():
    sent = [
        (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b"), (b"Connection", b"close, X-Hop"), (b"X-Hop", b"1"),
        (b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked"),
    ]  # fmt: skip
    assert end_to_end(sent) == [(b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"content-length", b"3")]
