import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.access.credentials import MAX_HEADER, Basic, Bearer, parse
from wayhouse.base.errors import UnauthenticatedError


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic YWRtaW46cGFzc3dvcmQ=", Basic("admin", "password")),
        ("Basic admin:password", Basic("admin", "password")),
        ("basic admin:password", Basic("admin", "password")),
        ("BASIC   YWRtaW46cGFzc3dvcmQ=  ", Basic("admin", "password")),
        (f"Basic {b64('admin:a:b:c')}", Basic("admin", "a:b:c")),
        ("Basic admin:a:b:c", Basic("admin", "a:b:c")),
        ("Basic admin:two words", Basic("admin", "two words")),
        ("Basic cGFyYWRyb3A=", Basic("paradrop", "")),
        ("Basic admin", Basic("admin", "")),
        (f"Basic {b64('müller:pässe')}", Basic("müller", "pässe")),
        ("Basic /w==", Basic("/w==", "")),
        (f"Basic {b64(':x')}", Basic("", "x")),
        ("Bearer abc", Bearer("abc")),
        ("bEARER None", Bearer("None")),
    ],
)
def test_every_form(header, expected):
    assert parse(header) == expected


@pytest.mark.parametrize(
    "header",
    ["", " ", "Basic", "Basic ", "Bearer", "Digest x", "admin:password", "Basic " + "a" * MAX_HEADER],
)
def test_everything_else_is_401(header):
    with pytest.raises(UnauthenticatedError):
        parse(header)


def test_no_repr_shows_a_secret():
    assert "password" not in repr(parse("Basic admin:password"))
    assert "abc" not in repr(parse("Bearer abc"))


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(), st.text().map(lambda text: "Basic " + text), st.text().map(lambda text: "Bearer " + text)
    )
)
def test_no_text_crashes_it(text):
    with contextlib.suppress(UnauthenticatedError):
        assert isinstance(parse(text), Basic | Bearer)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters=":", exclude_categories=["Cs"])), st.text())
def test_base64_comes_back_whole(username, password):
    try:
        text = b64(f"{username}:{password}")
    except UnicodeEncodeError:
        return
    assert parse(f"Basic {text}") == Basic(username, password)
