import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.chutes import spec
from wayhouse.cli.specification import changed, name_in, read_pairs, with_settings

TEXT = b"name: hello\nenvironment: {A: 1}\nservices: {main: {type: image, image: nginx}}\n"
OLD = b"config: {name: old}\ntype: light\nuse: python3\ncommand: python3 main.py\n"


def test_the_name_in_either_form():
    assert (name_in(TEXT), name_in(OLD), name_in(b"a: 1")) == ("hello", "old", None)


@pytest.mark.parametrize("text", [TEXT, OLD])
def test_the_gateway_reads_what_was_changed(text):
    found = spec.parse(changed(text, name="mine", environment={"B": "2"}))
    assert found.name == "mine"
    assert found.environment["B"] == "2"


def test_environment_is_laid_over():
    assert yaml.safe_load(changed(TEXT, name=None, environment={"B": "2"}))["environment"] == {
        "A": 1,
        "B": "2",
    }


@pytest.mark.parametrize("text", [b"", b"[1]", b"{", b"\xff", b"a: 1\n" * 100_000])
def test_what_is_no_specification(text):
    with pytest.raises(BadInputError):
        changed(text, name="x", environment={})


def test_pairs():
    assert read_pairs(["A=1", "B=x=y", "C="]) == {"A": "1", "B": "x=y", "C": ""}
    for pair in ("A", "=1", "A=\0"):
        with pytest.raises(BadInputError):
            read_pairs([pair])


def test_an_environment_in_a_fault_is_not_repeated():
    with pytest.raises(BadInputError) as caught:
        read_pairs(["KEY=geheim\n"])
    assert "geheim" not in str(caught.value)


def test_settings_are_put_in_their_place():
    document = {"web": {"service": "main", "port": 80}, "environment": {"A": "1"}, "version": 1}
    fields = with_settings(
        document, ["web.port=8080", "environment.B=x=y", "version=2", "new.inner=[a, b]", "text="]
    )
    assert fields == {
        "web": {"service": "main", "port": 8080},
        "environment": {"A": "1", "B": "x=y"},
        "version": 2,
        "new": {"inner": ["a", "b"]},
        "text": "",
    }
    assert document["web"]["port"] == 80


@pytest.mark.parametrize("setting", ["", "a", "=1", "a..b=1", "version.x=1", "a={"])
def test_settings_that_make_no_sense(setting):
    with pytest.raises(BadInputError):
        with_settings({"version": 1}, [setting])


@given(st.text())
def test_no_setting_breaks_it(text):
    with contextlib.suppress(BadInputError):
        with_settings({"a": {"b": 1}}, [text, "a." + text])
