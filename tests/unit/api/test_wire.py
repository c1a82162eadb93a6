import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.api import wire
from wayhouse.base.errors import BadInputError


def test_secrets_are_not_shown():
    for one in (
        wire.Login("ann", "secret"),
        wire.PasswordChange("secret", "ann"),
        wire.NewUser("ann", "secret"),
        wire.UserChange("user", "secret"),
    ):
        assert "secret" not in repr(one)


def test_an_environment_becomes_text():
    values = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": False, "f": None}
    assert wire.as_environment(values) == {"a": "x", "b": "1", "c": "1.5", "d": "true", "e": "false", "f": ""}
    assert wire.as_environment(None) is None


@pytest.mark.parametrize("values", [{"": "x"}, {"a=b": "x"}, {"a": []}, {"a": {}}, {"a\0": ""}, {"a": "\0"}])
def test_what_no_environment_can_hold_is_refused_with_its_path(values):
    with pytest.raises(BadInputError, match="cannot be an environment variable"):
        wire.as_environment(values)


@given(
    st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_any_values_are_taken_or_refused(values):
    try:
        found = wire.as_environment(values)
    except BadInputError:
        return
    assert all(isinstance(value, str) for value in found.values())
