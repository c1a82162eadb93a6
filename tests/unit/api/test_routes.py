import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.api.routes import Routes


@pytest.fixture
def routes():
    table = Routes()
    for method, path in (
        ("GET", "/a/"), ("GET", "/a/{x}"), ("PUT", "/a/{x}"), ("GET", "/a/fixed/b"), ("GET", "/a/{x}/c"),
        ("GET", "/rest/{all...}"), ("GET", "/"),
    ):  # fmt: skip
        table.add(method, path, f"{method} {path}")
    return table


def test_names_come_before_variables_and_both_are_tried(routes):
    assert routes.find("/a/fixed/b") == ({"GET": "GET /a/fixed/b"}, {})
    assert routes.find("/a/fixed/c") == ({"GET": "GET /a/{x}/c"}, {"x": "fixed"})
    assert routes.find("/a/fixed") == ({"GET": "GET /a/{x}", "PUT": "PUT /a/{x}"}, {"x": "fixed"})


def test_trailing_slashes_do_not_matter(routes):
    assert routes.find("/a")[0] == routes.find("/a/")[0] == routes.find("/a///")[0]


def test_what_is_not_there_is_nothing(routes):
    assert routes.find("/b") == routes.find("/a/1/2") == ({}, {})


def test_an_empty_segment_names_nothing(routes):
    assert routes.find("/a//c") == ({}, {})


def test_variables_are_decoded_after_the_path_was_split(routes):
    assert routes.find("/a/x%2Fy%20z")[1] == {"x": "x/y z"}
    assert routes.find("/rest/a%20b/%2e%2e")[1] == {"all": "a b/.."}


def test_a_rest_needs_something(routes):
    assert routes.find("/rest") == ({}, {})
    assert routes.find("/rest/a/b")[1] == {"all": "a/b"}


def test_a_row_is_there_once(routes):
    with pytest.raises(ValueError, match="twice"):
        routes.add("GET", "/a/{y}", "x")


@given(st.text(max_size=80))
def test_any_path_is_survived(path):
    table = Routes()
    table.add("GET", "/a/{x}/{y}/{rest...}", 1)
    table.find(path)
    table.find("/a/" + path)


def test_a_thing_that_is_called_like_a_verb():
    table = Routes()
    for method, path in (
        ("POST", "/a/import"),
        ("GET", "/a/{x}"),
        ("POST", "/a/{x}"),
        ("GET", "/a/{x}/{rest...}"),
    ):
        table.add(method, path, f"{method} {path}")
    values, variables = table.find("/a/import")
    assert values == {"POST": "POST /a/import", "GET": "GET /a/{x}"}
    assert variables == {"x": "import"}
