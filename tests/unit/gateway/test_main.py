import contextlib
import io
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from wayhouse.base.errors import BadInputError, ConflictError
from wayhouse.base.settings import Paths
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.gateway import __main__ as command
from wayhouse.gateway import assemble, main
from wayhouse.gateway.main import Options, choose_paths, locked, read_settings, run

QUICK = {"WAYHOUSE_ACCESS_ARGON2_MEMORY_KIB": "8", "WAYHOUSE_ACCESS_ARGON2_TIME": "1", "HOME": "/nowhere"}


def test_the_command_line():
    assert command.options([]) == Options()
    given = [
        "--data",
        "/d",
        "--listen",
        ":1",
        "--engine",
        "docker",
        "--demo",
        "--config",
        "/c",
        "--insecure-default-login",
    ]
    assert command.options(given) == Options(
        data=Path("/d"),
        listen=":1",
        engine="docker",
        demo=True,
        config=Path("/c"),
        insecure_default_login=True,
    )


def test_bad_options_say_what_is_possible(capsys):
    with pytest.raises(SystemExit):
        command.options(["--engine", "steam"])
    assert "sandbox" in capsys.readouterr().err


def test_where_everything_lives(tmp_path, monkeypatch):
    assert choose_paths(Options(data=tmp_path), {"WAYHOUSE_DATA": "/x"}) == Paths.under(tmp_path)
    assert choose_paths(Options(), {"WAYHOUSE_DATA": str(tmp_path)}) == Paths.under(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert choose_paths(Options(data=Path("here")), {}) == Paths.under(tmp_path / "here")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert choose_paths(Options(), {}) == Paths.system()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert choose_paths(Options(), {"HOME": "/home/ann"}).data == Path("/home/ann/.local/share/wayhouse")


def test_the_command_line_goes_over_the_settings(tmp_path):
    env = {"WAYHOUSE_GATEWAY_LISTEN": ":1", "WAYHOUSE_CHUTES_ENGINE": "docker"}
    options = Options(listen=":2", engine="sandbox", insecure_default_login=True)
    tree = read_settings(options, Paths.under(tmp_path), env)
    assert (tree.gateway.listen, tree.chutes.engine, tree.access.insecure_default_login) == (
        ":2",
        "sandbox",
        True,
    )
    assert read_settings(Options(), Paths.under(tmp_path), env).chutes.engine == "docker"
    with pytest.raises(BadInputError, match="engine"):
        read_settings(Options(engine="steam"), Paths.under(tmp_path), {})


def test_one_gateway_for_each_directory(tmp_path):
    with (
        locked(tmp_path / "lock"),
        pytest.raises(ConflictError, match=r"runs on .* already"),
        locked(tmp_path / "lock"),
    ):
        pass
    with locked(tmp_path / "lock"):
        pass


def test_a_name_is_made_once_and_not_lost_with_an_empty_file(tmp_path):
    path = tmp_path / "instance"
    path.touch()
    name = main._instance(path)
    assert len(name) == 8
    assert main._instance(path) == name


def failed(capsys, options, env=None):
    assert run(options, {**QUICK, **(env or {})}, io.StringIO()) == 1
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text


def test_what_cannot_be_is_told_in_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert "file" in failed(capsys, Options(data=tmp_path / "file" / "below"))
    assert "no address to listen on" in failed(capsys, Options(data=tmp_path / "a", listen="nonsense"))
    bad = tmp_path / "bad.toml"
    bad.write_text("[gateway]\nlisen = 1\n")
    assert "lisen" in failed(capsys, Options(data=tmp_path / "a", config=bad))
    with locked(tmp_path / "a" / "data" / "lock"):
        assert "--data DIR starts another" in failed(capsys, Options(data=tmp_path / "a"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "is in use" in failed(capsys, Options(data=tmp_path / "a", listen=listen))
    assert "of its own" in failed(capsys, Options(data=tmp_path / "a", demo=True))


@pytest.fixture
def fake_engine(monkeypatch):
    engine = FakeEngine(serve=True)

    async def choose(*_arguments, **_more):
        return engine

    monkeypatch.setattr(assemble, "choose", choose)
    yield engine
    for number in (signal.SIGTERM, signal.SIGINT):
        assert signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}


@contextlib.contextmanager
def stop_when_ready(look=lambda: None):
    """The environment of a gateway that is told to stop as soon as it says that it is ready."""
    name = f"\0wayhouse-test-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name)
        listener.settimeout(20)

        def wait():
            assert listener.recv(100) == b"READY=1"
            look()
            os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=wait)
        thread.start()
        yield {**QUICK, "NOTIFY_SOCKET": "@" + name[1:]}
        thread.join()
        assert listener.recv(100) == b"STOPPING=1"


@pytest.fixture
def root_log():
    import logging

    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers = before
    root.setLevel(level)


@pytest.mark.usefixtures("root_log", "fake_engine")
def test_it_starts_says_the_password_once_and_leaves_no_socket(tmp_path):
    base = tmp_path / "gw"
    sockets = []
    options = Options(data=base, listen="127.0.0.1:0")
    first, again = io.StringIO(), io.StringIO()
    with stop_when_ready(lambda: sockets.extend(path.name for path in (base / "run").glob("*.sock"))) as env:
        assert run(options, env, first) == 0
    assert "password" in first.getvalue()
    assert sorted(sockets) == ["apps.sock", "wayhouse.sock"]
    assert list((base / "run").glob("*.sock")) == []
    with stop_when_ready() as env:
        assert run(options, env, again) == 0
    assert "is ready" in again.getvalue()
    assert "password" not in again.getvalue()


@pytest.mark.usefixtures("root_log", "fake_engine")
def test_a_start_that_fails_late_does_not_use_up_the_password(tmp_path, capsys):
    base = tmp_path / "gw"
    nonsense = tmp_path / "x"
    nonsense.write_text("nonsense")
    options = Options(data=base, listen="127.0.0.1:0")
    given = {"TLS": "given", "TLS_CERTIFICATE": str(nonsense), "TLS_KEY": str(nonsense)}
    told = failed(capsys, options, {f"WAYHOUSE_GATEWAY_{key}": value for key, value in given.items()})
    assert "TLS cannot be served" in told
    assert list((base / "run").glob("*.sock")) == []
    out = io.StringIO()
    with stop_when_ready() as env:
        assert run(options, env, out) == 0
    assert "password" in out.getvalue()


@pytest.mark.usefixtures("root_log")
def test_a_signal_while_it_starts_stops_it(tmp_path, fake_engine, monkeypatch):
    async def hang():
        threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
        await main.asyncio.Event().wait()

    monkeypatch.setattr(fake_engine, "info", hang)
    out = io.StringIO()
    begun = time.monotonic()
    assert run(Options(data=tmp_path, listen="127.0.0.1:0"), QUICK, out) == 0
    assert time.monotonic() - begun < 10
    assert out.getvalue() == ""


@pytest.mark.usefixtures("root_log", "fake_engine")
def test_the_demo_lives_in_a_folder_that_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(main.demo.tempfile, "tempdir", str(tmp_path))
    out = io.StringIO()
    with stop_when_ready() as env:
        assert run(Options(demo=True, listen="127.0.0.1:0"), env, out) == 0
    assert "is ready" in out.getvalue()
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_that_cannot_serve_is_not_waited_for():
    import asyncio

    from wayhouse.base.errors import PermanentError
    from wayhouse.base.tasks import Tasks
    from wayhouse.gateway.listeners import server

    async def body():
        async with Tasks() as tasks:
            done = tasks.spawn(asyncio.sleep(0), name="http")
            with pytest.raises(PermanentError):
                await main._until_started([server(print)], [done])

    asyncio.run(body())
