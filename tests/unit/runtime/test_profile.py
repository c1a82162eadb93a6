"""Profiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.runtime.profile import Profile


class Handset(Profile):
    mandatory = ("type", "serial")

    def __hash__(self) -> int:
        return hash(self["serial"])


def test_matching_asks_for_every_key_of_the_other() -> None:
    phone = Handset({"type": "handset", "serial": "1", "colour": None})
    assert phone.match({})
    assert phone.match({"serial": "1"})
    assert phone.match(Handset({"type": "handset", "serial": "1"}))
    assert not phone.match({"serial": "2"})
    assert not phone.match({"imei": None})


def test_minimizing_keeps_mandatory_and_asked_keys() -> None:
    phone = Handset({"type": "handset", "serial": "1", "colour": "red", "imei": "3"})
    assert phone.minimize() == {"type": "handset", "serial": "1"}
    least = phone.minimize({"imei": "other", "unknown": 1})
    assert least == {"type": "handset", "serial": "1", "imei": "3"}
    assert type(least) is Handset
    assert {phone: 1}[phone] == 1


def test_the_base_class_is_no_key_and_has_no_least() -> None:
    with pytest.raises(TypeError, match="__hash__"):
        hash(Profile({}))
    with pytest.raises(TypeError, match="minimize"):
        Profile({}).minimize()
    with pytest.raises(TypeError, match="strings"):
        Profile({1: 2})  # type: ignore[dict-item]


@given(st.dictionaries(st.text(), st.integers()), st.sets(st.text()))
def test_a_profile_matches_itself_and_all_that_it_was_minimized_to(values, keys) -> None:
    phone = Handset({**values, "serial": "1"})
    assert phone.match(phone)
    assert phone.match(phone.minimize(dict.fromkeys(keys)))
