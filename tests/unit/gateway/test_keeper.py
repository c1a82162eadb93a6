"""The keeper with invented daemons: kept, restarted, forwarded to, moved, and ended with."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wayhouse.gateway import keeper
from wayhouse.runtime.supervision import facts

KEEP = """
import sys
from wayhouse.gateway import keeper
keeper.BACKOFF = keeper.Backoff(first_s=0.05, factor=1.0)
sys.exit(keeper.keep([sys.executable, *sys.argv[1:]]))
"""
HEAD = """
import os, signal, socket, sys, time
from wayhouse.gateway.lifeline import keeper_fd
from wayhouse.runtime import systemd
env = os.environ
def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def stop(number, _):
    say("got", signal.Signals(number).name)
    systemd.stopping(env)
    os._exit(0)
for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, stop)
signal.signal(signal.SIGHUP, lambda *_: say("reloads"))
"""
WAIT = "\nwhile True: time.sleep(0.01)\n"


class Kept:
    """A keeper, and what its daemon writes."""

    def __init__(self, tmp_path: Path, code: str, **how) -> None:
        script = tmp_path / "daemon.py"
        script.write_text(HEAD + code)
        self.process = subprocess.Popen(
            [sys.executable, "-c", KEEP, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            **how,
        )

    def line(self) -> str:
        assert select.select([self.process.stdout], [], [], 20)[0], "nothing is said"
        return self.process.stdout.readline().decode().rstrip("\n")

    def pid(self) -> int:
        word, pid = self.line().split()
        assert word == "pid"
        return int(pid)

    def end(self) -> tuple[int, str]:
        return self.process.wait(20), self.process.stderr.read().decode()


@pytest.fixture
def keep(tmp_path):
    made: list[Kept] = []

    def start(code: str, **how) -> Kept:
        made.append(Kept(tmp_path, code, **how))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        one.process.stdout.close()
        one.process.stderr.close()


def is_alive(pid: int) -> bool:
    """Zombies, which wait for somebody else, are not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def gone(pid: int) -> bool:
    end = time.monotonic() + 20
    while is_alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


READY = "systemd.ready(env)\nsay('pid', os.getpid())"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("sys.exit(0)", 0),
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), 9)", 128 + 9),
        ("systemd.ready(env)\nsys.exit(0)", 0),
    ],
)
def test_it_ends_with_a_daemon_that_ends(keep, code, status) -> None:
    assert keep(code).end() == (status, "")


def test_a_crash_is_repaired(keep) -> None:
    one = keep(READY + WAIT)
    first = one.pid()
    os.kill(first, signal.SIGKILL)
    second = one.pid()
    assert second != first
    one.process.send_signal(signal.SIGHUP)
    assert one.line() == "reloads"
    one.process.send_signal(signal.SIGTERM)
    assert one.line() == "got SIGTERM"
    status, said = one.end()
    assert status == 0
    assert said == "wayhouse keeper: the gateway ended with signal 9; it starts again in 0.05 s\n"


def test_a_crash_loop_ends_with_its_code(keep, monkeypatch) -> None:
    one = keep(READY + "\nsys.exit(7)")
    status, said = one.end()
    assert status == 7
    assert said.count("starts again") == 5
    assert "not started any more: it ends again and again" in said


def test_signals_are_forwarded_once(keep) -> None:
    code = (
        "def count(number, _):\n say('got', number)\n time.sleep(1)\n os._exit(0)\nsignal.signal(15, count)\n"
    )
    one = keep(code + READY + WAIT)
    one.pid()
    for _ in range(3):
        one.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert one.end()[0] == 0
    assert one.process.stdout.read() == b"got 15\n"


def test_ctrl_c_on_a_terminal_reaches_both(tmp_path) -> None:
    script = tmp_path / "daemon.py"
    script.write_text(HEAD + READY + WAIT)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", KEEP, str(script)])
    text = b""
    while b"pid " not in text:
        text += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    while True:
        try:
            text += os.read(terminal, 1000)
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"got SIGINT" in text or b"got SIGTERM" in text
    assert b"Traceback" not in text
    os.close(terminal)


def test_signals_that_came_while_it_loads_are_not_lost(keep) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

    one = keep(READY + WAIT, preexec_fn=block)
    one.process.send_signal(signal.SIGINT)
    status, said = one.end()
    assert (status, said) == (0, "")


def test_stopped_before_it_is_ready(keep) -> None:
    one = keep("say('pid', os.getpid())" + WAIT)
    one.pid()
    one.process.send_signal(signal.SIGTERM)
    assert one.line() == "got SIGTERM"
    assert one.end() == (0, "")


SUCCESSOR = (
    """
if len(sys.argv) > 1:
    systemd.notify(f"MAINPID={os.getpid()}\\nREADY=1", env)
    say("pid", os.getpid())
    import select
    gone = keeper_fd(env)
    while not select.select([gone], [], [], 0.01)[0]: pass
    say("the keeper is gone")
    sys.exit(0)
systemd.ready(env)
say("pid", os.getpid())
if os.environ.get("ONCE"):
    import subprocess
    env = {**os.environ}; env.pop("ONCE")
    subprocess.Popen([sys.executable, __file__, "successor"], env=env)
    while True:
        time.sleep(0.01)
        if os.path.exists(os.environ["ONCE"]): systemd.stopping(os.environ); os._exit(0)
"""
    + WAIT
)


def moved(keep, tmp_path) -> tuple[Kept, int]:
    go = tmp_path / "go"
    one = keep(SUCCESSOR, env={**os.environ, "ONCE": str(go)})
    old, new = one.pid(), one.pid()
    go.touch()
    assert gone(old)
    return one, new


def test_a_hot_upgrade_moves_the_daemon(keep, tmp_path) -> None:
    one, new = moved(keep, tmp_path)
    one.process.send_signal(signal.SIGHUP)
    assert one.line() == "reloads"
    one.process.send_signal(signal.SIGTERM)
    assert one.line() == "got SIGTERM"
    assert one.end() == (0, "")
    assert gone(new)


def test_a_successor_that_crashes_is_repaired(keep, tmp_path) -> None:
    one, new = moved(keep, tmp_path)
    os.kill(new, signal.SIGKILL)
    assert one.pid() != new
    one.process.send_signal(signal.SIGTERM)
    assert one.end()[0] == 0


def test_the_first_daemon_ends_with_a_killed_keeper(keep) -> None:
    one = keep(READY + WAIT)
    pid = one.pid()
    one.process.kill()
    assert one.line() == "got SIGTERM"
    assert gone(pid)


def test_a_successor_learns_it_by_its_lifeline(keep, tmp_path) -> None:
    one, new = moved(keep, tmp_path)
    one.process.kill()
    assert one.line() == "the keeper is gone"
    assert gone(new)


BANK = """
given = systemd.listen_fds(env)
if given:
    say("given", *(name for name, _ in given))
    socket.socket(fileno=given[0][1]).accept()[0].sendall(b"hello")
else:
    server = socket.create_server(("127.0.0.1", 0))
    systemd.store_fds(env, "web", [server.fileno()])
    say("port", server.getsockname()[1])
"""


def test_sockets_outlive_a_kill(keep) -> None:
    import socket

    one = keep(BANK + READY + WAIT)
    port = int(one.line().split()[1])
    with socket.create_connection(("127.0.0.1", port)) as client:
        os.kill(one.pid(), signal.SIGKILL)
        assert one.line() == "given web"
        client.settimeout(20)
        assert client.recv(10) == b"hello"


def test_it_is_small(keep) -> None:
    one = keep(READY + WAIT)
    one.pid()
    memory = Path(f"/proc/{one.process.pid}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in memory.splitlines() if line.startswith("Private_"))
    assert private < 14 * 1024
    code = (
        "import sys, wayhouse.gateway.keeper\n"
        "heavy = {'asyncio', 'httpx', 'pydantic', 'yaml', 'psutil', 'subprocess', 'logging', 'pathlib', 'starlette'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.strip() == ""


def test_the_daemon_gets_the_arguments() -> None:
    spec = keeper.spec([sys.executable, "-m", "wayhouse.gateway", "--demo"])
    assert spec.command[1:] == ("-m", "wayhouse.gateway", "--demo")
    assert spec.output == "inherit"
    result = subprocess.run(
        [sys.executable, "-m", "wayhouse.gateway.keeper", "--no-such-option"], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "usage: wayhouse up" in result.stderr


def test_one_that_is_never_ready_is_a_failure(keep, monkeypatch) -> None:
    code = KEEP.replace("sys.exit(", "keeper.START_S = 0.3\nsys.exit(")
    monkeypatch.setitem(globals(), "KEEP", code)
    status, said = keep("say('pid', os.getpid())" + WAIT).end()
    assert status == 1
    assert "not ready within 0.3 s" in said


@pytest.mark.parametrize(("status", "code"), [(0, 0), (3, 3), (-15, 143), (None, 1)])
def test_exit_codes(status, code) -> None:
    assert keeper.exit_code(status) == code


def test_what_is_said(capfd) -> None:
    last = keeper.LastEnd()
    last.hear(facts.ChildExited("gateway", 1, None, expected=False))
    assert last.status is None
    last.hear(facts.ChildBackingOff("gateway", 0.5))
    last.hear(facts.ChildLate("gateway"))
    last.hear(facts.DescriptorsRefused("gateway", 3, "at most 4096 are kept for it"))
    last.hear(facts.GaveUp("gateway", "it ended before it was ready", 1))  # it has said so itself
    text = capfd.readouterr().err
    assert text.count("\n") == 3
    assert "a status that its own parent alone knows; it starts again in 0.5 s" in text
    last.hear(facts.ChildExited("gateway", 1, -15, expected=True))
    assert last.status == 0
