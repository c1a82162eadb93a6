"""Scenarios in the form in which RasPy kept them, there and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.automation import store_form
from wayhouse.automation.condition import Above
from wayhouse.automation.parameter import Kind, Parameter
from wayhouse.automation.scenario import Conf, Scenario
from wayhouse.base.errors import BadInputError

WARM = Scenario(
    name="too warm",
    description="Opens the window",
    conf=Conf(active=True, startup=True),
    entries={"room": "device:kitchen"},
    parameters={"limit": Parameter(kind=Kind.NUMBER, default=25)},
    values={"limit": 24},
    when=Above(source="room", value=25.0),
    schedules=("@daily",),
    code='log("100 % warm")\n',
)
PLAIN = Scenario(name="a.b", entries={"x": "cron:tea"}, code="pass")


def test_there_and_back():
    found = store_form.read(store_form.write([WARM, PLAIN]))
    assert found.scenarios == [WARM, PLAIN]
    assert found.refused == {}


def test_the_keys_are_raspys():
    written = store_form.write([PLAIN], {"version": 1})
    assert {name: json.loads(text) for name, text in written.items()} == {
        "scenario.main.conf": {"version": 1},
        "scenario.main.keys": ["a.b"],
        "scenario.a.b.conf": {"active": False, "startup": False},
        "scenario.a.b.entries": {"x": "cron:tea"},
        "scenario.a.b.code": "pass",
    }
    with pytest.raises(BadInputError, match="rename"):
        store_form.write([Scenario(name="main")])


def test_an_old_store():
    found = store_form.read(
        {
            "scenario.main.conf": "{}",
            "scenario.main.keys": '["heat", "old", "ghost", "heat"]',
            "scenario.heat.conf": '{"active": true, "startup": false, "colour": "red"}',
            "scenario.heat.entries": '{"tick": "/event/cron/tea", "room": "device:kitchen"}',
            "scenario.heat.code": '"x = 1"',
            "scenario.old.conf": "{}",
            "scenario.old.code": json.dumps('print "hello"'),
        }
    )
    (heat,) = found.scenarios
    assert (heat.conf.active, heat.code) == (True, "x = 1")
    assert heat.entries == {"tick": "key:/event/cron/tea", "room": "device:kitchen"}
    assert "not Python" in found.refused["old"]
    assert "nothing of it" in found.refused["ghost"]


def test_without_the_list_the_keys_themselves_tell():
    found = store_form.read({"scenario.heat.code": "null", "scenario.main.conf": "{}", "other": "1"})
    assert [one.name for one in found.scenarios] == ["heat"]


@pytest.mark.parametrize(
    "bad", [{}, {"other": "1"}, {"scenario.main.keys": "7"}, {"scenario.main.keys": "[]"}]
)
def test_what_is_no_store(bad):
    with pytest.raises(BadInputError):
        store_form.read(bad)
    with pytest.raises(BadInputError):
        store_form.read({"scenario.main.keys": json.dumps([str(n) for n in range(1001)])})


def test_a_store_as_text():
    text = json.dumps(store_form.write([PLAIN]))
    assert store_form.is_store(text)
    assert store_form.read_text(text).scenarios == [PLAIN]
    for other in ("name = 'x'", "{", "[]", '{"wayhouse_scenario": 1, "code": "\\"scenario.x"}'):
        assert not store_form.is_store(other)


_texts = st.one_of(
    st.text(max_size=20), st.sampled_from(['{"active": 1}', '["a"]', '"x = 1"', '{"wayhouse": []}'])
)
_keys = st.sampled_from(
    [
        "scenario.main.keys",
        "scenario.main.conf",
        "scenario.a.conf",
        "scenario.a.entries",
        "scenario.a.code",
        "x",
    ]
)


@given(st.dictionaries(_keys, _texts))
def test_anything_is_read_without_harm(found):
    try:
        read = store_form.read(found)
    except BadInputError:
        return
    assert read.scenarios or read.refused
