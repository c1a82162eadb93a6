import pytest

from wayhouse import __version__
from wayhouse.cli import choice


@pytest.fixture(autouse=True)
def no_daemon_of_this_machine(monkeypatch):
    monkeypatch.setattr(choice, "local_sockets", lambda env: iter(()))


def test_of_both(cli):
    assert cli("version").out == f"wayhouse {__version__}\ngateway  {__version__} (fake 1)\n"
    assert cli("version", "--json").json["gateway"]["engine"] == "fake"


def test_of_the_program_alone(bare):
    assert bare("--version").out == f"wayhouse {__version__}\n"
    result = bare("version")
    assert (result.code, result.out) == (0, f"wayhouse {__version__}\n")
    assert bare("version", "--json").json == {"version": __version__, "gateway": None}
