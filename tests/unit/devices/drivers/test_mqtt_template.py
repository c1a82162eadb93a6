import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.devices.drivers.mqtt_template import number, parse_command, parse_value, shown
from wayhouse.devices.model import DeviceNotReadyError


@pytest.mark.parametrize(
    ("template", "payload", "value"),
    [
        ("", b"21.5", "21.5"),
        ("{{ value }}", b"ON", "ON"),
        ("{{value|float}}", b"21.5", 21.5),
        ("temperature", b'{"temperature": 7}', 7),
        ("$.sensors[1].t", b'{"sensors": [{}, {"t": -1.5}]}', -1.5),
        ("a.0.b", b'{"a": [{"b": "x"}]}', "x"),
        ("{{ value_json.ENERGY.Power }}", b'{"ENERGY": {"Power": 12}}', 12),
        ("{{ value_json['a b'][\"c\"] | float | round(1) }}", b'{"a b": {"c": "1.26"}}', 1.3),
        ("{{ value_json.a | default(0) }}", b"{}", 0),
        ("{{ value_json.a | float(0) | multiply(0.1) | add(2) }}", b'{"a": 20}', 4.0),
        ("{{ value_json.a | int }}", b'{"a": 2.9}', 2),
        ("{{ value | lower | trim }}", b" ON ", "on"),
        ("{{ value_json[-1] }}", b"[1, 2]", 2),
        ("{{- value_json.contact -}}", b'{"contact": true}', True),
    ],
)
def test_where_the_value_is(template, payload, value):
    assert parse_value(template).of(payload) == value


@pytest.mark.parametrize(
    "template",
    [
        "{{ value_json.a + 1 }}",
        "{% if value %}1{% endif %}",
        "{{ states('sensor.x') }}",
        "{{ value.__class__ }}",
        "{{ value_json.a }} and {{ value }}",
        "{{ value | eval }}",
        "{{ value | round(1e300) }}",
        "a..b",
        "a b",
        "{{ }}",
        "x" * 2000,
        ".a" * 100,
    ],
)
def test_programs_are_refused(template):
    with pytest.raises(BadInputError):
        parse_value(template)


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        ("a", b"{}"),
        ("a", b"no json"),
        ("a.b", b'{"a": 1}'),
        ("", b"\xff"),
        ("a", b'{"a": null}'),
        ("a[3]", b'{"a": [1]}'),
    ],
)
def test_messages_without_the_value(template, payload):
    with pytest.raises(DeviceNotReadyError):
        parse_value(template).of(payload)


def test_what_is_sent():
    assert parse_command("").of(7.0) == "7"
    assert parse_command('{"t": {{ value | round(1) }}}').of(7.26) == '{"t": 7.3}'
    assert parse_command("{{ value }}!").of("a") == "a!"
    for bad in ("{% x %}", "{{ now() }}", "{{ value", "{{ value_json.a }}"):
        with pytest.raises(BadInputError):
            parse_command(bad)


def test_numbers_and_texts():
    assert [number(one) for one in ("1", " -2.5 ", "1e3", True, 4)] == [1.0, -2.5, 1000.0, 1.0, 4.0]
    for bad in ("", "unavailable", "nan", "inf", "1_000", None, [], 10**400, "9" * 60, "1e999"):
        with pytest.raises(DeviceNotReadyError):
            number(bad)
    assert [shown(one) for one in ("a", 1.0, 1.5, True, {"a": [1]})] == ["a", "1", "1.5", "true", '{"a":[1]}']


@given(st.text(max_size=60) | st.text("{}value_json.[]'|()0123 float", max_size=40), st.binary(max_size=40))
def test_nothing_breaks_it(template, payload):
    for parse in (parse_value, parse_command):
        with contextlib.suppress(BadInputError):
            found = parse(template)
            with contextlib.suppress(DeviceNotReadyError):
                found.of(payload) if parse is parse_value else found.of(payload.decode("latin-1"))


@given(
    st.sampled_from(["value_json.a", "value_json", "value", "value_json[0]"]),
    st.lists(
        st.sampled_from(
            ["float", "int", "round(2)", "default(0)", "abs", "multiply(3)", "lower", "trim", "tojson"]
        )
    ),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
        lambda inside: (
            st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from("ab"), inside, max_size=2)
        ),
        max_leaves=5,
    ),
)
def test_no_value_breaks_a_filter(root, filters, value):
    import json

    template = parse_value("{{ " + " | ".join([root, *filters]) + " }}")
    with contextlib.suppress(DeviceNotReadyError):
        template.of(json.dumps(value).encode())
