from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.portal import request


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("box.lan:8080", "box.lan"),
        ("192.0.2.1", "192.0.2.1"),
        ("[::1]:8080", "[::1]"),
        ('"><script>', "127.0.0.1"),
        ("a b", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_the_host_is_a_name_or_nothing(header, host):
    assert request.host_of({"host": header}) == host


@pytest.mark.parametrize(
    ("cookie", "theme"),
    [
        ("wayhouse_theme=dark", "dark"),
        ("a=b; wayhouse_theme=light", "light"),
        ('wayhouse_theme="><x', "auto"),
        ("", "auto"),
    ],
)
def test_the_theme_is_one_of_three(cookie, theme):
    assert request.theme_of({"cookie": cookie}) == theme


@settings(max_examples=200)
@given(st.binary(max_size=60), st.binary(max_size=60), st.text(max_size=40), st.text(max_size=40))
async def test_whatever_comes_is_read_or_refused(query, path, host, cookie):
    scope = {
        "method": "POST",
        "path": "/",
        "raw_path": path,
        "query_string": query,
        "client": None,
        "headers": [(b"host", host.encode("utf-8")), (b"cookie", cookie.encode("utf-8"))],
    }
    headers = request.headers_of(scope)
    visit = request.visit_of(scope, headers, {}, identity=None, token=None)
    assert visit.theme in {"auto", "light", "dark"}
    assert visit.client == ""


@settings(max_examples=200)
@given(st.binary(max_size=200))
async def test_forms_are_read_or_refused(body):
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await request.read_form({"content-type": request.FORM}, receive)
    except WayhouseError:
        return
    assert all(isinstance(value, str) for values in form.values() for value in values)


def test_too_many_parameters():
    with pytest.raises(BadInputError):
        request.query_of({"query_string": b"a=1&" * 6000})
