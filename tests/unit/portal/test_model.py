from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import UnauthenticatedError
from wayhouse.portal.model import (
    Answer,
    Visit,
    app_path,
    device_path,
    job_path,
    local_path,
    overlay_path,
    page_number,
    redirect,
    scenario_path,
)


@pytest.mark.parametrize(
    "text",
    [
        "//evil.test",
        "/\\evil.test",
        "https://evil.test",
        "javascript:x",
        "",
        None,
        "/a\nb",
        "/ü",
        "\\/x",
        "/" * 3,
    ],
)
def test_only_paths_of_this_gateway_are_gone_to(text):
    assert local_path(text) == "/"


@settings(max_examples=300)
@given(st.text(alphabet=string.printable + "ü\u2028", max_size=40))
def test_a_local_path_stays_local(text):
    place = local_path(text)
    assert place.startswith("/")
    assert not place.startswith("//")
    assert "\\" not in place
    assert place.isprintable()


def test_small_parts():
    assert local_path("/apps/x?y=1#z") == "/apps/x?y=1#z"
    assert app_path("a b/c", "/logs") == "/apps/a%20b%2Fc/logs"
    assert redirect("/x").headers == (("location", "/x"),)
    assert Answer().with_header("a", "b").headers == (("a", "b"),)
    visit = Visit(identity=None, method="POST", url="/", form={"a": ["1", "2"]})
    assert (visit.field("a"), visit.field("b", "c")) == ("2", "c")
    assert not visit.is_admin
    with pytest.raises(UnauthenticatedError):
        _ = visit.who


def test_paths_of_things():
    assert device_path("abc", "/log") == "/devices/abc/log"
    assert job_path("a b/c") == "/jobs/a%20b%2Fc"
    assert scenario_path("x", "/runs/1") == "/scenarios/x/runs/1"
    assert overlay_path("a/b", "/rules") == "/overlay/a%2Fb/rules"


@pytest.mark.parametrize(("text", "number"), [(None, 1), ("", 1), ("0", 1), ("-2", 1), ("7", 7), ("²", 1)])
def test_numbers_of_pages(text, number):
    assert page_number(text) == number
    assert page_number("9" * 40) == 999_999_999
