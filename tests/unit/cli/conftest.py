"""A whole gateway with an engine in memory, in a thread: on its socket, on TCP, and on TLS; and a way to run commands."""

import asyncio
import io
import os
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path

import msgspec
import pytest

from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.model import ChuteSettings
from wayhouse.cli.main import main
from wayhouse.devices.drivers.settings import DeviceSettings
from wayhouse.gateway import certificate
from wayhouse.gateway.assemble import assemble
from wayhouse.gateway.listeners import bind_tcp, bind_unix, server
from wayhouse.gateway.settings import GatewaySettings, Settings

PASSWORD = "correct horse"
SPEC = """name: {name}
version: 1
environment: {{COLOUR: red}}
services:
  main: {{type: image, image: nginx}}
{web}"""


class Running:
    """`engine` may be told to fail; `do` runs a coroutine function where the gateway lives."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.password = PASSWORD
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def _live(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.engine = FakeEngine(serve=True)
        paths = Paths.under(self.base)
        for path in (paths.config, paths.data, paths.cache, paths.runtime):
            path.mkdir(parents=True)
        clock = SystemClock()
        tcp, tls = bind_tcp("127.0.0.1", 0), bind_tcp("127.0.0.1", 0)
        self.http = f"http://127.0.0.1:{tcp.getsockname()[1]}"
        self.https = f"https://127.0.0.1:{tls.getsockname()[1]}"
        cert, key = certificate.files(GatewaySettings(tls="self-made"), paths.config / "keys", clock)
        self.fingerprint = certificate.fingerprint(cert)
        listen = self.http.removeprefix("http://")
        settings = Settings(
            gateway=GatewaySettings(listen=listen),
            chutes=ChuteSettings(settle_s=0.0, min_free_bytes=0),
            devices=DeviceSettings(fake=True, onewire=""),
        )
        database = Database(paths.data / "wayhouse.db")
        async with Tasks() as tasks:
            gateway = await assemble(
                settings,
                paths,
                database=database,
                events=Events(),
                clock=clock,
                tasks=tasks,
                env={},
                instance="test",
                port=tcp.getsockname()[1],
                engine=self.engine,
            )
            await gateway.access.start(PASSWORD)
            await gateway.ledger.start()
            self.ledger, self.chutes = gateway.ledger, gateway.chutes
            self.devices = gateway.rooms.devices
            servers = [
                (server(gateway.app), [tcp, bind_unix(paths.socket, 0o660)]),
                (server(gateway.app, certificate=cert, key=key), [tls]),
            ]
            for one, sockets in servers:
                tasks.spawn(one.serve(sockets), name="http")
            while not all(one.started for one, _ in servers):
                await asyncio.sleep(0.005)
            self._ready.set()
            await self._stop.wait()
            for one, _ in servers:
                one.should_exit = True
                one.force_exit = True
            await asyncio.sleep(0.2)
            await gateway.forward.close()
            await gateway.engine.close()
        database.close()


@pytest.fixture(scope="package")
def gateway():
    base = Path(tempfile.mkdtemp(prefix="wh-"))
    running = Running(base)
    running.start()
    yield running
    running.stop()
    shutil.rmtree(base)


class Result(msgspec.Struct, frozen=True):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return msgspec.json.decode(self.out)

    @property
    def json_lines(self):
        return [msgspec.json.decode(line) for line in self.out.splitlines()]


@pytest.fixture
def bare(monkeypatch, capsys, tmp_path):
    """Runs a command in an empty environment: no gateway, no logins."""
    for name in [name for name in os.environ if name.startswith(("WAYHOUSE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        code = main([str(one) for one in arguments])
        told = capsys.readouterr()
        return Result(code, told.out, told.err)

    return run


@pytest.fixture
def cli(bare, gateway, monkeypatch):
    """Runs a command on the gateway, as its owner."""
    monkeypatch.setenv("WAYHOUSE_DATA", str(gateway.base))
    return bare


@pytest.fixture
def folder(tmp_path):
    """Makes a folder that holds an app."""

    def make(name: str = "hello", *, port: int | None = None) -> Path:
        path = tmp_path / f"folder-{name}"
        path.mkdir(exist_ok=True)
        web = f"web: {{service: main, port: {port}}}\n" if port else ""
        (path / "paradrop.yaml").write_text(SPEC.format(name=name, web=web))
        (path / "index.html").write_text("hello")
        return path

    return make


@pytest.fixture
def app(cli, folder):
    """Installs an app and gives its name; removes it afterwards."""
    made = []

    def install(name: str = "hello", *, port: int | None = None) -> str:
        result = cli("chute", "install", folder(name, port=port))
        assert result.code == 0, result
        made.append(name)
        return name

    yield install
    for name in made:
        cli("chute", "rm", name, "--yes")


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def house(gateway):
    """The fake house, looked at and polled once; afterwards nothing of it is left."""
    server = gateway.devices._servers["fake"]
    gateway.do(server.scan())
    gateway.do(server.round())
    yield gateway
    for device in gateway.devices.all():
        gateway.do(gateway.devices.delete(device.id))


@pytest.fixture
def device(cli, house):
    """Runs a `wayhouse device` command that works."""

    def run(*words: object) -> Result:
        result = cli("device", *words)
        assert result.code == 0, result
        return result

    return run
