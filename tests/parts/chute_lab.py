"""The whole chutes room on the engine in memory: real ledger, database and directories, time that moves when asked.

`ChuteLab` is an async context; `restart` ends the gateway as a power cut would and starts it again on what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from wayhouse.base import codec
from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.chutes import tasks as chute_tasks
from wayhouse.chutes.containers import Surroundings
from wayhouse.chutes.directories import Directories
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.health import Doctor
from wayhouse.chutes.logs import ChuteLogs
from wayhouse.chutes.model import Chute, ChuteSettings
from wayhouse.chutes.planner import ChutePlanner
from wayhouse.chutes.reconcile import Reconciler
from wayhouse.chutes.service import Chutes
from wayhouse.chutes.state import ChuteStore
from wayhouse.chutes.states import States
from wayhouse.chutes.uploads import Uploads
from wayhouse.chutes.wishes import Kind
from wayhouse.ledger.model import Actor, Change, State, Wish
from wayhouse.ledger.service import Ledger
from wayhouse.ledger.task import Say

ADMIN = Actor("root", "localhost", "admin")
ADA = Actor("ada", "localhost", "user")
BOB = Actor("bob", "localhost", "user")

SETTINGS = ChuteSettings(min_free_bytes=0, first_port=20_000, last_port=20_009)


class MachinePorts:
    """The ports of the machine; `busy` are those that other programs hold."""

    def __init__(self) -> None:
        self.busy: set[int] = set()
        self.asked: list[tuple[int, str]] = []

    def is_free(self, port: int, protocol: str) -> bool:
        self.asked.append((port, protocol))
        return port not in self.busy


class Nobody:
    """Knocks on ports of an engine in memory: `sick` says what is wrong with one."""

    def __init__(self) -> None:
        self.sick: dict[int, str] = {}
        self.asked: list[tuple[str, int, str]] = []

    async def tcp(self, host: str, port: int) -> str:
        self.asked.append((host, port, ""))
        return self.sick.get(port, "")

    async def http(self, host: str, port: int, path: str) -> str:
        self.asked.append((host, port, path))
        return self.sick.get(port, "")


class Shelf:
    """Bundles by address, in place of the internet."""

    def __init__(self) -> None:
        self.bundles: dict[str, Mapping[str, str]] = {}
        self.secrets: list[str | None] = []

    async def fetch(
        self, url: str, into: Path, *, checkout: str | None, user: str | None, secret: str | None, say: Say
    ) -> Path:
        self.secrets.append(secret)
        say(f"Fetching {url}")
        bundle = into / "repository"
        for name, text in self.bundles[url].items():
            (bundle / name).parent.mkdir(parents=True, exist_ok=True)
            (bundle / name).write_text(text)
        return bundle


class ChuteLab:
    def __init__(
        self,
        base: Path,
        *,
        settings: ChuteSettings = SETTINGS,
        engine: FakeEngine | None = None,
        width: int = 4,
    ) -> None:
        self.base = base
        self.settings = settings
        self.width = width
        self.clock = ManualClock()
        self.engine = engine or FakeEngine(self.clock)
        self.machine = MachinePorts()
        self.prober = Nobody()
        self.shelf = Shelf()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start(self) -> None:
        self.paths = Paths.under(self.base)
        self.events = Events()
        self.database = Database(self.paths.data / "wayhouse.db")
        self._stack.callback(self.database.close)
        running = await self._stack.enter_async_context(Tasks())
        self.ledger = Ledger(self.database, self.events, self.clock, running, width=self.width)
        self.store = ChuteStore(self.database, self.events)
        self.directories = Directories(
            self.paths, container_uid=999, min_free_bytes=self.settings.min_free_bytes
        )
        self.uploads = Uploads(self.directories, self.shelf, self.settings)
        self.planner = ChutePlanner(
            engine=self.engine,
            store=self.store,
            directories=self.directories,
            uploads=self.uploads,
            machine_ports=self.machine,
            settings=self.settings,
            around=Surroundings(),
            clock=self.clock,
        )
        doctor = Doctor(
            self.engine,
            self.prober,
            self.clock,
            settle_s=self.settings.settle_s,
            web_wait_s=self.settings.web_wait_s,
        )
        self.tools = chute_tasks.Tools(
            self.engine, self.store, self.directories, doctor, stop_grace_s=self.settings.stop_grace_s
        )
        for kind in Kind:
            self.ledger.register(kind, self.planner, chute_tasks.ALL, self.tools)
        self.states = States(self.engine, self.clock)
        self.chutes = Chutes(
            ledger=self.ledger,
            store=self.store,
            directories=self.directories,
            uploads=self.uploads,
            engine=self.engine,
            states=self.states,
            logs=ChuteLogs(self.engine, self.store, self.events, self.clock),
        )
        self.reconciler = Reconciler(self.engine, self.store, self.directories, self.ledger, self.clock)
        await self.ledger.start()

    async def reconcile(self) -> None:
        """What the daemon does at its start."""
        await self.reconciler.sweep()
        await self.reconciler.align()
        await self.reconciler.sweep_images()

    async def restart(self) -> None:
        """The daemon ends at once and starts again; containers go on meanwhile."""
        await self._stack.aclose()
        await self.start()

    async def send(
        self, document: Mapping[str, Any], files: Mapping[str, str] | None = None, *, actor: Actor = ADMIN
    ) -> Change:
        """Ask for an install, or an update where the chute is there. Returns the change as it was submitted."""
        received = await self.chutes.receive_archive(chunks(archive(document, files)))
        verb = self.chutes.create if self.store.find(received.name) is None else self.chutes.update
        return await verb(received, actor)

    async def install(
        self, document: Mapping[str, Any], files: Mapping[str, str] | None = None, *, actor: Actor = ADMIN
    ) -> Change:
        """As `send`, and wait for the end."""
        return await self.ended(await self.send(document, files, actor=actor))

    async def done(self, change: Change) -> Change:
        """Wait for the end, which must be good."""
        ended = await self.ended(change)
        assert ended.state == State.SUCCEEDED, await self.lines(change)
        return ended

    async def ended(self, change: Change) -> Change:
        """The change once it is over and tidied up after."""
        await self.ledger.wait(change.id)
        while self.database.read("SELECT 1 FROM changes WHERE id = ? AND settled = 0", (change.id,)):
            await asyncio.sleep(0.001)
        return self.ledger.get(change.id)

    async def lines(self, change: Change) -> list[str]:
        return [one.line.message async for batch in self.ledger.watch(change.id) for one in batch]

    async def containers(self) -> dict[str, tuple[str, str]]:
        """Image and state by name."""
        return {one.name: (one.image, one.state.state) for one in await self.engine.containers()}

    async def environment(self, container: str) -> dict[str, str]:
        return self.engine._containers[container].spec.environment

    async def world(self) -> dict[str, Any]:
        """Everything that a change may touch, as far as it can be compared."""
        folders = [self.paths.data / name for name in ("chute-data", "sources", "uploads")]
        files = {
            str(path.relative_to(self.base)): path.read_bytes() if path.is_file() else None
            for folder in (*folders, self.paths.runtime)
            for path in folder.rglob("*")
        }
        return {
            "files": {name: data for name, data in files.items() if not name.endswith("/unpacked-by")},
            "chutes": dict(self.store.all),
            "images": set(await self.engine.images()),
            "networks": set(await self.engine.networks()),
            "containers": {
                one.name: (one.image, one.state.state, one.change_id)
                for one in await self.engine.containers()
            },
        }

    def wish(self, kind: Kind, name: str, data: msgspec.Struct | None = None, *, number: int = 900) -> Change:
        """A change that the ledger knows nothing of, to play its tasks by hand."""
        raw = msgspec.Raw(codec.encode_json(data) if data is not None else b"{}")
        return Change(
            id=number,
            wish=Wish(kind=kind, resource=f"chute/{name}", name=name, data=raw),
            actor=ADMIN,
            state=State.RUNNING,
            created=self.clock.wall(),
        )


def light(**more: Any) -> dict[str, Any]:
    """A service in Python; keyword arguments lie over it."""
    return {"type": "light", "image": "python3", "command": "python3 main.py", **more}


def app(name: str = "hello", *, web: bool = True, **top: Any) -> dict[str, Any]:
    """The document of an app of one service, `main`, with a page on port 8000."""
    page = {"web": {"service": "main", "port": 8000}} if web else {}
    return {"name": name, "version": 1, "services": {"main": light()}, **page, **top}


def archive(document: Mapping[str, Any], files: Mapping[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    everything = {"paradrop.yaml": codec.encode_yaml(document), "main.py": "print(1)\n", **(files or {})}
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in everything.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


async def chunks(data: bytes, size: int = 4096) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def chute(document: Mapping[str, Any] | None = None, **more: Any) -> Chute:
    """An installed chute as the store would hold it, for the pure parts."""
    from wayhouse.chutes.model import Desired
    from wayhouse.chutes.spec import from_document

    spec = from_document(document or app())
    images = {name: f"{spec.name}-{name}:c1" for name in spec.services}
    fields: dict[str, Any] = {
        "owner": ADMIN, "desired": Desired.RUNNING, "token": f"token-{spec.name}", "change_id": 1, "images": images
    }  # fmt: skip
    return Chute(spec=spec, **{**fields, **more})
