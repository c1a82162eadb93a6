import io
import sys

import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.cli import secrets
from wayhouse.cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_from_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("pass word\nrest"))
    assert secrets.new_password(Screen(), "ann", from_input=True) == "pass word"
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    with pytest.raises(BadInputError):
        secrets.new_password(Screen(), "ann", from_input=True)


def test_asked_for_twice(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    screen = Screen(out=Terminal(), err=Terminal())
    answers = iter(["one", "one", "one", "two"])
    monkeypatch.setattr(secrets.getpass, "getpass", lambda *_, **__: next(answers))
    assert secrets.new_password(screen, "ann", from_input=False) == "one"
    with pytest.raises(BadInputError, match="differ"):
        secrets.new_password(screen, "ann", from_input=False)


def test_nobody_to_ask():
    with pytest.raises(BadInputError, match="--password-stdin"):
        secrets.ask_password(Screen(out=io.StringIO(), err=io.StringIO()), "Password")
