"""What is true of every request: methods, paths, bodies, credentials, cookies, origins, errors."""

import base64
import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parts import asgi
from tests.parts.asgi import RefusedError, ask
from tests.parts.house import PASSWORD, SETTINGS
from tests.parts.house import house as whole_house
from wayhouse.access.model import Identity, Role
from wayhouse.access.policy import Right
from wayhouse.api.http import SESSION_COOKIE, Api, ApiSettings, session_cookie
from wayhouse.api.table import Call, Reply, endpoint
from wayhouse.base.errors import BadInputError
from wayhouse.base.metrics import Metrics

OWNER = Identity("owner", role=Role.OWNER)


class Resource:
    async def text(self, call: Call) -> str:
        return call.path["text"]

    async def echo(self, call: Call) -> object:
        return call.body(dict)

    async def broken(self, call: Call) -> object:
        raise ZeroDivisionError("secret detail")

    async def unsayable(self, call: Call) -> object:
        return {"name": "\udcff"}

    async def bad_name(self, call: Call) -> object:
        raise BadInputError("The file \udcff is bad.", path="\udcff")

    async def nothing(self, call: Call) -> Reply:
        return Reply(None, 204)


class Everybody:
    async def authenticate(self, authorization, *, cookie_token=None, client=""):
        return OWNER

    def identify_peer(self, uid):
        return OWNER if uid == 0 else None


@pytest.fixture
def audited():
    return []


@pytest.fixture
def small(audited):
    async def otherwise(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})

    rows = [
        endpoint("GET", "/text/{text}", Right.SEE, "", Resource.text, reply=str),
        endpoint("POST", "/echo", Right.SEE, "", Resource.echo, reply=dict, body=dict[str, int]),
        endpoint("GET", "/broken", Right.SEE, "", Resource.broken, reply=dict),
        endpoint("POST", "/broken", Right.SEE, "", Resource.broken, reply=dict),
        endpoint("GET", "/unsayable", Right.SEE, "", Resource.unsayable, reply=dict),
        endpoint("GET", "/bad-name", Right.SEE, "", Resource.bad_name, reply=dict),
        endpoint("DELETE", "/nothing", Right.SEE, "", Resource.nothing, reply=dict),
    ]
    return Api(
        rows,
        [Resource()],
        access=Everybody(),
        audit=lambda *entry: audited.append(entry),
        owner_of=lambda _: None,
        settings=ApiSettings(max_body_bytes=1000),
        metrics=Metrics(),
        otherwise=otherwise,
    )


async def test_trailing_slashes_do_not_matter(house):
    for target in ("/api/v1/chutes", "/api/v1/chutes/", "/api/v1/changes", "/api/v1/changes/", "/healthz/"):
        assert (await house.ask("GET", target)).status == 200


async def test_head_is_get_without_the_body(house):
    got, head = await house.ask("GET", "/healthz"), await house.ask("HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))


async def test_options_says_what_is_possible(house):
    answer = await house.ask("OPTIONS", "/api/v1/chutes/mine", who=None)
    assert (answer.status, answer.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PUT")
    assert "content-length" not in answer.headers


async def test_another_method_is_a_405_that_says_what_is_possible(house):
    answer = await house.ask("PATCH", "/api/v1/chutes/mine")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS, PUT")
    assert answer.json()["code"] == "method-not-allowed"
    stream = await house.ask("HEAD", "/ws/events", headers={"accept": "text/event-stream"})
    assert (stream.status, stream.headers["allow"], stream.body) == (405, "GET, OPTIONS", b"")


async def test_a_missing_thing_is_a_problem_document_with_the_old_fields(house):
    answer = await house.ask("GET", "/api/v1/chutes/none")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["status"]) == ("urn:wayhouse:problem:no-such-chute", 404)
    assert body["detail"] == body["error"] == body["message"] != ""


async def test_forbidden_says_what_paradrop_said(house):
    await house.install("foreign", "admin")
    answer = await house.ask("GET", "/api/v1/chutes/foreign", who="user")
    assert answer.status == 403
    assert answer.json()["error"] == "You do not have permission to access the requested chute."


async def test_credentials_in_every_spelling(house):
    encoded = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    for value in (f"Basic {encoded}", f"basic user:{PASSWORD}", f"Bearer {house.token('user')}"):
        answer = await ask(house.app, "GET", "/api/v1/auth/me", headers={"authorization": value})
        assert answer.json() == {"name": "user", "domain": "localhost", "role": "user"}


@pytest.mark.parametrize(
    "value", ["Bearer None", "Bearer", "Basic", "", "Basic cGFyYWRyb3A=", "Digest x", "Bearer ÿ"]
)
async def test_bad_credentials_are_a_401_with_a_challenge(house, value):
    answer = await ask(house.app, "GET", "/api/v1/auth/me", headers={"authorization": value})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="Login Required"')


async def test_the_pages_own_calls_get_no_challenge(house):
    answer = await house.ask("GET", "/api/v1/auth/me", who=None, headers={"hx-request": "true"})
    assert answer.status == 401
    assert "www-authenticate" not in answer.headers


async def test_what_is_open_does_not_look_at_credentials(house):
    for _ in range(10):
        answer = await house.ask("GET", "/healthz", who=None, headers={"authorization": "Basic user:wrong"})
        assert answer.status == 200
    assert (
        await house.ask(
            "GET", "/api/v1/auth/me", who=None, headers={"authorization": f"Basic user:{PASSWORD}"}
        )
    ).status == 200


async def test_peers_of_the_own_socket_are_who_the_kernel_says(house):
    for uid, status in ((0, 200), (65534, 401), (-2, 401)):
        answer = await ask(house.app, "GET", "/api/v1/users", client=(f"unix:{uid}", 1))
        assert answer.status == status
    assert (await ask(house.app, "GET", "/api/v1/users", client=("apps", 0))).status == 401
    assert (await house.ask("GET", "/api/v1/users", who="guest", client=("unix:0", 1))).status == 403


def cookie(house, **more):
    return {"cookie": f"a=b; {SESSION_COOKIE}={house.cookie('admin')}", "host": "gw:8080", **more}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://gw:8080"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://gw:8080"}, 200),
        ({}, 403),
        ({"origin": "http://gw:20000"}, 403),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://gw:8080"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_a_cookie_changes_things_from_the_own_page_only(house, headers, status):
    answer = await ask(house.app, "POST", "/api/v1/auth/links", headers=cookie(house, **headers))
    assert answer.status == status
    assert (await ask(house.app, "GET", "/api/v1/users", headers=cookie(house, **headers))).status == 200


async def test_a_websocket_with_a_cookie_comes_from_the_own_page_only(house):
    async with asgi.websocket(house.app, "/ws/events", headers=cookie(house, origin="http://gw:8080")):
        pass
    with pytest.raises(RefusedError) as refused:
        async with asgi.websocket(house.app, "/ws/events", headers=cookie(house, origin="http://gw:20000")):
            pass
    assert refused.value.answer.status == 403


async def test_a_websocket_where_there_is_none_is_a_404(house):
    for target in ("/ws/nothing", "/", "/api/v1/chutes/"):
        with pytest.raises(RefusedError) as refused:
            async with house.websocket(target):
                pass
        assert refused.value.answer.status == 404


def test_the_session_cookie_is_found_in_what_browsers_send():
    assert session_cookie({"cookie": f"x=1; {SESSION_COOKIE}=abc; y=2"}) == "abc"
    assert session_cookie({"cookie": f"{SESSION_COOKIE}"}) is None
    assert session_cookie({}) is None


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_cookie_header_is_survived(text):
    session_cookie({"cookie": text + SESSION_COOKIE + text})


async def test_a_body_that_is_too_large_is_a_413(small):
    assert (await ask(small, "POST", "/echo", b"x" * 1001)).status == 413
    told = {"content-length": "99999999999999999999999999"}
    assert (await ask(small, "POST", "/echo", b"", headers=told)).status == 413


async def test_half_a_body_is_not_taken(small):
    async with asgi.exchange(small, "POST", "/echo", body=b'{"a": 1}', more_body=True) as one:
        one.leave()
        assert await one.begin() == 400


async def test_a_wrong_type_is_named_with_its_path(small):
    answer = await ask(small, "POST", "/echo", {"a": 1, "b": "x"})
    assert answer.status == 400
    assert "Expected `int`, got `str`" in answer.json()["detail"]
    answer = await ask(small, "POST", "/echo", b"{")
    assert (answer.status, answer.json()["code"]) == (400, "bad-input")


async def test_the_wrong_media_is_a_415(house):
    answer = await house.ask("POST", "/api/v1/chutes/", b"x", headers={"content-type": "text/html"})
    assert (answer.status, answer.json()["code"]) == (415, "unsupported-media")


async def test_an_unknown_word_is_refused_by_name(house):
    answer = await house.ask("PUT", "/api/v1/users/guest", {"role": "king"})
    assert (answer.status, answer.json()["path"]) == (400, "role")
    answer = await house.ask("POST", "/api/v1/users", {"name": "x", "password": "y", "wings": 2})
    assert answer.status == 400
    assert "wings" in answer.json()["detail"]


async def test_a_defect_is_a_500_without_detail(small, audited, caplog):
    with caplog.at_level(logging.ERROR):
        answer = await ask(small, "POST", "/broken")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert b"ZeroDivision" not in answer.body
    assert "secret detail" in caplog.text
    assert audited == [(OWNER, "POST /broken", "/broken", asgi.STRANGER[0], "unforeseen")]


async def test_an_answer_that_cannot_be_encoded_is_a_500_like_any_defect(small):
    answer = await ask(small, "GET", "/unsayable")
    assert (answer.status, answer.json()["code"]) == (500, "error")


async def test_a_problem_about_a_file_that_is_not_utf8_can_be_told(small):
    answer = await ask(small, "GET", "/bad-name")
    assert (answer.status, answer.json()["detail"]) == (400, "The file ? is bad.")


async def test_what_changes_is_audited_and_what_reads_is_not(small, audited):
    await ask(small, "POST", "/echo", {"a": 1})
    await ask(small, "POST", "/echo", {"a": "x"})
    await ask(small, "GET", "/broken")
    assert [entry[1:] for entry in audited] == [
        ("POST /echo", "/echo", asgi.STRANGER[0], "ok"),
        ("POST /echo", "/echo", asgi.STRANGER[0], "bad-input"),
    ]


async def test_no_content_has_neither_length_nor_type(small):
    answer = await ask(small, "DELETE", "/nothing")
    assert (answer.status, answer.body) == (204, b"")
    assert not {"content-length", "content-type"} & set(answer.headers)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=40), st.binary(max_size=60))
async def test_any_path_and_query_get_an_answer(path, query):
    answer = await ask(_api(), "GET", "/text/" + path + "?" + query.decode("latin-1"))
    assert answer.status in {200, 404}


def _api():
    async def otherwise(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    row = endpoint("GET", "/text/{text}", Right.SEE, "", Resource.text, reply=str)
    return Api(
        [row], [Resource()], access=Everybody(), audit=print, owner_of=print, settings=ApiSettings(),
        metrics=Metrics(), otherwise=otherwise,
    )  # fmt: skip


async def test_percent_encoding_names_the_same_thing_once(small):
    assert (await ask(small, "GET", "/text/a%20b%2Fc")).json() == "a b/c"
    assert (await ask(small, "GET", "/text/%252e")).json() == "%2e"
    assert (await ask(small, "GET", "/text/%FF")).json() == "�"


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/chutes/%2e%2e/config", "/api/v1/chutes/../users", "/api/v1/chutes/..%2f..%2fetc", "/api/v1//chutes//x",
        "/api/v1/chutes//config", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/v1/chutes/%00",
    ],
)  # fmt: skip
async def test_ways_up_lead_nowhere(house, target):
    assert (await house.ask("GET", target, who="owner")).status in {303, 404}


async def test_numbers_that_are_none_are_refused(house):
    for text in ("-1", "x", "1_0", "%C2%B2", "9" * 30, "9" * 5000):
        assert (await house.ask("GET", f"/api/v1/changes/{text}")).status == 400
        assert (await house.ask("GET", f"/api/v1/changes/history?limit={text}")).status == 400
    assert (await house.ask("GET", f"/api/v1/changes/{2**63 - 1}")).status == 404


async def test_cors_is_off_unless_the_settings_say_so(tmp_path, house):
    asked = {"origin": "https://page.test"}
    assert "access-control-allow-origin" not in (await house.ask("GET", "/healthz", headers=asked)).headers
    named = msgspec.structs.replace(SETTINGS, api=ApiSettings(cors_origins=["https://page.test"]))
    async with whole_house(tmp_path / "named", named) as other:
        for answer in (
            await other.ask("GET", "/healthz", headers=asked),
            await other.ask("OPTIONS", "/api/v1/chutes/", who=None, headers=asked),
            await other.ask("GET", "/api/v1/users", who=None, headers=asked),
            await other.ask("GET", "/ws/events", who=None, headers=asked),
        ):
            assert answer.headers["access-control-allow-origin"] == "https://page.test", answer
        stranger = await other.ask("GET", "/healthz", headers={"origin": "https://other.test"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_the_answers_are_counted_by_row(small, house):
    await house.ask("GET", "/api/v1/chutes/absent")
    text = (await house.ask("GET", "/metrics")).body.decode()
    assert 'wayhouse_http_requests_total{method="GET",row="/api/v1/chutes/{chute}",status="404"} 1' in text
