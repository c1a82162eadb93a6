import contextlib
import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.cli.sources import Extra, Order, find, name_from


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://github.com/someone/my-app", "my-app"),
        ("https://github.com/someone/my-app.git", "my-app"),
        ("https://host/x/my-app.tar.gz?download=1", "my-app"),
        ("git@host:my-app.git", "my-app"),
        ("ssh://git@host/my-app/", "my-app"),
    ],
)
def test_addresses_are_orders_with_a_name(address, name):
    assert name_from(address) == name
    assert find(address, Extra()) == Order({"name": name, "download": {"url": address}})


def test_an_order_carries_what_was_said():
    order = find("https://host/x", Extra(name="mine", environment={"A": "b"}, checkout="v2"))
    assert order == Order(
        {"name": "mine", "download": {"url": "https://host/x", "checkout": "v2"}, "environment": {"A": "b"}}
    )


def test_addresses_that_make_no_sense():
    with pytest.raises(BadInputError, match="https://"):
        find("git://host/app", Extra())
    with pytest.raises(BadInputError, match="--name"):
        find("https://host/.git", Extra())
    assert find("https://host/.git", Extra(name="mine")).config["name"] == "mine"


def test_a_folder_says_its_name(folder):
    found = find(str(folder()), Extra())
    assert found.name() == "hello"
    assert find(str(folder()), Extra(name="mine")).name() == "mine"
    with found.open() as (_, media):
        assert media == "application/x-tar"


def test_an_example_that_ships_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find("hello", Extra()).name() == "hello"


def test_a_name_that_is_too_long_names_nothing():
    with pytest.raises(BadInputError, match="no folder or file"):
        find("x" * 5000, Extra())


@pytest.mark.parametrize(
    ("start", "media"), [(b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"name", "x-tar")]
)
def test_archives_go_as_they_are(tmp_path, start, media):
    path = tmp_path / "app.tar"
    path.write_bytes(start + b"rest")
    with find(str(path), Extra()).open() as (file, found):
        assert found == f"application/{media}"
        assert file.read() == start + b"rest"


def test_what_is_damaged_is_said(tmp_path):
    path = tmp_path / "app.tar"
    for start in (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"name"):
        path.write_bytes(start + b"rest" * 300)
        with pytest.raises(BadInputError):
            find(str(path), Extra()).name()
        with pytest.raises(BadInputError), find(str(path), Extra(name="x")).open() as (pieces, _):
            list(pieces)


def test_checkout_is_for_addresses(folder):
    with pytest.raises(BadInputError, match="addresses"):
        find(str(folder()), Extra(checkout="v1"))


def test_a_terminal_is_no_archive(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(BadInputError, match="pipe"):
        find("-", Extra())


@given(st.text().filter(lambda text: text != "-"))
def test_no_text_breaks_it(text):
    with contextlib.suppress(BadInputError):
        find(text, Extra())
