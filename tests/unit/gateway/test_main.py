"""The command line, the settings and the lock; what keeps the daemon from starting is told in a sentence."""

import asyncio
import io
import os
import resource
import socket
import threading
from pathlib import Path

import pytest

from tests.parts.notified import QUICK, own_process_restored, stop_when_ready
from wayhouse.base.errors import BadInputError, ConflictError
from wayhouse.base.settings import Paths
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.gateway import __main__ as command
from wayhouse.gateway import assemble, main
from wayhouse.gateway.main import Options, choose_paths, locked, raise_limit, read_settings, run
from wayhouse.runtime.exceptions import ConnectionClosed
from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.upgrade import Prepare, decode, encode


@pytest.fixture(autouse=True)
def restored():
    with own_process_restored():
        yield


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
        "--heir",
        "7",
    ]
    assert command.options(given) == Options(
        data=Path("/d"),
        listen=":1",
        engine="docker",
        demo=True,
        config=Path("/c"),
        insecure_default_login=True,
        heir=7,
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
    with locked(tmp_path / "lock") as lock:
        assert not os.get_inheritable(lock)
    with (
        locked(tmp_path / "lock"),
        pytest.raises(ConflictError, match=r"runs on .* already"),
        locked(tmp_path / "lock"),
    ):
        pass
    with locked(tmp_path / "lock"):
        pass


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


def test_a_failure_of_the_machine_is_told_with_its_place(tmp_path, capsys, monkeypatch):
    def fail(error):
        def locked(path):
            raise error

        monkeypatch.setattr(main, "locked", locked)
        return failed(capsys, Options(data=tmp_path))

    assert (
        fail(PermissionError(13, "no", "/a"))
        == "wayhouse: /a may not be written. Start as root, or use --data DIR.\n"
    )
    assert fail(OSError(28, "No space left", "/a")) == "wayhouse: /a: No space left.\n"
    assert fail(OSError("odd")) == "wayhouse: The gateway: odd.\n"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_told_to_stop_before_it_lives(tmp_path, monkeypatch, stop):
    def locked(path):
        raise stop

    monkeypatch.setattr(main, "locked", locked)
    assert run(Options(data=tmp_path), QUICK, io.StringIO()) == 0


def test_as_many_clients_as_the_system_allows():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)


def test_the_demo_lives_in_a_folder_that_is_gone_afterwards(tmp_path, monkeypatch):
    engine = FakeEngine(serve=True)

    async def choose(*_arguments, **_more):
        return engine

    monkeypatch.setattr(assemble, "choose", choose)
    monkeypatch.setattr(main.demo.tempfile, "tempdir", str(tmp_path))
    out = io.StringIO()
    with stop_when_ready() as manager:
        assert run(Options(demo=True, listen="127.0.0.1:0"), {**QUICK, **manager.env}, out) == 0
    assert "is ready" in out.getvalue()
    assert list(tmp_path.iterdir()) == []


def test_a_successor_without_an_elder(tmp_path, capsys):
    with (tmp_path / "file").open("w") as file:
        number = os.dup(file.fileno())
    assert "leads to no elder" in failed(capsys, Options(data=tmp_path, heir=number))
    os.close(number)
    assert "leads to no elder" in failed(capsys, Options(data=tmp_path, heir=1_000_000))
    ours, its = socket.socketpair()
    ours.close()
    assert (
        failed(capsys, Options(data=tmp_path, heir=its.detach()))
        == f"wayhouse: {ConnectionClosed().message}\n"
    )


def test_a_successor_that_cannot_go_on_tells_its_elder_why(tmp_path, capsys):
    ours, its = socket.socketpair()
    heard = []

    async def offer():
        passage = Passage(ours)
        await passage.send(encode(Prepare("Wayhouse 0", 0, [], os.getpid())), timeout=20)
        body, _ = await passage.receive(timeout=20)
        heard.append(decode(body).reason)
        passage.close()

    thread = threading.Thread(target=lambda: asyncio.run(offer()))
    thread.start()
    told = failed(capsys, Options(data=tmp_path, heir=its.detach()))
    thread.join()
    assert "offers 0. Restart instead." in told
    assert told == f"wayhouse: {heard[0]}\n"
