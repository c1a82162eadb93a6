"""Whatever the bytes: a value, or `BadInputError` that says where the fault is. Nothing ends the process."""

# covers: base/yaml_text.py

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base import codec, yaml_text
from wayhouse.base.errors import BadInputError


class Web(msgspec.Struct, forbid_unknown_fields=True):
    port: int
    name: str = "x"


class App(msgspec.Struct):
    web: Web


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=20)
"""Without the exotic line ends, which PyYAML does not write in a way that it reads again."""
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
YAMLISH = st.text("[]{}:,-?&*!|>#%@\"' \n\tabx01.<=~", max_size=60)


def test_a_fault_is_told_with_its_path() -> None:
    with pytest.raises(BadInputError) as caught:
        codec.decode_json(b'{"web": {"port": "80"}}', App)
    assert caught.value.fields == {"path": "web.port"}
    assert "web.port" in caught.value.message
    assert "int" in caught.value.message
    with pytest.raises(BadInputError, match="unknown field `colour`"):
        codec.convert({"web": {"port": 1, "colour": 2}}, App)
    with pytest.raises(BadInputError) as caught:
        codec.decode_json(b"[]", App, what="order")
    assert caught.value.fields == {}
    assert caught.value.message.startswith("order: ")


@pytest.mark.parametrize("text", ["", "{", "nul", '"\\ud800"', "[" * 100_000, "1 2", b"\xff", "9" * 5000])
def test_bad_json_is_bad_input(text: str | bytes) -> None:
    with pytest.raises(BadInputError):
        codec.decode_json(text, object)


@given(TREES)
@settings(max_examples=60, deadline=None)
def test_json_comes_back(tree: Any) -> None:
    assert codec.decode_json(codec.encode_json(tree), object) == tree


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_bytes_as_json(data: bytes) -> None:
    try:
        codec.decode_json(data, App)
    except BadInputError as error:
        assert "\n" not in error.message  # noqa: PT017 - either way is fine


@given(TREES)
@settings(max_examples=60, deadline=None)
def test_yaml_comes_back(tree: Any) -> None:
    assert codec.decode_yaml(codec.encode_yaml(tree)) == tree


@given(st.binary(max_size=60) | YAMLISH)
@settings(max_examples=300, deadline=None)
def test_any_text_as_yaml(data: bytes | str) -> None:
    try:
        codec.decode_yaml(data)
    except BadInputError as error:
        assert "\n" not in error.message  # noqa: PT017 - either way is fine


@pytest.mark.parametrize(
    "text",
    [
        '"\\ud800"',
        "9" * 5000,
        "a: !!python/object/apply:os.system [x]",
        "2001-99-99",
        "2001-01-01 00:00:00 +99:99",
        "!!float .",
        "!!int ''",
        "!!binary x",
        "!!timestamp x",
        "!!bool x",
        "? {a: b}\n: c",
        "a: &x [*x]",
        "*nobody",
        "a: b: c",
        "--- a\n--- b",
        "\x00",
    ],
)
def test_bad_yaml_is_bad_input(text: str) -> None:
    with pytest.raises(BadInputError):
        codec.decode_yaml(text)


@pytest.mark.parametrize("piece", ["[", "{a: ", "- ", "? ", "[[],", "[?", "{"])
def test_deep_yaml_is_refused_before_it_can_overflow_the_stack(piece: str) -> None:
    with pytest.raises(BadInputError, match="nested too deeply"):
        codec.decode_yaml(piece * (250_000 // len(piece)))


def test_yaml_may_be_as_deep_as_people_write() -> None:
    deep = "[" * yaml_text.MAX_DEPTH + "]" * yaml_text.MAX_DEPTH
    assert codec.decode_yaml(deep)
    with pytest.raises(BadInputError):
        codec.decode_yaml(f"[{deep}]")


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(BadInputError, match="too many values"):
        codec.decode_yaml("\n".join(lines))


def test_an_alias_is_fine() -> None:
    assert codec.decode_yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}") == {
        "a": {"k": 1},
        "b": {"k": 1},
        "c": {"k": 1, "l": 2},
    }
    assert codec.decode_yaml("# nothing") is None


@pytest.mark.parametrize(
    "text", ["a", "a = 1\na = 2", f"a = {'9' * 5000}", f"a = {'[' * 3000}", "a = 2020-13-45"]
)
def test_bad_toml_is_bad_input(text: str) -> None:
    with pytest.raises(BadInputError, match="settings file is not valid TOML"):
        codec.decode_toml(text, what="settings file")


def test_toml_and_builtins() -> None:
    assert codec.decode_toml("[web]\nport = 1") == {"web": {"port": 1}}
    assert codec.to_builtins(App(Web(1))) == {"web": {"port": 1, "name": "x"}}
