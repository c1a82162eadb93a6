import signal
import sys
from pathlib import Path

import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.cli import up
from wayhouse.cli.up import check_address
from wayhouse.gateway.__main__ import options
from wayhouse.gateway.main import Options


@pytest.fixture
def started(monkeypatch):
    """The options that the daemon would be started with."""
    calls = []
    monkeypatch.setattr(up.os, "execv", lambda *words: calls.append(words))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    yield calls
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert all(program == sys.executable for program, _ in calls)


def _options(started):
    [(_, words)] = started
    assert words[1] == "-m"
    assert words[2] in {up.DAEMON, up.KEEPER}
    return options(words[3:])


def test_nothing_said(bare, started):
    assert bare("up").code == 0
    assert _options(started) == Options()


def test_everything_said_reaches_the_daemon(bare, started, tmp_path):
    (tmp_path / "w.toml").write_text("")
    words = [
        "--data",
        tmp_path / "-x",
        "--listen",
        ":80",
        "--engine",
        "sandbox",
        "--demo",
        "--config",
        tmp_path / "w.toml",
    ]
    assert bare("up", *words, "--insecure-default-login").code == 0
    assert _options(started) == Options(
        data=tmp_path / "-x",
        listen=":80",
        engine="sandbox",
        demo=True,
        config=tmp_path / "w.toml",
        insecure_default_login=True,
    )


def test_data_may_stand_before_the_verb(bare, started, tmp_path):
    assert bare("--data", tmp_path, "up").code == 0
    assert _options(started).data == tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("--engine", "lxc"),
        ("--listen", "nonsense"),
        ("--listen", "x:99999"),
        ("--config", "/no/such"),
        ("--data", __file__),
    ],
)
def test_nonsense_is_said_before_anything_starts(bare, started, words):
    result = bare("up", *words)
    assert result.code == 2
    assert started == []


def test_addresses():
    for text in ("127.0.0.1:8080", "[::1]:80", ":0"):
        check_address(text)
    for text in ("", "x", "x:", "x:-1", "x:1e3", "x:٣"):
        with pytest.raises(BadInputError):
            check_address(text)


def test_the_command_line_is_not_in_the_daemon():
    assert "wayhouse.cli" not in Path(sys.modules["wayhouse.gateway.main"].__file__).read_text()


def test_who_keeps_the_daemon(bare, started, monkeypatch):
    assert up.program({}, demo=False) == up.KEEPER
    assert up.program({}, demo=True) == up.DAEMON
    assert up.program({"NOTIFY_SOCKET": "/run/systemd/notify"}, demo=False) == up.DAEMON
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert bare("up").code == 0
    [(_, words)] = started
    assert words[2] == up.DAEMON
