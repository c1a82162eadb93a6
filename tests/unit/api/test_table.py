import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.access.policy import Right
from wayhouse.api.table import Call, decode_reply, endpoint
from wayhouse.base.errors import BadInputError, UnauthenticatedError


def call(query="", **path):
    return Call(
        identity=None, method="GET", path=path, raw_query=query, headers={}, client="", scheme="http"
    )  # fmt: skip


def test_who_is_somebody():
    with pytest.raises(UnauthenticatedError):
        _ = call().who


def test_numbers_of_the_path_and_the_query():
    assert call(id="12").number("id") == 12
    assert call("tail=5").query_number("tail") == 5
    assert call().query_number("tail", 7) == 7


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_0", "²", "1.0", "x", "9" * 19, "9" * 5000, " 1"])
def test_what_is_no_number_is_refused_by_name(text):
    with pytest.raises(BadInputError) as caught:
        call(id=text).number("id")
    assert caught.value.fields == {"path": "id"}
    with pytest.raises(BadInputError):
        call(f"tail={text}").query_number("tail", most=9)


def test_of_a_query_the_last_counts_and_it_is_decoded():
    assert call("a=1&a=2&b=%20x&c").query == {"a": "2", "b": " x", "c": ""}


@given(st.text(max_size=40))
def test_any_query_is_survived(text):
    with contextlib.suppress(BadInputError):
        call(text).query_number("a")


def test_a_body_is_what_the_row_says():
    one = call()
    assert one.optional_body(dict) is None
    with pytest.raises(BadInputError):
        one.body(dict)
    one.set_body({"a": 1})
    assert one.body(dict) == one.optional_body(dict) == {"a": 1}


def test_a_row_knows_its_name_and_its_answer():
    row = endpoint("GET", "/x", Right.SEE, "", None, reply=list[int])
    assert row.name == "GET /x"
    assert decode_reply(row, b"[1]") == [1]
