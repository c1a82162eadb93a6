"""The daemon in the test's own process: born fresh or as a successor, upgraded in vain, stopped at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from tests.parts.notified import QUICK, Manager, own_process_restored, stop_when_ready
from wayhouse.base.errors import UnavailableError
from wayhouse.base.settings import Paths
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.gateway import assemble, life, serving
from wayhouse.gateway.main import Options, locked, run
from wayhouse.gateway.settings import Settings
from wayhouse.gateway.sockets import Sockets
from wayhouse.gateway.succession import Ground
from wayhouse.runtime.succession.elder import Elder
from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.upgrade import Parcel, Phase, UpgradeFailedError

NAMES = ("web", "local", "apps", "control")
STORED = [f"FDSTORE=1 FDNAME=wayhouse-{name}" for name in NAMES]
DROPPED = [f"FDSTOREREMOVE=1 FDNAME=wayhouse-{name}" for name in NAMES]
STOPPED = ["STOPPING=1", *DROPPED]
FILES = ["apps.sock", "control.sock", "wayhouse.sock"]
HANGS = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with own_process_restored():
        yield


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    found = FakeEngine(serve=True)

    async def choose(*_arguments: Any, **_more: Any) -> FakeEngine:
        return found

    monkeypatch.setattr(assemble, "choose", choose)
    monkeypatch.setattr(serving, "BRIDGES", ())
    return found


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(data=tmp_path / "gw", listen="127.0.0.1:0")


def files(base: Path) -> list[str]:
    return sorted(path.name for path in (base / "run").glob("*.sock"))


def is_healthy(manager: Manager) -> bool:
    """Asked at the socket that the manager keeps."""
    with socket.socket(fileno=os.dup(manager.kept["wayhouse-web"][0])) as web:
        address = web.getsockname()
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n")
        return client.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_it_starts_says_the_password_once_and_leaves_no_socket(tmp_path: Path, options: Options) -> None:
    base = tmp_path / "gw"
    seen: list[str] = []
    first, again = io.StringIO(), io.StringIO()
    with stop_when_ready(lambda _: seen.extend(files(base))) as manager:
        assert run(options, {**QUICK, **manager.env}, first) == 0
        assert manager.before == [*STORED, "READY=1"]
        assert manager.heard() == STOPPED
    assert "password" in first.getvalue()
    assert (seen, files(base)) == (FILES, [])
    with stop_when_ready(is_healthy) as manager:
        assert run(options, {**QUICK, **manager.env}, again) == 0
    assert "is ready" in again.getvalue()
    assert "password" not in again.getvalue()


def test_a_start_that_fails_late_does_not_use_up_the_password(
    tmp_path: Path, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "gw"
    nonsense = tmp_path / "x"
    nonsense.write_text("nonsense")
    given = {"TLS": "given", "TLS_CERTIFICATE": str(nonsense), "TLS_KEY": str(nonsense)}
    env = {**QUICK, **{f"WAYHOUSE_GATEWAY_{key}": value for key, value in given.items()}}
    assert run(options, env, io.StringIO()) == 1
    assert "TLS cannot be served" in capsys.readouterr().err
    assert files(base) == []
    out = io.StringIO()
    with stop_when_ready() as manager:
        assert run(options, {**QUICK, **manager.env}, out) == 0
    assert "password" in out.getvalue()


def test_a_signal_while_it_starts_stops_it(
    tmp_path: Path, options: Options, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
        await asyncio.Event().wait()

    monkeypatch.setattr(engine, "info", hang)
    out = io.StringIO()
    begun = time.monotonic()
    with Manager() as manager:
        assert run(options, {**QUICK, **manager.env}, out) == 0
        assert manager.heard() == []
    assert time.monotonic() - begun < 10
    assert (out.getvalue(), files(tmp_path / "gw")) == ("", [])


def test_an_upgrade_that_fails_changes_nothing(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", "raise SystemExit(3)"])
    said: list[str] = []

    def look(manager: Manager) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            said.extend(one.split()[0] for one in manager.hear_until("READY=1"))
        assert is_healthy(manager)

    with stop_when_ready(look) as manager:
        assert run(options, {**QUICK, **manager.env}, io.StringIO()) == 0
        assert said == ["RELOADING=1", "READY=1"] * 2
        assert manager.heard() == STOPPED


def test_told_to_stop_in_the_middle_of_an_upgrade(
    tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", HANGS])
    found: list[psutil.Process] = []

    def look(manager: Manager) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        assert manager.hear().startswith("RELOADING=1")
        while not found:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):  # others of this process's children may end meanwhile
                    found.extend([child] if HANGS in child.cmdline() else [])

    with stop_when_ready(look) as manager:
        assert run(options, {**QUICK, **manager.env}, io.StringIO()) == 0
        assert manager.heard() == ["READY=1", *STOPPED]
    assert [one.is_running() for one in found] == [False]
    assert files(tmp_path / "gw") == []


class Busy:
    """Calls of the elder that do not end."""

    name = "rpc"
    phase = Phase.IN_HASTE

    async def rest(self, patience_s: float) -> None:
        raise UnavailableError("The calls do not end.")

    def pack(self) -> list[Parcel]:
        return []

    def carry_on(self) -> None: ...

    def let_go(self) -> None: ...


class ElderOf:
    """In a thread, the elder of a daemon that runs in the test's own thread. A context."""

    def __init__(self, base: Path, *parts: Any) -> None:
        paths = Paths.under(base)
        for path in (paths.data, paths.runtime):
            path.mkdir(parents=True)
        self._locked = locked(paths.data / "lock")
        self.listening = Sockets({})
        self.listening.tcp("web", "127.0.0.1", 0)
        self.listening.unix("local", paths.socket, 0o660)
        self.listening.unix("apps", paths.runtime / "apps.sock", 0o666)
        self.listening.unix("control", paths.runtime / "control.sock", 0o600)
        self._parts = (Ground(self.listening, self._locked.__enter__()), *parts)
        ours, its = socket.socketpair()
        self.number = its.detach()
        self.outcome = ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hand_over(Passage(ours))))

    async def _hand_over(self, passage: Passage) -> None:
        async def end_heir() -> None: ...

        elder = Elder(passage, self._parts, program="Wayhouse 1", say=lambda _: None, end_heir=end_heir)
        try:
            await elder.hand_over()
            self.outcome = "served"
        except UpgradeFailedError as error:
            self.outcome = error.message
        passage.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        with self.listening:
            pass
        self._locked.__exit__(None, None, None)


def test_a_successor_goes_on_where_its_elder_was(tmp_path: Path, options: Options) -> None:
    base, out = tmp_path / "gw", io.StringIO()
    seen: list[Any] = []

    def look(manager: Manager) -> None:
        kept = {name: socket.socket(fileno=os.dup(fds[0])) for name, fds in manager.kept.items()}
        seen.append({name.removeprefix("wayhouse-"): sock.getsockname() for name, sock in kept.items()})
        for sock in kept.values():
            sock.close()
        assert is_healthy(manager)

    with ElderOf(base) as elder:
        before = {name: sock.getsockname() for name, sock in elder.listening.names().items()}
        with stop_when_ready(look) as manager:
            heir = Options(data=options.data, listen=options.listen, heir=elder.number)
            assert run(heir, {**QUICK, **manager.env}, out) == 0
            assert manager.before == [f"MAINPID={os.getpid()}", *STORED, "READY=1"]
            assert manager.heard() == STOPPED
        assert seen == [before]
    assert (elder.outcome, out.getvalue()) == ("served", "")
    assert files(base) == []


def test_a_successor_that_is_not_wanted_leaves_all_as_it_was(
    tmp_path: Path, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    base, out = tmp_path / "gw", io.StringIO()
    with ElderOf(base, Busy()) as elder, Manager() as manager:
        heir = Options(data=options.data, listen=options.listen, heir=elder.number)
        assert run(heir, {**QUICK, **manager.env}, out) == 1
        assert (manager.heard(), out.getvalue()) == ([], "")
        assert files(base) == FILES
        for sock in elder.listening.names().values():
            with socket.socket(sock.family) as client:
                client.connect(sock.getsockname())
    assert elder.outcome == "The calls do not end."
    assert "wayhouse: " in capsys.readouterr().err
    assert files(base) == []


def test_a_successor_that_cannot_build_itself_tells_its_elder(
    tmp_path: Path, options: Options, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise UnavailableError("There is no engine.")

    monkeypatch.setattr(engine, "info", fail)
    with ElderOf(tmp_path / "gw") as elder:
        heir = Options(data=options.data, listen=options.listen, heir=elder.number)
        assert run(heir, QUICK, io.StringIO()) == 1
        assert files(tmp_path / "gw") == FILES
    assert elder.outcome == "There is no engine."


def test_a_demo_says_why_it_is_not_upgraded(tmp_path: Path) -> None:
    def of(*, is_demo: bool) -> str:
        birth = life.Birth(tree=Settings(), paths=Paths.under(tmp_path), data=None, is_demo=is_demo)
        return life._refusal(birth)

    assert "start it anew" in of(is_demo=True)
    assert of(is_demo=False) == ""


def test_a_name_is_made_once_and_not_lost_with_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "instance"
    path.touch()
    name = life.instance_of(path)
    assert len(name) == 8
    assert life.instance_of(path) == name
    path.unlink()
    assert life.instance_of(path) != name
