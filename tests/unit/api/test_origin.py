import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.api.origin import demand_same_origin, is_same_origin
from wayhouse.base.errors import ForbiddenError


def test_reading_is_left_to_the_browser():
    for method in ("GET", "HEAD", "OPTIONS"):
        demand_same_origin({"type": "http", "method": method}, {"origin": "http://evil.test", "host": "gw"})


def test_changing_and_websockets_are_not():
    for scope in ({"type": "http", "method": "POST"}, {"type": "websocket"}):
        demand_same_origin(scope, {"origin": "http://GW:80", "host": "gw:80"})
        with pytest.raises(ForbiddenError):
            demand_same_origin(scope, {"origin": "http://gw:81", "host": "gw:80"})


def test_a_typed_address_is_the_users_own_doing():
    assert is_same_origin({"sec-fetch-site": "none"})


@pytest.mark.parametrize("origin", ["null", "", "http://[", "http://[::1", "//", "data:x"])
def test_an_origin_that_is_none_is_another(origin):
    assert not is_same_origin({"origin": origin, "host": ""})
    assert not is_same_origin({"origin": origin, "host": "gw"})
    assert not is_same_origin({"origin": origin})


@given(st.text(max_size=50), st.text(max_size=20))
def test_any_text_is_survived(origin, host):
    is_same_origin({"origin": origin, "host": host})
