import contextlib
import html.parser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.form import (
    FormError,
    FormField,
    command_field,
    command_fields,
    config_fields,
    from_form,
)
from wayhouse.devices.form import (
    html as html_of,
)
from wayhouse.devices.model import LastValue
from wayhouse.devices.register import standard_register

REGISTER = standard_register()
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.text("abcdefg hij", min_size=1, max_size=10).map(str.strip).filter(bool)
CONFIGS = st.builds(
    lambda oid, name, free, known: {"oid": oid, "name": name} | {f"x_{key}": one for key, one in free.items()} | known,
    st.sampled_from(REGISTER.oids()),
    NAMES,
    st.dictionaries(st.text(max_size=6), PLAIN, max_size=4),
    st.fixed_dictionaries(
        {}, optional={"poll": st.integers(0, 999), "log": st.booleans(), "area": st.text(max_size=9)}
    ),
)  # fmt: skip


def browser(text):
    """What a browser sends for the form."""

    class Reader(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.sent, self.names, self.ids, self.labels, self._open = {}, set(), set(), set(), None

        def handle_starttag(self, tag, attrs):
            found = dict(attrs)
            self.names |= {found["name"]} if "name" in found else set()
            self.ids |= {found["id"]} if "id" in found else set()
            self.labels |= {found["for"]} if tag == "label" else set()
            if tag == "input" and (found["type"] != "checkbox" or "checked" in found):
                self.sent[found["name"]] = found.get("value", "on")
            elif tag in {"textarea", "select"}:
                self._open, self.sent[found["name"]] = (tag, found["name"]), ""
            elif tag == "option":
                self._open = ("option" if "selected" in found else "other", self._open[1])

        def handle_endtag(self, tag):
            if tag in {"textarea", "select"}:
                name = self._open[1]
                if tag == "textarea":
                    self.sent[name] = self.sent[name].removeprefix("\n").replace("\n", "\r\n")
                self._open = None

        def handle_data(self, data):
            if self._open and self._open[0] in {"textarea", "option"}:
                self.sent[self._open[1]] += data

    reader = Reader()
    reader.feed(text)
    return reader


@given(CONFIGS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_through_the_form_and_back_nothing_changes(config):
    device = REGISTER.new(config)
    fields = config_fields(device.template, device.config)
    texts = {field.name: field.text for field in fields if field.kind != "checkbox" or field.value}
    assert from_form(fields, texts) == device.config
    assert REGISTER.new(from_form(fields, texts)).config == device.config


@given(CONFIGS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_through_a_browser_too(config):
    device = REGISTER.new(config)
    read = browser(html_of(device))
    assert from_form(config_fields(device.template, device.config), read.sent) == device.config
    assert {f"field-{name}" for name in read.names} <= read.ids & read.labels


def boiler(**more):
    device = REGISTER.new({"oid": "sensor.temperature", "name": "boiler"} | more)
    return {field.name: field for field in config_fields(device.template, device.config)}, device


def test_fields_say_what_the_type_says():
    fields, _ = boiler(colour="red")
    poll = fields["poll"]
    assert (poll.kind, poll.minimum, poll.step, poll.unit, poll.value, poll.is_given) == (
        "integer", -1, 1, "s", 60, False,
    )  # fmt: skip
    assert "not pollable" in poll.help
    assert fields["oid"].is_readonly
    assert fields["name"].is_required
    assert (fields["log"].kind, fields["log"].text) == ("checkbox", "on")
    assert fields["area"].max_length == 64
    assert (fields["colour"].kind, fields["colour"].label) == ("text", "Colour")


def test_what_is_wrong_is_said_for_each_field():
    fields, device = boiler(limits=[1])
    form = {"name": "x", "poll": "often", "limits": "[1", "area": "", "unit": "", "log": "on"}
    with pytest.raises(FormError) as caught:
        from_form(fields.values(), form)
    errors = caught.value.fields["errors"]
    assert set(errors) == {"poll", "limits"}
    assert errors["poll"] == "Enter a whole number."
    shown = html_of(device, errors=errors)
    assert 'aria-invalid="true"' in shown
    assert "Enter a whole number." in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [("1.5", "whole"), ("-2", "from -1 to"), ("", "whole"), ("true", "whole"), ("1e999", "whole")],
)
def test_numbers(text, said):
    fields, _ = boiler()
    with pytest.raises(FormError, match=said):
        from_form(fields.values(), {"poll": text})


def test_a_decimal_comma_is_understood():
    assert FormField(name="x", label="X", kind="number").read("1,5") == 1.5


def test_what_a_user_changes_is_in_the_config():
    fields, _ = boiler()
    assert from_form(fields.values(), {"name": "kettle", "poll": "5", "unit": "K"}) == {
        "oid": "sensor.temperature", "name": "kettle", "poll": 5, "unit": "K", "log": False,
    }  # fmt: skip


def test_a_form_cannot_change_the_type():
    fields, _ = boiler()
    assert from_form(fields.values(), {"oid": "switch", "log": "on"})["oid"] == "sensor.temperature"


def test_commands_are_fields():
    tv = REGISTER.new({"oid": "media.tv", "name": "tv"})
    fields = {
        one.name: one for one in command_fields(tv.all_commands(), {"volume.level": LastValue(7, 1.0, "%")})
    }
    level = fields["volume.level"]
    assert (level.kind, level.value, level.unit, level.minimum, level.maximum) == ("integer", 7, "%", 0, 100)
    assert level.label == "Volume level"
    assert fields["power"].kind == "checkbox"
    assert "config" not in fields


def test_choices_and_machine_bounds():
    picked = Command(name="mode", info="", valuetype=ValueType.STR, choices=("a", "b"))
    field = command_field("mode", picked)
    assert field.choices == ("a", "b")
    with pytest.raises(FormError):
        from_form([field], {"mode": "c"})
    whole = command_field("n", Command(name="n", info="", valuetype=ValueType.INT))
    assert (whole.minimum, whole.maximum) == (None, None)
    select = FormField(name="m", label="M", kind="select", value="b", choices=("a", "b"))
    assert select.read("a") == "a"


def test_markup_in_names_and_values_stays_text():
    device = REGISTER.new({"oid": "switch", "name": '<b>"', "note": "</textarea><script>", 'a"<': 1})
    shown = html_of(device, action='"><script>')
    assert "<script" not in shown
    assert "<b>" not in shown


@given(st.dictionaries(st.sampled_from(["name", "poll", "area", "log", "unit"]), st.text(max_size=20)))
@settings(max_examples=60, deadline=None)
def test_no_form_breaks_it(form):
    fields, _ = boiler()
    with contextlib.suppress(FormError):
        assert isinstance(from_form(fields.values(), form), dict)
