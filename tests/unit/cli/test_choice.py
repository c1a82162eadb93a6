import socket

import pytest

from wayhouse.api.client_errors import UnreachableError
from wayhouse.api.client_transport import Trust
from wayhouse.base.errors import BadInputError
from wayhouse.base.settings import Paths
from wayhouse.cli import choice
from wayhouse.cli.choice import answers, choose, local_sockets
from wayhouse.cli.logins import Login, Logins
from wayhouse.cli.wanted import Wanted


@pytest.fixture
def env(tmp_path, monkeypatch):
    monkeypatch.setattr(choice.Paths, "system", lambda: Paths.under(tmp_path / "system"))
    return {"HOME": str(tmp_path)}


@pytest.fixture
def daemon(tmp_path):
    path = tmp_path / "system/run/wayhouse.sock"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path


def test_an_address_comes_first(env, daemon, tmp_path):
    wanted = Wanted(gateway="http://a:1", data=tmp_path)
    assert str(choose(wanted, env).place) == "http://a:1"


def test_then_the_folder(env, daemon, tmp_path):
    assert choose(Wanted(data=tmp_path), env).place.socket == f"{tmp_path}/run/wayhouse.sock"


def test_then_the_daemon_of_this_machine_before_a_login(env, daemon):
    Logins.of(env).save("http://a:1", Login(user="ann", token="t"))
    assert choose(Wanted(), env).place.socket == str(daemon)


def test_then_the_login(env):
    login = Login(user="ann", token="t", fingerprint="ab")
    Logins.of(env).save("https://a:1", login)
    found = choose(Wanted(), env)
    assert (str(found.place), found.login, found.trust) == ("https://a:1", login, Trust("ab"))
    assert choose(Wanted(insecure=True), env).trust == Trust(insecure=True)
    assert choose(Wanted(fingerprint="CD" * 32), env).trust == Trust("cd" * 32)


def test_else_it_says_what_to_do(env):
    with pytest.raises(UnreachableError, match="wayhouse up"):
        choose(Wanted(), env)


def test_a_socket_that_nobody_serves_is_passed_by(env, daemon, tmp_path):
    assert answers(daemon)
    (tmp_path / "dead").write_text("")
    assert not answers(tmp_path / "dead")
    assert not answers(tmp_path / "missing")


def test_bad_options(env):
    with pytest.raises(BadInputError):
        choose(Wanted(gateway="ftp://x"), env)
    with pytest.raises(BadInputError):
        choose(Wanted(gateway="http://x", fingerprint="x"), env)


def test_system_then_user(env, tmp_path):
    assert [str(path) for path in local_sockets(env)] == [
        f"{tmp_path}/system/run/wayhouse.sock",
        f"{tmp_path}/.local/share/wayhouse/run/wayhouse.sock",
    ]
