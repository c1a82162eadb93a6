import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.host.masking import MASK, masked


@pytest.mark.parametrize(
    "name",
    [
        "PARADROP_API_TOKEN",
        "DB_PASSWORD",
        "PASSPHRASE",
        "mysql_pwd",
        "AWS_SECRET",
        "api_key",
        "AUTHORIZATION",
        "registry_credentials",
        "SENTRY_DSN",
        "cookie",
    ],
)
def test_names_that_look_secret(name):
    assert masked(name, "sEcReT") == MASK
    assert masked(name, ["sEcReT"]) == MASK
    assert masked(name, {"x": "sEcReT"}) == MASK
    assert masked(name, 12345) == MASK
    assert masked(name, "") == ""
    assert masked(name, None) is None


@pytest.mark.parametrize("value", ["/usr/bin", 5, True, None, 0.5])
@pytest.mark.parametrize("name", ["PATH", "PWD", "key_dir", "port"])
def test_the_rest_is_shown(name, value):
    assert masked(name, value) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://user:pa55@proxy:3128/x", f"http://{MASK}@proxy:3128/x"),
        ("git+https://abc123@host/repo", f"git+https://{MASK}@host/repo"),
        ("http://proxy:3128/a@b", "http://proxy:3128/a@b"),
        ("use wht_abcdefghijkl now", f"use {MASK} now"),
        ("eyJhbGciOi.eyJzdWIi.abc_-1", MASK),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n", MASK),
    ],
)
def test_values_that_look_secret(value, shown):
    assert masked("NAME", value) == shown
    assert masked("LIST", [value]) == [shown]
    assert masked("MAP", {"x": value, "token": "y"}) == {"x": shown, "token": MASK}


@settings(max_examples=200, deadline=None)
@given(st.text(), st.recursive(st.none() | st.text() | st.integers() | st.booleans(), st.lists))
def test_no_value_crashes_it(name, value):
    masked(name, value)
