import asyncio
import os
import signal
import socket
import threading

import pytest

from tests.parts.armed import SLEEPING, SPINNING, as_nobody, child, python
from wayhouse.api.client_errors import UnreachableError
from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.base.settings import Paths
from wayhouse.cli.inside import Inside, inside
from wayhouse.cli.session import Session
from wayhouse.cli.wanted import Wanted
from wayhouse.gateway.control import GatewayControl, control_server
from wayhouse.gateway.listeners import bind_unix
from wayhouse.runtime.sight.overview import SOCKET
from wayhouse.runtime.sight.trace_box import FOLDER


class Daemon:
    """A control socket in a thread of the test."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.live()))

    async def live(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()

        async def containers():
            return []

        async with control_server(GatewayControl(self.runtime, containers=containers)) as server:
            server.listen(bind_unix(self.runtime / SOCKET, 0o600))
            self.ready.set()
            await self.over.wait()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(30)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()


def session(tmp_path, **wanted):
    return Session(Wanted(**wanted), {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "none")})


def test_through_the_daemon_if_it_answers(tmp_path):
    with Daemon(tmp_path), child(tmp_path / FOLDER, SLEEPING, name="keeper", role="keeper") as pid:
        found = Inside(tmp_path)
        assert {one.pid for one in found.members()} >= {pid, os.getpid()}
        assert found.answers
        (one,) = found.traces("keeper")
        assert (one.pid, one.how) == (pid, "signal")
        with pytest.raises(NotFoundError, match="There are: gateway, keeper"):
            list(found.traces("nobody"))


def test_past_it_if_it_is_stuck(tmp_path):
    """The kernel lets us connect, but nobody accepts."""
    with (
        socket.socket(socket.AF_UNIX) as listener,
        child(tmp_path / FOLDER, SPINNING, name="gateway", role="gateway") as pid,
    ):
        listener.bind(str(tmp_path / SOCKET))
        listener.listen(5)
        found = Inside(tmp_path)
        (row,) = found.members()
        assert (row.pid, row.ready, found.answers) == (pid, False, False)
        (one,) = found.traces(None)
        assert (one.how, "spins_for_ever" in one.text) == ("signal", True)
        assert [row.pid for row in found.traces(str(pid))] == [pid]
        with pytest.raises(NotFoundError):
            list(found.traces("nobody"))


def test_a_daemon_that_hangs_halfway_costs_its_own_rows_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("wayhouse.cli.inside.ANSWER_S", 0.5)
    with child(tmp_path / FOLDER, SLEEPING, name="keeper", role="keeper") as pid:
        code = (
            "import asyncio, os, pathlib, sys\n"
            "from wayhouse.gateway.control import GatewayControl, control_server\n"
            "from wayhouse.gateway.listeners import bind_unix\n"
            "from wayhouse.runtime.sight import overview, trace_box\n"
            "runtime = pathlib.Path(sys.argv[1])\n"
            "trace_box.arm(runtime / trace_box.FOLDER, name='gateway', role='gateway')\n"
            "async def none(): return []\n"
            "class Half(GatewayControl):\n"
            "    async def _members(self):\n"
            "        return (await super()._members())[::-1]\n"
            "def hang(directory, member):\n"
            "    os.kill(os.getpid(), 19)\n"
            "overview.look = hang\n"
            "async def main():\n"
            "    async with control_server(Half(runtime, containers=none)) as server:\n"
            "        server.listen(bind_unix(runtime / overview.SOCKET, 0o600))\n"
            "        print('ready', flush=True); await asyncio.Event().wait()\n"
            "asyncio.run(main())\n"
        )
        with python(code, str(tmp_path)) as daemon:
            found = Inside(tmp_path)
            told = []
            for one in found.traces(None):
                told.append((one.pid, one.how))
                if one.pid == daemon and one.how == "own":
                    continue
                os.kill(daemon, signal.SIGCONT)
            assert sorted(pid for pid, _ in told) == sorted([pid, daemon])
            assert dict(told)[daemon] == "own"
            assert dict(told)[pid] == "signal"
            assert not found.answers


def test_nobody_there(tmp_path):
    with pytest.raises(UnreachableError, match="wayhouse up"):
        Inside(tmp_path / "run").members()
    (tmp_path / SOCKET).touch()
    with pytest.raises(UnreachableError, match="wayhouse up"):
        list(Inside(tmp_path).traces(None))


def test_which_gateway(tmp_path):
    assert inside(session(tmp_path, gateway=f"unix:{tmp_path}/run/wayhouse.sock")).runtime == tmp_path / "run"
    assert inside(session(tmp_path, data=tmp_path)).runtime == tmp_path / "run"
    with pytest.raises(BadInputError, match="own machine"):
        inside(session(tmp_path, gateway="http://192.168.1.1:8080"))


def test_the_user_s_own_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(Paths, "system", classmethod(lambda cls: Paths.under(tmp_path / "system")))
    with pytest.raises(UnreachableError, match="No gateway runs on this machine"):
        inside(session(tmp_path))
    own = tmp_path / "none" / "wayhouse"
    with child(own / FOLDER, SLEEPING, role="gateway"):
        assert inside(session(tmp_path)).runtime == own


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_user_hears_whom_to_be(tmp_path):
    runtime = tmp_path / "run"
    imports = (
        "from pathlib import Path\nfrom wayhouse.cli.inside import Inside, _find\n"
        "import wayhouse.runtime.remote, wayhouse.runtime.sight.overview, encodings.idna, encodings.ascii"
    )
    with child(runtime / FOLDER, SLEEPING, role="gateway"), Daemon(runtime):
        above = [one for one in (tmp_path, *tmp_path.parents) if "pytest" in str(one)]
        before = [one.stat().st_mode for one in above]
        try:
            for one in above:
                one.chmod(0o755)
            for work in (
                "Inside(Path(sys.argv[1])).members()",
                "list(Inside(Path(sys.argv[1])).traces(None))",
            ):
                assert as_nobody(imports, work, runtime).startswith("ForbiddenError You may not look")
            assert as_nobody(imports, "_find((Path(sys.argv[1]),))", runtime).startswith("ForbiddenError")
            (runtime / SOCKET).chmod(0o666)
            told = as_nobody(imports, "Inside(Path(sys.argv[1])).members()", runtime)
            assert told.startswith("ForbiddenError You may not look")
            assert "Use sudo" in told
        finally:
            for one, mode in zip(above, before, strict=True):
                one.chmod(mode)
