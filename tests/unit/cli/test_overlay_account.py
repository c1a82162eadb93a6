"""What is asked for on a terminal; the rest is in `test_overlay_founding.py`."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.cli import secrets
from wayhouse.cli.overlay_account import Passwords, relays
from wayhouse.cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    return Screen(out=Terminal(), err=Terminal())


def test_each_is_asked_for(terminal, monkeypatch):
    asked = []

    def getpass(prompt, stream):
        asked.append(prompt)
        return "secret"

    monkeypatch.setattr(secrets.getpass, "getpass", getpass)
    (one,) = relays(["udp:h:3478:us"], Passwords(terminal, None))
    assert (one.password, asked) == ("secret", ["Password of us at h: "])
    assert "secret" not in repr(one)


def test_nothing_is_asked_for_what_is_wrong_anyway(terminal, monkeypatch):
    monkeypatch.setattr(secrets.getpass, "getpass", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(BadInputError):
        relays(["udp:h:3478:us", "udp:h"], Passwords(terminal, None))


def test_an_empty_answer_is_none(terminal, monkeypatch):
    monkeypatch.setattr(secrets.getpass, "getpass", lambda *_, **__: "")
    with pytest.raises(BadInputError, match="no password of a@b"):
        Passwords(terminal, None).next("a@b")


def test_a_file_of_nonsense(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"\xff\xfe\n")
    passwords = Passwords(Screen(), str(file))
    assert passwords.next("a@b")
    with pytest.raises(BadInputError):
        passwords.next("c@d")


@given(st.text() | st.from_regex(r"(udp|tcp|tls):[^ ]*:[0-9]+:[^ ]*", fullmatch=True))
def test_relays_are_read_or_refused(text):
    screen = Screen(out=io.StringIO(), err=io.StringIO())
    with pytest.raises(BadInputError):
        relays([text], Passwords(screen, "/dev/null"))
