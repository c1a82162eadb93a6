"""Defaults, then the file, then the environment; every fault names its place."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.base.settings import Paths, load


class Web(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: int = 80
    host: str = "localhost"
    tls: bool = False
    wait_s: float | None = None
    names: tuple[str, ...] = ()


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    web: Web = Web()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "wayhouse.toml"


def test_nothing_given_means_the_defaults(file: Path) -> None:
    assert load(Tree, file, {}) == Tree()
    assert load(Tree, None, {"HOME": "/x", "WAYHOUSE_DATA": "/y", "WAYHOUSE_WEB": "z"}) == Tree()


def test_the_environment_wins_over_the_file(file: Path) -> None:
    file.write_text('[web]\nport = 1\nhost = "a"\nnames = ["x"]\n')
    env = {"WAYHOUSE_WEB_PORT": "2", "WAYHOUSE_WEB_TLS": "true", "WAYHOUSE_WEB_WAIT_S": "0.5"}
    assert load(Tree, file, env).web == Web(2, "a", tls=True, wait_s=0.5, names=("x",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[web]\nport = 'x'", "web.port"),
        ("[web]\ncolour = 1", "colour"),
        ("[wep]\nport = 1", "wep"),
        ("web = 5", "web"),
        ("[web", "TOML"),
    ],
)
def test_a_fault_in_the_file_is_named(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(BadInputError, match=said):
        load(Tree, file, {})


def test_a_section_that_is_no_table_meets_the_environment(file: Path) -> None:
    file.write_text("web = 5")
    with pytest.raises(BadInputError, match="must be a table"):
        load(Tree, file, {"WAYHOUSE_WEB_PORT": "1"})


def test_a_file_that_cannot_be_read_is_bad_input(file: Path) -> None:
    file.write_bytes(b"# \xff")
    with pytest.raises(BadInputError, match="UTF-8"):
        load(Tree, file, {})
    file.unlink()
    file.mkdir()
    with pytest.raises(BadInputError, match="cannot be read"):
        load(Tree, file, {})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WAYHOUSE_WEB_PORT", "eighty", "web.port"),
        ("WAYHOUSE_WEB_PROT", "80", "WAYHOUSE_WEB_PROT names no setting.*host, names, port"),
        ("WAYHOUSE_WEB_NAMES", "x", "web.names"),
    ],
)
def test_a_fault_in_the_environment_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        load(Tree, None, {name: value})


@given(st.sampled_from(["PORT", "HOST", "TLS", "WAIT_S", "NAMES", "X"]), st.text(max_size=8))
@settings(max_examples=80)
def test_any_variable_is_taken_or_refused(key: str, value: str) -> None:
    try:
        load(Tree, None, {f"WAYHOUSE_WEB_{key}": value})
    except BadInputError as error:
        assert error.message  # noqa: PT017 - either way is fine


@given(st.text(max_size=40))
@settings(max_examples=80, deadline=None)
def test_any_file_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.toml"
    file.write_text(text, encoding="utf-8", newline="")
    try:
        load(Tree, file, {})
    except BadInputError as error:
        assert error.message  # noqa: PT017 - either way is fine


def test_where_everything_lives() -> None:
    assert Paths.under(Path("/x")).socket == Path("/x/run/wayhouse.sock")
    assert Paths.system().data == Path("/var/lib/wayhouse")
    own = Paths.user({"HOME": "/home/ada"})
    assert own.config == Path("/home/ada/.config/wayhouse")
    assert own.runtime == Path("/home/ada/.local/share/wayhouse/run")
    asked = Paths.user(
        {
            "HOME": "/home/ada",
            "XDG_CONFIG_HOME": "/c",
            "XDG_DATA_HOME": "/d",
            "XDG_CACHE_HOME": "/e",
            "XDG_RUNTIME_DIR": "/r",
        }
    )
    assert [asked.config, asked.data, asked.cache, asked.runtime] == [
        Path(f"/{letter}/wayhouse") for letter in "cder"
    ]
