"""What every engine promises, run on the fake, the sandbox and Docker.

`TestEngine` holds for all of them; `TestRunning` needs programs that really run, so it leaves the fake out.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.parts.docker import docker_socket, python_base_image
from wayhouse.base.errors import UnavailableError
from wayhouse.chutes.engines.docker import DockerEngine
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.engines.sandbox.engine import SandboxEngine
from wayhouse.chutes.engines.sandbox.processes import PACKAGES
from wayhouse.chutes.model import EngineError, LogLine, PortBinding, Restart
from wayhouse.chutes.ports import BuildRequest, Container, ContainerSpec, Engine, Mount
from wayhouse.runtime.sight import trace_ask, trace_box
from wayhouse.runtime.sight.family import Label, family

__all__ = ["docker_socket", "python_base_image"]

# covers: chutes/engines/docker.py, chutes/engines/docker_client.py, chutes/engines/sandbox/engine.py
# covers: chutes/engines/sandbox/execution.py, chutes/engines/sandbox/processes.py, chutes/engines/sandbox/networks.py
# covers: chutes/engines/sandbox/nat.py, chutes/engines/sandbox/shim/main.py, chutes/engines/sandbox/shim/launch.py
# covers: chutes/engines/sandbox/shim/root.py, chutes/engines/sandbox/shim/enter.py, chutes/engines/sandbox/shim/hold.py
# covers: chutes/engines/sandbox/shim/kernel.py, chutes/engines/sandbox/shim/privileges.py
# covers: chutes/engines/sandbox/shim/service.py

real = pytest.mark.external
PATIENCE_S = 30.0

FOREVER = "import time\nprint('ready', flush=True)\nwhile True: time.sleep(1)\n"
SERVER = """
import http.server, os, socket, sys, threading
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'hello ' + self.path.encode())
    def log_message(self, *rest): pass
def echo():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('0.0.0.0', 9000))
    while True:
        data, peer = udp.recvfrom(65535); udp.sendto(data.upper(), peer)
threading.Thread(target=echo, daemon=True).start()
http.server.ThreadingHTTPServer.request_queue_size = 100
server = http.server.ThreadingHTTPServer(('0.0.0.0', 80), Page)
print('ready', flush=True)
server.serve_forever()
"""


class Kit:
    """One engine with what tests need around it; names are unique, so that nothing of the machine's is touched."""

    def __init__(self, make: Callable[[], Engine], path: Path, base: str | None) -> None:
        self._make = make
        self.engine = make()
        self._path = path
        self._base = base
        self.chute = f"wht{uuid.uuid4().hex[:8]}"
        self.said: list[str] = []

    @property
    def image(self) -> str:
        return f"{self.chute}-main:1"

    async def build(self, program: str = FOREVER, **more: Any) -> None:
        bundle = self._path / uuid.uuid4().hex
        bundle.mkdir()
        (bundle / "main.py").write_text(program)
        dockerfile = (
            f"FROM {self._base}\nWORKDIR /opt/paradrop/app\nCOPY . .\nRUN chown -R 999:999 .\nUSER 999:999\n"
        )
        request = BuildRequest(
            tag=self.image, chute=self.chute, context=str(bundle), dockerfile=dockerfile, language="python3"
        )
        await self.engine.build(msgspec.structs.replace(request, **more), self.said.append)

    def spec(self, service: str = "main", **more: Any) -> ContainerSpec:
        spec = ContainerSpec(
            name=f"{self.chute}-{service}",
            chute=self.chute,
            service=service,
            image=self.image,
            change_id=7,
            command="exec python3 -u main.py",
            restart=Restart.NO,
        )
        return msgspec.structs.replace(spec, **more)

    async def run(self, program: str = FOREVER, *, ready: bool = True, **more: Any) -> ContainerSpec:
        """Build, create and start; wait for the word "ready" in the log."""
        await self.build(program)
        await self.engine.create_network(self.chute)
        spec = self.spec(**more)
        await self.engine.create(spec)
        await self.engine.start(spec.name)
        if ready:
            await self.wait_for_line(spec.name, "ready")
        return spec

    async def wait_for_line(self, name: str, word: str) -> LogLine:
        async with asyncio.timeout(PATIENCE_S):
            async for line in self.engine.logs(name, follow=True):
                if word in line.message:
                    return line
        raise AssertionError(f"{name} never said {word}: {await self.lines(name)}")

    async def wait_for_state(self, name: str, *states: str) -> Container:
        async with asyncio.timeout(PATIENCE_S):
            while (seen := await self.engine.container(name)) is None or seen.state.state not in states:
                await asyncio.sleep(0.05)
        return seen

    async def lines(self, name: str, tail: int = 200) -> list[str]:
        return [line.message async for line in self.engine.logs(name, tail=tail)]

    async def reopen(self) -> None:
        """As after a restart of the daemon: a new engine object, nothing remembered."""
        if not isinstance(self.engine, FakeEngine):
            await self.engine.close()
            self.engine = self._make()

    async def clean(self) -> None:
        for container in await self.engine.containers():
            await self.engine.remove(container.name)
        for chute in await self.engine.networks():
            await self.engine.remove_network(chute)
        for image in await self.engine.images():
            await self.engine.remove_image(image)
        await self.engine.close()


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def make_sandbox(path: Path, **more: Any) -> Callable[[], Engine]:
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("needs root")
    instance = uuid.uuid4().hex[:8]
    return lambda: SandboxEngine(path / "state", path / "run", instance=instance, **more)


async def open_kit(kind: str, request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Kit]:
    base = None
    if kind == "docker":
        path_of_socket = request.getfixturevalue("docker_socket")
        base = request.getfixturevalue("python_base_image")
        instance = uuid.uuid4().hex[:8]
        make: Callable[[], Engine] = lambda: DockerEngine(path_of_socket, instance=instance)  # noqa: E731
    elif kind == "sandbox":
        make = make_sandbox(path)
    else:
        make = FakeEngine
    kit = Kit(make, path, base)
    try:
        yield kit
    finally:
        await kit.clean()


@pytest.fixture(params=["fake", pytest.param("sandbox", marks=real), pytest.param("docker", marks=real)])
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    async for opened in open_kit(request.param, request, tmp_path):
        yield opened


@pytest.fixture(params=[pytest.param("sandbox", marks=real), pytest.param("docker", marks=real)])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    async for opened in open_kit(request.param, request, tmp_path):
        yield opened


class TestEngine:
    async def test_it_says_what_it_is(self, kit: Kit) -> None:
        info = await kit.engine.info()
        assert info.name in {"fake", "sandbox", "docker", "podman"}
        assert all(info.limits)
        assert not any("cannot be started" in sentence for sentence in info.limits)

    async def test_images(self, kit: Kit) -> None:
        assert not await kit.engine.has_image(kit.image)
        await kit.build()
        await kit.build()
        assert await kit.engine.has_image(kit.image)
        assert list(await kit.engine.images()) == [kit.image]
        assert kit.said
        alias = f"{kit.chute}:latest"
        await kit.engine.tag_image(kit.image, alias)
        assert sorted(await kit.engine.images()) == sorted([kit.image, alias])
        await kit.engine.remove_image(kit.image)
        assert not await kit.engine.has_image(kit.image)
        assert await kit.engine.has_image(alias)
        await kit.engine.remove_image(alias)
        await kit.engine.remove_image(alias)
        assert list(await kit.engine.images()) == []

    async def test_an_alias_of_nothing_is_refused(self, kit: Kit) -> None:
        with pytest.raises(EngineError):
            await kit.engine.tag_image(kit.image, f"{kit.chute}:x")

    async def test_networks(self, kit: Kit) -> None:
        await kit.engine.create_network(kit.chute)
        await kit.engine.create_network(kit.chute)
        await kit.reopen()
        assert list(await kit.engine.networks()) == [kit.chute]
        await kit.engine.remove_network(kit.chute)
        await kit.engine.remove_network(kit.chute)
        assert list(await kit.engine.networks()) == []

    async def test_the_life_of_a_container(self, kit: Kit) -> None:
        await kit.build()
        await kit.engine.create_network(kit.chute)
        spec = kit.spec()
        await kit.engine.create(spec)
        seen = await kit.engine.container(spec.name)
        assert seen is not None
        assert (seen.state.state, seen.chute, seen.service, seen.change_id) == (
            "created",
            kit.chute,
            "main",
            7,
        )
        assert seen.image == kit.image
        await kit.engine.start(spec.name)
        await kit.engine.start(spec.name)
        running = await kit.wait_for_state(spec.name, "running")
        assert running.state.started is not None
        assert running.state.exit_code is None
        assert [one.name for one in await kit.engine.containers()] == [spec.name]
        await kit.engine.stop(spec.name, grace_s=1)
        await kit.engine.stop(spec.name, grace_s=1)
        stopped = await kit.engine.container(spec.name)
        assert stopped is not None
        assert (stopped.state.state, stopped.state.exit_code) in {("exited", 143), ("exited", 137)}
        assert (stopped.pid, stopped.shim) == (None, None)
        await kit.engine.start(spec.name)
        await kit.wait_for_state(spec.name, "running")
        await kit.engine.remove(spec.name)
        await kit.engine.remove(spec.name)
        assert await kit.engine.container(spec.name) is None
        assert list(await kit.engine.containers()) == []

    async def test_create_replaces(self, kit: Kit) -> None:
        spec = await kit.run(ready=False)
        await kit.engine.create(msgspec.structs.replace(spec, change_id=8))
        seen = await kit.engine.container(spec.name)
        assert seen is not None
        assert (seen.state.state, seen.change_id) == ("created", 8)
        assert len(await kit.engine.containers()) == 1

    async def test_rename(self, kit: Kit) -> None:
        spec = await kit.run(ready=False)
        old = f"{spec.name}-old"
        await kit.engine.rename(spec.name, old)
        await kit.engine.rename(spec.name, old)
        seen = await kit.engine.container(old)
        assert seen is not None
        assert seen.state.state == "running"
        assert await kit.engine.container(spec.name) is None
        await kit.engine.create(spec)
        with pytest.raises(EngineError, match="already"):
            await kit.engine.rename(old, spec.name)
        await kit.engine.remove(spec.name)
        await kit.engine.rename(old, spec.name)
        assert [one.name for one in await kit.engine.containers()] == [spec.name]
        await kit.wait_for_line(spec.name, "")

    async def test_what_is_not_there(self, kit: Kit) -> None:
        name = f"{kit.chute}-none"
        assert await kit.engine.container(name) is None
        assert [line async for line in kit.engine.logs(name, follow=True)] == []
        assert await kit.engine.usage([name]) == {}
        assert await kit.engine.address(name) is None
        await kit.engine.stop(name)
        await kit.engine.remove(name)
        await kit.engine.remove_image(f"{kit.chute}:none")
        for attempt in (
            kit.engine.start(name),
            kit.engine.rename(name, f"{name}2"),
            kit.engine.execute(name, ["id"]),
        ):
            with pytest.raises(EngineError):
                await attempt

    async def test_a_missing_image_is_refused(self, kit: Kit) -> None:
        await kit.engine.create_network(kit.chute)
        with pytest.raises(EngineError):
            await kit.engine.create(kit.spec(image=f"{kit.chute}-main:none"))
        assert list(await kit.engine.containers()) == []

    async def test_logs_go_on_until_the_container_is_removed(self, kit: Kit) -> None:
        spec = await kit.run(ready=False)
        lines: list[LogLine] = []

        async def read() -> None:
            async for line in kit.engine.logs(spec.name, follow=True):
                lines.append(line)

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            group.create_task(read())
            while not lines:
                await asyncio.sleep(0.02)
            await kit.engine.remove(spec.name)
        assert lines[0].service == "main"
        assert len(lines[0].timestamp) == len("2026-11-21T20:39:37.734258711Z")

    async def test_logs_go_on_until_it_stops(self, kit: Kit) -> None:
        spec = await kit.run(ready=False)

        async def read() -> list[str]:
            return [line.message async for line in kit.engine.logs(spec.name, follow=True)]

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            while not await kit.lines(spec.name):
                await asyncio.sleep(0.02)
            await kit.engine.stop(spec.name, grace_s=1)
        assert reading.result()

    async def test_prune_drops_what_is_named_and_not_used(self, kit: Kit) -> None:
        await kit.build()
        used, other, unused = kit.image, f"{kit.chute}:other", f"{kit.chute}:unused"
        await kit.engine.tag_image(used, other)
        await kit.engine.tag_image(used, unused)
        await kit.engine.create_network(kit.chute)
        await kit.engine.create(kit.spec())
        freed = await kit.engine.prune(drop=[used, unused, "absent:1"], say=kit.said.append)
        assert freed >= 0
        assert sorted(await kit.engine.images()) == sorted([used, other])
        await kit.engine.remove(kit.spec().name)
        assert await kit.engine.prune(drop=[used, other], say=kit.said.append) > 0
        assert list(await kit.engine.images()) == []


class TestRunning:
    """With programs that really run."""

    async def test_its_processes_are_known(self, running: Kit) -> None:
        kit = running
        spec = await kit.run()
        seen = await kit.engine.container(spec.name)
        assert seen is not None
        assert seen.pid is not None
        labels = {seen.shim or seen.pid: Label(belongs_to=kit.chute)}
        tree = family(labels)
        assert seen.pid in {one.pid for one in tree}
        assert any("main.py" in one.command for one in tree)
        assert {one.belongs_to for one in tree} == {kit.chute}
        assert [one.pid for one in await kit.engine.containers()] == [seen.pid]

    async def test_a_new_daemon_finds_everything(self, running: Kit) -> None:
        kit = running
        spec = await kit.run()
        before = await kit.engine.container(spec.name)
        await kit.reopen()
        assert await kit.engine.container(spec.name) == before
        assert "ready" in await kit.lines(spec.name)
        await kit.engine.stop(spec.name, grace_s=0)
        await kit.wait_for_state(spec.name, "exited")

    async def test_environment_user_and_place(self, running: Kit) -> None:
        kit = running
        program = "import os\nprint(os.environ['GREETING'], os.getuid(), os.getcwd())\nopen('made', 'w').write('x')\nprint('ready')\n"
        spec = await kit.run(program + FOREVER, environment={"GREETING": "hällo wörld"})
        assert (await kit.lines(spec.name))[0] == "hällo wörld 999 /opt/paradrop/app"

    async def test_as_root(self, running: Kit) -> None:
        spec = await running.run("import os\nprint('ready', os.getuid())", as_root=True)
        await running.wait_for_state(spec.name, "exited")
        assert await running.lines(spec.name) == ["ready 0"]

    async def test_the_log_has_both_streams_and_all_lines(self, running: Kit) -> None:
        kit = running
        program = "import sys\nfor i in range(300): print('line', i)\nsys.stdout.flush()\nprint('x' * 40000)\nprint('bad', file=sys.stderr)\nprint('no end', end='')"
        spec = await kit.run(program, ready=False)
        await kit.wait_for_state(spec.name, "exited")
        lines = await kit.lines(spec.name, tail=1000)
        assert [line for line in lines if line.startswith("line")] == [f"line {i}" for i in range(300)]
        assert {"bad", "no end"} <= set(lines)
        assert sum(line.count("x") for line in lines) == 40000
        assert 0 < len(await kit.lines(spec.name, tail=5)) <= 5  # Docker counts the parts of long lines
        whole = [line async for line in kit.engine.logs(spec.name, tail=1000)]
        stamps = [line.timestamp for line in whole]
        assert all(stamp.endswith("Z") and len(stamp) == 30 for stamp in stamps)
        middle = stamps[150]
        since = [line async for line in kit.engine.logs(spec.name, tail=1, since=middle)]
        assert since == [line for line in whole if line.timestamp >= middle]

    async def test_exit_codes_and_no_restart(self, running: Kit) -> None:
        spec = await running.run("raise SystemExit(7)", ready=False)
        seen = await running.wait_for_state(spec.name, "exited")
        assert (seen.state.exit_code, seen.state.restarts) == (7, 0)

    @pytest.mark.parametrize(
        ("policy", "code", "again"),
        [(Restart.ALWAYS, 0, True), (Restart.ON_FAILURE, 3, True), (Restart.ON_FAILURE, 0, False)],
    )
    async def test_restart_policy(self, running: Kit, policy: Restart, code: int, *, again: bool) -> None:
        kit = running
        spec = await kit.run(
            f"print('once', flush=True)\nraise SystemExit({code})", ready=False, restart=policy
        )
        if not again:
            seen = await kit.wait_for_state(spec.name, "exited")
            assert seen.state.restarts == 0
            return
        async with asyncio.timeout(PATIENCE_S):
            while (seen_again := await kit.engine.container(spec.name)) and seen_again.state.restarts < 2:
                await asyncio.sleep(0.05)
        await kit.engine.stop(spec.name, grace_s=1)
        await kit.wait_for_state(spec.name, "exited")
        assert (await kit.lines(spec.name)).count("once") >= 2

    async def test_logs_follow_over_a_restart(self, running: Kit) -> None:
        kit = running
        spec = await kit.run(
            "import os\nprint('once', os.getpid(), flush=True)\nraise SystemExit(1)",
            ready=False,
            restart=Restart.ALWAYS,
        )
        seen = 0
        async with asyncio.timeout(PATIENCE_S):
            async for _line in kit.engine.logs(spec.name, follow=True):
                seen += 1
                if seen == 3:
                    break
        assert seen == 3

    async def test_stop_asks_first(self, running: Kit) -> None:
        kit = running
        program = "import signal, sys, time\ndef end(*_):\n    print('bye', flush=True)\n    sys.exit(5)\nsignal.signal(signal.SIGTERM, end)\n"
        spec = await kit.run(program + FOREVER, restart=Restart.ALWAYS)
        await kit.engine.stop(spec.name, grace_s=10)
        seen = await kit.wait_for_state(spec.name, "exited")
        assert seen.state.exit_code == 5
        assert (await kit.lines(spec.name))[-1] == "bye"

    async def test_stop_ends_what_does_not_listen(self, running: Kit) -> None:
        kit = running
        program = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        spec = await kit.run(program + FOREVER, restart=Restart.ALWAYS)
        await kit.engine.stop(spec.name, grace_s=1)
        assert (await kit.wait_for_state(spec.name, "exited")).state.exit_code == 137

    async def test_start_says_why_not(self, running: Kit) -> None:
        kit = running
        await kit.build()
        await kit.engine.create_network(kit.chute)
        await kit.engine.create(kit.spec(command=("no-such-program", "x")))
        said = ""
        try:
            await kit.engine.start(kit.spec().name)
        except EngineError as error:
            said = error.message
        if not said:  # Docker's own process 1 was started, and says it in the log
            assert (await kit.wait_for_state(kit.spec().name, "exited")).state.exit_code == 127
            said = " ".join(await kit.lines(kit.spec().name))
        assert "no-such-program" in said

    async def test_a_port_in_use_is_named(self, running: Kit) -> None:
        kit = running
        await kit.build()
        await kit.engine.create_network(kit.chute)
        with socket.socket() as holder:
            holder.bind(("0.0.0.0", 0))
            holder.listen()
            port = holder.getsockname()[1]
            await kit.engine.create(kit.spec(ports=(PortBinding(80, port),)))
            with pytest.raises(EngineError, match=f"Port {port} of this machine is already in use"):
                await kit.engine.start(kit.spec().name)
        await kit.engine.start(kit.spec().name)

    async def test_ports(self, running: Kit) -> None:
        kit = running
        tcp, udp = free_port(), free_port(socket.SOCK_DGRAM)
        spec = await kit.run(SERVER, ports=(PortBinding(80, tcp), PortBinding(9000, udp, "udp")))
        assert (await get(tcp, "/first")).endswith(b"hello /first")
        answers = await asyncio.gather(*(get(tcp, f"/{number}") for number in range(50)))
        assert [answer.rpartition(b"hello ")[2] for answer in answers] == [
            b"/%d" % number for number in range(50)
        ]
        assert await asyncio.to_thread(ask_udp, udp, b"abc") == b"ABC"
        address = await kit.engine.address(spec.name)
        assert address is None or (await get(80, "/direct", host=address)).endswith(b"hello /direct")
        await kit.engine.stop(spec.name, grace_s=0)
        with pytest.raises(OSError):
            await get(tcp, "/gone")

    async def test_services_of_a_chute_meet_by_name(self, running: Kit) -> None:
        kit = running
        await kit.run(SERVER, service="web", name=f"{kit.chute}-web")
        other = kit.spec("main", command=("sleep", "1000"))
        await kit.engine.create(other)
        await kit.engine.start(other.name)
        ask = (
            "import urllib.request; print(urllib.request.urlopen('http://web/x', timeout=5).read().decode())"
        )
        result = await kit.engine.execute(other.name, ["python3", "-c", ask])
        assert (result.exit_code, result.output.strip()) == (0, "hello /x")

    async def test_two_chutes_cannot_meet(self, running: Kit) -> None:
        kit = running
        await kit.run(SERVER, service="web", name=f"{kit.chute}-web")
        spec = kit.spec()
        addresses = await addresses_of(kit, f"{kit.chute}-web")
        other = f"{kit.chute}b"
        await kit.engine.create_network(other)
        stranger = msgspec.structs.replace(spec, name=f"{other}-main", chute=other, command=("sleep", "1000"))
        await kit.engine.create(stranger)
        await kit.engine.start(stranger.name)
        for address in ["web", *addresses]:
            ask = f"import socket; socket.create_connection(('{address}', 80), 1)"
            result = await kit.engine.execute(stranger.name, ["python3", "-c", ask])
            assert result.exit_code != 0, address

    async def test_execute(self, running: Kit) -> None:
        kit = running
        spec = await kit.run(environment={"WORD": "inside"})
        result = await kit.engine.execute(spec.name, ["sh", "-c", "echo $WORD; id -u; echo oops >&2; exit 3"])
        assert result.exit_code == 3
        assert sorted(result.output.split()) == ["999", "inside", "oops"]
        slow = await kit.engine.execute(spec.name, ["sleep", "60"], timeout_s=0.5)
        assert slow.exit_code == 124
        missing = await kit.engine.execute(spec.name, ["no-such-program"])
        assert missing.exit_code != 0
        await kit.engine.stop(spec.name, grace_s=0)
        with pytest.raises(EngineError, match="not running"):
            await kit.engine.execute(spec.name, ["id"])

    async def test_mounts(self, running: Kit, tmp_path: Path) -> None:
        kit = running
        data, system = tmp_path / "data", tmp_path / "system"
        for directory in (data, system):
            directory.mkdir()
            os.chown(directory, 999, 999)
        (system / "fact").write_text("known")
        program = "print(open('/paradrop/fact').read())\nopen('/data/kept', 'w').write('kept')\ntry:\n    open('/paradrop/x', 'w')\nexcept OSError as error:\n    print('refused', error.errno)\n"
        mounts = (Mount(str(data), "/data"), Mount(str(system), "/paradrop", writable=False))
        spec = await kit.run(program, ready=False, mounts=mounts)
        await kit.wait_for_state(spec.name, "exited")
        assert await kit.lines(spec.name) == ["known", "refused 30"]
        assert (data / "kept").read_text() == "kept"

    async def test_it_cannot_see_the_host(self, running: Kit, tmp_path: Path) -> None:
        kit = running
        secret = tmp_path / "secret"
        secret.write_text("secret")
        spec = await kit.run(as_root=True)
        look = (
            "import os, glob\n"
            f"print(os.path.exists({str(secret)!r}), os.path.exists('/root/.bashrc'), os.path.exists('/etc/shadow-'))\n"
            "print(len(glob.glob('/proc/[0-9]*')) < 8)\n"
            "print(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])\n"
            "try:\n    open('/proc/sysrq-trigger', 'w')\nexcept OSError: print('closed')\n"
        )
        result = await kit.engine.execute(spec.name, ["python3", "-c", look])
        assert result.exit_code == 0, result.output
        words = result.output.split()
        assert words[:4] == ["False", "False", "False", "True"]
        assert words[-1] == "closed"

    async def test_memory_is_limited(self, running: Kit) -> None:
        kit = running
        hog = "kept = []\nwhile True: kept.append(bytearray(b'x') * 4_000_000)\n"
        spec = await kit.run(hog, ready=False, memory_bytes=64 * 1024 * 1024)
        seen = await kit.wait_for_state(spec.name, "exited")
        assert seen.state.exit_code in {1, 137}

    async def test_processes_are_limited(self, running: Kit) -> None:
        kit = running
        bomb = "import os, time\nfor n in range(100):\n    try:\n        if os.fork() == 0: time.sleep(100)\n    except OSError:\n        print('stopped', n, flush=True)\n        break\n"
        spec = await kit.run(bomb + FOREVER, pids=20)
        stopped = next(line for line in await kit.lines(spec.name) if line.startswith("stopped"))
        assert int(stopped.split()[1]) < 25

    async def test_usage(self, running: Kit) -> None:
        kit = running
        spec = await kit.run("x = sum(i * i for i in range(2_000_000))\n" + FOREVER, cpu_shares=512)
        usage = (await kit.engine.usage([spec.name, "missing"]))[spec.name]
        assert usage.cpu_s > 0.01
        assert usage.memory_bytes > 1_000_000
        assert usage.pids >= 1

    async def test_the_log_is_bounded(self, running: Kit) -> None:
        kit = running
        spec = await kit.run(
            "for i in range(40_000): print('filling the log', i)", ready=False, log_bytes=200_000
        )
        await kit.wait_for_state(spec.name, "exited")
        lines = await kit.lines(spec.name, tail=100_000)
        assert lines[-1] == "filling the log 39999"
        assert len(lines) < 10_000

    async def test_a_build_that_fails_says_why(self, running: Kit) -> None:
        with pytest.raises(EngineError, match=r"Error building|not on this machine"):
            await running.build(dockerfile="FROM scratch\nRUN no-such-thing\n", language="python2")
        assert not await running.engine.has_image(running.image)

    async def test_host_network(self, running: Kit) -> None:
        kit = running
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            reach = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('reached')"
            spec = await kit.run(reach, ready=False, network_mode="host")
            await kit.wait_for_state(spec.name, "exited")
        assert await kit.lines(spec.name) == ["reached"]


@real
class TestSandbox:
    """What only the sandbox has: a shim process for each container."""

    @pytest.fixture
    async def kit(self, tmp_path: Path) -> AsyncIterator[Kit]:
        kit = Kit(make_sandbox(tmp_path), tmp_path, None)
        yield kit
        await kit.clean()

    @staticmethod
    def shim_of(path: Path) -> int:
        (state,) = path.glob("state/containers/*/state.json")
        pid: int = json.loads(state.read_text())["pid"]
        return pid

    async def test_a_killed_shim_takes_all_with_it(self, kit: Kit, tmp_path: Path) -> None:
        port = free_port()
        spec = await kit.run(SERVER, ports=(PortBinding(80, port),), restart=Restart.ALWAYS)
        (state,) = tmp_path.glob("state/containers/*/state.json")
        first = json.loads(state.read_text())["first"]
        os.kill(self.shim_of(tmp_path), signal.SIGKILL)
        seen = await kit.wait_for_state(spec.name, "exited")
        assert seen.state.exit_code == 137
        async with asyncio.timeout(PATIENCE_S):
            while Path(f"/proc/{first}").exists():
                await asyncio.sleep(0.02)
        await kit.reopen()
        await kit.engine.start(spec.name)
        await kit.wait_for_state(spec.name, "running")
        async with asyncio.timeout(PATIENCE_S):
            while not await answered(port):
                await asyncio.sleep(0.05)

    async def test_a_state_of_another_boot_is_put_right(self, kit: Kit, tmp_path: Path) -> None:
        await kit.build()
        spec = kit.spec()
        await kit.engine.create(spec)
        (state,) = tmp_path.glob("state/containers/*/state.json")
        state.write_text(
            json.dumps({"state": "running", "pid": 1, "ticks": 1, "boot": "x", "first": 2, "restarts": 4})
        )
        seen = await kit.engine.container(spec.name)
        assert seen is not None
        assert (seen.state.state, seen.state.restarts) == ("exited", 4)
        await kit.engine.stop(spec.name)

    async def test_packages_are_installed_and_cached(self, kit: Kit, tmp_path: Path) -> None:
        bundle = tmp_path / "bundle"
        package = bundle / "greeting"
        package.mkdir(parents=True)
        (package / "setup.py").write_text(
            "from setuptools import setup\nsetup(name='greeting', version='1', py_modules=['greeting'])\n"
        )
        (package / "greeting.py").write_text("WORD = 'installed'\n")
        (bundle / "requirements.txt").write_text("# ours\n./greeting\n")
        (bundle / "main.py").write_text("import greeting\nprint(greeting.WORD)\n")
        request = BuildRequest(
            tag=kit.image, chute=kit.chute, context=str(bundle), dockerfile="", language="python3"
        )
        await kit.engine.build(request, kit.said.append)
        assert any("greeting" in line for line in kit.said)
        kit.said.clear()
        await kit.engine.build(request, kit.said.append)
        assert not any("Installing" in line for line in kit.said)
        spec = kit.spec(command="cd / && python /opt/paradrop/app/main.py")
        await kit.engine.create(spec)
        await kit.engine.start(spec.name)
        await kit.wait_for_line(spec.name, "installed")

    async def test_a_failing_package_says_why(self, kit: Kit, tmp_path: Path) -> None:
        bundle = tmp_path / "bundle"
        bundle.mkdir()
        (bundle / "requirements.txt").write_text("./nowhere\n")
        request = BuildRequest(
            tag=kit.image, chute=kit.chute, context=str(bundle), dockerfile="", language="python3"
        )
        with pytest.raises(EngineError, match="Error building the app"):
            await kit.engine.build(request, kit.said.append)
        assert not await kit.engine.has_image(kit.image)
        assert not list((tmp_path / "state" / "images").glob("*"))

    async def test_node_modules(self, kit: Kit, tmp_path: Path) -> None:
        if not shutil.which("npm", path="/usr/local/bin:/usr/bin"):
            pytest.skip("needs npm")
        bundle = tmp_path / "bundle"
        (bundle / "dep").mkdir(parents=True)
        (bundle / "dep" / "package.json").write_text(
            '{"name": "dep", "version": "1.0.0", "main": "index.js"}'
        )
        (bundle / "dep" / "index.js").write_text("module.exports = 'required'")
        (bundle / "package.json").write_text(
            '{"name": "app", "version": "1.0.0", "dependencies": {"dep": "file:./dep"}}'
        )
        (bundle / "index.js").write_text("console.log(require('dep'))")
        request = BuildRequest(
            tag=kit.image, chute=kit.chute, context=str(bundle), dockerfile="", language="node"
        )
        await kit.engine.build(request, kit.said.append)
        spec = kit.spec(command="node index.js")
        await kit.engine.create(spec)
        await kit.engine.start(spec.name)
        await kit.wait_for_line(spec.name, "required")

    async def test_images_need_docker(self, kit: Kit) -> None:
        with pytest.raises(EngineError, match="needs Docker or Podman"):
            await kit.engine.pull("nginx:1", kit.said.append)
        await kit.build()
        with pytest.raises(EngineError, match="command"):
            await kit.engine.create(kit.spec(command=None))

    async def test_names_cannot_leave_the_directory(self, kit: Kit, tmp_path: Path) -> None:
        await kit.build(tag="../../../escape:1")
        assert list(await kit.engine.images()) == ["../../../escape:1"]
        spec = kit.spec(image="../../../escape:1", name="../../x", service="../y", chute="../z")
        await kit.engine.create_network("../z")
        await kit.engine.create(spec)
        assert {path.name for path in tmp_path.iterdir()} <= {"state", "run"} | {
            p.name for p in tmp_path.iterdir() if len(p.name) == 32
        }
        await kit.engine.start(spec.name)
        await kit.wait_for_line(spec.name, "ready")

    async def test_a_shim_can_be_asked_where_it_is_and_its_app_is_never_signalled(
        self, tmp_path: Path
    ) -> None:
        traces = tmp_path / "trace"
        kit = Kit(make_sandbox(tmp_path, traces=traces), tmp_path, None)
        try:
            spec = await kit.run()
            seen = await kit.engine.container(spec.name)
            assert seen is not None
            assert seen.shim is not None
            (head,) = trace_box.boxes(traces).values()
            assert (head.pid, head.name, head.role, head.belongs_to) == (
                seen.shim,
                spec.name,
                "shim",
                kit.chute,
            )
            assert "shim/loop.py" in await asyncio.to_thread(
                trace_ask.collect, traces, seen.shim, timeout_s=30
            )
            held = {os.readlink(path) for path in Path(f"/proc/{seen.pid}/fd").iterdir()}
            assert not any(str(traces) in target for target in held), "the file is the shim's alone"
            await kit.engine.stop(spec.name, grace_s=1)
            assert list(traces.iterdir()) == []
        finally:
            await kit.clean()

    async def test_apps_reach_the_gateway(self, tmp_path: Path) -> None:
        path = tmp_path / "apps.sock"

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nasked " + head.split()[1])
            writer.close()

        server = await asyncio.start_unix_server(answer, path)
        kit = Kit(make_sandbox(tmp_path, apps_socket=path), tmp_path, None)
        try:
            spec = await kit.run(SERVER)
            ask = "import urllib.request; print(urllib.request.urlopen('http://paradrop.io/api', timeout=5).read().decode())"
            result = await kit.engine.execute(spec.name, ["python3", "-c", ask])
            assert result.output.strip() == "asked /api"
        finally:
            await kit.clean()
            server.close()

    async def test_many_bytes_and_half_closed_connections(self, kit: Kit) -> None:
        port = free_port()
        program = "import socket, threading\ndef serve(c):\n    data = b''\n    while part := c.recv(65536): data += part\n    c.sendall(data[::-1]); c.close()\ns = socket.create_server(('0.0.0.0', 7000), backlog=100)\nprint('ready', flush=True)\nwhile True: threading.Thread(target=serve, args=(s.accept()[0],)).start()\n"
        await kit.run(program, ports=(PortBinding(7000, port),))
        data = os.urandom(3_000_000)

        async def turn() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer

        async with asyncio.timeout(PATIENCE_S):
            assert set(await asyncio.gather(*(turn() for _ in range(8)))) == {data[::-1]}

    async def test_outbound_network(self, kit: Kit) -> None:
        with socket.socket() as listener:
            listener.bind(("0.0.0.0", 0))
            listener.listen()
            listener.setblocking(False)
            spec = await kit.run()
            route = await kit.engine.execute(
                spec.name, ["python3", "-c", "print(open('/proc/net/route').read())"]
            )
            gateway = next(
                line.split()[2] for line in route.output.splitlines() if line.split()[1:2] == ["00000000"]
            )
            address = socket.inet_ntoa(bytes.fromhex(gateway)[::-1])
            reach = f"import socket; socket.create_connection(('{address}', {listener.getsockname()[1]}), 5)"
            result = await kit.engine.execute(spec.name, ["python3", "-c", reach])
            assert result.exit_code == 0, result.output


ROOTLESS = """
import asyncio, json, sys
from pathlib import Path
from wayhouse.chutes.engines.sandbox.engine import SandboxEngine
from wayhouse.chutes.engines.sandbox.processes import PACKAGES
from wayhouse.chutes.model import PortBinding
from wayhouse.chutes.ports import BuildRequest, ContainerSpec
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n"); writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\nthe gateway"); writer.close()
async def main(base, port):
    server = await asyncio.start_unix_server(answer, base / "apps.sock")
    (base / "bundle").mkdir()
    (base / "bundle" / "main.py").write_text("import http.server\\nopen('made', 'w')\\nprint('ready', flush=True)\\n"
        "http.server.HTTPServer(('0.0.0.0', 80), http.server.SimpleHTTPRequestHandler).serve_forever()")
    make = lambda: SandboxEngine(base / "state", base / "run", instance="r", apps_socket=base / "apps.sock")
    engine = make()
    request = BuildRequest(tag="a:1", chute="a", context=str(base / "bundle"), dockerfile="", language="python3")
    await engine.build(request, lambda line: None)
    await engine.create_network("a")
    spec = ContainerSpec(name="a-main", chute="a", service="main", image="a:1", change_id=1, command="python3 main.py",
        ports=(PortBinding(80, port),))
    await engine.create(spec)
    await engine.start("a-main")
    async for line in engine.logs("a-main", follow=True):
        if line.message == "ready": break
    await asyncio.sleep(0.3)
    engine = make()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /made HTTP/1.0\\r\\n\\r\\n"); page = await reader.read()
    ask = "import os, urllib.request; print(os.getuid(), os.path.exists('/root'), urllib.request.urlopen('http://paradrop.io/').read())"
    seen = await engine.execute("a-main", ["python3", "-c", ask])
    usage = await engine.usage(["a-main"])
    await engine.remove("a-main"); await engine.remove_network("a")
    server.close()
    print(json.dumps([page[:15].decode(), seen.exit_code, seen.output.strip(), usage["a-main"].pids > 0]))
asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


@real
async def test_the_sandbox_needs_no_root(tmp_path: Path) -> None:
    """As nobody, with the system's Python, since the tests' own may live in a directory that only root enters."""
    libraries = Path(msgspec.__file__).parent.parent
    python = f"/usr/bin/python3.{sys.version_info.minor}"
    if os.geteuid() != 0 or not Path(python).exists() or not libraries.stat().st_mode & 0o005:
        pytest.skip("needs root and the system's Python of the same version")
    base = Path(tempfile.mkdtemp(prefix="wayhouse-rootless-"))
    os.chown(base, 65534, 65534)
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": f"{PACKAGES}:{libraries}",
        "HOME": str(base),
    }
    command = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        python,
        "-B",
        "-c",
        ROOTLESS,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, str(base), str(free_port()), env=environment, cwd="/", stdout=-1, stderr=-1
    )
    try:
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
        if b"PermissionError" in errors and str(libraries).encode() in errors:
            pytest.skip("nobody may read the tests' libraries")
        page, code, seen, counted = json.loads(output or b"[]") or pytest.fail(errors.decode())
        assert (page, code, counted) == ("HTTP/1.0 200 OK", 0, True), seen
        assert seen == "999 False b'the gateway'"
    finally:
        shutil.rmtree(base)


@real
class TestDocker:
    """What only Docker has: a machine that is shared with others."""

    @pytest.fixture
    async def kit(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
        async for opened in open_kit("docker", request, tmp_path):
            yield opened

    async def test_a_foreign_network_is_left_alone(self, kit: Kit, docker_socket: str) -> None:
        other = DockerEngine(docker_socket, instance=uuid.uuid4().hex[:8])
        await other.create_network(kit.chute)
        try:
            with pytest.raises(EngineError, match="not this gateway's"):
                await kit.engine.create_network(kit.chute)
            await kit.engine.remove_network(kit.chute)
            assert list(await other.networks()) == [kit.chute]
        finally:
            await other.remove_network(kit.chute)
            await other.close()

    async def test_a_foreign_container_is_left_alone(self, kit: Kit, docker_socket: str) -> None:
        other = DockerEngine(docker_socket, instance=uuid.uuid4().hex[:8])
        await kit.build()
        await other.create_network(kit.chute)
        spec = kit.spec()
        await other.create(spec)
        try:
            assert list(await kit.engine.containers()) == []
            for attempt in (
                kit.engine.create(spec),
                kit.engine.remove(spec.name),
                kit.engine.stop(spec.name),
            ):
                with pytest.raises(EngineError, match="not this gateway's"):
                    await attempt
        finally:
            await other.remove(spec.name)
            await other.remove_network(kit.chute)
            await other.close()

    async def test_a_build_error_is_told(self, kit: Kit) -> None:
        with pytest.raises(
            EngineError, match=r"^Error building Docker image: .*(returned a non-zero code: 3|exit status 3)"
        ):
            await kit.build(dockerfile=f"FROM {kit._base}\nRUN echo before; exit 3\n")
        assert "before" in kit.said
        assert not list(await kit.engine.images())

    async def test_the_context_s_own_dockerfile(self, kit: Kit, tmp_path: Path) -> None:
        bundle = tmp_path / "own"
        bundle.mkdir()
        (bundle / "Dockerfile").write_text(f"FROM {kit._base}\nCOPY Dockerfile /\nCMD echo ready\n")
        await kit.engine.build(
            BuildRequest(tag=kit.image, chute=kit.chute, context=str(bundle)), kit.said.append
        )
        await kit.engine.create_network(kit.chute)
        await kit.engine.create(kit.spec(command=None))
        await kit.engine.start(kit.spec().name)
        await kit.wait_for_line(kit.spec().name, "ready")

    async def test_a_pull_that_fails_says_why(self, kit: Kit) -> None:
        with pytest.raises(EngineError, match="Error pulling"):
            await kit.engine.pull(f"127.0.0.1:1/{kit.chute}", kit.said.append)

    async def test_nobody_there(self, tmp_path: Path) -> None:
        engine = DockerEngine(str(tmp_path / "none.sock"), instance="x")
        with pytest.raises(UnavailableError, match="No container engine answers"):
            await engine.containers()
        await engine.close()


async def answered(port: int) -> bool:
    try:
        return (await get(port, "/")).endswith(b"hello /")
    except OSError:
        return False


async def get(port: int, path: str, *, host: str = "127.0.0.1") -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(b"GET %s HTTP/1.0\r\n\r\n" % path.encode())
            writer.write_eof()
            return await reader.read()
        finally:
            writer.close()


def ask_udp(port: int, data: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(data, ("127.0.0.1", port))
        return client.recv(100)


async def addresses_of(kit: Kit, name: str) -> list[str]:
    result = await kit.engine.execute(name, ["python3", "-c", "print(open('/proc/net/fib_trie').read())"])
    words = [line.split()[-1] for line in result.output.splitlines() if "|--" in line]
    return sorted(
        {word for word in words if not word.startswith(("127.", "0.")) and not word.endswith((".0", ".255"))}
    )
