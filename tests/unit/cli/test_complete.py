import pytest
import typer

from wayhouse.cli import choice
from wayhouse.cli.complete import chute_names, device_names
from wayhouse.cli.main import app as commands


@pytest.fixture
def context(bare, monkeypatch):
    """The context of a command line that is being typed."""
    monkeypatch.setattr(choice, "local_sockets", lambda env: iter(()))

    def make(*words):
        root = typer.main.get_command(commands)
        above = root.make_context("wayhouse", list(words), resilient_parsing=True)
        chute = root.commands["chute"]
        inner = chute.make_context("chute", [], parent=above, resilient_parsing=True)
        return chute.commands["show"].make_context("show", [], parent=inner, resilient_parsing=True)

    return make


def test_names_come_from_the_gateway(context, app, gateway):
    app("hello")
    found = context("--data", str(gateway.base))
    assert chute_names(found, "") == ["hello"]
    assert chute_names(found, "he") == ["hello"]
    assert chute_names(found, "x") == []


def test_devices_too(context, house):
    found = context("--data", str(house.base))
    assert device_names(found, "") == ["boiler", "hall", "lamp", "roof", "rtc", "tv"]
    assert device_names(found, "la") == ["lamp"]


def test_without_a_gateway_nothing_is_said(context, capsys):
    assert chute_names(context(), "") == []
    assert chute_names(context("--gateway", "http://127.0.0.1:1"), "") == []
    assert chute_names(context("--gateway", "nonsense://"), "") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_gets_its_script(bare, monkeypatch, shell):
    monkeypatch.setenv("_WAYHOUSE_COMPLETE", f"source_{shell}")
    result = bare()
    assert "_WAYHOUSE_COMPLETE" in result.out


def test_the_shell_gets_the_names(cli, app, monkeypatch):
    app("hello")
    monkeypatch.setenv("_WAYHOUSE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "wayhouse chute show ")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert cli().out.split() == ["hello"]
    monkeypatch.delenv("_WAYHOUSE_COMPLETE")
